/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reviewers read. The arithmetic of the signature is done twice, by lib/sgx as EINIT does it
 * and by OpenSSL, so that a mistake in one of them shows.
 */
#include "host/lib/sigstruct_text.h"

#include <string.h>

#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/sgx/rsa.h"

/* ---- bits ------------------------------------------------------------------------------------ */

struct bit_name {
	u64 bits;
	const char *name;
};

static const struct bit_name attribute_names[] = {
	{SGX_ATTR_INIT, "INIT"},
	{SGX_ATTR_DEBUG, "DEBUG"},
	{SGX_ATTR_MODE64, "MODE64"},
	{SGX_ATTR_PROVISIONKEY, "PROVISIONKEY"},
	{SGX_ATTR_EINITTOKENKEY, "EINITTOKENKEY"},
	{SGX_ATTR_CET, "CET"},
	{SGX_ATTR_KSS, "KSS"},
	{SGX_ATTR_AEXNOTIFY, "AEXNOTIFY"},
};
static const struct bit_name xfrm_names[] = {
	{SGX_XFRM_LEGACY, "x87 SSE"}, {SGX_XFRM_AVX, "AVX"},   {0x18, "MPX"},
	{SGX_XFRM_AVX512, "AVX-512"}, {SGX_XFRM_PKRU, "PKRU"}, {SGX_XFRM_AMX, "AMX"},
};
static const struct bit_name misc_names[] = {{SGX_MISC_EXINFO, "EXINFO"}, {2, "CPINFO"}};

/* Names of all bits that are set; those without a name together, as a number. */
static void print_bits(FILE *to, u64 value, const struct bit_name *names, size_t count)
{
	const char *separator = "";

	for (size_t i = 0; i < count; i++) {
		if ((value & names[i].bits) != names[i].bits)
			continue;
		fprintf(to, "%s%s", separator, names[i].name);
		separator = " ";
		value &= ~names[i].bits;
	}
	if (value)
		fprintf(to, "%s0x%llx", separator, (unsigned long long)value);
	else if (!*separator)
		fputs("none", to);
}

static void print_bit_line(FILE *to, const char *name, u64 value, const struct bit_name *names,
			   size_t count)
{
	fprintf(to, "%-20s 0x%016llx  ", name, (unsigned long long)value);
	print_bits(to, value, names, count);
	fputc('\n', to);
}

/* A mask: what it leaves open is shorter and says more. */
static void print_mask_line(FILE *to, const char *name, u64 mask, const struct bit_name *names,
			    size_t count)
{
	fprintf(to, "%-20s 0x%016llx  fixed but for: ", name, (unsigned long long)mask);
	print_bits(to, ~mask, names, count);
	fputc('\n', to);
}

/* ---- the fields ------------------------------------------------------------------------------ */

static void print_bytes(FILE *to, const char *name, const void *bytes, size_t size)
{
	char hex[2 * SGX_RSA_SIZE + 1];

	hex_encode(hex, bytes, size);
	fprintf(to, "%-20s %s\n", name, hex);
}

static void print_reserved(FILE *to, const struct sgx_sigstruct *sig)
{
	bool zero = mem_is_zero(sig->rsv44, sizeof(sig->rsv44)) &&
		    mem_is_zero(sig->rsv910, sizeof(sig->rsv910)) &&
		    mem_is_zero(sig->rsv992, sizeof(sig->rsv992)) &&
		    mem_is_zero(sig->rsv1028, sizeof(sig->rsv1028));

	fprintf(to, "%-20s %s\n", "(reserved)", zero ? "all zero" : "NOT ALL ZERO");
}

void sigstruct_print(const struct sgx_sigstruct *sig, FILE *to)
{
	u8 mrsigner[SGX_HASH_SIZE], digest[SGX_HASH_SIZE];

	sigstruct_mrsigner(sig, mrsigner);
	sigstruct_digest(sig, digest);
	print_bytes(to, "HEADER", sig->header, sizeof(sig->header));
	fprintf(to, "%-20s 0x%08x  %s\n", "VENDOR", sig->vendor,
		sig->vendor == 0		  ? "not Intel"
		: sig->vendor == SGX_VENDOR_INTEL ? "Intel"
						  : "?");
	fprintf(to, "%-20s %08x\n", "DATE", sig->date);
	print_bytes(to, "HEADER2", sig->header2, sizeof(sig->header2));
	fprintf(to, "%-20s 0x%08x\n", "SWDEFINED", sig->swdefined);
	print_bytes(to, "MODULUS", sig->modulus, sizeof(sig->modulus));
	fprintf(to, "%-20s %u\n", "EXPONENT", sig->exponent);
	print_bytes(to, "SIGNATURE", sig->signature, sizeof(sig->signature));
	print_bit_line(to, "MISCSELECT", sig->miscselect, misc_names, ARRAY_SIZE(misc_names));
	fprintf(to, "%-20s 0x%08x  fixed but for: ", "MISCMASK", sig->miscmask);
	print_bits(to, (u32)~sig->miscmask, misc_names, ARRAY_SIZE(misc_names));
	fputc('\n', to);
	fprintf(to, "%-20s 0x%02x\n", "CET_ATTRIBUTES", sig->cet_attributes);
	fprintf(to, "%-20s 0x%02x\n", "CET_MASK", sig->cet_mask);
	print_bytes(to, "ISVFAMILYID", sig->isvfamilyid, sizeof(sig->isvfamilyid));
	print_bit_line(to, "ATTRIBUTES.FLAGS", sig->attributes.flags, attribute_names,
		       ARRAY_SIZE(attribute_names));
	print_bit_line(to, "ATTRIBUTES.XFRM", sig->attributes.xfrm, xfrm_names,
		       ARRAY_SIZE(xfrm_names));
	print_mask_line(to, "ATTRIBUTEMASK.FLAGS", sig->attributemask.flags, attribute_names,
			ARRAY_SIZE(attribute_names));
	print_mask_line(to, "ATTRIBUTEMASK.XFRM", sig->attributemask.xfrm, xfrm_names,
			ARRAY_SIZE(xfrm_names));
	print_bytes(to, "ENCLAVEHASH", sig->enclavehash, sizeof(sig->enclavehash));
	print_bytes(to, "ISVEXTPRODID", sig->isvextprodid, sizeof(sig->isvextprodid));
	fprintf(to, "%-20s %u\n", "ISVPRODID", sig->isvprodid);
	fprintf(to, "%-20s %u\n", "ISVSVN", sig->isvsvn);
	print_bytes(to, "Q1", sig->q1, sizeof(sig->q1));
	print_bytes(to, "Q2", sig->q2, sizeof(sig->q2));
	print_reserved(to, sig);
	print_bytes(to, "(signed digest)", digest, sizeof(digest));
	print_bytes(to, "(MRSIGNER)", mrsigner, sizeof(mrsigner));
}

void sgxs_print(const struct sgxs_info *info, FILE *to)
{
	fprintf(to, "enclave of 0x%llx bytes, SSA frames of %u page%s\n",
		(unsigned long long)info->enclave_size, info->ssa_frame_pages,
		info->ssa_frame_pages == 1 ? "" : "s");
	fprintf(to, "%-18s %10s  kind  measured\n", "offset", "pages");
	for (u32 i = 0; i < info->row_count; i++) {
		const struct sgxs_pages *p = &info->rows[i];

		fprintf(to, "0x%016llx %10llu  ", (unsigned long long)p->offset,
			(unsigned long long)p->count);
		if (p->secinfo & SGX_SECINFO_TCS)
			fputs("TCS   ", to);
		else
			fprintf(to, "%c%c%c   ", p->secinfo & SGX_SECINFO_R ? 'r' : '-',
				p->secinfo & SGX_SECINFO_W ? 'w' : '-',
				p->secinfo & SGX_SECINFO_X ? 'x' : '-');
		if (p->chunks == 0 || p->chunks == SGXS_CHUNKS)
			fprintf(to, "%s\n", p->chunks ? "yes" : "no, the host chooses the content");
		else
			fprintf(to, "%u of %lu parts\n", p->chunks, (unsigned long)SGXS_CHUNKS);
	}
}

/* ---- the review ------------------------------------------------------------------------------ */

struct review {
	FILE *to;
	int wrong;
};

static bool check(struct review *r, bool ok, const char *what)
{
	fprintf(r->to, "%s  %s\n", ok ? "ok   " : "WRONG", what);
	r->wrong += !ok;
	return ok;
}

static void note(struct review *r, const char *what)
{
	fprintf(r->to, "note   %s\n", what);
}

static void review_signature(struct review *r, const struct sgx_sigstruct *sig)
{
	u8 message[SGX_RSA_SIZE], cube[SGX_RSA_SIZE];
	struct sigstruct_arithmetic computed;
	bool ok;

	check(r, sigstruct_has_constants(sig),
	      "headers, vendor, exponent 3 and reserved bytes are as EINIT wants them");
	if (!check(r, sigstruct_compute(sig, &computed) == 0,
		   "the modulus has 3072 bits and is greater than the signature"))
		return;
	sigstruct_message(sig, message);
	check(r, memcmp(computed.cube, message, SGX_RSA_SIZE) == 0,
	      "the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)");
	check(r, memcmp(computed.q1, sig->q1, SGX_RSA_SIZE) == 0, "Q1 = S*S / M");
	check(r, memcmp(computed.q2, sig->q2, SGX_RSA_SIZE) == 0, "Q2 = S*(S*S mod M) / M");
	ok = sgx_rsa_cube(sig, cube) && memcmp(cube, message, SGX_RSA_SIZE) == 0;
	check(r, ok, "EINIT's way of verifying comes to the same");
}

static void review_attributes(struct review *r, const struct sgx_sigstruct *sig)
{
	const struct sgx_attributes *a = &sig->attributes, *mask = &sig->attributemask;

	check(r, (a->flags & mask->flags & SGX_ATTR_MODE64) != 0, "MODE64 is set and fixed");
	check(r, !(a->flags & SGX_ATTR_INIT), "INIT is clear (the CPU sets it)");
	check(r, (a->xfrm & SGX_XFRM_LEGACY) == SGX_XFRM_LEGACY,
	      "XFRM has x87 and SSE, which no enclave can do without");
	check(r, !(a->flags & SGX_ATTR_EINITTOKENKEY), "EINITTOKENKEY is not asked for");
	if (!(mask->flags & SGX_ATTR_DEBUG))
		note(r, "DEBUG is left open: whoever starts this enclave may read its memory");
	else if (a->flags & SGX_ATTR_DEBUG)
		note(r, "DEBUG is fixed on: the host can read this enclave's memory; not for "
			"production");
	else
		note(r, "DEBUG is fixed off: EINIT refuses to start this enclave with DEBUG");
	if (a->flags & SGX_ATTR_PROVISIONKEY)
		note(r, "PROVISIONKEY: the enclave can recognise the machine; its user needs "
			"/dev/sgx_provision");
	if (a->flags & SGX_ATTR_KSS)
		note(r, "KSS: the starter's CONFIGID and CONFIGSVN are part of the identity");
	if (!(sig->miscselect & sig->miscmask & SGX_MISC_EXINFO))
		note(r, "EXINFO is not fixed on: page faults inside cannot be told from lies");
}

static void review_signer(struct review *r, const struct sgx_sigstruct *sig)
{
	u8 mrsigner[SGX_HASH_SIZE];

	sigstruct_mrsigner(sig, mrsigner);
	if (memcmp(mrsigner, sigstruct_sample_mrsigner, sizeof(mrsigner)) == 0)
		note(r, "signed with the sample key of Intel's SDK, which everybody has");
}

int sigstruct_review(const struct sgx_sigstruct *sig, const u8 *mrenclave, FILE *to)
{
	struct review r = {.to = to};

	review_signature(&r, sig);
	if (mrenclave)
		check(&r, memcmp(mrenclave, sig->enclavehash, SGX_HASH_SIZE) == 0,
		      "ENCLAVEHASH is what the enclave measures (MRENCLAVE)");
	review_attributes(&r, sig);
	review_signer(&r, sig);
	return r.wrong;
}
