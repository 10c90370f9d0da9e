// SPDX-License-Identifier: MIT
// Test runs beside the kernel's: samples/linux_xdp.o loaded into both, the same packets, the same maps.
// Return value, data and what the program counted must be the same. PEER_SEED=N is where the random numbers
// start.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "elf/elf.h"
#include "hosts/inproc.h"
#include "lib/lib_int.h"
#include "plat/plat.h"
#include "tests/peer/kernel.h"
#include "tests/test.h"

#define OBJECT SAMPLES_DIR "/linux_xdp.o"

enum {
    PACKETS = 2000,
    MAX_PACKET = 1600,
    MAX_INSNS = 512,
    MAX_MAPS = 4,
    MAX_VALUE = 4096,
    OUTCOMES = 3,
    ETHERNET = 14
};

struct peer {
    struct bpf_object *object;
    int our_prog, their_prog;
    int their_maps[MAX_MAPS];
    uint32_t map_count;
    uint64_t random;
};

static uint32_t next_random(struct peer *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->random >> 33);
}

// --- the kernel's copy of the program ------------------------------------------------------------

static void *read_object(size_t *size)
{
    FILE *file = fopen(OBJECT, "rb");
    void *bytes = file != NULL ? malloc(1 << 20) : NULL;
    if (bytes != NULL) {
        *size = fread(bytes, 1, 1 << 20, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static bool create_their_maps(struct peer *p, const struct elf_object *object)
{
    for (uint32_t i = 0; i < object->map_count && i < MAX_MAPS; i++) {
        const struct map_def *d = &object->maps[i].def;
        p->their_maps[i] = kernel_map_create(
            &(struct kernel_map_def){d->number, d->key_size, d->value_size, d->max_entries, d->flags});
        if (p->their_maps[i] < 0) {
            return false;
        }
        p->map_count++;
    }
    return p->map_count == object->map_count;
}

// The reader leaves helper numbers as the object has them, so only the maps are missing.
static int load_their_program(struct peer *p, const struct elf_object *object)
{
    const struct elf_program *program = &object->programs[0];
    struct insn insns[MAX_INSNS];
    uint8_t bytes[MAX_INSNS * 8];
    uint32_t bad = 0;
    if (program->insn_count > MAX_INSNS || !create_their_maps(p, object)) {
        return -E2BIG;
    }
    memcpy(insns, program->insns, program->insn_count * sizeof(insns[0]));
    for (uint32_t i = 0; i < program->insn_count; i++) {
        if (insns[i].id == INSN_LDDW_MAP) {
            insns[i].id = INSN_LDDW_MAP_FD;
            insns[i].imm = p->their_maps[insns[i].imm];
        }
    }
    if (insn_encode(insns, program->insn_count, bytes, &bad) != INSN_OK) {
        return -EINVAL;
    }
    return kernel_load_xdp(bytes, program->insn_count, object->license);
}

static int open_theirs(struct peer *p)
{
    struct elf_options options = {.spec = spec_builtin(), .platform_default = DIALECT_LINUX};
    struct elf_object object;
    struct elf_error error;
    struct arena arena;
    size_t size = 0;
    int fd = -ENOENT;
    void *bytes = read_object(&size);
    arena_init(&arena, plat_mem_source(), 0);
    if (bytes != NULL && elf_open(bytes, size, &options, &arena, &object, &error) == EBPF_SUCCESS) {
        fd = load_their_program(p, &object);
    }
    arena_fini(&arena);
    free(bytes);
    return fd;
}

static bool open_peer(struct peer *p)
{
    const char *seed = getenv("PEER_SEED");
    struct bpf_program *program = NULL;
    memset(p, 0, sizeof(*p));
    p->random = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    p->their_prog = open_theirs(p);
    p->object = bpf_object__open(OBJECT);
    if (p->object != NULL && bpf_object__load(p->object) == 0) {
        program = bpf_object__next_program(p->object, NULL);
    }
    p->our_prog = program != NULL ? bpf_program__fd(program) : -1;
    return p->our_prog >= 0 && p->their_prog >= 0;
}

static void close_peer(struct peer *p)
{
    bpf_object__close(p->object);
    for (uint32_t i = 0; i < p->map_count; i++) {
        ebpf_close_fd(p->their_maps[i]);
    }
    if (p->their_prog >= 0) {
        ebpf_close_fd(p->their_prog);
    }
}

// --- packets -------------------------------------------------------------------------------------

// Every second port of the packets is blocked.
static void block_ports(struct peer *p)
{
    for (uint16_t port = 0; port < 8; port += 2) {
        uint8_t yes = 1;
        CHECK_EQ(
            bpf_map_update_elem(bpf_object__find_map_fd_by_name(p->object, "blocked_ports"), &port, &yes, 0),
            0);
        CHECK_EQ(kernel_map_update(p->their_maps[1], &port, &yes, 0), 0);
    }
}

// Random bytes, three times of four with headers that lead the program further, cut anywhere.
static uint32_t make_packet(struct peer *p, uint8_t packet[MAX_PACKET])
{
    uint32_t size = ETHERNET + next_random(p) % (next_random(p) % 4 == 0 ? MAX_PACKET - ETHERNET : 64);
    for (uint32_t i = 0; i < MAX_PACKET; i++) {
        packet[i] = (uint8_t)next_random(p);
    }
    if (next_random(p) % 4 == 0) {
        return size;
    }
    packet[12] = 8; // IPv4 without options
    packet[13] = 0;
    packet[14] = next_random(p) % 8 != 0 ? 0x45 : 0x46;
    if (next_random(p) % 2 == 0) {
        packet[23] = 1; // ICMP echo request
        packet[34] = next_random(p) % 4 != 0 ? 8 : 0;
        packet[35] = 0;
    } else {
        packet[23] = 6; // TCP
        packet[36] = 0;
        packet[37] = (uint8_t)(next_random(p) % 8);
        packet[47] = next_random(p) % 2 != 0 ? 0x02 : 0x12; // SYN, SYN and ACK
    }
    return size;
}

static void compare_run(struct peer *p, const uint8_t *packet, uint32_t size, uint32_t room)
{
    uint8_t ours[MAX_PACKET] = {0}, theirs[MAX_PACKET] = {0};
    struct kernel_run run = {packet, theirs, size, room, 1, 0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = size, .data_out = ours,
                .data_size_out = room, .repeat = 1);
    int a = bpf_prog_test_run_opts(p->our_prog, &opts), b = kernel_test_run(p->their_prog, &run);
    CHECK_EQ(a, b);
    if (a == 0 || a == -ENOSPC) {
        CHECK_EQ(opts.retval, run.retval);
        CHECK_EQ(opts.data_size_out, run.data_out_size);
        CHECK(memcmp(ours, theirs, sizeof(ours)) == 0);
    }
}

// The sum over all CPUs: which one counts is the scheduler's choice.
static uint64_t sum(const uint64_t *values)
{
    uint64_t total = 0;
    for (unsigned cpu = 0; cpu < kernel_possible_cpus(); cpu++) {
        total += values[cpu];
    }
    return total;
}

static void compare_counts(struct peer *p)
{
    uint64_t ours[MAX_VALUE / 8], theirs[MAX_VALUE / 8];
    for (uint32_t key = 0; key < OUTCOMES; key++) {
        CHECK_EQ(bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(p->object, "outcomes"), &key, ours), 0);
        CHECK_EQ(kernel_map_lookup(p->their_maps[0], &key, theirs, 0), 0);
        CHECK_EQ(sum(ours), sum(theirs));
        CHECK(sum(ours) > PACKETS / 100); // each way was taken
    }
}

static void runs_as_in_the_kernel(void)
{
    struct peer p;
    uint8_t packet[MAX_PACKET];
    const char *reason = "";
    if (!kernel_is_permitted(&reason)) {
        SKIP(reason);
    }
    REQUIRE(open_peer(&p));
    block_ports(&p);
    for (unsigned i = 0; i < PACKETS; i++) {
        uint32_t size = make_packet(&p, packet);
        compare_run(&p, packet, size, i % 50 != 0 ? MAX_PACKET : size / 2);
    }
    compare_counts(&p);
    for (uint32_t size = 0; size <= ETHERNET; size++) { // a frame has at least its header
        compare_run(&p, packet, size, MAX_PACKET);
    }
    close_peer(&p);
}

TEST_SUITE(peer_xdp)
{
    setenv("EBPF_TRANSPORT", "inproc", 1);
    inproc_install();
    RUN(runs_as_in_the_kernel);
}
