// SPDX-License-Identifier: Apache-2.0
/*
 * uaccess for unit tests: user memory is one block that the test sets; everything else is EFAULT.
 * A hook runs before each access, so that a test can change memory at the worst moment.
 */
#include "tests/fakes/user_memory.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/uaccess.h"

static u64 start, end;
static void (*hook)(u64 address);

void fake_user_memory(void *memory, size_t size)
{
	start = (u64)memory;
	end = start + size;
}

void fake_user_hook(void (*before_access)(u64 address))
{
	hook = before_access;
}

bool user_range_is_ok(const void __user *at, size_t size, bool write)
{
	u64 address = (u64)at;

	return address >= start && address <= end && size <= end - address;
}

int user_range_populate(const void __user *at, size_t size, bool write)
{
	return user_range_is_ok(at, size, write) ? 0 : -EFAULT;
}

static bool is_ok(const void *at, size_t size)
{
	if (hook)
		hook((u64)at);
	return user_range_is_ok(at, size, true);
}

int copy_from_user(void *to, const void __user *from, size_t size)
{
	if (!is_ok(from, size))
		return -EFAULT;
	memcpy(to, from, size);
	return 0;
}

int copy_to_user(void __user *to, const void *from, size_t size)
{
	if (!is_ok(to, size))
		return -EFAULT;
	memcpy(to, from, size);
	return 0;
}

int clear_user(void __user *to, size_t size)
{
	if (!is_ok(to, size))
		return -EFAULT;
	memset(to, 0, size);
	return 0;
}

long copy_string_from_user(char *to, const char __user *from, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!is_ok(from + i, 1))
			return -EFAULT;
		to[i] = from[i];
		if (!to[i])
			return (long)i;
	}
	return -ENAMETOOLONG;
}

int get_user_u32(u32 *ret, const void __user *from)
{
	if (!is_ok(from, 4) || ((u64)from & 3))
		return -EFAULT;
	*ret = __atomic_load_n((const u32 *)from, __ATOMIC_SEQ_CST);
	return 0;
}

int put_user_u32(void __user *to, u32 value)
{
	if (!is_ok(to, 4) || ((u64)to & 3))
		return -EFAULT;
	__atomic_store_n((u32 *)to, value, __ATOMIC_SEQ_CST);
	return 0;
}

int get_user_u64(u64 *ret, const void __user *from)
{
	return copy_from_user(ret, from, 8);
}

int put_user_u64(void __user *to, u64 value)
{
	return copy_to_user(to, &value, 8);
}

int cmpxchg_user_u32(void __user *at, u32 old_value, u32 new_value, u32 *ret_old)
{
	if (!is_ok(at, 4) || ((u64)at & 3))
		return -EFAULT;
	*ret_old = old_value;
	__atomic_compare_exchange_n((u32 *)at, ret_old, new_value, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return 0;
}
