/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores and message queues. */
#include "check.h"

#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int do_op(int id, int number, int op, int flags)
{
	struct sembuf b = {number, op, flags};

	return semop(id, &b, 1);
}

static int value_of(int id, int number)
{
	return semctl(id, number, GETVAL);
}

static int exit_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Until so many wait at the semaphore. */
static void until_waiting(int id, int number, int command)
{
	while (semctl(id, number, command) == 0)
		usleep(1000);
}

static void sets(void)
{
	key_t key = 0x0c100000 | (getpid() & 0xffff);
	unsigned short values[3] = {1, 2, 3};
	struct semid_ds ds;
	int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0640), other;

	REQUIRE(id >= 0);
	CHECK_ERRNO(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_EQ(semget(key, 2, 0), id);
	CHECK_ERRNO(semget(key, 4, 0), EINVAL);
	CHECK_ERRNO(semget(key + 1, 1, 0), ENOENT);
	CHECK_ERRNO(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	CHECK_EQ(semctl(id, 0, SETALL, (union semun){.array = values}), 0);
	memset(values, 0, sizeof(values));
	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = values}), 0);
	CHECK(values[0] == 1 && values[1] == 2 && values[2] == 3);
	CHECK_EQ(semctl(id, 1, SETVAL, (union semun){.val = 7}), 0);
	CHECK_EQ(value_of(id, 1), 7);
	CHECK_ERRNO(semctl(id, 1, SETVAL, (union semun){.val = 32768}), ERANGE);
	CHECK_ERRNO(semctl(id, 3, GETVAL), EINVAL);
	CHECK_EQ(semctl(id, 1, GETPID), getpid());
	CHECK_EQ(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
	CHECK(ds.sem_nsems == 3 && (ds.sem_perm.mode & 0777) == 0640 && ds.sem_otime == 0);
	ds.sem_perm.mode = 0600;
	CHECK_EQ(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}), 0);
	CHECK_EQ(do_op(id, 0, -1, 0), 0);
	CHECK_EQ(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
	CHECK(ds.sem_otime != 0 && (ds.sem_perm.mode & 0777) == 0600);
	CHECK_ERRNO(do_op(id, 3, 1, 0), EFBIG);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_ERRNO(do_op(id, 0, 1, 0), EINVAL);
	other = semget(key, 1, IPC_CREAT | 0600);
	CHECK(other >= 0 && other != id);
	CHECK_EQ(semctl(other, 0, IPC_RMID), 0);
}

static void operations(void)
{
	struct sembuf both[2] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}};
	struct timespec soon = {0, 20000000};
	int id = semget(IPC_PRIVATE, 2, 0600);

	CHECK_EQ(semctl(id, 0, SETVAL, (union semun){.val = 1}), 0);
	CHECK_ERRNO(semop(id, both, 2), EAGAIN);
	CHECK_EQ(value_of(id, 0), 1); /* all or nothing */
	CHECK_EQ(do_op(id, 1, 0, IPC_NOWAIT), 0);
	CHECK_ERRNO(do_op(id, 0, 0, IPC_NOWAIT), EAGAIN);
	CHECK_EQ(do_op(id, 1, 1, 0), 0);
	CHECK_EQ(semop(id, both, 2), 0);
	CHECK_EQ(value_of(id, 0), 0);
	both[0].sem_flg = 0;
	CHECK_ERRNO(semtimedop(id, both, 1, &soon), EAGAIN);
	CHECK_ERRNO(semop(id, both, 0), EINVAL);
	CHECK_ERRNO(semop(id, both, 100000), E2BIG);
	CHECK_ERRNO(do_op(id, 0, 32767, 0) ? -1 : do_op(id, 0, 1, 0), ERANGE);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

static void waking(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	pid_t pid = fork();

	if (!pid)
		_exit(do_op(id, 0, -2, 0) ? 1 : do_op(id, 1, 1, 0) ? 2 : 0);
	until_waiting(id, 0, GETNCNT);
	CHECK_EQ(do_op(id, 0, 1, 0), 0);
	CHECK_EQ(do_op(id, 0, 1, 0), 0);
	CHECK_EQ(do_op(id, 1, -1, 0), 0);
	CHECK_EQ(exit_of(pid), 0);
	/* For zero. */
	CHECK_EQ(do_op(id, 0, 1, 0), 0);
	pid = fork();
	if (!pid)
		_exit(do_op(id, 0, 0, 0) ? 1 : 0);
	until_waiting(id, 0, GETZCNT);
	CHECK_EQ(do_op(id, 0, -1, 0), 0);
	CHECK_EQ(exit_of(pid), 0);
	/* The set goes while somebody waits. */
	pid = fork();
	if (!pid)
		_exit(do_op(id, 0, -1, 0) == -1 && errno == EIDRM ? 0 : 1);
	until_waiting(id, 0, GETNCNT);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_EQ(exit_of(pid), 0);
}

static void undoing(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	pid_t pid;

	CHECK_EQ(semctl(id, 0, SETVAL, (union semun){.val = 5}), 0);
	pid = fork();
	if (!pid) {
		do_op(id, 0, -3, SEM_UNDO);
		do_op(id, 0, 1, 0);
		do_op(id, 1, 4, SEM_UNDO);
		_exit(value_of(id, 0));
	}
	CHECK_EQ(exit_of(pid), 3);
	CHECK_EQ(value_of(id, 0), 6);
	CHECK_EQ(value_of(id, 1), 0);
	/* Killed, it gives back all the same; a waiter gets it. */
	CHECK_EQ(semctl(id, 0, SETVAL, (union semun){.val = 1}), 0);
	pid = fork();
	if (!pid) {
		do_op(id, 0, -1, SEM_UNDO);
		do_op(id, 1, 1, 0);
		for (;;)
			pause();
	}
	CHECK_EQ(do_op(id, 1, -1, 0), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(do_op(id, 0, -1, 0), 0);
	CHECK_EQ(exit_of(pid), -SIGKILL);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

struct text {
	long type;
	char bytes[9000];
};

static int send_text(int id, long type, const char *text, int flags)
{
	struct text t = {type};

	strcpy(t.bytes, text);
	return msgsnd(id, &t, strlen(text), flags);
}

static void expect_text(int id, long type, int flags, const char *text, long its_type, int line)
{
	struct text t = {0};
	long n = msgrcv(id, &t, sizeof(t.bytes), type, flags);

	if (n != (long)strlen(text) || memcmp(t.bytes, text, n) || t.type != its_type) {
		printf("%s:%d: got %ld \"%.20s\" of type %ld\n", __FILE__, line, n, t.bytes,
		       t.type);
		check_failures++;
	}
}
#define EXPECT_TEXT(id, type, flags, text, its) expect_text(id, type, flags, text, its, __LINE__)

static void messages(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds ds;
	struct text t;

	REQUIRE(id >= 0);
	CHECK_ERRNO(msgrcv(id, &t, 100, 0, IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(send_text(id, 0, "x", 0), EINVAL);
	CHECK_ERRNO(msgsnd(id, &(struct text){1}, 8193, 0), EINVAL);
	CHECK_EQ(send_text(id, 3, "three", 0), 0);
	CHECK_EQ(send_text(id, 1, "one", 0), 0);
	CHECK_EQ(send_text(id, 2, "two", 0), 0);
	CHECK_EQ(send_text(id, 1, "", 0), 0);
	CHECK_EQ(msgctl(id, IPC_STAT, &ds), 0);
	CHECK(ds.msg_qnum == 4 && ds.msg_lspid == getpid() && ds.msg_qbytes == 16384);
	EXPECT_TEXT(id, 2, 0, "two", 2);
	EXPECT_TEXT(id, -2, 0, "one", 1);
	CHECK_ERRNO(msgrcv(id, &t, 2, 0, 0), E2BIG);
	EXPECT_TEXT(id, 3, MSG_EXCEPT, "", 1);
	CHECK_EQ(msgrcv(id, &t, 2, 0, MSG_NOERROR), 2);
	CHECK(!memcmp(t.bytes, "th", 2));
	memset(&t, 'm', sizeof(t));
	t.type = 1;
	CHECK_EQ(msgsnd(id, &t, 8192, 0), 0);
	CHECK_EQ(msgsnd(id, &t, 8192, 0), 0);
	CHECK_ERRNO(msgsnd(id, &t, 1, IPC_NOWAIT), EAGAIN);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
	CHECK_ERRNO(send_text(id, 1, "x", 0), EINVAL);
}

static void message_waits(void)
{
	int id = msgget(IPC_PRIVATE, 0600), answers = msgget(IPC_PRIVATE, 0600);
	struct text t;
	pid_t pid = fork();

	if (!pid) {
		for (int i = 0; i < 100; i++) {
			if (msgrcv(id, &t, sizeof(t.bytes), 5, 0) < 0 ||
			    msgsnd(answers, &t, 100, 0))
				_exit(1);
		}
		/* EINVAL: it was gone before this one came to wait. */
		_exit(msgrcv(id, &t, 100, 0, 0) == -1 && (errno == EIDRM || errno == EINVAL) ? 0
											     : 2);
	}
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(send_text(id, 5, "ping", 0), 0);
		CHECK_EQ(msgrcv(answers, &t, sizeof(t.bytes), 0, 0), 100);
	}
	/* A full queue lets a sender wait until somebody receives. */
	memset(&t, 'f', sizeof(t));
	t.type = 1;
	while (!msgsnd(answers, &t, 8000, IPC_NOWAIT))
		;
	pid_t sender = fork();
	if (!sender)
		_exit(msgsnd(answers, &t, 8000, 0) ? 1 : 0);
	CHECK_EQ(msgrcv(answers, &t, sizeof(t.bytes), 0, 0), 8000);
	CHECK_EQ(exit_of(sender), 0);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(exit_of(pid), 0);
	CHECK_EQ(msgctl(answers, IPC_RMID, NULL), 0);
}

static void nothing(int signo)
{
	(void)signo;
}

/* Neither is restarted, whatever the handler says. */
static void interrupted(void)
{
	struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	int id = semget(IPC_PRIVATE, 1, 0600), queue = msgget(IPC_PRIVATE, 0600);
	struct text t;
	pid_t pid = fork();

	if (!pid) {
		sigaction(SIGUSR1, &a, NULL);
		if (do_op(id, 0, -1, 0) != -1 || errno != EINTR)
			_exit(1);
		/* Until one of them finds the parent in its call. */
		for (;;) {
			kill(getppid(), SIGUSR2);
			usleep(20000);
		}
	}
	sigaction(SIGUSR2, &a, NULL);
	until_waiting(id, 0, GETNCNT);
	kill(pid, SIGUSR1);
	CHECK_ERRNO(msgrcv(queue, &t, 100, 0, 0), EINTR);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	while (waitpid(pid, &(int){0}, 0) < 0)
		;
	signal(SIGUSR2, SIG_IGN);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
}

static void shown(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600), queue = msgget(IPC_PRIVATE, 0600), found = 0;
	char line[400];

	for (int i = 0; i < 2; i++) {
		FILE *f = fopen(i ? "/proc/sysvipc/msg" : "/proc/sysvipc/sem", "r");
		int key, its_id;

		REQUIRE(f);
		while (fgets(line, sizeof(line), f))
			found += sscanf(line, "%d %d", &key, &its_id) == 2 &&
				 its_id == (i ? queue : id);
		fclose(f);
	}
	CHECK_EQ(found, 2);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
}

static void locking(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600), status;
	pid_t pid;

	REQUIRE(id >= 0);
	CHECK_EQ(shmctl(id, SHM_LOCK, NULL), 0);
	CHECK_EQ(shmctl(id, SHM_UNLOCK, NULL), 0);
	CHECK_ERRNO(shmctl(-1, SHM_LOCK, NULL), EINVAL);
	pid = geteuid() ? 0 : fork();
	if (!pid && !geteuid()) {
		if (setuid(65534))
			_exit(1);
		CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
		CHECK_ERRNO(shmctl(id, SHM_UNLOCK, NULL), EPERM);
		_exit(check_failures != 0);
	}
	if (pid) {
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

/* Who may only read a segment does not come to write it by mprotect(). */
static void read_only_segment(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0444);
	char *own = shmat(id, NULL, 0), *other;
	pid_t pid;

	REQUIRE(own != (char *)-1);
	own[0] = 'r';
	CHECK_EQ(mprotect(own, 4096, PROT_READ), 0);
	CHECK_EQ(mprotect(own, 4096, PROT_READ | PROT_WRITE), 0);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		if (geteuid() == 0)
			CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
		CHECK_EQ(shmdt(own), 0);
		other = shmat(id, NULL, SHM_RDONLY);
		CHECK(other != (char *)-1 && other[0] == 'r');
		CHECK_ERRNO(mprotect(other, 4096, PROT_READ | PROT_WRITE), EACCES);
		CHECK_EQ(mprotect(other, 4096, PROT_NONE), 0);
		CHECK_EQ(mprotect(other, 4096, PROT_READ), 0);
		CHECK_EQ(shmdt(other), 0);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK_EQ(exit_of(pid), 0);
	CHECK_EQ(shmdt(own), 0);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

CHECK_MAIN(sets, operations, waking, undoing, messages, message_waits, interrupted, shown, locking,
	   read_only_segment)
