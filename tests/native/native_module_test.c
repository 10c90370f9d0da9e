// SPDX-License-Identifier: MIT
// A module of a sample, made by `bpftool gen native`, bound to a map of this test and run on frames: what a
// loader has to do, in small. And what its table says.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgen/cgen.h"
#include "ebpf_native.h"
#include "jit/jit.h"
#include "hosts/digest.h"
#include "proto/proto.h"
#include "spec/contexts.h"
#include "tests/test.h"

_Static_assert(sizeof(struct ebpf_native_run) == sizeof(struct jit_run),
               "one head of a run for both engines");
_Static_assert(offsetof(struct ebpf_native_run, number) == offsetof(struct jit_run, number), "number");
_Static_assert(offsetof(struct ebpf_native_run, turns) == offsetof(struct jit_run, turns), "turns");
_Static_assert(offsetof(struct ebpf_native_run, slot) == offsetof(struct jit_run, slot), "slot");
_Static_assert(offsetof(struct ebpf_native_run, aborted) == offsetof(struct jit_run, aborted), "aborted");

enum { XDP_PASS_WINDOWS = 1, XDP_DROP_WINDOWS = 2, FRAME_SIZE = 60 };

static void *handle;
static const struct ebpf_native_module *module;

static bool make_module(char *path)
{
    char command[1024];
    int file = mkstemps(path, 3);
    if (file < 0) {
        return false;
    }
    close(file);
    snprintf(command, sizeof(command), "%s gen native %s/droppacket.o --target linux -o %s > /dev/null",
             BPFTOOL, SAMPLES_DIR, path);
    return system(command) == 0;
}

static void module_is_made(void)
{
    char path[] = "./ebpf-module-XXXXXX.so";
    REQUIRE(make_module(path));
    handle = dlopen(path, RTLD_NOW);
    unlink(path);
    REQUIRE(handle != NULL);
    module = dlsym(handle, EBPF_NATIVE_SYMBOL);
    REQUIRE(module != NULL);
    CHECK_EQ(module->size, sizeof(*module));
    CHECK_EQ(module->magic, EBPF_NATIVE_MAGIC);
    CHECK_EQ(module->version, EBPF_NATIVE_VERSION);
    CHECK_EQ(module->program_size, sizeof(struct ebpf_native_program));
    CHECK_EQ(module->program_count, 1);
    CHECK_EQ(module->map_count, 1);
    CHECK(module->btf_size > 24 && module->btf[0] == 0x9f && module->btf[1] == 0xeb); // in the object
    CHECK_STR(module->programs[0].name, "DropPacket");
    CHECK_STR(module->programs[0].type, "xdp");
    CHECK_STR(module->maps[0].name, "dropped_packets");
    CHECK_EQ(module->maps[0].uses & EBPF_NATIVE_USE_VALUES, EBPF_NATIVE_USE_VALUES);
}

// As a loader does it: from what the module carries and from tables of its own.
static void digest_is_made_again(void)
{
    static const struct proto_hasher hasher = {digest_sha256, NULL};
    uint8_t digest[PROTO_DIGEST_SIZE];
    struct program program;
    struct arena arena;
    REQUIRE(module != NULL);
    const struct ebpf_native_program *p = &module->programs[0];
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(proto_program_decode(p->canonical, p->canonical_size, &arena, &program));
    struct evidence evidence = {p->evidence, p->evidence_size};
    CHECK_OK(proto_program_digest(spec_builtin(), &program, p->canonical, p->canonical_size, &evidence,
                                  &hasher, &arena, digest));
    CHECK(memcmp(digest, p->digest, sizeof(digest)) == 0);
    evidence.size -= 8; // another one's
    CHECK_OK(proto_program_digest(spec_builtin(), &program, p->canonical, p->canonical_size, &evidence,
                                  &hasher, &arena, digest));
    CHECK(memcmp(digest, p->digest, sizeof(digest)) != 0);
    arena_fini(&arena);
}

static uint64_t run_frame(uint16_t udp_length, uint32_t size)
{
    static uint8_t frame[FRAME_SIZE], stack[INSN_STACK_SIZE * INSN_MAX_FRAMES];
    struct ebpf_native_run run = {.turns = INSN_MAY_GOTO_TURNS};
    memset(frame, 0, sizeof(frame));
    frame[12] = 8;    // IPv4
    frame[14] = 0x45; // header of 20 bytes
    frame[23] = 17;   // UDP
    frame[38] = (uint8_t)(udp_length >> 8);
    frame[39] = (uint8_t)udp_length;
    struct xdp_context context = {.packet = {.data = frame, .data_end = frame + size}};
    return module->programs[0].entry((uintptr_t)&context, 0, &run, stack + INSN_STACK_SIZE);
}

static void program_runs(void)
{
    static uint64_t value;
    REQUIRE(module != NULL);
    module->map_bindings[0] = (struct ebpf_native_map_binding){.address = 1, .values = (uintptr_t)&value};
    CHECK_EQ(run_frame(8, FRAME_SIZE), XDP_DROP_WINDOWS);
    CHECK_EQ(run_frame(9, FRAME_SIZE), XDP_PASS_WINDOWS);
    CHECK_EQ(run_frame(8, 41), XDP_PASS_WINDOWS);
    CHECK_EQ(run_frame(8, 42), XDP_DROP_WINDOWS);
    CHECK_EQ(value, 2);
}

TEST_SUITE(native_module)
{
    RUN(module_is_made);
    RUN(digest_is_made_again);
    RUN(program_runs);
    if (handle != NULL) {
        dlclose(handle);
    }
}
