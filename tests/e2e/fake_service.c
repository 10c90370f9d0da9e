// SPDX-License-Identifier: MIT
// fake_service: a verification service that misbehaves as the file that $EBPF_FAKE_SERVICE_MODE names says,
// looked at anew with every request. Tests give it to ebpfd as --service.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosts/sandbox_linux.h"
#include "hosts/wire.h"
#include "plat/plat.h"
#include "service/service.h"

static void read_mode(char mode[32])
{
    const char *path = getenv("EBPF_FAKE_SERVICE_MODE");
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    mode[0] = 0;
    if (file != NULL) {
        if (fgets(mode, 32, file) == NULL) {
            mode[0] = 0;
        }
        fclose(file);
    }
}

// Says that a request is here, and never answers it.
static void announce_and_hang(void)
{
    FILE *file = fopen(getenv("EBPF_FAKE_SERVICE_MODE"), "w");
    if (file != NULL) {
        fputs("hanging", file);
        fclose(file);
    }
    pause();
}

static void answer(const struct wire *w, const struct wire_message *request, const char *mode)
{
    static const uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, 99, 0}; // of some other program
    struct service_verdict verdict;
    struct proto_header header;
    struct arena arena;
    size_t size = 0;
    arena_init(&arena, plat_mem_source(), 0);
    memcpy(&header, request->bytes, sizeof(header));
    service_verify(spec_builtin(), request->bytes, request->size, &arena, &verdict);
    if (strcmp(mode, "lie") == 0) {
        verdict.result = EBPF_SUCCESS;
        verdict.evidence = (const uint8_t *)evidence;
        verdict.evidence_size = sizeof(evidence);
    }
    if (strcmp(mode, "cookie") == 0) {
        header.cookie++;
    }
    void *reply = service_encode(&verdict, header.cookie, &arena, &size);
    if (strcmp(mode, "cut") == 0) {
        size -= 3; // and then ends
    }
    if (wire_send(w, reply, size, -1) != EBPF_SUCCESS || strcmp(mode, "cut") == 0) {
        exit(0);
    }
    arena_fini(&arena);
}

int main(int argc, char **argv)
{
    struct wire w = {.fd = 3, .stop_fd = -1};
    struct wire_message request;
    if (argc > 1 && strcmp(argv[1], SANDBOX_CHECK_OPTION) == 0) {
        char mode[32];
        read_mode(mode);
        return strcmp(mode, "unconfinable") == 0 ? SANDBOX_EXIT_STATUS : 0;
    }
    if (plat_init() != EBPF_SUCCESS) {
        return 1;
    }
    while (wire_receive(&w, &request) == EBPF_SUCCESS) {
        char mode[32];
        read_mode(mode);
        if (strcmp(mode, "crash") == 0) {
            signal(SIGSEGV, SIG_DFL);
            raise(SIGSEGV);
        } else if (strcmp(mode, "exit") == 0) {
            exit(3);
        } else if (strcmp(mode, "hang") == 0) {
            pause();
        } else if (strcmp(mode, "announce") == 0) {
            announce_and_hang();
        } else if (strcmp(mode, "garbage") == 0) {
            if (wire_send(&w, "this is no message of the protocol", 34, -1) != EBPF_SUCCESS) {
                exit(1);
            }
        } else {
            answer(&w, &request, mode);
        }
        wire_message_fini(&request);
    }
    plat_fini();
    return 0;
}
