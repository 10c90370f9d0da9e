// SPDX-License-Identifier: MIT
// ebpfsvc: the verification service as a process: reads load requests from the socket that ebpfd gave it,
// judges them, writes verdicts. It opens nothing and keeps nothing; before the first byte it gives up what it
// does not need.
#define _GNU_SOURCE // setresuid, setresgid
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts/wire.h"
#include "plat/plat.h"
#include "service/service.h"
#include "verifier/verifier.h"

#define SERVICE_FD    3                 // where ebpfd puts the socket
#define ADDRESS_SPACE ((rlim_t)3 << 30) // of the process: room for request, verdict and code besides
#define NOBODY        65534

// Sanitizers map terabytes of shadow memory and look at the process when it ends.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static ebpf_result_t limit(int resource, rlim_t value)
{
    struct rlimit l = {value, value};
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
    TRY(limit(RLIMIT_NOFILE, SERVICE_FD + 1));
    TRY(limit(RLIMIT_AS, ADDRESS_SPACE));
    drop_root();
#else
    UNUSED(drop_root);
#endif
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? EBPF_SUCCESS : EBPF_ACCESS_DENIED;
}

static ebpf_result_t answer(const struct wire *w, const struct wire_message *request)
{
    struct arena arena;
    struct service_verdict verdict;
    struct proto_header header;
    uint64_t start = plat_time_ns();
    size_t size = 0;
    memcpy(&header, request->bytes, sizeof(header));
    arena_init(&arena, plat_mem_source(), VERIFY_MEMORY_LIMIT);
    service_verify(spec_builtin(), request->bytes, request->size, &arena, &verdict);
    verdict.time_us = (plat_time_ns() - start) / 1000;
    arena.limit = 0; // the verdict itself must still fit
    void *reply = service_encode(&verdict, header.cookie, &arena, &size);
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

static int run(void)
{
    ebpf_result_t result = drop_rights();
    if (result != EBPF_SUCCESS) {
        fprintf(stderr, "ebpfsvc: cannot give up rights: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    result = serve();
    return result == EBPF_CANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool is_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("ebpfsvc %s\n", EBPF_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc > 1 || !is_socket(SERVICE_FD)) {
        fprintf(stderr, "ebpfsvc verifies programs for ebpfd, which starts it.\nUsage: ebpfsvc --version\n");
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
    }
    if (plat_init() != EBPF_SUCCESS) {
        fprintf(stderr, "ebpfsvc: cannot start\n");
        return EXIT_FAILURE;
    }
    int status = run();
    plat_fini();
    return status;
}
