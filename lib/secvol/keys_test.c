/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that change: another key in a slot opens the same volume and the removed one does not; after
 * a rotation nothing is left under the old key, and an opener that wants the new epoch refuses the
 * old volume.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

static struct fixture f;
static struct secvol *v;
static u8 data[300000];

static struct secvol_fixed_key second = {
	.type = SECVOL_SLOT_USER, .size = 16, .key = "the second key"};

static int set_up(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};
	struct secvol_attr a;

	assert_int_equal(fixture_init(&f, 4096), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a), 0);
	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7 + i / 999);
	assert_int_equal(secvol_write(v, a.obj, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(secvol_commit(v), 0);
	return 0;
}

static int tear_down(void **state)
{
	fixture_fini(&f);
	return f.in_use == 0 ? 0 : -1;
}

static int open_with(struct secvol_fixed_key *key)
{
	struct secvol_params p = f.params;
	struct secvol_key_source src;

	secvol_fixed_key_source(&src, key);
	p.keys = &src;
	p.read_only = true;
	return secvol_open(&p, &v, NULL);
}

static void content_is_there(void)
{
	static u8 got[sizeof(data)];
	u64 obj;

	assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "a", 1, &obj, NULL), 0);
	assert_int_equal(secvol_read(v, obj, 0, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, data, sizeof(got));
}

static void a_slot_gets_another_key(void **state)
{
	struct secvol_slot_info info[SECVOL_KEY_SLOTS];
	struct secvol_key_source src;

	secvol_fixed_key_source(&src, &second);
	assert_int_equal(secvol_slot_clear(v, 0), -EINVAL); /* the last one */
	assert_int_equal(secvol_slot_set(v, 4, &src), -EINVAL);
	assert_int_equal(secvol_slot_set(v, 1, &src), 0);
	assert_int_equal(secvol_slots(v, info), SECVOL_KEY_SLOTS);
	assert_int_equal(info[1].type, SECVOL_SLOT_USER);
	assert_int_equal(info[2].type, SECVOL_SLOT_EMPTY);
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(open_with(&second), 0);
	content_is_there();
	secvol_abandon(v);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_slot_clear(v, 0), 0);
	assert_int_equal(secvol_close(v), 0);
	/* No older root slot serves the old key either. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), -EKEYREJECTED);
	assert_int_equal(open_with(&second), 0);
	content_is_there();
	assert_int_equal(secvol_close(v), 0);
}

static void a_rotation_leaves_nothing_old(void **state)
{
	struct secvol_params p = f.params;
	u64 left = 1, first = 0;

	assert_int_equal(secvol_rotate(v), 0);
	for (u32 i = 0; left; i++) {
		assert_int_equal(secvol_rotate_step(v, 20, &left), 0);
		first = i == 0 ? left : first;
		assert_true(i < 100);
	}
	assert_true(first > 0); /* it took more than one step */
	content_is_there();
	assert_int_equal(secvol_check(v, NULL, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	p.min_epoch = 2;
	assert_int_equal(secvol_open(&p, &v, NULL), 0);
	content_is_there();
	assert_int_equal(secvol_close(v), 0);
	p.min_epoch = 3;
	assert_int_equal(secvol_open(&p, &v, NULL), -EKEYREJECTED);
}

static void work_goes_on_between_the_steps(void **state)
{
	struct secvol_attr a;
	u64 left = 1, obj;

	assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "a", 1, &obj, NULL), 0);
	assert_int_equal(secvol_rotate(v), 0);
	for (u32 i = 0; left; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0,
					       0, 0, false, &a),
				 0);
		memset(data + i * 5000, (int)i, 3000);
		assert_int_equal(secvol_write(v, obj, i * 5000, data + i * 5000, 3000), 3000);
		assert_int_equal(secvol_rotate_step(v, 8, &left), 0);
		assert_true(i < 50);
	}
	secvol_abandon(v); /* all committed by the steps */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	content_is_there();
	assert_int_equal(secvol_check(v, NULL, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
}

/* The one place that is wiped at the end is the only one. */
static void keys_do_not_stay_where_roots_are_read(void **state)
{
	const size_t size = 2 * SV_SEAL_BATCH * SV_BLOCK;

	assert_int_equal(secvol_rotate(v), 0);
	secvol_abandon(v);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(le16_get(v->old_vmk[0].epoch), 1);
	assert_false(mem_is_zero(v->old_vmk[0].key, 32));
	for (size_t at = 0; at + 32 <= size; at++)
		assert_memory_not_equal(v->bounce + at, v->old_vmk[0].key, 32);
	content_is_there();
	assert_int_equal(secvol_close(v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slot_gets_another_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rotation_leaves_nothing_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(work_goes_on_between_the_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_do_not_stay_where_roots_are_read, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
