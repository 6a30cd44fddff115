/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands of occlum. Each gets its own name as argv[0] and returns the exit status. */
#pragma once

#define COMMAND_USAGE 1 /* exit status of wrong usage, as Occlum's */

int command_new(int argc, char **argv);
int command_init(int argc, char **argv);
int command_build(int argc, char **argv);
int command_run(int argc, char **argv);
int command_gen_image_key(int argc, char **argv);
int command_print(int argc, char **argv);
int command_status(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_fsck(int argc, char **argv);
int command_image(int argc, char **argv);
int command_mount(int argc, char **argv);
