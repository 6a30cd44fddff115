// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of Occlum.json as a table: section, name, kind, bounds. Reading fills one slot per
 * row; afterwards apply() turns the slots into a configuration, with the defaults for those that
 * were not given. Fields of other versions of Occlum are known too: values that mean "off" are
 * accepted, values that this kernel cannot obey are refused by name, and so is what nobody knows.
 */
#include "lib/config/settings_priv.h"

#include "abi/errno.h"
#include "lib/base/fmt.h"
#include "lib/base/le.h"
#include "lib/base/string.h"
#include "lib/config/limits.h"
#include "lib/config/path.h"

enum section {
	SECTION_LIMITS,
	SECTION_PROCESS,
	SECTION_ENV,
	SECTION_METADATA,
	SECTION_FEATURE,
	SECTION_COUNT,
	SECTION_TOP = SECTION_COUNT, /* members that are no sections */
};

static const char *const section_names[] = {"resource_limits", "process", "env",
					    "metadata",	       "feature", "entry_points",
					    "entry_args",      "mount",	  NULL};
enum { TOP_ENTRY_POINTS = SECTION_COUNT, TOP_ENTRY_ARGS, TOP_MOUNT };

enum kind {
	KIND_SIZE,
	KIND_TEMPLATE_SIZE, /* obsolete: what templates of Occlum have had */
	KIND_NUMBER,
	KIND_BOOL,
	KIND_OFF_NUMBER, /* a number: `min` or `max`, both meaning off; anything else later */
	KIND_ID,	 /* {high, low} */
	KIND_STRINGS,
};

enum field {
	USER_SPACE_SIZE,
	USER_SPACE_MAX_SIZE,
	KERNEL_HEAP_SIZE,
	KERNEL_HEAP_MAX_SIZE,
	KERNEL_STACK_SIZE,
	MAX_THREADS,
	INIT_THREADS,
	MARSHAL_BUFFER_SIZE,
	STACK_SIZE,
	HEAP_SIZE,
	MMAP_SIZE,
	PROCESS_UID,
	PROCESS_GID,
	ENV_DEFAULT,
	ENV_UNTRUSTED,
	PRODUCT_ID,
	VERSION_NUMBER,
	DEBUGGABLE,
	DISABLE_LOG,
	PROVISION_KEY,
	ENABLE_KSS,
	FAMILY_ID,
	EXT_PROD_ID,
	METADATA_PKRU,
	AMX,
	PKRU,
	IO_URING,
	ENABLE_EDMM,
	ENABLE_POSIX_SHM,
	STRICT_MEMORY,
	FIELD_COUNT,
};

struct row {
	enum section section;
	const char *name;
	enum kind kind;
	u64 min, max;
	u64 initial;
};

static const struct row rows[FIELD_COUNT] = {
	[USER_SPACE_SIZE] = {SECTION_LIMITS, "user_space_size", KIND_SIZE, LIMIT_USER_SPACE_MIN,
			     LIMIT_USER_SPACE_MAX, MIB(300)},
	[USER_SPACE_MAX_SIZE] = {SECTION_LIMITS, "user_space_max_size", KIND_SIZE,
				 LIMIT_USER_SPACE_MIN, LIMIT_USER_SPACE_MAX, 0},
	[KERNEL_HEAP_SIZE] = {SECTION_LIMITS, "kernel_space_heap_size", KIND_SIZE,
			      LIMIT_KERNEL_HEAP_MIN, LIMIT_KERNEL_HEAP_MAX, MIB(32)},
	[KERNEL_HEAP_MAX_SIZE] = {SECTION_LIMITS, "kernel_space_heap_max_size", KIND_SIZE,
				  LIMIT_KERNEL_HEAP_MIN, LIMIT_KERNEL_HEAP_MAX, 0},
	[KERNEL_STACK_SIZE] = {SECTION_LIMITS, "kernel_space_stack_size", KIND_SIZE,
			       LIMIT_KERNEL_STACK_MIN, LIMIT_KERNEL_STACK_MAX, MIB(1)},
	[MAX_THREADS] = {SECTION_LIMITS, "max_num_of_threads", KIND_NUMBER, LIMIT_THREADS_MIN,
			 CONFIG_THREADS_MAX, 32},
	[INIT_THREADS] = {SECTION_LIMITS, "init_num_of_threads", KIND_NUMBER, 1, CONFIG_THREADS_MAX,
			  0},
	[MARSHAL_BUFFER_SIZE] = {SECTION_LIMITS, "marshal_buffer_size", KIND_SIZE, MIB(1), MIB(1),
				 MIB(1)},
	[STACK_SIZE] = {SECTION_PROCESS, "default_stack_size", KIND_SIZE, LIMIT_STACK_MIN,
			LIMIT_STACK_MAX, MIB(4)},
	[HEAP_SIZE] = {SECTION_PROCESS, "default_heap_size", KIND_SIZE, 0, LIMIT_USER_SPACE_MAX,
		       MIB(32)},
	[MMAP_SIZE] = {SECTION_PROCESS, "default_mmap_size", KIND_TEMPLATE_SIZE, MIB(32), MIB(100),
		       MIB(100)},
	[PROCESS_UID] = {SECTION_PROCESS, "uid", KIND_NUMBER, 0, LIMIT_ID_MAX, 0},
	[PROCESS_GID] = {SECTION_PROCESS, "gid", KIND_NUMBER, 0, LIMIT_ID_MAX, 0},
	[ENV_DEFAULT] = {SECTION_ENV, "default", KIND_STRINGS},
	[ENV_UNTRUSTED] = {SECTION_ENV, "untrusted", KIND_STRINGS},
	[PRODUCT_ID] = {SECTION_METADATA, "product_id", KIND_NUMBER, 0, UINT16_MAX, 0},
	[VERSION_NUMBER] = {SECTION_METADATA, "version_number", KIND_NUMBER, 0, UINT16_MAX, 0},
	[DEBUGGABLE] = {SECTION_METADATA, "debuggable", KIND_BOOL, 0, 0, true},
	[DISABLE_LOG] = {SECTION_METADATA, "disable_log", KIND_BOOL},
	[PROVISION_KEY] = {SECTION_METADATA, "provision_key", KIND_BOOL},
	[ENABLE_KSS] = {SECTION_METADATA, "enable_kss", KIND_BOOL},
	[FAMILY_ID] = {SECTION_METADATA, "family_id", KIND_ID},
	[EXT_PROD_ID] = {SECTION_METADATA, "ext_prod_id", KIND_ID},
	[METADATA_PKRU] = {SECTION_METADATA, "pkru", KIND_OFF_NUMBER, 0, 2, 0},
	[AMX] = {SECTION_FEATURE, "amx", KIND_OFF_NUMBER, 0, 2, 0},
	[PKRU] = {SECTION_FEATURE, "pkru", KIND_OFF_NUMBER, 0, 2, 0},
	[IO_URING] = {SECTION_FEATURE, "io_uring", KIND_OFF_NUMBER, 0, 0, 0},
	[ENABLE_EDMM] = {SECTION_FEATURE, "enable_edmm",
			 KIND_BOOL}, /* either is true of every enclave */
	[ENABLE_POSIX_SHM] = {SECTION_FEATURE, "enable_posix_shm", KIND_BOOL, 0, 0, true},
	[STRICT_MEMORY] = {SECTION_FEATURE, "strict_memory", KIND_BOOL},
};

struct slot {
	const struct json_token *at; /* NULL: not given */
	u64 number;
	u8 id[CONFIG_KSS_ID_SIZE];
};

struct settings {
	struct slot slots[FIELD_COUNT];
	const struct json_token *entry_points;
	const struct json_token *entry_args;
	const struct json_token *mount;
};

int reader_number(struct reader *r, const struct json_token *at, const char *name, u64 min, u64 max,
		  u64 *ret)
{
	char expected[64];

	fmt_snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
		     (unsigned long long)min, (unsigned long long)max);
	if (at->type != JSON_NUMBER || json_u64(&r->json, at, ret) < 0 || *ret < min || *ret > max)
		return reader_fail_value(r, at, name, expected);
	return 0;
}

static int read_off_number(struct reader *r, const struct json_token *at, const char *name,
			   const struct row *row, u64 *ret)
{
	int err;

	if (row->max == 0)
		err = reader_number(r, at, name, 0, 16, ret);
	else
		err = reader_number(r, at, name, row->min, row->max, ret);
	if (err < 0)
		return err;
	if (*ret == row->min || *ret == row->max)
		return 0;
	return reader_fail(r, at, name, "%llu is not yet supported; accepted %s",
			   (unsigned long long)*ret,
			   row->max ? "are 0 (off) and 2 (where available)" : "is 0 (off)");
}

/* Nothing obeys the field; a value that somebody chose would be taken for a limit that holds. */
static int read_template_size(struct reader *r, const struct json_token *at, const char *name,
			      const struct row *row, u64 *ret)
{
	int err = reader_size(r, at, name, 0, LIMIT_USER_SPACE_MAX, ret);

	if (err < 0 || *ret == row->min || *ret == row->max)
		return err;
	return reader_fail(r, at, name,
			   "is obsolete and not supported: user_space_size limits all memory and "
			   "`ulimit -v` a program's; accepted are \"32MB\" and \"100MB\", the "
			   "values of Occlum's templates, without effect");
}

/* A string "0x..." of up to 16 digits. */
static int read_hex64(struct reader *r, const struct json_token *at, const char *name, u8 *to)
{
	const char *expected = "a string \"0x...\" of 1 to 16 hexadecimal digits", *text;
	u64 value = 0;
	size_t n = 0;
	int err = reader_string(r, at, name, expected, &text);

	if (err < 0)
		return err;
	if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
		return reader_fail_value(r, at, name, expected);
	for (text += 2; text[n]; n++) {
		char c = text[n] | 0x20;
		bool digit = text[n] >= '0' && text[n] <= '9';

		if (n == 16 || (!digit && (c < 'a' || c > 'f')))
			return reader_fail_value(r, at, name, expected);
		value = value << 4 | (u64)(digit ? text[n] - '0' : c - 'a' + 10);
	}
	if (n == 0)
		return reader_fail_value(r, at, name, expected);
	*(le64 *)to = le64_put(value);
	return 0;
}

static int read_id(struct reader *r, const struct json_token *at, const char *name, u8 *id)
{
	static const char *const names[] = {"low", "high", NULL};
	u32 seen = 0;

	if (at->type != JSON_OBJECT)
		return reader_fail_value(r, at, name,
					 "an object {\"high\": \"0x...\", \"low\": \"0x...\"}");
	for (struct member m = member_first(&r->json, at); m.left; member_next(&r->json, &m)) {
		int i = reader_key_index(r, m.key, name, names), err;

		if (i < 0)
			return i;
		if (seen & 1u << i)
			return reader_fail(r, m.key, name, "'%s' is given twice", names[i]);
		seen |= 1u << i;
		err = read_hex64(r, m.value, name, id + 8 * i);
		if (err < 0)
			return err;
	}
	if (seen != 3)
		return reader_fail(r, at, name, "needs both 'high' and 'low'");
	return 0;
}

static int read_value(struct reader *r, const struct row *row, const char *name,
		      const struct json_token *at, struct slot *slot)
{
	bool flag = false;
	int err = 0;

	switch (row->kind) {
	case KIND_SIZE: return reader_size(r, at, name, row->min, row->max, &slot->number);
	case KIND_TEMPLATE_SIZE: return read_template_size(r, at, name, row, &slot->number);
	case KIND_NUMBER: return reader_number(r, at, name, row->min, row->max, &slot->number);
	case KIND_OFF_NUMBER: return read_off_number(r, at, name, row, &slot->number);
	case KIND_ID: return read_id(r, at, name, slot->id);
	case KIND_STRINGS:
		if (at->type != JSON_ARRAY)
			return reader_fail_value(r, at, name, "a list of strings");
		return 0;
	case KIND_BOOL:
		err = reader_bool(r, at, name, &flag);
		slot->number = flag;
		return err;
	}
	return -EINVAL;
}

static int read_section(struct reader *r, enum section section, const struct json_token *at,
			struct settings *s)
{
	const char *names[FIELD_COUNT + 1];
	int index[FIELD_COUNT];
	int count = 0;

	if (at->type != JSON_OBJECT)
		return reader_fail_value(r, at, section_names[section], "an object");
	for (int f = 0; f < FIELD_COUNT; f++) {
		if (rows[f].section == section) {
			index[count] = f;
			names[count++] = rows[f].name;
		}
	}
	names[count] = NULL;
	for (struct member m = member_first(&r->json, at); m.left; member_next(&r->json, &m)) {
		int i = reader_key_index(r, m.key, section_names[section], names), err;
		struct slot *slot;
		char name[64];

		if (i < 0)
			return i;
		fmt_snprintf(name, sizeof(name), "%s.%s", section_names[section], names[i]);
		slot = &s->slots[index[i]];
		if (slot->at)
			return reader_fail(r, m.key, name, "is given twice");
		slot->at = m.value;
		err = read_value(r, &rows[index[i]], name, m.value, slot);
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_top(struct reader *r, struct settings *s)
{
	const struct json_token *root = &r->json.tokens[0];
	u32 seen = 0;

	if (root->type != JSON_OBJECT)
		return reader_fail_value(r, root, "the configuration", "an object");
	for (struct member m = member_first(&r->json, root); m.left; member_next(&r->json, &m)) {
		int i = reader_key_index(r, m.key, "", section_names), err = 0;

		if (i < 0)
			return i;
		if (seen & 1u << i)
			return reader_fail(r, m.key, section_names[i], "is given twice");
		seen |= 1u << i;
		if (i == TOP_ENTRY_POINTS)
			s->entry_points = m.value;
		else if (i == TOP_ENTRY_ARGS)
			s->entry_args = m.value;
		else if (i == TOP_MOUNT)
			s->mount = m.value;
		else
			err = read_section(r, (enum section)i, m.value, s);
		if (err < 0)
			return err;
	}
	return 0;
}

static u64 number_of(const struct settings *s, enum field f)
{
	return s->slots[f].at ? s->slots[f].number : rows[f].initial;
}

/* `max`, where given, says the size; without dynamic memory there is only one. */
static u64 larger_of(const struct settings *s, enum field size, enum field max)
{
	return s->slots[max].at ? s->slots[max].number : number_of(s, size);
}

static int apply_limits(struct reader *r, const struct settings *s)
{
	struct occlum_config *c = r->config;

	c->user_space_size = larger_of(s, USER_SPACE_SIZE, USER_SPACE_MAX_SIZE);
	c->kernel_heap_size = larger_of(s, KERNEL_HEAP_SIZE, KERNEL_HEAP_MAX_SIZE);
	c->kernel_stack_size = number_of(s, KERNEL_STACK_SIZE);
	c->max_threads = (u32)number_of(s, MAX_THREADS);
	c->default_stack_size = number_of(s, STACK_SIZE);
	c->default_heap_size = number_of(s, HEAP_SIZE);
	c->default_mmap_size = number_of(s, MMAP_SIZE);
	c->uid = (u32)number_of(s, PROCESS_UID);
	c->gid = (u32)number_of(s, PROCESS_GID);
	if (number_of(s, INIT_THREADS) > c->max_threads)
		return reader_fail(r, s->slots[INIT_THREADS].at,
				   "resource_limits.init_num_of_threads",
				   "must not be above max_num_of_threads (%u)", c->max_threads);
	if (c->kernel_heap_size + c->max_threads * c->kernel_stack_size > LIMIT_KERNEL_ZONE)
		return reader_fail(
			r, s->slots[MAX_THREADS].at, "resource_limits.max_num_of_threads",
			"the kernel's heap and %u stacks of kernel_space_stack_size need more "
			"than the 3.5GB that they share; lower one of the three",
			c->max_threads);
	return 0;
}

static int apply_metadata(struct reader *r, const struct settings *s)
{
	struct occlum_config *c = r->config;

	c->product_id = (u16)number_of(s, PRODUCT_ID);
	c->version_number = (u16)number_of(s, VERSION_NUMBER);
	c->debuggable = number_of(s, DEBUGGABLE);
	r->debuggable = c->debuggable;
	/* The safe value is the default of a release. */
	c->disable_log = s->slots[DISABLE_LOG].at ? s->slots[DISABLE_LOG].number : !c->debuggable;
	c->strict_memory =
		s->slots[STRICT_MEMORY].at ? s->slots[STRICT_MEMORY].number : !c->debuggable;
	c->enable_posix_shm = number_of(s, ENABLE_POSIX_SHM);
	c->enable_kss = number_of(s, ENABLE_KSS);
	c->provision_key = number_of(s, PROVISION_KEY);
	for (int f = FAMILY_ID; f <= EXT_PROD_ID; f++) {
		if (s->slots[f].at && !c->enable_kss &&
		    !mem_is_zero(s->slots[f].id, sizeof(s->slots[f].id)))
			return reader_fail(r, s->slots[f].at, "metadata",
					   "'%s' has no effect unless 'enable_kss' is true",
					   rows[f].name);
	}
	memcpy(c->family_id, s->slots[FAMILY_ID].id, sizeof(c->family_id));
	memcpy(c->ext_prod_id, s->slots[EXT_PROD_ID].id, sizeof(c->ext_prod_id));
	return 0;
}

/* Where the same NAME is among the first `count` ("NAME" or "NAME=value"); if not: `count`. */
static u32 find_name(const char *const *list, u32 count, const char *variable)
{
	const char *equals = strchr(variable, '=');
	size_t len = equals ? (size_t)(equals - variable) : strlen(variable);

	for (u32 i = 0; i < count; i++) {
		if (strncmp(list[i], variable, len) == 0 &&
		    (list[i][len] == '=' || list[i][len] == '\0'))
			return i;
	}
	return count;
}

/* The last value of a variable counts, so that a list is extended by adding to it. */
static int read_variables(struct reader *r, const struct json_token *list, const char *name,
			  bool with_value, const char **to, u32 *count)
{
	const char *expected = with_value ? "a string \"NAME=value\"" : "the name of a variable";

	*count = 0;
	for (struct element e = element_first(&r->json, list); e.left; element_next(&r->json, &e)) {
		const char *text, *equals;
		u32 at;
		int err = reader_string(r, e.value, name, expected, &text);

		if (err < 0)
			return err;
		equals = strchr(text, '=');
		if (with_value ? !equals || equals == text : equals != NULL)
			return reader_fail_value(r, e.value, name, expected);
		at = find_name(to, *count, text);
		if (at == CONFIG_ENV_MAX)
			return reader_fail(r, e.value, name, "more than %d variables",
					   CONFIG_ENV_MAX);
		to[at] = text;
		*count = MAX(*count, at + 1);
	}
	return 0;
}

static int apply_env(struct reader *r, const struct settings *s)
{
	static const char *const usual[] = {
		"OCCLUM=yes",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
	};
	struct occlum_config *c = r->config;
	int err = 0;

	if (s->slots[ENV_DEFAULT].at) {
		err = read_variables(r, s->slots[ENV_DEFAULT].at, "env.default", true,
				     c->env_default, &c->env_default_count);
	} else {
		memcpy(c->env_default, usual, sizeof(usual));
		c->env_default_count = ARRAY_SIZE(usual);
	}
	if (err == 0 && s->slots[ENV_UNTRUSTED].at)
		err = read_variables(r, s->slots[ENV_UNTRUSTED].at, "env.untrusted", false,
				     c->env_untrusted, &c->env_untrusted_count);
	return err;
}

static int read_path(struct reader *r, const struct json_token *at, const char *name,
		     const char **ret)
{
	const char *expected = "an absolute path without '.', '..' or a slash at its end";
	int err = reader_string(r, at, name, expected, ret);

	if (err < 0)
		return err;
	return config_path_is_plain(*ret) ? 0 : reader_fail_value(r, at, name, expected);
}

static int apply_entry_points(struct reader *r, const struct json_token *list)
{
	struct config_stage *app = &r->config->app;

	if (!list) {
		app->entry_points[0] = "/bin";
		app->entry_point_count = 1;
		return 0;
	}
	if (list->type != JSON_ARRAY || list->count == 0)
		return reader_fail_value(r, list, "entry_points", "a list of at least one path");
	for (struct element e = element_first(&r->json, list); e.left; element_next(&r->json, &e)) {
		int err;

		if (app->entry_point_count == CONFIG_ENTRY_POINTS_MAX)
			return reader_fail(r, e.value, "entry_points", "more than %d paths",
					   CONFIG_ENTRY_POINTS_MAX);
		err = read_path(r, e.value, "entry_points",
				&app->entry_points[app->entry_point_count]);
		if (err < 0)
			return err;
		app->entry_point_count++;
	}
	return 0;
}

static int read_patterns(struct reader *r, const struct json_token *list,
			 struct config_entry_args *to)
{
	if (list->type != JSON_ARRAY)
		return reader_fail_value(r, list, "entry_args", "a list of argument patterns");
	for (struct element e = element_first(&r->json, list); e.left; element_next(&r->json, &e)) {
		const char **slot = &to->patterns[to->pattern_count];
		int err;

		if (to->pattern_count == CONFIG_ARG_PATTERNS_MAX)
			return reader_fail(r, e.value, "entry_args", "more than %d patterns",
					   CONFIG_ARG_PATTERNS_MAX);
		if (e.value->type == JSON_STRING && e.value->start == e.value->end) {
			*slot = "";
		} else {
			err = reader_string(r, e.value, "entry_args", "a string", slot);
			if (err < 0)
				return err;
		}
		to->pattern_count++;
	}
	return 0;
}

static int apply_entry_args(struct reader *r, const struct json_token *at)
{
	struct occlum_config *c = r->config;

	if (!at)
		return 0;
	if (at->type != JSON_OBJECT)
		return reader_fail_value(r, at, "entry_args",
					 "an object {\"/path\": [\"pattern\", ...], ...}");
	for (struct member m = member_first(&r->json, at); m.left; member_next(&r->json, &m)) {
		struct config_entry_args *e = &c->entry_args[c->entry_args_count];
		int err;

		if (c->entry_args_count == CONFIG_ENTRY_ARGS_MAX)
			return reader_fail(r, m.key, "entry_args", "more than %d programs",
					   CONFIG_ENTRY_ARGS_MAX);
		err = read_path(r, m.key, "entry_args", &e->path);
		if (err < 0)
			return err;
		for (u32 i = 0; i < c->entry_args_count; i++) {
			if (str_equal(c->entry_args[i].path, e->path))
				return reader_fail(r, m.key, "entry_args", "'%s' is given twice",
						   e->path);
		}
		c->entry_args_count++;
		err = read_patterns(r, m.value, e);
		if (err < 0)
			return err;
	}
	return 0;
}

int settings_read(struct occlum_config *ret, const char *text, size_t size,
		  struct settings_memory *memory, struct settings_error *error)
{
	struct reader r = {.memory = memory, .error = error, .config = ret};
	struct settings s;
	int err;

	memset(ret, 0, sizeof(*ret));
	memset(&s, 0, sizeof(s));
	memory->used = 0;
	*error = (struct settings_error){.line = 0};
	err = json_parse(&r.json, text, size, memory->tokens, memory->token_max);
	if (err < 0) {
		error->line = r.json.error_line;
		str_copy(error->text, r.json.error, sizeof(error->text));
		return err;
	}
	err = read_top(&r, &s);
	if (err == 0)
		err = apply_limits(&r, &s);
	if (err == 0)
		err = apply_metadata(&r, &s);
	if (err == 0)
		err = apply_env(&r, &s);
	if (err == 0)
		err = apply_entry_points(&r, s.entry_points);
	if (err == 0)
		err = apply_entry_args(&r, s.entry_args);
	if (err == 0)
		err = settings_mounts(&r, s.mount);
	return err;
}

static void pin_stage(struct config_stage *stage, const u8 *digest, enum config_image_type type)
{
	struct config_volume *image = &stage->mounts[0].layers[0];

	memcpy(image->digest, digest, sizeof(image->digest));
	image->image_type = type;
	for (u32 i = 1; i < stage->mounts[0].layer_count; i++) {
		struct config_volume *v = &stage->mounts[0].layers[i];

		if (v->role == CONFIG_ROLE_ROOT)
			v->image_type = type == CONFIG_IMAGE_ENCRYPTED ? type : 0;
	}
}

void settings_pin(struct occlum_config *config, const u8 *init_digest, const u8 *app_digest,
		  enum config_image_type app_type)
{
	pin_stage(&config->init, init_digest, CONFIG_IMAGE_INTEGRITY);
	pin_stage(&config->app, app_digest, app_type);
}
