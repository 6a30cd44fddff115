/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of system calls that never reach a program: what to do after an interrupted wait. A
 * call that had to stop because thread_park() said -EINTR and that changed nothing returns one
 * of these instead of -EINTR; the way back to user mode turns it into a re-dispatch or -EINTR.
 *
 *                          handler with SA_RESTART   handler without   no handler ran
 *   -ERESTARTSYS           run again                 EINTR             run again
 *   -ERESTARTNOINTR        run again                 run again         run again
 *   -ERESTARTNOHAND        EINTR                     EINTR             run again
 *   -ERESTART_RESTARTBLOCK EINTR                     EINTR             sys_restart_syscall()
 *
 * Which one, as on Linux: read/write/wait4/futex without timeout/flock: ERESTARTSYS; poll, select,
 * epoll_wait, pause, sigsuspend: ERESTARTNOHAND (or plain EINTR where Linux says so); relative
 * sleeps and poll with a timeout: set thread->restart, then ERESTART_RESTARTBLOCK.
 */
#pragma once

#define ERESTARTSYS	      512
#define ERESTARTNOINTR	      513
#define ERESTARTNOHAND	      514
#define ERESTART_RESTARTBLOCK 516
