/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libocclum-pal.so: runs programs in the enclave of an Occlum instance. All functions return 0, or
 * -1 with errno set, unless said. Any thread may call them; several processes may be created and
 * executed in parallel. Each name exists without the `occlum_` prefix too (weak).
 *
 * Programs linked at fixed addresses need the address range below 64 GiB. It is free when the
 * program that embeds this library is position-independent (the default of today's compilers) and
 * not built with AddressSanitizer; otherwise such programs fail with ENOEXEC.
 */
#ifndef OCCLUM_PAL_API_H
#define OCCLUM_PAL_API_H

#ifdef __cplusplus
extern "C" {
#endif

#define OCCLUM_PAL_VERSION 2

/* The version of the library, greater than 0. */
int occlum_pal_get_version(void);

struct occlum_pal_attr {
	const char *instance_dir; /* folder of the instance */
	const char *log_level;	  /* "off", "error", "warn", "info", "debug", "trace"; NULL: off */
};

#define OCCLUM_PAL_ATTR_INITVAL                                                                    \
	{                                                                                          \
		.instance_dir = ".", .log_level = 0                                                \
	}

/*
 * Loads the instance's enclave, boots its kernel and runs its init process. EINVAL: attr or its
 * folder is NULL; EEXIST: called before; EBUSY: another process builds or runs the instance, which
 * from now on belongs to this one until occlum_pal_destroy(); ENOEXEC, EBADMSG: the instance's
 * files are damaged or do not belong together. One line on stderr says what is wrong. Standard
 * streams that are closed get /dev/null, for the wrong direction: programs find them as good as
 * closed.
 */
int occlum_pal_init(const struct occlum_pal_attr *attr);

struct occlum_stdio_fds {
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
};

struct occlum_pal_create_process_args {
	const char *path;		      /* in the instance */
	const char **argv;		      /* ends with NULL */
	const char **env;		      /* ends with NULL; NULL: none */
	const struct occlum_stdio_fds *stdio; /* NULL: 0, 1, 2 */
	int *pid;			      /* output */
};

/*
 * ENOENT: not initialised, or no such program; ENOTRECOVERABLE: the enclave has stopped, and a line
 * on stderr has said why; EINVAL, EACCES, ENOMEM, EAGAIN, ...
 */
int occlum_pal_create_process(struct occlum_pal_create_process_args *args);

struct occlum_pal_exec_args {
	int pid;
	int *exit_value; /* output: status as of wait(2) */
};

/* Runs a created process to its end. Once for each pid, then ESRCH. ENOTRECOVERABLE: as above. */
int occlum_pal_exec(struct occlum_pal_exec_args *args);

/* Sends SIGKILL or SIGTERM to the process, or to all processes when pid is -1. */
int occlum_pal_kill(int pid, int sig);

/* Ends all processes, writes everything back, unloads the enclave. */
int occlum_pal_destroy(void);

/*
 * For command line tools: from now on signals that are sent to this process go to the processes
 * being executed in the instance; while there are none they act as usual. Not passed on are
 * SIGKILL, SIGSTOP, SIGTTIN, SIGTTOU, SIGCHLD, those of faults (SIGSEGV, SIGBUS, SIGILL, SIGFPE,
 * SIGTRAP, SIGSYS), the last real-time signal, SIGTSTP that is no terminal's key, and what the
 * caller of this process ignores. A program that stops then stops this process, as a shell expects
 * it of a job. To be called by the main thread before any other thread exists.
 */
int occlum_pal_forward_signals(void);

struct host_file_buffer_t {
	const char *hostname_buf;
	unsigned long hostname_buf_size;
	const char *hosts_buf;
	unsigned long hosts_buf_size;
	const char *resolv_conf_buf;
	unsigned long resolv_conf_buf_size;
};

int pal_get_version(void);
int pal_init(const struct occlum_pal_attr *attr);
int pal_create_process(struct occlum_pal_create_process_args *args);
int pal_exec(struct occlum_pal_exec_args *args);
int pal_kill(int pid, int sig);
int pal_destroy(void);

#ifdef __cplusplus
}
#endif

#endif
