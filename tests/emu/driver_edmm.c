/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's changes to a running enclave (EDMM): restricting permissions, changing types,
 * removing pages. Each works page by page and stops at the first that does not comply; `count` says
 * how far it came. The enclave must accept what was done, page by page, by EACCEPT.
 */
#include "abi/errno.h"
#include "lib/base/string.h"
#include "tests/emu/driver.h"

#define PAGE_NOT_MODIFIABLE 20

static s64 is_ready(const struct emu_enclave *e)
{
	if (emu_config.no_sgx2)
		return -ENODEV;
	return e->is_initialised ? 0 : -EINVAL;
}

static bool range_is_good(const struct emu_enclave *e, u64 offset, u64 length)
{
	return IS_ALIGNED(offset | length, PAGE_SIZE) && length && offset + length >= offset &&
	       offset + length <= e->size;
}

/* A page that the driver can get hold of now. */
static s64 page_of(struct emu_enclave *e, u64 offset, struct emu_page *ret)
{
	if (emu_happens(emu_config.again))
		return -EAGAIN;
	*ret = *emu_page_of(e, offset);
	return ret->flags & EMU_PAGE_VALID ? 0 : -EFAULT;
}

static s64 restrict_page(struct emu_enclave *e, u64 offset, u64 permissions, u64 *ret_result)
{
	struct emu_page page;
	s64 err = page_of(e, offset, &page);

	if (err)
		return err;
	if (page.type != EMU_TYPE_REG)
		return -EINVAL;
	if (page.flags & (EMU_PAGE_PENDING | EMU_PAGE_MODIFIED)) {
		*ret_result = PAGE_NOT_MODIFIABLE;
		return -EFAULT;
	}
	page.flags |= EMU_PAGE_PR;
	page.rights &= (u8)permissions;
	emu_page_set(e, offset, page);
	return 0;
}

s64 emu_ioctl_restrict(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_restrict_permissions r;
	s64 err = is_ready(e);

	if (!err)
		err = emu_copy_in(&r, argument, sizeof(r));
	if (err)
		return err;
	if (!range_is_good(e, r.offset, r.length) || r.permissions & ~7ull ||
	    ((r.permissions & EMU_WRITE) && !(r.permissions & EMU_READ)) || r.result || r.count)
		return -EINVAL;
	for (; !err && r.count < r.length; r.count += err ? 0 : PAGE_SIZE)
		err = restrict_page(e, r.offset + r.count, r.permissions, &r.result);
	if (emu_copy_out(argument, &r, sizeof(r)))
		return -EFAULT;
	return err;
}

static s64 modify_page(struct emu_enclave *e, u64 offset, u64 type, u64 *ret_result)
{
	struct emu_page page;
	s64 err = page_of(e, offset, &page);

	if (err)
		return err;
	if (page.type != EMU_TYPE_REG && !(page.type == EMU_TYPE_TCS && type == EMU_TYPE_TRIM))
		return -EINVAL;
	if (type == EMU_TYPE_TCS &&
	    (page.maximum & (EMU_READ | EMU_WRITE)) != (EMU_READ | EMU_WRITE))
		return -EPERM;
	if (page.flags & (EMU_PAGE_PENDING | EMU_PAGE_MODIFIED) && type == EMU_TYPE_TCS) {
		*ret_result = PAGE_NOT_MODIFIABLE;
		return -EFAULT;
	}
	page.flags = EMU_PAGE_VALID | EMU_PAGE_MODIFIED;
	page.type = (u8)type & 0xf;
	page.rights = 0;
	if (type == EMU_TYPE_TCS)
		page.maximum = EMU_READ | EMU_WRITE;
	emu_page_set(e, offset, page);
	return 0;
}

s64 emu_ioctl_modify(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_modify_types m;
	s64 err = is_ready(e);

	if (!err)
		err = emu_copy_in(&m, argument, sizeof(m));
	if (err)
		return err;
	if (!range_is_good(e, m.offset, m.length) || m.result || m.count ||
	    (m.page_type != EMU_TYPE_TCS && m.page_type != EMU_TYPE_TRIM))
		return -EINVAL;
	for (; !err && m.count < m.length; m.count += err ? 0 : PAGE_SIZE)
		err = modify_page(e, m.offset + m.count, m.page_type, &m.result);
	if (emu_copy_out(argument, &m, sizeof(m)))
		return -EFAULT;
	return err;
}

static s64 remove_page(struct emu_enclave *e, u64 offset)
{
	struct emu_page page;
	s64 err = page_of(e, offset, &page);

	if (err)
		return err;
	if (page.type != EMU_TYPE_TRIM || page.flags & EMU_PAGE_MODIFIED)
		return -EPERM;
	emu_page_remove(e, offset);
	return 0;
}

s64 emu_ioctl_remove(struct emu_enclave *e, u64 argument)
{
	struct sgx_ioc_remove_pages r;
	s64 err = is_ready(e);

	if (!err)
		err = emu_copy_in(&r, argument, sizeof(r));
	if (err)
		return err;
	if (!range_is_good(e, r.offset, r.length) || r.count)
		return -EINVAL;
	for (; !err && r.count < r.length; r.count += err ? 0 : PAGE_SIZE)
		err = remove_page(e, r.offset + r.count);
	if (emu_copy_out(argument, &r, sizeof(r)))
		return -EFAULT;
	return err;
}
