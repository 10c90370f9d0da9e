// SPDX-License-Identifier: MIT
// The pool of workers over the real verification service: it says what the verifier says in this process, of
// everything in tests/verify and of what is large; many at once, limits, no memory, no program, the end.
#include "hosts/service_process.h"

#include <stdio.h>
#include <stdlib.h>

#include "plat/plat.h"
#include "service/service.h"
#include "tests/test.h"
#include "tests/tiny_program.h"
#include "verifier/case.h"
#include "verifier/verifier.h"

#if defined(_WIN32)
#include <windows.h>
#define WORKER_PATH "Z:" EBPFSVC_PATH // as Wine names it
#else
#include <sys/eventfd.h>
#include <unistd.h>
#define WORKER_PATH EBPFSVC_PATH
#endif

enum {
    ROOM = 4096,
    HEAD = sizeof(struct proto_header) + sizeof(struct proto_prog_load_request),
    CLIENTS = 8
};

static const struct insn good[] = {{.id = INSN_MOV64_IMM, .imm = 1}, {.id = INSN_EXIT}};
static const struct insn bad[] = {{.id = INSN_MOV64_REG, .src = 7}, {.id = INSN_EXIT}}; // r7: never written
static intptr_t stop;

// --- the signal to stop --------------------------------------------------------------------------

static bool make_stop(void)
{
#if defined(_WIN32)
    stop = (intptr_t)CreateEventW(NULL, TRUE, FALSE, NULL);
    return stop != 0;
#else
    stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return stop >= 0;
#endif
}

static void signal_stop(void)
{
#if defined(_WIN32)
    SetEvent((HANDLE)stop);
#else
    uint64_t one = 1;
    CHECK_EQ(write((int)stop, &one, sizeof(one)), sizeof(one));
#endif
}

static void close_stop(void)
{
#if defined(_WIN32)
    CloseHandle((HANDLE)stop);
#else
    close((int)stop);
#endif
}

// --- asking --------------------------------------------------------------------------------------

struct request {
    uint8_t *bytes;
    size_t size;
};

static void make_request(struct request *r, const struct program *p)
{
    r->size = HEAD + proto_program_encode(p, NULL, 0);
    r->bytes = calloc(1, r->size);
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_PROG_LOAD,
                                  .size = (uint32_t)r->size,
                                  .cookie = 5};
    memcpy(r->bytes, &header, sizeof(header));
    proto_program_encode(p, r->bytes + HEAD, r->size - HEAD);
}

static ebpf_result_t create(const char *path, unsigned prestart, struct service_process **out)
{
    struct service_process_options options = {.worker = {.path = path, .timeout_ms = 30000, .stop = stop},
                                              .host = "test",
                                              .workers = 2,
                                              .prestart = prestart};
    return service_process_create(&options, out);
}

// The verdict's result; `text` (NULL allowed) gets the beginning of what it says.
static ebpf_result_t ask(struct service_process *s, const struct insn *insns, char text[128])
{
    struct request r;
    struct arena arena;
    struct core_verdict v;
    struct program p = tiny_program(insns, "p");
    make_request(&r, &p);
    arena_init(&arena, plat_mem_source(), 0);
    service_process_judge(s, r.bytes, r.size, &arena, &v);
    CHECK((v.result == EBPF_SUCCESS) == (v.evidence.size != 0));
    if (text != NULL) {
        str_copy(text, 128, v.text);
    }
    arena_fini(&arena);
    free(r.bytes);
    return v.result;
}

static void verdicts(void)
{
    struct service_process *s = NULL;
    char text[128] = "";
    REQUIRE_OK(create(WORKER_PATH, 1, &s));
    CHECK_OK(ask(s, good, NULL));
    CHECK_EQ(ask(s, bad, text), EBPF_VERIFICATION_FAILED);
    CHECK(str_starts_with(text, "p: r7 "));
    service_process_destroy(s);
}

// --- the same as in this process -----------------------------------------------------------------

static void compare(struct service_process *s, const struct program *p, const char *name)
{
    struct request r;
    struct arena arena, ours;
    struct core_verdict v;
    struct service_verdict expected;
    make_request(&r, p);
    arena_init(&arena, plat_mem_source(), 0);
    arena_init(&ours, plat_mem_source(), VERIFY_MEMORY_LIMIT);
    service_process_judge(s, r.bytes, r.size, &arena, &v);
    service_verify(spec_builtin(), r.bytes, r.size, &ours, &expected);
    if (v.result != expected.result || !str_equal(v.text, expected.text) ||
        !str_equal(v.json, expected.json) || v.evidence.size != expected.evidence_size) {
        test_fail(__FILE__, __LINE__, "%s: %d %s, not %d %s", name, v.result, v.text, expected.result,
                  expected.text);
    }
    CHECK(v.evidence.size == 0 || memcmp(v.evidence.bytes, expected.evidence, v.evidence.size) == 0);
    arena_fini(&ours);
    arena_fini(&arena);
    free(r.bytes);
}

static char *read_cases(const char *name)
{
    enum { SIZE = 1 << 18 };
    char path[512], *text = calloc(1, SIZE);
    str_format(path, sizeof(path), "%s/tests/verify/%s.vt", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && text != NULL && fread(text, 1, SIZE - 1, file) > 0);
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static void everything_in_tests_verify(void)
{
    static const char *const files[] = {"registers", "stack", "packet",   "context", "maps",
                                        "helpers",   "loops", "may_goto", "calls",   "attacks"};
    static struct vt_case c;
    struct service_process *s = NULL;
    unsigned count = 0;
    REQUIRE_OK(create(WORKER_PATH, 1, &s));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const char *error = NULL;
        char *text = read_cases(files[i]);
        for (const char *at = text; case_read(&at, &c, &error); count++) {
            compare(s, &c.program, c.name);
        }
        CHECK(error == NULL);
        free(text);
    }
    CHECK(count > 300);
    service_process_destroy(s);
}

// More than fits into one transfer, and megabytes of memory on both sides.
static void a_large_program(void)
{
    enum { COUNT = 200000 };
    struct service_process *s = NULL;
    struct insn *insns = calloc(COUNT, sizeof(*insns));
    struct func main = {0, COUNT, 0, "main"};
    struct program p = tiny_program(insns, "large");
    for (int i = 0; i < COUNT; i++) {
        insns[i] = (struct insn){.id = INSN_MOV64_IMM, .imm = i};
    }
    insns[COUNT - 1] = (struct insn){.id = INSN_EXIT};
    p.insn_count = main.end;
    p.funcs = &main;
    REQUIRE_OK(create(WORKER_PATH, 1, &s));
    compare(s, &p, "large");
    service_process_destroy(s);
    free(insns);
}

// --- many ----------------------------------------------------------------------------------------

static void ask_often(void *user)
{
    for (int i = 0; i < 20; i++) {
        CHECK_OK(ask(user, good, NULL));
    }
}

static void more_clients_than_workers(void)
{
    struct service_process *s = NULL;
    struct plat_thread *threads[CLIENTS];
    REQUIRE_OK(create(WORKER_PATH, 0, &s));
    for (int i = 0; i < CLIENTS; i++) {
        REQUIRE_OK(plat_thread_create(ask_often, s, &threads[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        plat_thread_join(threads[i]);
    }
    service_process_destroy(s);
}

// --- failures ------------------------------------------------------------------------------------

static void a_missing_program(void)
{
    struct service_process *s = NULL;
    char text[128] = "";
    CHECK_EQ(create("/nonexistent/ebpfsvc", 1, &s), EBPF_FILE_NOT_FOUND);
    CHECK(s == NULL);
    if (create("/nonexistent/ebpfsvc", 0, &s) == EBPF_SUCCESS) { // where it is not looked for before
        CHECK_EQ(ask(s, good, text), EBPF_RPC_EXCEPTION);
        CHECK(str_starts_with(text, "the verification service /nonexistent/ebpfsvc cannot be started: "));
        service_process_destroy(s);
    }
}

// Each allocation fails once; every time there is a verdict, and the pool goes on.
static void memory_may_run_out(void)
{
    struct service_process *s = NULL;
    bool failing = true;
    uint64_t live = plat_sim_live_count();
    for (uint64_t nth = 1; failing && nth < 100; nth++) {
        plat_sim_fail_alloc(nth);
        ebpf_result_t result = create(WORKER_PATH, 1, &s);
        if (result == EBPF_SUCCESS) {
            result = ask(s, good, NULL);
        }
        failing = !plat_sim_fail_pending();
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY || result == EBPF_RPC_EXCEPTION);
        if (s != NULL) {
            CHECK_OK(ask(s, good, NULL));
            service_process_destroy(s);
            s = NULL;
        }
        CHECK_EQ(plat_sim_live_count(), live);
    }
    CHECK(!failing);
}

static void a_stop_is_a_verdict(void)
{
    struct service_process *s = NULL;
    char text[128] = "";
    REQUIRE_OK(create(WORKER_PATH, 1, &s));
    signal_stop();
    CHECK_EQ(ask(s, good, text), EBPF_CANCELED);
    CHECK_STR(text, "the test is ending\n");
    service_process_destroy(s);
}

TEST_SUITE(service_process)
{
    if (plat_init() != EBPF_SUCCESS || !make_stop()) {
        test_fail(__FILE__, __LINE__, "cannot start");
        return;
    }
    RUN(verdicts);
    RUN(everything_in_tests_verify);
    RUN(a_large_program);
    RUN(more_clients_than_workers);
    RUN(a_missing_program);
    RUN(memory_may_run_out);
    RUN(a_stop_is_a_verdict); // the last: it stays signalled
    close_stop();
    plat_fini();
}
