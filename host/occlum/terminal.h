/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the terminal that a program is started on. */
#pragma once

/* Remembers those of the first standard stream that is a terminal. */
void terminal_save(void);

/* Puts them back where we are in the foreground; for a program that had no chance to do it. */
void terminal_restore(void);
