/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands of `occlum image`. All say what is wrong; they return the exit status. */
#pragma once

#include "host/mount/node_stat.h"
#include "host/mount/view.h"

#define IMAGE_ARGUMENTS_MAX 64

struct image_command {
	struct view_options view;
	bool json, recursive, is_long, force;
	int count;
	char *arguments[IMAGE_ARGUMENTS_MAX];
	struct built built;
};

int image_ls(struct image_command *c);
int image_cat(struct image_command *c);
int image_extract(struct image_command *c);
int image_diff(struct image_command *c);
int image_verify(struct image_command *c);
int image_snapshot(struct image_command *c);
int image_scrub(struct image_command *c);
int image_grow(struct image_command *c);
int image_rotate(struct image_command *c);
int image_to_root(struct image_command *c);
int image_label(struct image_command *c);
int image_keys(struct image_command *c);

/* A JSON string of any bytes; those that are not UTF-8 text become \u00XX. */
void print_json(const char *text, size_t len);

/* The path of a volume's object, or what it is called without one. */
void image_object_path(struct secvol *sv, u64 obj, char *path, size_t size);

/* The node at a path of the view, links followed (the last one too if asked). -errno. */
int __must_check image_walk(struct view *v, const char *path, bool follow, struct node **ret);

/*
 * One line at the bottom of stderr, where that is a terminal, while something long goes on: of what
 * is known in size, and of what is not. It is to be ended before anything else is printed.
 */
void image_progress(const char *what, u64 done, u64 total);
void image_progress_count(const char *what, u64 objects, u64 bytes);
void image_progress_end(void);

/* The names of a directory, sorted; free with names_free(). */
struct names {
	char **name;
	size_t count, room;
};
int __must_check names_read(struct node *dir, struct names *ret);
void names_free(struct names *n);
