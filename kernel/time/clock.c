// SPDX-License-Identifier: Apache-2.0
/*
 * Time inside. The monotonic clock runs on the TSC: ns = base + (ticks << shift) * mult >> 64, with
 * the rate that the host measured at boot (time is the host's to lie about; what we guarantee is
 * that it does not go back). Wall time is the monotonic clock plus an offset that is asked of
 * the host again when it is older than a second of use.
 */
#include "kernel/time/clock.h"

#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "lib/base/string.h"

#define NS_PER_SECOND  1000000000ull
#define HOST_REALTIME  0
#define HOST_MONOTONIC 1
#define CALIBRATION_NS 2000000ull
#define TSC_HZ_MIN     100000000ull
#define TSC_HZ_MAX     20000000000ull
#define RESYNC_NS      NS_PER_SECOND

static u64 start_tsc, start_ns, mult; /* constant after clock_init() */
static u32 shift;		      /* the same; 0 unless a tick is more than a nanosecond */
static u64 latest;		      /* highest value given out, as far as noticed */
static u64 boot_ns;
static s64 real_offset; /* atomic: wall time - monotonic time */
static u64 real_synced; /* atomic: monotonic time of the latest answer of the host */

static bool host_clock(u32 clock, u64 *ret)
{
	s64 time[2];

	if (host_clock_read(clock, time, sizeof(time)))
		return false;
	if (time[0] < 0 || time[0] > (s64)(UINT64_MAX / NS_PER_SECOND / 4) || time[1] < 0 ||
	    time[1] >= (s64)NS_PER_SECOND)
		return false;
	*ret = (u64)time[0] * NS_PER_SECOND + (u64)time[1];
	return true;
}

static u64 from_tsc(u64 tsc)
{
	u64 ticks = (tsc - start_tsc) << shift;

	return start_ns + (u64)((unsigned __int128)ticks * mult >> 64);
}

/* Without a rate from the host: counts ticks over two milliseconds of its clock. */
static u64 calibrate(void)
{
	u64 before, now, tsc = arch_tsc();

	if (!host_clock(HOST_MONOTONIC, &before))
		return 0;
	now = before;
	for (u32 i = 0; i < 1000000 && now - before < CALIBRATION_NS; i++) {
		cpu_relax();
		if (!host_clock(HOST_MONOTONIC, &now) || now < before)
			return 0;
	}
	if (now == before)
		return 0;
	tsc = arch_tsc() - tsc;
	if (tsc > UINT64_MAX / NS_PER_SECOND)
		return 0;
	return tsc * NS_PER_SECOND / (now - before);
}

void clock_init(u64 tsc_hz)
{
	u64 ns;

	if (tsc_hz < TSC_HZ_MIN || tsc_hz > TSC_HZ_MAX)
		tsc_hz = calibrate();
	if (tsc_hz < TSC_HZ_MIN || tsc_hz > TSC_HZ_MAX)
		tsc_hz = NS_PER_SECOND; /* some clock: it still moves on */
	mult = (NS_PER_SECOND << 32) / tsc_hz;
	for (shift = 0; mult >> 32; shift++)
		mult >>= 1;
	mult <<= 32;
	start_tsc = arch_tsc();
	start_ns = host_clock(HOST_MONOTONIC, &ns) ? ns : NS_PER_SECOND;
	boot_ns = clock_monotonic_ns();
}

/*
 * The TSC may be read ahead of earlier loads, but `latest` is loaded in order: whoever has seen
 * another thread's later time sees it here too and does not give out less. That is cheaper than
 * holding up the CPU before each reading.
 */
u64 clock_monotonic_ns(void)
{
	u64 now = from_tsc(arch_tsc());
	u64 seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);

	if (unlikely(now < seen))
		return seen; /* the TSC went back, or the host moved us: stand still */
	__atomic_store_n(&latest, now, __ATOMIC_RELAXED);
	return now;
}

u64 clock_realtime_ns(void)
{
	u64 now = clock_monotonic_ns();
	u64 synced = __atomic_load_n(&real_synced, __ATOMIC_ACQUIRE);
	u64 wall;

	if (unlikely(!synced || now - synced > RESYNC_NS)) {
		if (host_clock(HOST_REALTIME, &wall)) {
			now = clock_monotonic_ns();
			__atomic_store_n(&real_offset, (s64)(wall - now), __ATOMIC_RELAXED);
			__atomic_store_n(&real_synced, now, __ATOMIC_RELEASE);
		}
	}
	return now + (u64)__atomic_load_n(&real_offset, __ATOMIC_RELAXED);
}

u64 clock_boot_ns(void)
{
	return boot_ns;
}
