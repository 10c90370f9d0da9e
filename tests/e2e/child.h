// SPDX-License-Identifier: MIT
// child: a second process of a test: the same executable started again, with what it is to do in its
// environment. Parent and child exchange one word or one descriptor at a time. child_posix.c,
// child_windows.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct child {
    intptr_t process;  // id, or handle
    intptr_t to, from; // pipes, or one end of a pair of sockets twice
};

// --- the parent ----------------------------------------------------------------------------------

bool child_start(struct child *c, const char *task);
// Waits for the child's next word. False: it has said that something is wrong, or has ended.
bool child_listen(struct child *c);
// Waits for a descriptor from the child; it is the caller's then.
bool child_take(struct child *c, int *fd);
// Gives the child a copy, which it has from now on, whether it looks for it or not.
bool child_give(struct child *c, int fd);
// Ends it without warning (SIGKILL, TerminateProcess), and waits for its end.
void child_kill(struct child *c);
int child_join(struct child *c); // waits for its end; exit status, or -1 when it was killed

// --- the child -----------------------------------------------------------------------------------

const char *child_task(void); // NULL: this process is none
void child_say(bool good);
bool child_send(int fd);     // what child_take takes
bool child_receive(int *fd); // what child_give gave
void child_rest(void);       // until it is killed
