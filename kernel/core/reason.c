/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors in words. What an operator meets when an instance starts is said with what helps; the rest
 * is "an unexpected error", with its number in the line around it.
 */
#include "kernel/core/reason.h"

#include "abi/errno.h"

const char *error_reason(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES: return "permission denied; give the user of this process the right to it";
	case ENOENT: return "it is not there";
	case ENOTDIR: return "a part of its path is not a folder";
	case EISDIR: return "it is a folder";
	case ENXIO: return "it is not of the kind that is needed";
	case ELOOP: return "a part of its path is a symbolic link";
	case ENAMETOOLONG: return "its path is too long";
	case EROFS: return "the file system is read-only";
	case EBUSY: return "it is in use";
	case EIO: return "the host reports an I/O error; look at the host's disk";
	case EPROTO: return "the host's answer makes no sense";
	case ENOSPC:
	case EDQUOT: return "the host's disk is full; make room there";
	case EFBIG: return "it may not become larger; raise `ulimit -f`";
	case EMFILE:
	case ENFILE: return "too many open files; raise `ulimit -n`";
	case ENOMEM:
		return "no memory is left; raise resource_limits.kernel_space_heap_size or "
		       "user_space_size";
	case EAGAIN:
		return "no thread is left; raise resource_limits.max_num_of_threads or `ulimit -u`";
	case E2BIG: return "arguments and environment are too large";
	case ENOEXEC:
	case ELIBBAD: return "it is damaged, or no program that this kernel runs";
	case EBADMSG: return "it was changed by someone: a digest or tag does not fit";
	case EUCLEAN: return "it is damaged";
	case EKEYREJECTED: return "it does not open with this enclave's key";
	case ESTALE: return "it is older than what was expected";
	case EINVAL: return "its settings contradict each other";
	default: return "an unexpected error";
	}
}
