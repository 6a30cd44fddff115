/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes: short workloads exhaustively, long random ones by samples, and the proof that the
 * explorer sees each kind of fault it is there to see.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/secvol/explore.h"

#define COMMIT                                                                                     \
	{                                                                                          \
		.kind = OP_COMMIT                                                                  \
	}
#define CHECKPOINT                                                                                 \
	{                                                                                          \
		.kind = OP_CHECKPOINT                                                              \
	}

static u64 total;

static void expect_clean(struct explore *x)
{
	if (x->violations)
		fail_msg("%llu violations in %llu states; first: %s",
			 (unsigned long long)x->violations, (unsigned long long)x->states,
			 x->first);
	assert_int_equal(nonce_audit_repeated(x), 0);
	assert_int_equal(x->env.live, 0);
	total += x->states;
}

/* Three states of the tree that the short workloads begin with. */
static const struct op setups[][8] = {
	{COMMIT},
	{{.kind = OP_CREATE, .a = "a"},
	 {.kind = OP_WRITE, .a = "a", .len = 700, .seed = 1},
	 COMMIT},
	{{.kind = OP_MKDIR, .a = "d"},
	 {.kind = OP_CREATE, .a = "a"},
	 {.kind = OP_WRITE, .a = "a", .len = 20000, .seed = 2},
	 {.kind = OP_CREATE, .a = "d/a"},
	 {.kind = OP_SYMLINK, .a = "e", .b = "a"},
	 COMMIT},
};

static const struct op changes[] = {
	{.kind = OP_CREATE, .a = "b"},
	{.kind = OP_MKDIR, .a = "c"},
	{.kind = OP_WRITE, .a = "a", .off = 100, .len = 300, .seed = 3},
	{.kind = OP_WRITE, .a = "a", .off = 4000, .len = 9000, .seed = 4},
	{.kind = OP_TRUNCATE, .a = "a", .len = 5},
	{.kind = OP_TRUNCATE, .a = "a", .len = 100000},
	{.kind = OP_PUNCH, .a = "a", .off = 4096, .len = 8192},
	{.kind = OP_RENAME, .a = "a", .b = "b"},
	{.kind = OP_RENAME, .a = "a", .b = "d/a"},
	{.kind = OP_EXCHANGE, .a = "a", .b = "d"},
	{.kind = OP_LINK, .a = "a", .b = "l"},
	{.kind = OP_UNLINK, .a = "a"},
	{.kind = OP_UNLINK, .a = "d/a"},
	{.kind = OP_CHMOD, .a = "a", .seed = 0600},
};

/* Each change, and each pair of changes, then a commit, then an overwrite and another commit. */
static void short_workloads(void **state)
{
	struct explore x;

	explore_init(&x);
	for (u32 s = 0; s < ARRAY_SIZE(setups); s++)
		for (u32 i = 0; i < ARRAY_SIZE(changes); i++)
			for (u32 k = 0; k <= ARRAY_SIZE(changes); k += k == i ? 1 : 3) {
				struct op ops[16];
				u32 n = 0;

				while (setups[s][n].kind != OP_COMMIT) {
					ops[n] = setups[s][n];
					n++;
				}
				ops[n++] = (struct op)COMMIT;
				ops[n++] = changes[i];
				if (k < ARRAY_SIZE(changes))
					ops[n++] = changes[k];
				ops[n++] = (struct op)COMMIT;
				ops[n++] = changes[3];
				ops[n++] = (struct op)COMMIT;
				explore_run(&x, ops, n);
			}
	print_message("short workloads: %llu states, %llu seen before, %llu second crashes\n",
		      (unsigned long long)x.states, (unsigned long long)x.skipped,
		      (unsigned long long)x.recrashed);
	expect_clean(&x);
	explore_fini(&x);
}

static void random_workloads(void **state)
{
	const char *env = getenv("SECVOL_CRASH_RUNS");
	u32 runs = env ? (u32)atoi(env) : 60;
	struct explore x;

	explore_init(&x);
	x.exhaustive = 6;
	x.samples = 40;
	x.torn = 1;
	for (u32 run = 0; run < runs; run++) {
		struct op ops[60];
		u32 seed = 1000 + run;

		for (u32 i = 0; i < ARRAY_SIZE(ops); i++)
			ops[i] = op_random(&seed, 150000);
		if (run % 3 == 0) {
			ops[15] = ops[40] = ops[50] = (struct op)COMMIT;
			ops[16] = (struct op){.kind = OP_SNAP, .a = "one"};
			ops[41] = (struct op){.kind = OP_SNAP, .a = "two"};
			ops[51] = (struct op){.kind = OP_SNAP_DELETE, .a = "one"};
		}
		x.discard = run % 5 == 1;
		x.strict = run % 7 == 2;
		x.plain = run % 4 == 3;
		x.dup = run % 6 == 4 && !x.plain;
		x.blocks = (x.dup ? 2 : 1) * EXPLORE_BLOCKS;
		explore_run(&x, ops, ARRAY_SIZE(ops));
		if (x.violations) {
			print_message("random run %u\n", run);
			break;
		}
	}
	print_message("random workloads: %llu states, %llu nonces, none twice\n",
		      (unsigned long long)x.states, (unsigned long long)nonce_audit_count(&x));
	expect_clean(&x);
	explore_fini(&x);
}

/* A workload in which blocks are freed and new ones wanted. */
static void faulty_run(struct explore *x, u32 fault)
{
	struct op ops[64];
	u32 n = 0;

	explore_init(x);
	x->blocks = 512;
	x->exhaustive = 4;
	x->samples = 30;
	x->torn = 0;
	x->hooks.faults = fault;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "a"};
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "b"};
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "c"};
	for (u32 i = 0; i < 5; i++) {
		ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .len = 30000, .seed = i};
		ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .len = 20000, .seed = 20 + i};
		ops[n++] = (struct op){.kind = OP_WRITE, .a = "c", .len = 50000, .seed = 40 + i};
		ops[n++] = (struct op)COMMIT;
	}
	explore_run(x, ops, n);
	print_message("fault %u: %llu violations in %llu states (%s), %llu repeated nonces\n",
		      fault, (unsigned long long)x->violations, (unsigned long long)x->states,
		      x->first, (unsigned long long)nonce_audit_repeated(x));
}

/*
 * Commits that go to the log: groups of several blocks, logs that follow one another, and a change
 * that comes while a commit is on its way.
 */
static void log_run_with(struct explore *x, u32 fault, bool strict)
{
	static const struct op meanwhile = {
		.kind = OP_WRITE, .a = "a", .off = 60000, .len = 3000, .seed = 77};
	static const char *const names[] = {"f0", "f1", "f2", "f3", "f4",  "f5",
					    "f6", "f7", "f8", "f9", "f10", "f11"};
	struct op ops[64];
	u32 n = 0;

	explore_init(x);
	x->blocks = 1200;
	x->exhaustive = 4;
	x->samples = 30;
	x->torn = 1;
	x->hooks.faults = fault;
	x->meanwhile = &meanwhile;
	x->strict = strict;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "a"};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .len = 70000, .seed = 1};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "b"};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .len = 20000, .seed = 2};
	ops[n++] = (struct op)COMMIT;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		ops[n++] = (struct op){.kind = OP_CREATE, .a = names[i]};
		ops[n++] = (struct op){.kind = OP_WRITE, .a = names[i], .len = 2000, .seed = i};
	}
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .off = 8000, .len = 9000, .seed = 3};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_UNLINK, .a = "f3"};
	ops[n++] = (struct op)CHECKPOINT;
	ops[n++] = (struct op){.kind = OP_TRUNCATE, .a = "b", .len = 9000};
	ops[n++] = (struct op){.kind = OP_RENAME, .a = "f1", .b = "f2"};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op)COMMIT; /* the change that came meanwhile, and nothing else */
	ops[n++] = (struct op){.kind = OP_PUNCH, .a = "a", .off = 4096, .len = 30000};
	ops[n++] = (struct op)COMMIT;
	explore_run(x, ops, n);
	print_message("log, fault %u: %llu violations in %llu states, %llu by the log (%s)\n",
		      fault, (unsigned long long)x->violations, (unsigned long long)x->states,
		      (unsigned long long)x->log_states, x->first);
}

static void log_run(struct explore *x, u32 fault)
{
	log_run_with(x, fault, false);
}

/* Each crash state opens under a strict anchor as it was then; each older one is refused. */
static void a_strict_anchor_holds(void **state)
{
	static const u32 faults[] = {SECVOL_FAULT_ANCHOR_BLIND, SECVOL_FAULT_ANCHOR_LATE};
	struct explore x;

	log_run_with(&x, 0, true);
	expect_clean(&x);
	assert_true(x.stale_refused > 10);
	print_message("%llu older states refused\n", (unsigned long long)x.stale_refused);
	explore_fini(&x);
	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		log_run_with(&x, faults[i], true);
		assert_true(x.violations > 0);
		explore_fini(&x);
	}
}

static void the_log_holds(void **state)
{
	struct explore x;

	log_run(&x, 0);
	expect_clean(&x);
	assert_true(x.log_states > 100);
	explore_fini(&x);
}

static void log_faults_are_caught(void **state)
{
	static const u32 faults[] = {SECVOL_FAULT_LOG_EARLY_ACK, SECVOL_FAULT_LOG_EARLY_COMMIT,
				     SECVOL_FAULT_LOG_UNVERIFIED, SECVOL_FAULT_LOG_OLD_SEED,
				     SECVOL_FAULT_GROUP_LATE};

	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		struct explore x;

		log_run(&x, faults[i]);
		assert_true(x.violations > 0);
		explore_fini(&x);
	}
}

/* Snapshots over files that change, their deletion and a way back; then the volume grows. */
static void snap_run(struct explore *x, u32 fault)
{
	struct op ops[64];
	u32 n = 0;

	explore_init(x);
	x->blocks = 1400;
	x->volume_blocks = 1000;
	x->exhaustive = 4;
	x->samples = 20;
	x->torn = 0;
	x->discard = true;
	x->hooks.faults = fault;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "a"};
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "b"};
	for (u32 i = 0; i < 3; i++) {
		static const char *const names[] = {"one", "two", "three"};

		ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .len = 30000, .seed = i};
		ops[n++] = (struct op){.kind = OP_WRITE,
				       .a = "b",
				       .off = i % 2 * 9000,
				       .len = 9000,
				       .seed = 20 + i};
		ops[n++] = (struct op)COMMIT;
		ops[n++] = (struct op){.kind = OP_SNAP, .a = names[i]};
	}
	ops[n++] = (struct op){.kind = OP_UNLINK, .a = "a"};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .off = 5000, .len = 50000, .seed = 9};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_SNAP_DELETE, .a = "two"};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .off = 15000, .len = 50000, .seed = 7};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_SNAP_ROLLBACK, .a = "one"}; /* there is a newer one */
	ops[n++] = (struct op){.kind = OP_SNAP_ROLLBACK, .a = "three"};
	ops[n++] = (struct op){.kind = OP_SNAP_DELETE, .a = "one"};
	ops[n++] = (struct op){.kind = OP_TRUNCATE, .a = "b", .len = 100};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_SNAP_DELETE, .a = "three"};
	ops[n++] = (struct op){.kind = OP_GROW, .len = 1400};
	for (u32 i = 0; i < 6; i++) {
		ops[n++] = (struct op){
			.kind = OP_WRITE, .a = "b", .off = i, .len = 400000, .seed = 30 + i};
		ops[n++] = (struct op)COMMIT;
	}
	explore_run(x, ops, n);
	print_message("snapshots, fault %u: %llu violations in %llu states, %llu snapshots (%s)\n",
		      fault, (unsigned long long)x->violations, (unsigned long long)x->states,
		      (unsigned long long)x->snaps_checked, x->first);
}

static void snapshots_hold(void **state)
{
	struct explore x;

	snap_run(&x, 0);
	expect_clean(&x);
	explore_fini(&x);
}

static void snapshot_faults_are_caught(void **state)
{
	static const u32 faults[] = {SECVOL_FAULT_SNAP_FREED, SECVOL_FAULT_SNAP_DELETE_ALL,
				     SECVOL_FAULT_TRIM_EARLY, SECVOL_FAULT_GROW_FORGET};

	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		struct explore x;

		snap_run(&x, faults[i]);
		assert_true(x.violations > 0);
		explore_fini(&x);
	}
}

/* A change of the volume's key, with and without a snapshot that needs the old one. */
static void rotate_run(struct explore *x, u32 fault)
{
	struct op ops[32];
	u32 n = 0;

	explore_init(x);
	x->blocks = 1200;
	x->exhaustive = 4;
	x->samples = 20;
	x->torn = 0;
	x->hooks.faults = fault;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "a"};
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "b"};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .len = 100000, .seed = 1};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .off = 40000, .len = 30000, .seed = 2};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_ROTATE};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .off = 7000, .len = 9000, .seed = 3};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_SNAP, .a = "one"};
	ops[n++] = (struct op){.kind = OP_ROTATE};
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "b", .len = 20000, .seed = 4};
	ops[n++] = (struct op)COMMIT;
	ops[n++] = (struct op){.kind = OP_SNAP_DELETE, .a = "one"};
	ops[n++] = (struct op){.kind = OP_ROTATE};
	explore_run(x, ops, n);
	print_message("rotation, fault %u: %llu violations in %llu states (%s)\n", fault,
		      (unsigned long long)x->violations, (unsigned long long)x->states, x->first);
}

static void a_rotation_holds(void **state)
{
	struct explore x;

	rotate_run(&x, 0);
	expect_clean(&x);
	explore_fini(&x);
	rotate_run(&x, SECVOL_FAULT_ROTATE_DROP);
	assert_true(x.violations > 0);
	explore_fini(&x);
}

/* Between two states, of which the second is an older one. */
static void going_back_is_one_step(void **state)
{
	struct op ops[32];
	struct explore x;
	u32 n = 0;

	explore_init(&x);
	x.blocks = 1200;
	x.goes_back = true;
	ops[n++] = (struct op){.kind = OP_CREATE, .a = "a"};
	ops[n++] = (struct op){.kind = OP_MKDIR, .a = "d"};
	for (u32 i = 0; i < 4; i++) {
		ops[n++] = (struct op){
			.kind = OP_WRITE, .a = "a", .off = i * 5000, .len = 40000, .seed = i};
		ops[n++] = i % 2 ? (struct op){.kind = OP_CREATE, .a = "d/a"}
				 : (struct op){.kind = OP_UNLINK, .a = "d/a"};
		ops[n++] = (struct op)CHECKPOINT;
	}
	ops[n++] = (struct op){.kind = OP_WRITE, .a = "a", .off = 100, .len = 20000, .seed = 9};
	ops[n++] = (struct op)COMMIT; /* in the log of the newest root */
	explore_run(&x, ops, n);
	print_message("going back: %llu states, %llu by the log\n", (unsigned long long)x.states,
		      (unsigned long long)x.log_states);
	assert_true(x.states > 1000);
	expect_clean(&x);
	explore_fini(&x);
}

static void no_fault_no_alarm(void **state)
{
	struct explore x;

	faulty_run(&x, 0);
	expect_clean(&x);
	explore_fini(&x);
}

static void a_skipped_flush_is_caught(void **state)
{
	struct explore x;

	faulty_run(&x, SECVOL_FAULT_SKIP_FLUSH);
	assert_true(x.violations > 0);
	explore_fini(&x);
}

static void an_early_ack_is_caught(void **state)
{
	struct explore x;

	faulty_run(&x, SECVOL_FAULT_EARLY_ACK);
	assert_true(x.violations > 0);
	explore_fini(&x);
}

static void a_live_block_overwritten_is_caught(void **state)
{
	struct explore x;

	faulty_run(&x, SECVOL_FAULT_REUSE_LIVE);
	assert_true(x.violations > 0);
	explore_fini(&x);
}

static void a_dropped_tag_check_is_caught(void **state)
{
	struct explore x;

	faulty_run(&x, SECVOL_FAULT_NO_TAG_CHECK);
	assert_true(x.violations > 0);
	explore_fini(&x);
}

static void a_reused_nonce_is_caught(void **state)
{
	struct explore x;

	faulty_run(&x, SECVOL_FAULT_NONCE_REUSE);
	assert_true(nonce_audit_repeated(&x) > 0);
	explore_fini(&x);
}

UNIT_TESTS(no_fault_no_alarm, a_skipped_flush_is_caught, an_early_ack_is_caught,
	   a_live_block_overwritten_is_caught, a_dropped_tag_check_is_caught,
	   a_reused_nonce_is_caught, a_strict_anchor_holds, the_log_holds, log_faults_are_caught,
	   a_rotation_holds, going_back_is_one_step, snapshots_hold, snapshot_faults_are_caught,
	   short_workloads, random_workloads)
