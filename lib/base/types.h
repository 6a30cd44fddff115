/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of the tree: fixed-width names, attributes and the small macros that every
 * folder may use. Freestanding; included by both sides of the enclave wall.
 */
#pragma once

#include <limits.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#ifndef static_assert
#define static_assert _Static_assert
#endif

#ifndef __must_check
#define __must_check __attribute__((warn_unused_result))
#endif
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#ifndef __unused
#define __unused __attribute__((unused))
#endif
#ifndef __noreturn
#define __noreturn __attribute__((noreturn))
#endif
#ifndef __printf
#define __printf(fmt, first) __attribute__((format(printf, fmt, first)))
#endif
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

/*
 * Foreign pointers. The clang check build (-DOCCLUM_CHECK_POINTERS) makes them distinct address
 * spaces, so that following one outside its room (uaccess, kernel/host) does not compile.
 */
#if defined(__clang__) && defined(OCCLUM_CHECK_POINTERS)
#define __user __attribute__((noderef, address_space(1)))
#define __host __attribute__((noderef, address_space(2)))
#else
#define __user
#define __host
#endif

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                                                            \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _min_a = (a);                                                        \
		__typeof__(b) _min_b = (b);                                                        \
		_min_a < _min_b ? _min_a : _min_b;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _max_a = (a);                                                        \
		__typeof__(b) _max_b = (b);                                                        \
		_max_a > _max_b ? _max_a : _max_b;                                                 \
	})

/* `align` is a power of two. */
#define ALIGN_DOWN(x, align) ((x) & ~((__typeof__(x))(align)-1))
#define ALIGN_UP(x, align)   ALIGN_DOWN((x) + ((__typeof__(x))(align)-1), align)
#define IS_ALIGNED(x, align) (((x) & ((__typeof__(x))(align)-1)) == 0)
#define IS_POWER_OF_2(x)     ((x) != 0 && ((x) & ((x)-1)) == 0)

#define KIB(n)		     ((u64)(n) << 10)
#define MIB(n)		     ((u64)(n) << 20)
#define GIB(n)		     ((u64)(n) << 30)

#define PAGE_SHIFT	     12
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096ul
#endif
#define PAGE_MASK_LOW (PAGE_SIZE - 1)
