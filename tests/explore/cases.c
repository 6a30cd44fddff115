// SPDX-License-Identifier: Apache-2.0
/*
 * The cases. Each has a boot thread that starts one or two processes, as the host does, and waits
 * for them; the rest is done by programs (world.h).
 */
#include "tests/explore/cases.h"

#include "abi/signal.h"
#include "tests/explore/machine.h"
#include "tests/explore/world.h"

static void check(bool ok, const char *what)
{
	if (!ok)
		explore_fail("%s", what);
}

static void must_exit(s32 status, int code)
{
	if (status != code << 8)
		explore_fail("a wait status of %x instead of an exit with %d", status, code);
}

static void run(program main)
{
	must_exit(world_wait(world_start(main)), 0);
}

/* --- a child that changes memory, and a parent that does --- */

static void child_writes(void)
{
	u_write(0);
	u_exit(3);
}

static void parent_forks(void)
{
	s32 pid;

	u_map(2);
	pid = u_fork(child_writes);
	u_write(0);
	must_exit(u_wait(pid), 3);
	u_write(1);
}

static void fork_exit_wait(void *arg)
{
	run(parent_forks);
}

static void child_forks(void)
{
	s32 pid = u_fork(child_writes);

	u_write(0);
	must_exit(u_wait(pid), 3);
	u_exit(4);
}

static void parent_of_parent(void)
{
	s32 pid;

	u_map(1);
	pid = u_fork(child_forks);
	u_write(0);
	must_exit(u_wait(pid), 4);
}

static void fork_nested(void *arg)
{
	run(parent_of_parent);
}

static void parent_of_two(void)
{
	u_map(1);
	(void)u_fork(child_writes);
	(void)u_fork(child_writes);
	u_write(0);
	must_exit(u_wait(-1), 3);
	must_exit(u_wait(-1), 3);
}

static void fork_two(void *arg)
{
	run(parent_of_two);
}

/* --- threads --- */

static void sibling_writes(void)
{
	u_write(0);
	u_thread_exit();
}

static void parent_with_sibling(void)
{
	s32 pid;

	u_map(2);
	check(u_thread(sibling_writes) > 0, "no thread");
	pid = u_fork(child_writes);
	u_write(1);
	must_exit(u_wait(pid), 3);
}

/* The sibling is in user mode, at its end or gone when its process forks. */
static void fork_with_sibling(void *arg)
{
	run(parent_with_sibling);
}

static void sibling_forks(void)
{
	s32 pid = u_fork(child_writes);

	u_write(0);
	must_exit(u_wait(pid), 3);
	u_thread_exit();
}

static void two_fork(void)
{
	s32 pid;

	u_map(1);
	check(u_thread(sibling_forks) > 0, "no thread");
	pid = u_fork(child_writes);
	must_exit(u_wait(pid), 3);
	u_thread_exit();
}

static void two_threads_fork(void *arg)
{
	run(two_fork);
}

static void main_thread_ends(void)
{
	u_map(1);
	check(u_thread(sibling_forks) > 0, "no thread");
	u_thread_exit();
}

static void fork_while_main_ends(void *arg)
{
	run(main_thread_ends);
}

static void group_ends(void)
{
	u_map(1);
	check(u_thread(sibling_forks) > 0, "no thread");
	u_write(0);
	u_exit(5);
}

/* Its child, if there is one, becomes an orphan. */
static void fork_while_group_ends(void *arg)
{
	must_exit(world_wait(world_start(group_ends)), 5);
}

/* --- kill --- */

static void child_works(void)
{
	for (u32 i = 0; i < 3; i++)
		u_write(0);
	u_exit(3);
}

static void killer(void)
{
	s32 pid, status;

	u_map(1);
	pid = u_fork(child_works);
	u_write(0);
	u_kill(pid, SIGKILL);
	status = u_wait(pid);
	check(status == SIGKILL || status == 3 << 8, "neither killed nor at its end");
}

static void kill_child(void *arg)
{
	run(killer);
}

static s32 parent_pid;

static void child_kills(void)
{
	u_write(0);
	u_kill(parent_pid, SIGKILL);
	u_write(0);
	u_exit(3);
}

static void victim(void)
{
	u_map(1);
	parent_pid = u_pid();
	(void)u_fork(child_kills);
	u_write(0);
	(void)u_wait(-1);
	u_write(0);
}

static void kill_parent(void *arg)
{
	s32 status = world_wait(world_start(victim));

	check(status == SIGKILL || status == 0, "neither killed nor at its end");
}

/* --- mappings of relatives --- */

static void child_unmaps(void)
{
	u_unmap(0, 1);
	u_protect(1, false);
	u_write(2);
	u_protect(1, true);
	u_write(1);
	u_exit(3);
}

static void parent_remaps(void)
{
	s32 pid;

	u_map(3);
	u_protect(1, false);
	pid = u_fork(child_unmaps);
	u_protect(1, true);
	u_write(1);
	u_remap(0);
	u_unmap(2, 1);
	must_exit(u_wait(pid), 3);
	u_write(0);
}

static void fork_and_mappings(void *arg)
{
	run(parent_remaps);
}

static u64 buffer;

static void sibling_receives(void)
{
	(void)u_receive(buffer);
	u_event_set(0);
	u_thread_exit();
}

static void unmaps_during_read(void)
{
	buffer = u_map_buffer();
	check(u_thread(sibling_receives) > 0, "no thread");
	u_event_wait(1);
	u_unmap_buffer(buffer);
	u_event_set(2);
	u_thread_exit();
}

static void neighbour(void)
{
	u_event_set(1);
	u_event_wait(2);
	u_map(1);
	u_event_wait(0);
	u_write(0);
}

/* The other process gets the addresses that the first gives up, without its read's bytes. */
static void munmap_during_read(void *arg)
{
	struct process *p = world_start(unmaps_during_read), *q = world_start(neighbour);

	must_exit(world_wait(q), 0);
	must_exit(world_wait(p), 0);
}

static void child_maps(void)
{
	u_remap(0);
	u_exit(3);
}

static void unmaps_in_family(void)
{
	s32 pid;

	u_map(1);
	buffer = u_map_buffer();
	check(u_thread(sibling_receives) > 0, "no thread");
	pid = u_fork(child_maps);
	u_unmap_buffer(buffer);
	must_exit(u_wait(pid), 3);
	u_thread_exit();
}

static void munmap_during_read_forked(void *arg)
{
	run(unmaps_in_family);
}

/* --- those that wait for each other --- */

static void child_answers(void)
{
	u_write(0);
	u_shared_wait(0, 1);
	u_write(0);
	u_shared_store_and_wake(1, 1);
	u_exit(3);
}

static void parent_asks(void)
{
	s32 pid;

	u_map(1);
	u_map_shared();
	pid = u_fork(child_answers);
	u_write(0);
	u_shared_store_and_wake(0, 1);
	u_shared_wait(1, 1);
	must_exit(u_wait(pid), 3);
}

static void fork_futex(void *arg)
{
	run(parent_asks);
}

static void parent_with_file(void)
{
	(void)u_map_file();
	parent_of_two();
}

static void stranger_with_file(void)
{
	u64 at = u_map_file();

	u_unmap_buffer(at);
}

/* What a child has mapped is locked by a stranger when it ends, and its sibling waits to run. */
static void fork_beside_stranger(void *arg)
{
	struct process *p = world_start(parent_with_file);

	must_exit(world_wait(world_start(stranger_with_file)), 0);
	must_exit(world_wait(p), 0);
}

/* What comes must be the child's: its number is in it. */
static void child_sends(void)
{
	u_close(0);
	u_write(0);
	u_send(0);
	u_exit(3);
}

static void parent_receives(void)
{
	s32 pid;

	u_map(2);
	u_pipe();
	pid = u_fork(child_sends);
	u_close(1);
	u_write(0);
	check(u_receive_page(1) == pid, "what came through a pipe is another's");
	check(!u_receive_page(1), "a pipe has no end");
	must_exit(u_wait(pid), 3);
}

static void fork_pipe(void *arg)
{
	run(parent_receives);
}

/* More than the pipe holds, so the one who sends waits as well. */
static void child_receives_all(void)
{
	u32 pages = 0;

	u_close(1);
	while (u_receive_page(0))
		pages++;
	u_exit((int)pages);
}

static void parent_sends_all(void)
{
	s32 pid;

	u_map(1);
	u_pipe();
	pid = u_fork(child_receives_all);
	u_close(0);
	for (u32 i = 0; i < 3; i++) {
		u_write(0);
		u_send(0);
	}
	u_close(1);
	must_exit(u_wait(pid), 3);
}

static void fork_pipe_full(void *arg)
{
	run(parent_sends_all);
}

static void child_spins(void)
{
	u_write(0);
	u_shared_spin(0, 1);
	u_exit(3);
}

static void parent_lets_spin(void)
{
	s32 pid;

	u_map(1);
	u_map_shared();
	pid = u_fork(child_spins);
	u_write(0);
	u_shared_store_and_wake(0, 1);
	must_exit(u_wait(pid), 3);
}

/* The slice of one that never sleeps ends. */
static void fork_spin(void *arg)
{
	run(parent_lets_spin);
}

/* --- other programs --- */

static void other_program(void)
{
	u_adopt_data();
	u_write(0);
	u_exit(7);
}

static void child_execs(void)
{
	u_write(0);
	u_exec("/other");
}

static void parent_of_exec(void)
{
	s32 pid;

	u_map(1);
	pid = u_fork(child_execs);
	u_write(0);
	must_exit(u_wait(pid), 7);
	u_write(0);
}

static void fork_exec(void *arg)
{
	world_install("/other", other_program, 0);
	run(parent_of_exec);
}

static void exec_with_sibling(void)
{
	u_map(1);
	check(u_thread(sibling_forks) > 0, "no thread");
	u_exec("/other");
}

static void exec_while_sibling_forks(void *arg)
{
	world_install("/other", other_program, 0);
	must_exit(world_wait(world_start(exec_with_sibling)), 7);
}

static void fixed_program(void)
{
	u_adopt_data();
	u_write(0);
	u_write(0);
	u_exit(7);
}

static void runs_fixed(void)
{
	u_map(1);
	u_exec("/fixed");
}

/* Two programs linked at the same addresses. */
static void fixed_two(void *arg)
{
	struct process *p, *q;

	world_install("/fixed", fixed_program, machine_zone() + MIB(1));
	p = world_start(runs_fixed);
	q = world_start(runs_fixed);
	must_exit(world_wait(p), 7);
	must_exit(world_wait(q), 7);
}

static void fixed_forks(void)
{
	s32 pid;

	u_adopt_data();
	pid = u_fork(child_writes);
	u_write(0);
	must_exit(u_wait(pid), 3);
	u_exit(7);
}

static void runs_fixed_fork(void)
{
	u_exec("/fixed-fork");
}

static void fixed_and_fork(void *arg)
{
	struct process *p, *q;

	world_install("/fixed", fixed_program, machine_zone() + MIB(1));
	world_install("/fixed-fork", fixed_forks, machine_zone() + MIB(1));
	p = world_start(runs_fixed_fork);
	q = world_start(runs_fixed);
	must_exit(world_wait(p), 7);
	must_exit(world_wait(q), 7);
}

static void execs_fixed(void)
{
	u_exec("/fixed");
}

static void fixed_vforks(void)
{
	s32 pid;

	u_adopt_data();
	pid = u_vfork(execs_fixed);
	u_write(0);
	must_exit(u_wait(pid), 7);
	u_write(0);
	u_exit(7);
}

static void runs_fixed_vfork(void)
{
	u_exec("/fixed-vfork");
}

/* Whoever leaves the memory of a vfork reserves the turn for the parent. */
static void fixed_vfork(void *arg)
{
	world_install("/fixed", fixed_program, machine_zone() + MIB(1));
	world_install("/fixed-vfork", fixed_vforks, machine_zone() + MIB(1));
	must_exit(world_wait(world_start(runs_fixed_vfork)), 7);
}

/* --- children that never run --- */

static void never(void)
{
	u_exit(99);
}

/* What the failure must not do to its caller, whose relative wants the turn. */
static void parent_of_none(void)
{
	s32 pid;

	u_map(1);
	machine_limit_threads(2);
	pid = u_fork(child_works);
	if (pid > 0) {
		s32 none = u_spawn_in_memory(never);

		u_write(0);
		if (none > 0) /* the first had ended already */
			must_exit(u_wait(none), 99);
		must_exit(u_wait(pid), 3);
	}
	u_write(0);
}

static void child_discarded(void *arg)
{
	run(parent_of_none);
}

static void parent_of_none_forked(void)
{
	s32 pid, none;

	u_map(1);
	machine_limit_threads(2);
	pid = u_fork(child_works);
	none = u_fork(never);
	u_write(0);
	if (none > 0)
		must_exit(u_wait(none), 99);
	must_exit(u_wait(pid), 3);
	u_write(0);
}

static void fork_discarded(void *arg)
{
	run(parent_of_none_forked);
}

/* --- readers of /proc --- */

static struct process *observed;

static void observer(void)
{
	u_map(1);
	u_look_into(observed);
	u_look_into(observed);
}

static void look_while_forking(void *arg)
{
	struct process *q;

	observed = world_start(parent_forks);
	q = world_start(observer);
	must_exit(world_wait(q), 0);
	must_exit(world_wait(observed), 0);
}

/* --- many things at once --- */

static void busy_child(void);

/* Page 1 alone: page 0 may be read-only at the moment. */
static void busy_sibling(void)
{
	for (u32 i = 0; i < 3; i++)
		u_write(1);
	u_thread_exit();
}

/* Pages 0 and 1 stay; the third comes and goes. */
static void busy(u32 rounds, u32 forks)
{
	u32 threads = 1;

	for (u32 i = 0; i < rounds; i++) {
		switch (u_random(8)) {
		case 0:
			if (forks && forks--)
				(void)u_fork(busy_child);
			break;
		case 1:
			if (threads && threads--)
				(void)u_thread(busy_sibling);
			break;
		case 2: u_remap(2); break;
		case 3:
			u_protect(0, false);
			u_protect(0, true);
			break;
		case 4: u_kill(2 + (s32)u_random(8), SIGCONT); break;
		case 5: u_kill(4 + (s32)u_random(8), SIGKILL); break;
		default: u_write(u_random(2)); break;
		}
	}
}

static void busy_child(void)
{
	busy(5, 1);
	if (u_random(3) == 0)
		u_exec("/other");
	u_exit(0);
}

static void busy_parent(void)
{
	u_map(3);
	busy(8, 3);
	while (u_wait(-1) != -10)
		u_write(0);
}

static void many_at_random(void *arg)
{
	struct process *p, *q;

	world_install("/other", other_program, 0);
	p = world_start(busy_parent);
	q = world_start(busy_parent);
	(void)world_wait(p);
	(void)world_wait(q);
}

const struct test_case test_cases[] = {
	{"fork-exit-wait", fork_exit_wait},
	{"fork-nested", fork_nested, .only_long = true},
	{"fork-two", fork_two, .only_long = true},
	{"fork-with-sibling", fork_with_sibling, .only_long = true},
	{"two-threads-fork", two_threads_fork, .only_long = true},
	{"fork-while-main-ends", fork_while_main_ends, .only_long = true},
	{"fork-while-group-ends", fork_while_group_ends},
	{"kill-child", kill_child},
	{"kill-parent", kill_parent, .only_long = true},
	{"fork-and-mappings", fork_and_mappings, .only_long = true},
	{"munmap-during-read", munmap_during_read, .only_long = true},
	{"munmap-during-read-forked", munmap_during_read_forked, .only_long = true},
	{"fork-futex", fork_futex},
	{"fork-beside-stranger", fork_beside_stranger, .is_large = true},
	{"fork-pipe", fork_pipe, .only_long = true},
	{"fork-pipe-full", fork_pipe_full, .only_long = true},
	{"fork-spin", fork_spin, .time_may_pass = true, .only_long = true},
	{"fork-exec", fork_exec},
	{"exec-while-sibling-forks", exec_while_sibling_forks, .only_long = true},
	{"fixed-two", fixed_two, .only_long = true},
	{"fixed-and-fork", fixed_and_fork, .only_long = true},
	{"fixed-vfork", fixed_vfork, .only_long = true},
	{"child-discarded", child_discarded},
	{"fork-discarded", fork_discarded, .only_long = true},
	{"look-while-forking", look_while_forking, .only_long = true},
	{"many", many_at_random, .is_large = true, .time_may_pass = true},
};
const u32 test_case_count = ARRAY_SIZE(test_cases);
