// SPDX-License-Identifier: MIT
// service_worker on Linux: a child process with one end of a socket pair. Invariant: a worker is neither
// reaped nor given up before worker_end.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hosts/sandbox_linux.h"
#include "hosts/service_worker.h"
#include "hosts/wire.h"
#include "plat/plat.h"

#define SERVICE_FD 3 // where the child finds its socket

extern char **environ;

struct worker {
    const struct worker_options *options;
    pid_t pid;
    int fd; // our end of its socket
};

struct worker_gate {
    int places; // eventfd, counts free places
};

// --- starting ------------------------------------------------------------------------------------

// Own process group, so that a Ctrl-C meant for the daemon lets the daemon end it; no signal stays blocked or
// ignored.
static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

// `argument` NULL: none. `child_fd` -1: no socket.
static int spawn(const char *path, const char *argument, int child_fd, pid_t *pid)
{
    char *argv[] = {(char *)(uintptr_t)"ebpfsvc", (char *)(uintptr_t)argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return err;
    }
    err = posix_spawnattr_init(&attributes);
    if (err != 0) {
        goto undo_actions;
    }
    set_attributes(&attributes);
    err = child_fd >= 0 ? posix_spawn_file_actions_adddup2(&actions, child_fd, SERVICE_FD) : 0;
    if (err == 0) {
        err = posix_spawn(pid, path, &actions, &attributes, argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
undo_actions:
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

static ebpf_result_t from_errno(int err)
{
    switch (err) {
    case 0: return EBPF_SUCCESS;
    case EACCES: return EBPF_ACCESS_DENIED;
    case ENOENT:
    case ENOEXEC:
    case ENOTDIR: return EBPF_FILE_NOT_FOUND;
    case EMFILE:
    case ENFILE: return EBPF_OUT_OF_SPACE;
    default: return EBPF_NO_MEMORY;
    }
}

static int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

ebpf_result_t worker_check(const struct worker_options *options)
{
    pid_t pid = 0;
    if (options->unconfined) {
        return EBPF_SUCCESS;
    }
    TRY(from_errno(spawn(options->path, SANDBOX_CHECK_OPTION, -1, &pid)));
    int status = reap(pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == SANDBOX_EXIT_STATUS ? EBPF_OPERATION_NOT_SUPPORTED
                                                                           : EBPF_SUCCESS;
}

ebpf_result_t worker_start(const struct worker_options *options, struct worker **out)
{
    int pair[2];
    ebpf_result_t result;
    struct worker *w = plat_alloc(sizeof(*w), POOL_TAG_CORE);
    if (w == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        result = from_errno(errno);
        goto undo_worker;
    }
    result =
        from_errno(spawn(options->path, options->unconfined ? SANDBOX_OFF_OPTION : NULL, pair[1], &w->pid));
    close(pair[1]);
    if (result != EBPF_SUCCESS) {
        goto undo_socket;
    }
    w->options = options;
    w->fd = pair[0];
    *out = w;
    return EBPF_SUCCESS;

undo_socket:
    close(pair[0]);
undo_worker:
    plat_free(w);
    return result;
}

// --- ending --------------------------------------------------------------------------------------

static void describe_death(int status, char how[WORKER_HOW_SIZE])
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        str_format(how, WORKER_HOW_SIZE, "was ended by its sandbox (signal %d)", WTERMSIG(status));
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        str_format(how, WORKER_HOW_SIZE, "crashed (signal %d)", WTERMSIG(status));
    } else if (WIFEXITED(status)) {
        str_format(how, WORKER_HOW_SIZE, "ended (status %d)", WEXITSTATUS(status));
    } else {
        str_copy(how, WORKER_HOW_SIZE, "was killed");
    }
}

void worker_end(struct worker *w, char how[WORKER_HOW_SIZE])
{
    close(w->fd);
    kill(w->pid, SIGKILL);
    int status = reap(w->pid);
    if (how != NULL) {
        describe_death(status, how);
    }
    plat_free(w);
}

// --- asking --------------------------------------------------------------------------------------

bool worker_is_idle(struct worker *w)
{
    struct pollfd fd = {w->fd, POLLIN, 0};
    return poll(&fd, 1, 0) == 0;
}

static bool is_stopped(const struct worker_options *options)
{
    struct pollfd fd = {(int)options->stop, POLLIN, 0};
    return poll(&fd, 1, 0) != 0;
}

ebpf_result_t worker_ask(struct worker *w, const void *request, size_t size, struct worker_reply *out)
{
    struct wire wire = {.fd = w->fd,
                        .stop_fd = (int)w->options->stop,
                        .idle_ms = w->options->timeout_ms,
                        .message_ms = w->options->timeout_ms};
    struct wire_message reply;
    TRY(wire_send(&wire, request, size, -1));
    ebpf_result_t result = wire_receive(&wire, &reply);
    if (result == EBPF_CANCELED && !is_stopped(w->options)) {
        return EBPF_RPC_EXCEPTION; // its end of the stream is an end within our exchange
    }
    TRY(result);
    wire_message_close_fds(&reply);
    out->bytes = reply.bytes;
    out->size = reply.size;
    return EBPF_SUCCESS;
}

// --- gate ----------------------------------------------------------------------------------------

ebpf_result_t worker_gate_create(unsigned places, struct worker_gate **out)
{
    struct worker_gate *gate = plat_alloc(sizeof(*gate), POOL_TAG_CORE);
    if (gate == NULL) {
        return EBPF_NO_MEMORY;
    }
    gate->places = eventfd(places, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (gate->places < 0) {
        plat_free(gate);
        return EBPF_OUT_OF_SPACE;
    }
    *out = gate;
    return EBPF_SUCCESS;
}

void worker_gate_destroy(struct worker_gate *gate)
{
    close(gate->places);
    plat_free(gate);
}

// Several may see the same free place; the read decides who has it.
ebpf_result_t worker_gate_enter(struct worker_gate *gate, const struct worker_options *options)
{
    uint64_t one;
    for (;;) {
        struct pollfd fds[2] = {{gate->places, POLLIN, 0}, {(int)options->stop, POLLIN, 0}};
        int n = poll(fds, 2, -1);
        if (n > 0 && fds[1].revents != 0) {
            return EBPF_CANCELED;
        }
        if (n > 0 && read(gate->places, &one, sizeof(one)) == sizeof(one)) {
            return EBPF_SUCCESS;
        }
    }
}

void worker_gate_leave(struct worker_gate *gate)
{
    uint64_t one = 1;
    if (write(gate->places, &one, sizeof(one)) != sizeof(one)) {
        return; // cannot happen: the count never exceeds what it began with
    }
}
