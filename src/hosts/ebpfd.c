// SPDX-License-Identifier: MIT
// ebpfd: the execution context as a process: the kernel's part on a Linux machine. It wires the pieces
// together and waits for what happens: clients (session.c), closed descriptors (handles.h), signals. It
// verifies nothing itself.
//
// Threads: this one; one a client; the TAP bridge's. Signals are read from a descriptor and interrupt nobody.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/core.h"
#include "hosts/code_watch.h"
#include "hosts/digest.h"
#include "hosts/ebpfd_options.h"
#include "hosts/handles.h"
#include "hosts/listener.h"
#include "hosts/module_image.h"
#include "hosts/service_process.h"
#include "hosts/session.h"
#include "hosts/tap.h"
#include "plat/plat.h"

#define CLIENT_LIMIT    256
#define SLOW_CLIENT_MS  30000
#define BUSY_CLIENTS_MS 2000 // how long the end of the daemon waits for runs under way

struct daemon {
    struct ebpfd_options options;
    int trace_fd; // -1: lines are dropped
    int signal_fd, stop_fd;
    struct core *core;
    struct tap_bridge *taps; // NULL until they are made
    struct handles *handles;
    struct service_process *service;
    struct sessions *sessions;
    struct listener listener;
};

// --- callbacks of the core -----------------------------------------------------------------------

// One writev a line, so that lines of several CPUs do not mix.
static void trace(void *user, const char *text)
{
    const struct daemon *d = user;
    struct iovec parts[] = {{(void *)(uintptr_t)text, str_len(text)}, {(void *)(uintptr_t)"\n", 1}};
    if (d->trace_fd >= 0 && writev(d->trace_fd, parts, 2) < 0) {
        return; // a full disk is no reason to stop programs
    }
}

static ebpf_result_t hook_next(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply)
{
    return tap_bridge_hook_next(((struct daemon *)user)->taps, request, reply);
}

// --- pieces --------------------------------------------------------------------------------------

static ebpf_result_t complain(const char *what, ebpf_result_t result)
{
    fprintf(stderr, "ebpfd: %s: %s\n", what, result_row(result)->sentence);
    return result;
}

static ebpf_result_t open_trace(struct daemon *d)
{
    const char *path = d->options.trace;
    d->trace_fd = -1;
    if (path == NULL) {
        return EBPF_SUCCESS;
    }
    d->trace_fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                         : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (d->trace_fd < 0) {
        fprintf(stderr, "ebpfd: %s: %s\n", path, strerror(errno));
        return EBPF_FILE_NOT_FOUND;
    }
    return EBPF_SUCCESS;
}

// Started with a standard stream closed, the next descriptor would take its place, and get what is printed.
static void fill_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

// Before any thread is made, so that all of them leave the signals to signal_fd.
static ebpf_result_t open_signals(struct daemon *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return complain("signals", EBPF_FAILED);
    }
    d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signal_fd >= 0 ? EBPF_SUCCESS : complain("signals", EBPF_OUT_OF_SPACE);
}

// Every client's object is a descriptor here.
static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) != 0) {
            return; // then there are fewer objects
        }
    }
}

static ebpf_result_t make_core(struct daemon *d)
{
    const struct jit_options jit = {
        .passes = JIT_ALL_PASSES, .blind = d->options.jit_blind, .retpoline = d->options.jit_retpoline};
    struct core_options options = {.runtime = {.spec = spec_builtin(),
                                               .jit = &jit,
                                               .trace = trace,
                                               .trace_user = d,
                                               .watch_code = code_watch_from_environment()},
                                   .hasher = {.sha256 = digest_sha256},
                                   .platform = DIALECT_LINUX,
                                   .memory_by_fd = true,
                                   .hook_next = hook_next,
                                   .hook_user = d};
    if (!d->options.no_native) {
        module_image_loader(&options.modules);
    }
    ebpf_result_t result = core_create(&options, &d->core);
    return result == EBPF_SUCCESS ? result : complain("execution context", result);
}

static ebpf_result_t make_service(struct daemon *d)
{
    struct service_process_options options = {.worker = {.path = d->options.service,
                                                         .timeout_ms = d->options.verify_timeout_ms,
                                                         .stop = d->stop_fd,
                                                         .unconfined = d->options.no_sandbox},
                                              .host = "daemon",
                                              .prestart = SERVICE_MAX_WORKERS};
    ebpf_result_t result = service_process_create(&options, &d->service);
    return result == EBPF_SUCCESS ? result : complain(d->options.service, result);
}

static ebpf_result_t make_sessions(struct daemon *d)
{
    struct sessions_options options = {.core = d->core,
                                       .handles = d->handles,
                                       .service = d->service,
                                       .stop_fd = d->stop_fd,
                                       .limit = CLIENT_LIMIT,
                                       .slow_ms = SLOW_CLIENT_MS};
    ebpf_result_t result = sessions_create(&options, &d->sessions);
    return result == EBPF_SUCCESS ? result : complain("sessions", result);
}

// --- the daemon ----------------------------------------------------------------------------------

static void loop(struct daemon *d)
{
    enum { SIGNAL, LISTEN, CLOSED, ENDED, COUNT };
    for (;;) {
        struct pollfd fds[COUNT] = {[SIGNAL] = {d->signal_fd, POLLIN, 0},
                                    [LISTEN] = {d->listener.fd, POLLIN, 0},
                                    [CLOSED] = {handles_poll_fd(d->handles), POLLIN, 0},
                                    [ENDED] = {sessions_poll_fd(d->sessions), POLLIN, 0}};
        if (poll(fds, COUNT, -1) < 0) {
            continue; // EINTR
        }
        if (fds[SIGNAL].revents != 0) {
            return;
        }
        if (fds[ENDED].revents != 0) {
            sessions_reap(d->sessions); // before accepting, so that freed places count
        }
        if (fds[CLOSED].revents != 0) {
            handles_sweep(d->handles);
        }
        if (fds[LISTEN].revents != 0) {
            sessions_accept(d->sessions, d->listener.fd);
        }
    }
}

// Ends the sessions. Test runs give up by themselves; whatever else does not end in time is left undone,
// which the system cleans up as after any death.
static void end_sessions(struct daemon *d)
{
    uint64_t one = 1;
    if (write(d->stop_fd, &one, sizeof(one)) < 0 || !sessions_destroy(d->sessions, BUSY_CLIENTS_MS)) {
        fprintf(stderr, "ebpfd: clients are still busy; ending without them\n");
        service_process_destroy(d->service);
        listener_close(&d->listener);
        fflush(NULL);
        _exit(EXIT_SUCCESS);
    }
}

// The listener comes first, so that a second daemon changes nothing; who connects early waits in its queue.
static ebpf_result_t run_product(struct daemon *d)
{
    ebpf_result_t result;
    const struct ebpfd_options *o = &d->options;
    TRY(listener_open(o->socket, &d->listener));
    TRY_OR(result, make_core(d), undo_listener);
    TRY_OR(result, tap_bridge_create(d->core, o->taps, o->tap_count, &d->taps), undo_core);
    TRY_OR(result, handles_create(&d->handles), undo_taps);
    TRY_OR(result, make_service(d), undo_handles);
    TRY_OR(result, make_sessions(d), undo_service);
    printf("ebpfd: listening on %s\n", o->socket);
    fflush(stdout);
    loop(d);
    end_sessions(d);
undo_service:
    service_process_destroy(d->service);
undo_handles:
    handles_destroy(d->handles);
undo_taps:
    tap_bridge_destroy(d->taps);
undo_core:
    core_destroy(d->core);
undo_listener:
    listener_close(&d->listener);
    return result;
}

static ebpf_result_t run(struct daemon *d)
{
    ebpf_result_t result;
    fill_streams();
    raise_descriptor_limit();
    TRY(open_signals(d));
    TRY_OR(result, open_trace(d), undo_signals);
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->stop_fd < 0) {
        result = complain("start", EBPF_OUT_OF_SPACE);
        goto undo_trace;
    }
    TRY_OR(result, plat_init(), undo_stop);
    result = run_product(d);
    plat_fini();
undo_stop:
    close(d->stop_fd);
undo_trace:
    if (d->trace_fd >= 0) {
        close(d->trace_fd);
    }
undo_signals:
    close(d->signal_fd);
    return result;
}

int main(int argc, char **argv)
{
    static struct daemon d;
    int status = EXIT_SUCCESS;
    if (!ebpfd_options_parse(argc, argv, &d.options, &status)) {
        return status;
    }
    return run(&d) == EBPF_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
