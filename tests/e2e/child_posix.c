// SPDX-License-Identifier: MIT
// child_posix: descriptors travel over a pair of sockets, which is the child's standard input.
#define _GNU_SOURCE // MSG_CMSG_CLOEXEC, SOCK_CLOEXEC
#include "tests/e2e/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASK "E2E_CHILD"

static bool send_word(int socket, char word, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {&word, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

// *fd is -1 when none came with the word.
static bool receive_word(int socket, char *word, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {word, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    *fd = -1;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
        return false;
    }
    if (CMSG_FIRSTHDR(&message) != NULL) {
        memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(*fd));
    }
    return true;
}

// --- the parent ----------------------------------------------------------------------------------

static void become(const char *task, int socket)
{
    dup2(socket, STDIN_FILENO);
    setenv(TASK, task, 1);
    execl("/proc/self/exe", "child", (char *)NULL);
    _exit(127);
}

bool child_start(struct child *c, const char *task)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    fflush(NULL);
    c->process = fork();
    if (c->process == 0) {
        become(task, pair[1]);
    }
    close(pair[1]);
    c->to = c->from = pair[0];
    return c->process > 0;
}

bool child_listen(struct child *c)
{
    char word = '-';
    int fd = -1;
    return receive_word((int)c->from, &word, &fd) && word == '+';
}

bool child_take(struct child *c, int *fd)
{
    char word = '-';
    return receive_word((int)c->from, &word, fd) && *fd >= 0;
}

bool child_give(struct child *c, int fd)
{
    return send_word((int)c->to, '+', fd);
}

int child_join(struct child *c)
{
    int status = -1;
    waitpid((pid_t)c->process, &status, 0);
    close((int)c->to);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void child_kill(struct child *c)
{
    kill((pid_t)c->process, SIGKILL);
    child_join(c);
}

// --- the child -----------------------------------------------------------------------------------

const char *child_task(void)
{
    return getenv(TASK);
}

void child_say(bool good)
{
    if (!send_word(STDIN_FILENO, good ? '+' : '-', -1)) {
        _exit(3);
    }
}

bool child_send(int fd)
{
    return send_word(STDIN_FILENO, '+', fd);
}

bool child_receive(int *fd)
{
    char word = '-';
    return receive_word(STDIN_FILENO, &word, fd) && *fd >= 0;
}

void child_rest(void)
{
    for (;;) {
        pause();
    }
}
