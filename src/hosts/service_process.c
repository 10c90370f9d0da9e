// SPDX-License-Identifier: MIT
// service_process: starts, asks, kills and reaps ebpfsvc. Invariant under the lock: pid > 0 exactly while a
// child is neither reaped nor given up, and then fd is our end of its socket.
#include "hosts/service_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hosts/wire.h"
#include "plat/plat.h"
#include "service/service.h"

#define SERVICE_FD 3 // where the child finds its socket

extern char **environ;

struct service_process {
    struct plat_mutex lock;
    struct service_process_options options;
    pid_t pid;
    int fd;
    uint32_t cookie;
};

// --- starting and ending -------------------------------------------------------------------------

// Own process group, so that a Ctrl-C meant for the daemon lets the daemon end it; no signal stays blocked or
// ignored.
static int spawn(const char *path, int child_fd, pid_t *pid)
{
    char *argv[] = {(char *)(uintptr_t)"ebpfsvc", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return err;
    }
    err = posix_spawnattr_init(&attributes);
    if (err != 0) {
        goto undo_actions;
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    err = posix_spawn_file_actions_adddup2(&actions, child_fd, SERVICE_FD);
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
    case ENOENT:
    case EACCES:
    case ENOEXEC:
    case ENOTDIR: return EBPF_FILE_NOT_FOUND;
    case EMFILE:
    case ENFILE: return EBPF_OUT_OF_SPACE;
    default: return EBPF_NO_MEMORY;
    }
}

static ebpf_result_t start(struct service_process *s)
{
    int pair[2], err;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return from_errno(errno);
    }
    err = spawn(s->options.path, pair[1], &s->pid);
    close(pair[1]);
    if (err != 0) {
        close(pair[0]);
        s->pid = 0;
        return from_errno(err);
    }
    s->fd = pair[0];
    return EBPF_SUCCESS;
}

// Ends the child, if there is one; returns its wait status.
static int stop(struct service_process *s)
{
    int status = 0;
    if (s->pid == 0) {
        return 0;
    }
    close(s->fd);
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR) {
    }
    s->pid = 0;
    return status;
}

// Whether the child is there and quiet; one that died or talks out of turn while idle is no reason to fail a
// load.
static bool is_idle(const struct service_process *s)
{
    struct pollfd fd = {s->fd, POLLIN, 0};
    return s->pid != 0 && poll(&fd, 1, 0) == 0;
}

static ebpf_result_t ensure_running(struct service_process *s)
{
    if (is_idle(s)) {
        return EBPF_SUCCESS;
    }
    stop(s);
    return start(s);
}

ebpf_result_t service_process_create(const struct service_process_options *options,
                                     struct service_process **out)
{
    ebpf_result_t result;
    struct service_process *s = plat_alloc(sizeof(*s), POOL_TAG_CORE);
    if (s == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->options = *options;
    TRY_OR(result, start(s), undo_service);
    plat_mutex_init(&s->lock);
    *out = s;
    return EBPF_SUCCESS;

undo_service:
    plat_free(s);
    return result;
}

void service_process_destroy(struct service_process *s)
{
    stop(s);
    plat_mutex_fini(&s->lock);
    plat_free(s);
}

// --- asking --------------------------------------------------------------------------------------

static bool is_stopped(const struct service_process *s)
{
    struct pollfd fd = {s->options.stop_fd, POLLIN, 0};
    return poll(&fd, 1, 0) != 0;
}

static ebpf_result_t ask(struct service_process *s, const void *request, size_t size,
                         struct wire_message *reply)
{
    struct wire w = {.fd = s->fd,
                     .stop_fd = s->options.stop_fd,
                     .idle_ms = s->options.timeout_ms,
                     .message_ms = s->options.timeout_ms};
    TRY(wire_send(&w, request, size, -1));
    ebpf_result_t result = wire_receive(&w, reply);
    // Its end of the stream is an end within our exchange, unless we were told to stop.
    return result == EBPF_CANCELED && !is_stopped(s) ? EBPF_RPC_EXCEPTION : result;
}

static ebpf_result_t take_reply(const struct wire_message *reply, uint32_t cookie, struct arena *arena,
                                struct core_verdict *out)
{
    struct proto_header header;
    struct service_verdict v;
    void *copy = arena_copy(arena, reply->bytes, reply->size);
    if (copy == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(&header, copy, sizeof(header));
    if (header.cookie != cookie || service_decode(copy, reply->size, &v) != EBPF_SUCCESS) {
        return EBPF_INVALID_ARGUMENT;
    }
    *out = (struct core_verdict){.result = v.result,
                                 .evidence = {v.evidence, v.evidence_size},
                                 .text = v.text,
                                 .json = v.json,
                                 .states = v.states,
                                 .peak_kb = v.peak_kb,
                                 .time_us = v.time_us};
    return EBPF_SUCCESS;
}

// Asks the running service and gives its verdict.
static ebpf_result_t judge(struct service_process *s, uint8_t *request, size_t size, struct arena *arena,
                           struct core_verdict *out)
{
    struct proto_header header;
    struct wire_message reply;
    memcpy(&header, request, sizeof(header));
    header.objects = 0; // references stay here
    header.cookie = ++s->cookie;
    memcpy(request, &header, sizeof(header));
    TRY(ask(s, request, size, &reply));
    ebpf_result_t result = take_reply(&reply, header.cookie, arena, out);
    wire_message_fini(&reply);
    return result;
}

// --- when it fails -------------------------------------------------------------------------------

static void describe_death(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        str_format(text, size, "the verification service crashed (signal %d) while it judged this program",
                   WTERMSIG(status));
    } else if (WIFEXITED(status)) {
        str_format(text, size, "the verification service ended (status %d) while it judged this program",
                   WEXITSTATUS(status));
    } else {
        str_copy(text, size, "the verification service was killed while it judged this program");
    }
}

static void give_up(struct service_process *s, ebpf_result_t result, struct arena *arena,
                    struct core_verdict *out)
{
    char text[200];
    int status = stop(s);
    switch (result) {
    case EBPF_TIMEOUT:
        str_format(text, sizeof(text), "the verification took longer than %u ms", s->options.timeout_ms);
        break;
    case EBPF_CANCELED: str_copy(text, sizeof(text), "the daemon is ending"); break;
    case EBPF_NO_MEMORY: str_copy(text, sizeof(text), "no memory for the verdict"); break;
    case EBPF_RPC_EXCEPTION: describe_death(status, text, sizeof(text)); break;
    default:
        result = EBPF_RPC_EXCEPTION;
        str_copy(text, sizeof(text), "the verification service did not answer as it should");
        break;
    }
    size_t used = str_len(text);
    str_format(text + used, sizeof(text) - used, "%s\n",
               result == EBPF_CANCELED ? "" : "; the next load starts it again");
    char *copy = arena_strdup(arena, text);
    *out = (struct core_verdict){.result = result, .text = copy != NULL ? copy : "", .json = "[]"};
}

static void refuse_start(const struct service_process *s, ebpf_result_t result, struct arena *arena,
                         struct core_verdict *out)
{
    char text[300];
    str_format(text, sizeof(text), "the verification service %s cannot be started: %s\n", s->options.path,
               result_row(result)->sentence);
    char *copy = arena_strdup(arena, text);
    *out =
        (struct core_verdict){.result = EBPF_RPC_EXCEPTION, .text = copy != NULL ? copy : "", .json = "[]"};
}

static void judge_locked(struct service_process *s, uint8_t *request, size_t size, struct arena *arena,
                         struct core_verdict *out)
{
    ebpf_result_t result;
    if (is_stopped(s)) {
        give_up(s, EBPF_CANCELED, arena, out);
        return;
    }
    result = ensure_running(s);
    if (result != EBPF_SUCCESS) {
        refuse_start(s, result, arena, out);
        return;
    }
    result = judge(s, request, size, arena, out);
    if (result != EBPF_SUCCESS) {
        give_up(s, result, arena, out);
    }
}

void service_process_judge(struct service_process *s, const void *request, size_t size, struct arena *arena,
                           struct core_verdict *out)
{
    uint8_t *copy = arena_copy(arena, request, size);
    if (copy == NULL) {
        *out = (struct core_verdict){.result = EBPF_NO_MEMORY, .text = "", .json = "[]"};
        return;
    }
    plat_mutex_acquire(&s->lock);
    judge_locked(s, copy, size, arena, out);
    plat_mutex_release(&s->lock);
}
