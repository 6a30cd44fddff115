/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes first: cmocka, and UNIT_TESTS(...), which lists a file's tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define UNIT_EACH_1(x)	     cmocka_unit_test(x)
#define UNIT_EACH_2(x, ...)  cmocka_unit_test(x), UNIT_EACH_1(__VA_ARGS__)
#define UNIT_EACH_3(x, ...)  cmocka_unit_test(x), UNIT_EACH_2(__VA_ARGS__)
#define UNIT_EACH_4(x, ...)  cmocka_unit_test(x), UNIT_EACH_3(__VA_ARGS__)
#define UNIT_EACH_5(x, ...)  cmocka_unit_test(x), UNIT_EACH_4(__VA_ARGS__)
#define UNIT_EACH_6(x, ...)  cmocka_unit_test(x), UNIT_EACH_5(__VA_ARGS__)
#define UNIT_EACH_7(x, ...)  cmocka_unit_test(x), UNIT_EACH_6(__VA_ARGS__)
#define UNIT_EACH_8(x, ...)  cmocka_unit_test(x), UNIT_EACH_7(__VA_ARGS__)
#define UNIT_EACH_9(x, ...)  cmocka_unit_test(x), UNIT_EACH_8(__VA_ARGS__)
#define UNIT_EACH_10(x, ...) cmocka_unit_test(x), UNIT_EACH_9(__VA_ARGS__)
#define UNIT_EACH_11(x, ...) cmocka_unit_test(x), UNIT_EACH_10(__VA_ARGS__)
#define UNIT_EACH_12(x, ...) cmocka_unit_test(x), UNIT_EACH_11(__VA_ARGS__)
#define UNIT_EACH_13(x, ...) cmocka_unit_test(x), UNIT_EACH_12(__VA_ARGS__)
#define UNIT_EACH_14(x, ...) cmocka_unit_test(x), UNIT_EACH_13(__VA_ARGS__)
#define UNIT_EACH_15(x, ...) cmocka_unit_test(x), UNIT_EACH_14(__VA_ARGS__)
#define UNIT_EACH_16(x, ...) cmocka_unit_test(x), UNIT_EACH_15(__VA_ARGS__)
#define UNIT_EACH_17(x, ...) cmocka_unit_test(x), UNIT_EACH_16(__VA_ARGS__)
#define UNIT_EACH_18(x, ...) cmocka_unit_test(x), UNIT_EACH_17(__VA_ARGS__)
#define UNIT_EACH_19(x, ...) cmocka_unit_test(x), UNIT_EACH_18(__VA_ARGS__)
#define UNIT_EACH_20(x, ...) cmocka_unit_test(x), UNIT_EACH_19(__VA_ARGS__)
#define UNIT_EACH_21(x, ...) cmocka_unit_test(x), UNIT_EACH_20(__VA_ARGS__)
#define UNIT_EACH_22(x, ...) cmocka_unit_test(x), UNIT_EACH_21(__VA_ARGS__)
#define UNIT_EACH_23(x, ...) cmocka_unit_test(x), UNIT_EACH_22(__VA_ARGS__)
#define UNIT_EACH_24(x, ...) cmocka_unit_test(x), UNIT_EACH_23(__VA_ARGS__)
#define UNIT_EACH_25(x, ...) cmocka_unit_test(x), UNIT_EACH_24(__VA_ARGS__)
#define UNIT_EACH_26(x, ...) cmocka_unit_test(x), UNIT_EACH_25(__VA_ARGS__)
#define UNIT_EACH_27(x, ...) cmocka_unit_test(x), UNIT_EACH_26(__VA_ARGS__)
#define UNIT_EACH_28(x, ...) cmocka_unit_test(x), UNIT_EACH_27(__VA_ARGS__)
#define UNIT_EACH_29(x, ...) cmocka_unit_test(x), UNIT_EACH_28(__VA_ARGS__)
#define UNIT_EACH_30(x, ...) cmocka_unit_test(x), UNIT_EACH_29(__VA_ARGS__)
#define UNIT_EACH_31(x, ...) cmocka_unit_test(x), UNIT_EACH_30(__VA_ARGS__)
#define UNIT_EACH_32(x, ...) cmocka_unit_test(x), UNIT_EACH_31(__VA_ARGS__)
#define UNIT_EACH_33(x, ...) cmocka_unit_test(x), UNIT_EACH_32(__VA_ARGS__)
#define UNIT_EACH_34(x, ...) cmocka_unit_test(x), UNIT_EACH_33(__VA_ARGS__)
#define UNIT_EACH_35(x, ...) cmocka_unit_test(x), UNIT_EACH_34(__VA_ARGS__)
#define UNIT_EACH_36(x, ...) cmocka_unit_test(x), UNIT_EACH_35(__VA_ARGS__)
#define UNIT_EACH_37(x, ...) cmocka_unit_test(x), UNIT_EACH_36(__VA_ARGS__)
#define UNIT_EACH_38(x, ...) cmocka_unit_test(x), UNIT_EACH_37(__VA_ARGS__)
#define UNIT_EACH_39(x, ...) cmocka_unit_test(x), UNIT_EACH_38(__VA_ARGS__)
#define UNIT_EACH_40(x, ...) cmocka_unit_test(x), UNIT_EACH_39(__VA_ARGS__)
#define UNIT_EACH_41(x, ...) cmocka_unit_test(x), UNIT_EACH_40(__VA_ARGS__)
#define UNIT_EACH_42(x, ...) cmocka_unit_test(x), UNIT_EACH_41(__VA_ARGS__)
#define UNIT_EACH_43(x, ...) cmocka_unit_test(x), UNIT_EACH_42(__VA_ARGS__)
#define UNIT_EACH_44(x, ...) cmocka_unit_test(x), UNIT_EACH_43(__VA_ARGS__)
#define UNIT_EACH_45(x, ...) cmocka_unit_test(x), UNIT_EACH_44(__VA_ARGS__)
#define UNIT_EACH_46(x, ...) cmocka_unit_test(x), UNIT_EACH_45(__VA_ARGS__)
#define UNIT_EACH_47(x, ...) cmocka_unit_test(x), UNIT_EACH_46(__VA_ARGS__)
#define UNIT_EACH_48(x, ...) cmocka_unit_test(x), UNIT_EACH_47(__VA_ARGS__)
#define UNIT_EACH_49(x, ...) cmocka_unit_test(x), UNIT_EACH_48(__VA_ARGS__)
#define UNIT_EACH_50(x, ...) cmocka_unit_test(x), UNIT_EACH_49(__VA_ARGS__)
#define UNIT_EACH_51(x, ...) cmocka_unit_test(x), UNIT_EACH_50(__VA_ARGS__)
#define UNIT_EACH_52(x, ...) cmocka_unit_test(x), UNIT_EACH_51(__VA_ARGS__)
#define UNIT_EACH_53(x, ...) cmocka_unit_test(x), UNIT_EACH_52(__VA_ARGS__)
#define UNIT_EACH_54(x, ...) cmocka_unit_test(x), UNIT_EACH_53(__VA_ARGS__)
#define UNIT_EACH_55(x, ...) cmocka_unit_test(x), UNIT_EACH_54(__VA_ARGS__)
#define UNIT_EACH_56(x, ...) cmocka_unit_test(x), UNIT_EACH_55(__VA_ARGS__)
#define UNIT_EACH_57(x, ...) cmocka_unit_test(x), UNIT_EACH_56(__VA_ARGS__)
#define UNIT_EACH_58(x, ...) cmocka_unit_test(x), UNIT_EACH_57(__VA_ARGS__)
#define UNIT_EACH_59(x, ...) cmocka_unit_test(x), UNIT_EACH_58(__VA_ARGS__)
#define UNIT_EACH_60(x, ...) cmocka_unit_test(x), UNIT_EACH_59(__VA_ARGS__)
#define UNIT_EACH_61(x, ...) cmocka_unit_test(x), UNIT_EACH_60(__VA_ARGS__)
#define UNIT_EACH_62(x, ...) cmocka_unit_test(x), UNIT_EACH_61(__VA_ARGS__)
#define UNIT_EACH_63(x, ...) cmocka_unit_test(x), UNIT_EACH_62(__VA_ARGS__)
#define UNIT_EACH_64(x, ...) cmocka_unit_test(x), UNIT_EACH_63(__VA_ARGS__)
#define UNIT_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, \
		  _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34,  \
		  _35, _36, _37, _38, _39, _40, _41, _42, _43, _44, _45, _46, _47, _48, _49, _50,  \
		  _51, _52, _53, _54, _55, _56, _57, _58, _59, _60, _61, _62, _63, _64, name, ...) \
	name
#define UNIT_EACH(...)                                                                             \
	UNIT_PICK(__VA_ARGS__, UNIT_EACH_64, UNIT_EACH_63, UNIT_EACH_62, UNIT_EACH_61,             \
		  UNIT_EACH_60, UNIT_EACH_59, UNIT_EACH_58, UNIT_EACH_57, UNIT_EACH_56,            \
		  UNIT_EACH_55, UNIT_EACH_54, UNIT_EACH_53, UNIT_EACH_52, UNIT_EACH_51,            \
		  UNIT_EACH_50, UNIT_EACH_49, UNIT_EACH_48, UNIT_EACH_47, UNIT_EACH_46,            \
		  UNIT_EACH_45, UNIT_EACH_44, UNIT_EACH_43, UNIT_EACH_42, UNIT_EACH_41,            \
		  UNIT_EACH_40, UNIT_EACH_39, UNIT_EACH_38, UNIT_EACH_37, UNIT_EACH_36,            \
		  UNIT_EACH_35, UNIT_EACH_34, UNIT_EACH_33, UNIT_EACH_32, UNIT_EACH_31,            \
		  UNIT_EACH_30, UNIT_EACH_29, UNIT_EACH_28, UNIT_EACH_27, UNIT_EACH_26,            \
		  UNIT_EACH_25, UNIT_EACH_24, UNIT_EACH_23, UNIT_EACH_22, UNIT_EACH_21,            \
		  UNIT_EACH_20, UNIT_EACH_19, UNIT_EACH_18, UNIT_EACH_17, UNIT_EACH_16,            \
		  UNIT_EACH_15, UNIT_EACH_14, UNIT_EACH_13, UNIT_EACH_12, UNIT_EACH_11,            \
		  UNIT_EACH_10, UNIT_EACH_9, UNIT_EACH_8, UNIT_EACH_7, UNIT_EACH_6, UNIT_EACH_5,   \
		  UNIT_EACH_4, UNIT_EACH_3, UNIT_EACH_2, UNIT_EACH_1, )                            \
	(__VA_ARGS__)

#define UNIT_TESTS(...)                                                                            \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = {UNIT_EACH(__VA_ARGS__)};                        \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}
