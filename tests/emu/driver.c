/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of building an enclave: the table of host/pal/outer/sgx_driver.h, and the
 * ioctls up to INIT. Structures are copied from the caller as a kernel would, so a wild pointer is
 * EFAULT here as well. What Linux answers to each mistake is in the text of asm/sgx.h;
 * where it may answer so at any time (short counts, EINTR, EBUSY), emu_config says how often.
 */
#include "tests/emu/driver.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define NR_mmap		     9
#define NR_munmap	     11
#define NR_personality	     135
#define NR_process_vm_readv  310
#define NR_process_vm_writev 311
#define NR_memfd_create	     319
#define MFD_CLOEXEC	     1
#define MAP_SHARED_	     0x1
#define MAP_TYPE_	     0xf
#define MAP_FIXED_	     0x10
#define MAP_FIXED_NOREPLACE_ 0x100000
#define READ_IMPLIES_EXEC_   0x0400000
#define PROVISION_FDS	     8

#define ATTRIBUTES_UNPRIVILEGED                                                                    \
	(SGX_ATTR_DEBUG | SGX_ATTR_MODE64 | SGX_ATTR_KSS | SGX_ATTR_AEXNOTIFY)
#define ATTRIBUTES_SUPPORTED                                                                       \
	(SGX_ATTR_DEBUG | SGX_ATTR_MODE64 | SGX_ATTR_PROVISIONKEY | SGX_ATTR_EINITTOKENKEY |       \
	 SGX_ATTR_KSS)

struct sgx_sim_cpu emu_cpu;
static bool cpu_is_ready;
static s32 provision_fds[PROVISION_FDS];
static u32 provision_count;

static s64 copy(u32 number, void *here, u64 there, u64 size)
{
	struct {
		u64 at, size;
	} local = {(u64)here, size}, remote = {there, size};

	return emu_call(number, emu_call(NR_getpid, 0, 0, 0, 0, 0, 0), &local, 1, &remote, 1, 0) ==
			       (s64)size
		       ? 0
		       : -EFAULT;
}

s64 emu_copy_in(void *to, u64 from, u64 size)
{
	return copy(NR_process_vm_readv, to, from, size);
}

s64 emu_copy_out(u64 to, const void *from, u64 size)
{
	return copy(NR_process_vm_writev, (void *)from, to, size);
}

bool emu_happens(u32 permille)
{
	bool ret = permille && emu_random_shared() % 1000 < permille;

	if (ret)
		emu_count(&emu_stats.injected);
	return ret;
}

/* ---- what the CPU supports ------------------------------------------------------------------- */

static u64 xcr0(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

static u64 supported_xfrm(void)
{
	u64 known = SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512 | SGX_XFRM_PKRU;
	u64 xfrm = xcr0() & known;

	return emu_config.xfrm ? emu_config.xfrm & xfrm : xfrm;
}

static u32 supported_misc(void)
{
	return emu_config.no_exinfo ? 0 : SGX_MISC_EXINFO;
}

static u64 xsave_size(u64 xfrm)
{
	if (xfrm & SGX_XFRM_PKRU)
		return 2696;
	if (xfrm & SGX_XFRM_AVX512)
		return 2688;
	return xfrm & SGX_XFRM_AVX ? 832 : 576;
}

/* What the backend itself looks at (SGX, launch control) stays true. */
static void lie(u32 leaf, u32 subleaf, u32 ret[4])
{
	u32 kept_ebx = leaf == 7 && subleaf == 0 ? 1u << 2 : 0;
	u32 kept_ecx = leaf == 7 && subleaf == 0 ? 1u << 30 : 0;
	u32 sgx[2] = {ret[1] & kept_ebx, ret[2] & kept_ecx};

	if (leaf == 1 && emu_config.lie_in_cpuid == EMU_LIE_MORE)
		return;
	for (u32 i = 0; i < 4; i++) {
		switch (emu_config.lie_in_cpuid) {
		case EMU_LIE_NONE: ret[i] = 0; break;
		case EMU_LIE_NOISE: ret[i] = (u32)emu_random_shared(); break;
		default: ret[i] = ~0u; break;
		}
	}
	ret[1] = (ret[1] & ~kept_ebx) | sgx[0];
	ret[2] = (ret[2] & ~kept_ecx) | sgx[1];
}

static void emu_cpuid(u32 leaf, u32 subleaf, u32 ret[4])
{
	u64 xfrm = supported_xfrm();

	__asm__ volatile("cpuid"
			 : "=a"(ret[0]), "=b"(ret[1]), "=c"(ret[2]), "=d"(ret[3])
			 : "a"(leaf), "c"(subleaf));
	if (leaf == 0) {
		ret[0] = MAX(ret[0], 0x12u);
	} else if (leaf == 7 && subleaf == 0) {
		ret[1] |= 1u << 2;
		if (!emu_config.no_launch_control)
			ret[2] |= 1u << 30;
	} else if (leaf == 0x12) {
		memset(ret, 0, 4 * sizeof(u32));
		if (subleaf == 0) {
			ret[0] = emu_config.no_sgx2 ? 1 : 3;
			ret[1] = supported_misc();
			ret[3] = 0x381f;
		} else if (subleaf == 1) {
			ret[0] = ATTRIBUTES_SUPPORTED;
			ret[2] = (u32)xfrm;
			ret[3] = (u32)(xfrm >> 32);
		} else if (subleaf == 2) {
			ret[0] = 0x80000001;
			ret[2] = 0x40000001;
		}
	}
	if (emu_config.lie_in_cpuid && (leaf == 1 || leaf == 7 || leaf == 0xd)) {
		lie(leaf, subleaf, ret);
		emu_stats.scenario_done = 1;
	}
}

/* ---- open, close, mmap ----------------------------------------------------------------------- */

static s64 new_file(void)
{
	return emu_call(NR_memfd_create, "sgx-emulated", MFD_CLOEXEC, 0, 0, 0, 0);
}

static s64 open_enclave(void)
{
	struct emu_enclave *e;
	s64 fd;

	if (emu_config.no_device)
		return -ENOENT;
	if (emu_config.device_is_locked)
		return -EACCES;
	if (emu_happens(emu_config.busy))
		return -EBUSY; /* the CPU's SVN is being updated */
	fd = new_file();
	if (fd < 0)
		return fd;
	emu_lock();
	if (!cpu_is_ready) {
		sgx_sim_cpu_init(&emu_cpu, emu_config.platform_key);
		if (!mem_is_zero(emu_config.cpusvn, sizeof(emu_config.cpusvn)))
			memcpy(emu_cpu.cpusvn, emu_config.cpusvn, sizeof(emu_cpu.cpusvn));
		cpu_is_ready = true;
	}
	e = emu_enclave_new((s32)fd);
	emu_unlock();
	if (e)
		return fd;
	emu_call(NR_close, fd, 0, 0, 0, 0, 0);
	return -ENOMEM;
}

static s64 open_provision(void)
{
	s64 fd;

	if (emu_config.no_provision_device)
		return -ENOENT;
	fd = new_file();
	if (fd >= 0)
		provision_fds[provision_count++ % PROVISION_FDS] = (s32)fd;
	return fd;
}

static s64 emu_open(const char *path, u32 flags)
{
	const char *enclave = emu_config.old_names ? "/dev/sgx/enclave" : "/dev/sgx_enclave";
	const char *provision = emu_config.old_names ? "/dev/sgx/provision" : "/dev/sgx_provision";

	if (str_equal(path, enclave))
		return open_enclave();
	if (str_equal(path, provision))
		return open_provision();
	if (str_has_prefix(path, "/dev/sgx"))
		return -ENOENT;
	return emu_call(NR_openat, -100, path, flags, 0, 0, 0);
}

static s64 emu_close(s32 fd)
{
	struct emu_enclave *e;

	emu_lock();
	for (u32 i = 0; i < PROVISION_FDS; i++) {
		if (fd > 0 && provision_fds[i] == fd)
			provision_fds[i] = 0;
	}
	e = emu_enclave_of_fd(fd);
	if (e) {
		e->fd = -1;
		emu_enclave_put(e);
	}
	emu_unlock();
	return emu_call(NR_close, fd, 0, 0, 0, 0, 0);
}

static s64 map_enclave(struct emu_enclave *e, u64 at, u64 size, u32 rights, u32 flags)
{
	if ((flags & MAP_TYPE_) != MAP_SHARED_ || !size || !IS_ALIGNED(at | size, PAGE_SIZE))
		return -EINVAL;
	if (!(flags & (MAP_FIXED_ | MAP_FIXED_NOREPLACE_)) || !e->is_created)
		return -EINVAL; /* not what a loader wants */
	if (at - e->secs.base >= e->size || size > e->size - (at - e->secs.base))
		return -EACCES;
	if (emu_call(NR_personality, 0xffffffff, 0, 0, 0, 0, 0) & READ_IMPLIES_EXEC_)
		return -EACCES;
	return emu_vma_map(e, at - e->secs.base, size, rights & 7);
}

static s64 emu_mmap(void *at, u64 size, u32 prot, u32 flags, s32 fd, u64 offset)
{
	struct emu_enclave *e;
	s64 ret;

	emu_lock();
	e = emu_enclave_of_fd(fd);
	if (e) {
		emu_count(&emu_stats.mmaps);
		ret = map_enclave(e, (u64)at, ALIGN_UP(size, PAGE_SIZE), prot, flags);
		emu_unlock();
		return ret;
	}
	emu_unlock();
	return emu_call(NR_mmap, at, size, prot, flags, fd, offset);
}

/* Out of memory for mappings: somewhere on the way. */
static s64 protect(struct emu_enclave *e, u64 offset, u64 size, u32 rights)
{
	u64 done = 0;

	if (!e->is_initialised || !emu_stats.eexit || !emu_happens(emu_config.no_memory))
		return emu_vma_protect(e, offset, size, rights);
	emu_count(&emu_stats.injected);
	done = ALIGN_DOWN(emu_random_shared() % size, PAGE_SIZE);
	if (done)
		(void)emu_vma_protect(e, offset, done, rights);
	return -ENOMEM;
}

static s64 emu_mprotect(void *at, u64 size, u32 prot)
{
	struct emu_enclave *e;
	s64 ret;

	size = ALIGN_UP(size, PAGE_SIZE);
	emu_lock();
	e = emu_enclave_at((u64)at);
	if (e && size <= e->size - ((u64)at - e->secs.base) &&
	    emu_vma_find(e, (u64)at - e->secs.base)) {
		emu_count(&emu_stats.mprotects);
		ret = IS_ALIGNED((u64)at, PAGE_SIZE)
			      ? protect(e, (u64)at - e->secs.base, size, prot & 7)
			      : -EINVAL;
		emu_unlock();
		return ret;
	}
	emu_unlock();
	return emu_call(NR_mprotect, at, size, prot, 0, 0, 0);
}

/* May cover an enclave and what surrounds it. */
static s64 emu_munmap(void *at, u64 size)
{
	u64 start = (u64)at, end = start + ALIGN_UP(size, PAGE_SIZE);
	struct emu_enclave *e;
	s64 ret;

	emu_lock();
	ret = emu_call(NR_munmap, at, size, 0, 0, 0, 0);
	e = emu_enclave_at(start);
	if (!e && end > start)
		e = emu_enclave_at(end - 1);
	if (ret == 0 && e) {
		u64 from = MAX(start, e->secs.base), to = MIN(end, e->secs.base + e->size);

		emu_count(&emu_stats.munmaps);
		emu_vma_unmap(e, from - e->secs.base, to - from);
		emu_enclave_put(e);
	}
	emu_unlock();
	return ret;
}

/* A read of the host's: the driver adds the page (EAUG), and what was read counts for nothing. */
static s64 emu_touch(void *at, u64 size)
{
	struct emu_enclave *e;
	s64 ret = 0;

	emu_lock();
	e = emu_enclave_at((u64)at);
	if (!e || size > e->size - ((u64)at - e->secs.base))
		ret = -ENOMEM;
	for (u64 done = 0; !ret && done < size; done += PAGE_SIZE) {
		struct emu_fault fault;
		u64 address = (u64)at + done;

		while (!(emu_page_of(e, address - e->secs.base)->flags & EMU_PAGE_VALID)) {
			fault = (struct emu_fault){SGX_VECTOR_PF, PF_USER, address};
			emu_count(&emu_stats.host_touches);
			if (!emu_resolve(e, &fault)) {
				ret = -ENOMEM;
				break;
			}
		}
		if (!ret && !emu_vma_find(e, address - e->secs.base))
			ret = -ENOMEM;
	}
	emu_unlock();
	return ret;
}

/* ---- CREATE, ADD_PAGES, INIT, PROVISION ------------------------------------------------------ */

/* What ECREATE refuses. */
static bool secs_is_good(const struct sgx_secs *s)
{
	u64 xfrm = s->attributes.xfrm, flags = s->attributes.flags;
	u64 misc_size = s->miscselect & SGX_MISC_EXINFO ? sizeof(struct sgx_exinfo) : 0;
	u64 state = xsave_size(xfrm) + misc_size + sizeof(struct sgx_gpr);

	if (s->size < 2 * PAGE_SIZE || !IS_ALIGNED(s->base, s->size))
		return false;
	if (!s->ssa_frame_pages || s->ssa_frame_pages * PAGE_SIZE < state)
		return false;
	if ((xfrm & SGX_XFRM_LEGACY) != SGX_XFRM_LEGACY || xfrm & ~supported_xfrm() ||
	    ((xfrm & SGX_XFRM_AVX512) && (xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512))
		return false;
	if (s->miscselect & ~supported_misc() || !(flags & SGX_ATTR_MODE64) ||
	    flags & ~(u64)ATTRIBUTES_SUPPORTED)
		return false;
	if (!(flags & SGX_ATTR_KSS) &&
	    (s->configsvn || !mem_is_zero(s->configid, sizeof(s->configid))))
		return false;
	return mem_is_zero(s->rsv24, sizeof(s->rsv24)) && mem_is_zero(s->rsv96, sizeof(s->rsv96)) &&
	       mem_is_zero(s->rsv160, sizeof(s->rsv160)) &&
	       mem_is_zero((const u8 *)s + 262, sizeof(*s) - 262);
}

static s64 ioctl_create(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_create create;
	s64 err;

	if (e->is_created)
		return -EINVAL;
	err = emu_copy_in(&create, argument, sizeof(create));
	if (!err)
		err = emu_copy_in(&e->secs, create.secs, sizeof(e->secs));
	if (err)
		return err;
	if (!IS_POWER_OF_2(e->secs.size))
		return -EINVAL;
	if (emu_config.launch_debug)
		e->secs.attributes.flags |= SGX_ATTR_DEBUG;
	if (!secs_is_good(&e->secs))
		return -EIO;
	memset(e->secs.mrenclave, 0, sizeof(e->secs.mrenclave));
	memset(e->secs.mrsigner, 0, sizeof(e->secs.mrsigner));
	e->secs.isvprodid = e->secs.isvsvn = 0;
	err = emu_enclave_create(e, e->secs.size);
	if (!err)
		sgx_measure_create(&e->measure, e->secs.size, e->secs.ssa_frame_pages);
	return err;
}

static bool secinfo_is_good(const struct sgx_secinfo *s)
{
	u64 rights = s->flags & 7, type = s->flags & 0xff00;

	if (s->flags & ~0xff07ull || !mem_is_zero(s->rsv, sizeof(s->rsv)))
		return false;
	if (type == SGX_SECINFO_TCS)
		return rights == 0;
	return type == SGX_SECINFO_REG && (!(rights & EMU_WRITE) || rights & EMU_READ);
}

static bool range_is_good(const struct emu_enclave *e, u64 offset, u64 length)
{
	return IS_ALIGNED(offset | length, PAGE_SIZE) && length && offset + length >= offset &&
	       offset + length <= e->size;
}

/* What EADD refuses in a TCS. */
static bool tcs_is_good(const struct sgx_tcs *t)
{
	return !(t->flags & ~1ull) && IS_ALIGNED(t->ossa | t->ofsbase | t->ogsbase, PAGE_SIZE) &&
	       (t->fslimit & 0xfff) == 0xfff && (t->gslimit & 0xfff) == 0xfff &&
	       mem_is_zero(t->rsv, sizeof(t->rsv));
}

/* EADD and, `measured`, sixteen EEXTENDs. */
static s64 add_page(struct emu_enclave *e, u64 offset, u64 source, u64 secinfo, bool measured)
{
	static u8 bytes[PAGE_SIZE]; /* under the lock */
	bool is_tcs = (secinfo & 0xff00) == SGX_SECINFO_TCS;
	u8 rights = secinfo & 7;
	s64 err;

	if (emu_page_of(e, offset)->flags & EMU_PAGE_VALID)
		return -EBUSY;
	err = emu_copy_in(bytes, source, PAGE_SIZE);
	if (!err && !emu_may_execute(source))
		err = -EACCES;
	if (err)
		return err;
	if (is_tcs) {
		struct sgx_tcs *tcs = (struct sgx_tcs *)bytes;

		if (!tcs_is_good(tcs))
			return -EIO;
		tcs->state = tcs->cssa = 0;
		tcs->aep = 0;
		tcs->flags &= ~1ull;
	}
	sgx_measure_add(&e->measure, offset, secinfo);
	if (measured)
		sgx_measure_extend_page(&e->measure, offset, bytes);
	else if (emu_config.fill_unmeasured)
		memset(bytes, 0xcc, PAGE_SIZE);
	if (!mem_is_zero(bytes, PAGE_SIZE))
		memcpy(e->epc + offset, bytes, PAGE_SIZE);
	emu_page_set(e, offset,
		     (struct emu_page){
			     .flags = EMU_PAGE_VALID,
			     .type = is_tcs ? EMU_TYPE_TCS : EMU_TYPE_REG,
			     .rights = rights,
			     .maximum = is_tcs ? EMU_READ | EMU_WRITE : rights,
		     });
	return 0;
}

static s64 ioctl_add_pages(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_add_pages add;
	struct sgx_secinfo secinfo;
	u64 limit;
	s64 err;

	if (!e->is_created || e->is_initialised)
		return -EINVAL;
	err = emu_copy_in(&add, argument, sizeof(add));
	if (err)
		return err;
	if (!IS_ALIGNED(add.source, PAGE_SIZE) || !range_is_good(e, add.offset, add.length))
		return -EINVAL;
	err = emu_copy_in(&secinfo, add.secinfo, sizeof(secinfo));
	if (err)
		return err;
	if (!secinfo_is_good(&secinfo))
		return -EINVAL;
	limit = add.length;
	if (emu_happens(emu_config.short_counts))
		limit = emu_random_shared() % (limit / PAGE_SIZE + 1) * PAGE_SIZE;
	add.count = 0;
	while (!err && add.count < limit) {
		err = add_page(e, add.offset + add.count, add.source + add.count, secinfo.flags,
			       add.flags & SGX_ADD_MEASURE);
		if (!err)
			add.count += PAGE_SIZE;
	}
	if (!err && limit < add.length && !add.count)
		err = -EINTR;
	if (emu_copy_out(argument, &add, sizeof(add)))
		return -EFAULT;
	return err;
}

static s64 ioctl_init(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_init init;
	struct sgx_sigstruct sig;
	struct sgx_measure measure;
	u64 flags = e->secs.attributes.flags;
	s64 err;

	if (!e->is_created || e->is_initialised)
		return -EINVAL;
	err = emu_copy_in(&init, argument, sizeof(init));
	if (!err)
		err = emu_copy_in(&sig, init.sigstruct, sizeof(sig));
	if (err)
		return err;
	if (sig.vendor && sig.vendor != SGX_VENDOR_INTEL)
		return -EINVAL;
	if (flags & ~(ATTRIBUTES_UNPRIVILEGED | (e->may_provision ? SGX_ATTR_PROVISIONKEY : 0ul)))
		return -EACCES;
	if (sig.attributes.flags & sig.attributemask.flags &
		    ~(u64)(ATTRIBUTES_SUPPORTED | SGX_ATTR_INIT) ||
	    sig.attributes.xfrm & sig.attributemask.xfrm & ~supported_xfrm() ||
	    sig.miscselect & sig.miscmask & ~supported_misc())
		return -EINVAL;
	if (emu_happens(emu_config.interrupted))
		return -EINTR;
	if (emu_config.no_launch_control)
		return -EPERM;
	measure = e->measure;
	sgx_measure_final(&measure, e->secs.mrenclave);
	if (emu_einit_check(&sig, &e->secs, e->secs.mrenclave) != SGX_SUCCESS)
		return -EPERM;
	sha256(sig.modulus, sizeof(sig.modulus), e->secs.mrsigner);
	e->secs.isvprodid = sig.isvprodid;
	e->secs.isvsvn = sig.isvsvn;
	memcpy(e->secs.isvfamilyid, sig.isvfamilyid, sizeof(sig.isvfamilyid));
	memcpy(e->secs.isvextprodid, sig.isvextprodid, sizeof(sig.isvextprodid));
	e->secs.attributes.flags |= SGX_ATTR_INIT;
	memcpy(emu_stats.mrenclave, e->secs.mrenclave, SGX_HASH_SIZE);
	e->is_initialised = true;
	return 0;
}

static s64 ioctl_provision(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_provision provision;
	s64 err = emu_copy_in(&provision, argument, sizeof(provision));

	if (err)
		return err;
	for (u32 i = 0; i < PROVISION_FDS; i++) {
		if (provision.fd && provision_fds[i] == (s32)provision.fd) {
			e->may_provision = true;
			return 0;
		}
	}
	return -EINVAL;
}

static s64 serve(struct emu_enclave *e, u64 command, u64 argument)
{
	switch (command) {
	case SGX_IOC_CREATE: return ioctl_create(e, argument);
	case SGX_IOC_ADD_PAGES: return ioctl_add_pages(e, argument);
	case SGX_IOC_INIT: return ioctl_init(e, argument);
	case SGX_IOC_PROVISION: return ioctl_provision(e, argument);
	case SGX_IOC_RESTRICT_PERMISSIONS: return emu_ioctl_restrict(e, argument);
	case SGX_IOC_MODIFY_TYPES: return emu_ioctl_modify(e, argument);
	case SGX_IOC_REMOVE_PAGES: return emu_ioctl_remove(e, argument);
	default: return -ENOTTY;
	}
}

static s64 emu_ioctl(s32 fd, u64 command, void *argument)
{
	struct emu_enclave *e;
	s64 ret;

	emu_lock();
	e = emu_enclave_of_fd(fd);
	emu_unlock();
	if (!e)
		return emu_call(NR_ioctl, fd, command, argument, 0, 0, 0);
	emu_count(&emu_stats.ioctls[command & 7]);
	if (__atomic_exchange_n(&e->is_in_ioctl, 1, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (emu_happens(command == SGX_IOC_ADD_PAGES ? MAX(emu_config.busy, emu_config.busy_adding)
						     : emu_config.busy)) {
		ret = -EBUSY;
	} else {
		emu_lock();
		ret = serve(e, command, (u64)argument);
		emu_unlock();
	}
	__atomic_store_n(&e->is_in_ioctl, 0, __ATOMIC_RELEASE);
	return ret;
}

static struct sgx_entry_function emu_entry_function(void)
{
	if (emu_config.no_entry_function)
		return (struct sgx_entry_function){0};
	return (struct sgx_entry_function){
		.address = (u64)emu_enter_enclave,
		.size = (u64)emu_enter_end - (u64)emu_enter_enclave,
	};
}

__attribute__((visibility("default"))) const struct sgx_driver sgx_driver = {
	.open = emu_open,
	.ioctl = emu_ioctl,
	.mmap = emu_mmap,
	.mprotect = emu_mprotect,
	.munmap = emu_munmap,
	.close = emu_close,
	.touch = emu_touch,
	.cpuid = emu_cpuid,
	.xgetbv = xcr0,
	.entry_function = emu_entry_function,
};
