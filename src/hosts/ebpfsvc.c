// SPDX-License-Identifier: MIT
// ebpfsvc: the verification service as a process: reads load requests from the socket that ebpfd gave it,
// judges them, writes verdicts. It opens nothing and keeps nothing; before the first byte it gives up what it
// does not need and enters its sandbox (sandbox_linux.h).
#define _GNU_SOURCE // close_range, setresuid, setresgid
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts/sandbox_linux.h"
#include "hosts/service_judge.h"
#include "hosts/wire.h"
#include "plat/plat.h"

#define SERVICE_FD 3 // where ebpfd puts the socket
#define NOBODY     65534

// Sanitizers map terabytes of shadow memory and look at the process when it ends.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

// A limit that is lower already stays: only root could raise it.
static ebpf_result_t limit(int resource, rlim_t value)
{
    struct rlimit l;
    if (getrlimit(resource, &l) != 0) {
        return EBPF_ACCESS_DENIED;
    }
    l.rlim_max = l.rlim_max < value ? l.rlim_max : value; // RLIM_INFINITY is the highest value
    l.rlim_cur = l.rlim_max;
    return setrlimit(resource, &l) == 0 ? EBPF_SUCCESS : EBPF_ACCESS_DENIED;
}

// Root gives up its identity; in a user namespace without that user it keeps the namespace's root, which is
// little.
static void drop_root(void)
{
    if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
        setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        fprintf(stderr, "ebpfsvc: keeps its user: %s\n", strerror(errno));
    }
}

static ebpf_result_t drop_rights(void)
{
    TRY(limit(RLIMIT_CORE, 0));
#if !defined(SANITIZED)
    close_range(SERVICE_FD + 1, ~0U,
                0); // what ebpfd was started with; where the kernel has no such call, it stays
    TRY(limit(RLIMIT_NOFILE, SERVICE_FD + 1));
    TRY(limit(RLIMIT_AS, SERVICE_WORKER_MEMORY));
    drop_root();
#else
    UNUSED(drop_root);
#endif
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? EBPF_SUCCESS : EBPF_ACCESS_DENIED;
}

static ebpf_result_t answer(const struct wire *w, const struct wire_message *request)
{
    struct arena arena;
    size_t size = 0;
    arena_init(&arena, plat_mem_source(), 0);
    void *reply = service_judge(request->bytes, request->size, &arena, &size);
    ebpf_result_t result = reply != NULL ? wire_send(w, reply, size, -1) : EBPF_NO_MEMORY;
    arena_fini(&arena);
    return result;
}

// Until the daemon closes its end.
static ebpf_result_t serve(void)
{
    struct wire w = {.fd = SERVICE_FD, .stop_fd = -1};
    for (;;) {
        struct wire_message request;
        TRY(wire_receive(&w, &request));
        ebpf_result_t result = answer(&w, &request);
        wire_message_fini(&request);
        TRY(result);
    }
}

static int run(bool confined)
{
    ebpf_result_t result = drop_rights();
    if (result != EBPF_SUCCESS) {
        fprintf(stderr, "ebpfsvc: cannot give up rights: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    if (confined && sandbox_enter(SERVICE_FD) != EBPF_SUCCESS) {
        return SANDBOX_EXIT_STATUS;
    }
    result = serve();
    return result == EBPF_CANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}

// In the sandbox there is no more to do than to end.
static int check_sandbox(void)
{
    _exit(sandbox_enter(SERVICE_FD) == EBPF_SUCCESS ? EXIT_SUCCESS : SANDBOX_EXIT_STATUS);
}

static bool is_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static bool is_only(int argc, char **argv, const char *option)
{
    return argc == 2 && strcmp(argv[1], option) == 0;
}

static int start(bool confined)
{
    if (plat_init() != EBPF_SUCCESS) {
        fprintf(stderr, "ebpfsvc: cannot start\n");
        return EXIT_FAILURE;
    }
    int status = run(confined);
    plat_fini();
    return status;
}

int main(int argc, char **argv)
{
    bool unconfined = is_only(argc, argv, SANDBOX_OFF_OPTION);
    if (is_only(argc, argv, "--version")) {
        printf("ebpfsvc %s (sandbox: %s)\n", EBPF_VERSION, sandbox_name());
        return EXIT_SUCCESS;
    }
    if (is_only(argc, argv, SANDBOX_CHECK_OPTION)) {
        return check_sandbox();
    }
    if ((argc > 1 && !unconfined) || !is_socket(SERVICE_FD)) {
        fprintf(stderr, "ebpfsvc verifies programs for ebpfd, which starts it.\n"
                        "Usage: ebpfsvc --version | " SANDBOX_CHECK_OPTION "\n");
        return is_only(argc, argv, "--help") ? EXIT_SUCCESS : 2;
    }
    return start(!unconfined);
}
