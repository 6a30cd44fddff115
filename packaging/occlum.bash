# SPDX-License-Identifier: Apache-2.0
# Completion of `occlum` for bash.
_occlum()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
	local keys="--sign-key --sign-tool --image-key"

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$("${COMP_WORDS[0]}" help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
	else
		case $prev in
		--sign-key | --sign-tool | --image-key)
			compopt -o default
			return
			;;
		--layer) words="ro rw" ;;
		--sgx-mode) words="HW SIM" ;;
		esac
		[ -n "$words" ] || case ${COMP_WORDS[1]} in
		mount) words="$keys --layer --read-only --snapshot --background --allow-other" ;;
		image)
			if [ "$COMP_CWORD" = 2 ]; then
				words="info ls cat extract diff verify snapshot scrub grow rotate label"
			elif [ "${COMP_WORDS[2]}" = snapshot ] && [ "$COMP_CWORD" = 3 ]; then
				words="list create delete rollback"
			else
				words="$keys --layer --snapshot --json"
			fi
			;;
		build) words="$keys --sgx-mode --enable-edmm --buildin-image-key --force --reset" ;;
		print) words="mrenclave mrsigner sigstruct sgxs" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[ "${COMP_WORDS[1]}" != mount ] || compopt -o default
}
complete -F _occlum occlum
