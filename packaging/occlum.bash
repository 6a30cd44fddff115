# SPDX-License-Identifier: Apache-2.0
# Completion of `occlum` for bash. Options are those that `occlum help COMMAND` prints (tests/mount/tools.py compares).

_occlum_commands()
{
	"${COMP_WORDS[0]}" help 2>/dev/null | sed -n '/not yet supported/d; s/^  \([a-z-]*\)  .*/\1/p'
}

# What the word after an option is: words on stdout, or the exit status 1 for a path, 2 for anything.
_occlum_value()
{
	case $1 in
	--layer) echo ro rw ;;
	--sgx-mode) echo HW SIM ;;
	--enable-edmm) echo Y N ;;
	--sign-key | --sign-tool | --image-key | --key | --salvage) return 1 ;;
	--snapshot | --root | --to-root | --config-id | --config-svn) return 2 ;;
	esac
}

_occlum_image()
{
	local keys="--sign-key --sign-tool --image-key --layer --snapshot --json"

	if [ "$COMP_CWORD" = 2 ]; then
		echo info ls cat extract diff verify snapshot scrub grow rotate to-root label keys --help
		return
	fi
	case ${COMP_WORDS[2]} in
	ls) echo "$keys" -l -R ;;
	cat) echo "${keys% --json}" ;;
	diff) echo "$keys" image present ;;
	snapshot)
		if [ "$COMP_CWORD" = 3 ]; then
			echo list create delete rollback
		else
			echo "$keys"
		fi
		;;
	rotate) echo "$keys" finish ;;
	to-root) echo "$keys" --force ;;
	keys)
		if [ "$COMP_CWORD" = 3 ]; then
			echo list add remove rewrap
		else
			echo "$keys"
		fi
		;;
	*) echo "$keys" ;;
	esac
}

_occlum()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words
	local keys="--sign-key --sign-tool --image-key"

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words="$(_occlum_commands) --help --version"
	else
		words=$(_occlum_value "$prev")
		case $? in
		1) compopt -o default 2>/dev/null; return 0 ;;
		2) return 0 ;;
		esac
	fi
	[ -n "$words" ] || case ${COMP_WORDS[1]} in
	build) words="$keys --sgx-mode --enable-edmm --buildin-image-key -f --force --reset --help" ;;
	run) words="--config-id --config-svn --help" ;;
	mount) words="$keys --layer --read-only --snapshot --background --allow-other --help" ;;
	image) words=$(_occlum_image) ;;
	print) words="mrenclave mrsigner sigstruct sgxs --help" ;;
	fsck) words="--key --salvage --root --to-root --force --snapshot --dump --help" ;;
	help) words=$(_occlum_commands) ;;
	*) words=--help ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case ${COMP_WORDS[1]} in
	new | mount | gen-image-key | fsck | run) compopt -o default 2>/dev/null ;;
	image) [ "${COMP_WORDS[2]-}" != extract ] || compopt -o default 2>/dev/null ;;
	esac
	return 0
}
complete -F _occlum occlum
