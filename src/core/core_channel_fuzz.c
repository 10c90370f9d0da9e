// SPDX-License-Identifier: MIT
// Fuzzes the controls of channels: garbage and half-right I/O requests, in process. Input: steps of a channel
// index, a code of what to do, a length, and as many bytes. Tokens are random, so a step may ask for the
// token of a channel to be put in front of its bytes. A native module is registered. Nothing may be left when
// all channels are closed.
#include <stdlib.h>

#include "core/core.h"
#include "tests/tiny_native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANNELS = 4, STEP_HEAD = 4, MAX_STEPS = 64, INPUT_ROOM = 4096 };
// Low bits of a step's code choose the control, these add to it.
enum { CODE_CONTROL = 7, CODE_WITH_TOKEN = 8, CODE_SMALL_OUTPUT = 16, CODE_CLOSE = 32 };

struct state {
    struct core *core;
    struct channels *all;
    struct module *module; // tiny[0] of tiny_module.h, with the id {5, 6}
    struct channel *channels[CHANNELS];
    struct proto_token tokens[CHANNELS]; // as OFFER said
};

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void register_module(struct state *s)
{
    const struct proto_hasher hasher = {tiny_hash, NULL};
    const struct module_source source = {.table = &tiny[0].table, .id = {5, 6}};
    char why[MODULE_WHY_SIZE];
    struct arena arena;
    arena_init(&arena, plat_mem_source(), 0);
    must(tiny_make_modules(&hasher, &arena) == EBPF_SUCCESS &&
         core_module_register(s->core, &source, why, &s->module) == EBPF_SUCCESS);
    arena_fini(&arena);
    module_keep_registered(s->module);
}

// "C:\\1" is an image; each load is one of its own, as far as nobody runs its code.
static ebpf_result_t load_image(void *user, const char *path, const struct ebpf_native_module **table,
                                void **image, char why[MODULE_WHY_SIZE])
{
    UNUSED(user);
    if (!str_equal(path, "C:\\1")) {
        str_format(why, MODULE_WHY_SIZE, "%s is none", path);
        return EBPF_INVALID_OBJECT;
    }
    *table = &tiny[1].table;
    *image = malloc(1);
    return *image != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

static void unload_image(void *user, void *image)
{
    UNUSED(user);
    free(image);
}

static void open_all(struct state *s)
{
    static const struct core_options options = {.platform = DIALECT_WINDOWS,
                                                .modules = {load_image, unload_image, NULL},
                                                .hasher = {tiny_hash, NULL}};
    struct core_options o = options;
    o.runtime.spec = spec_builtin();
    must(plat_init() == EBPF_SUCCESS && core_create(&o, &s->core) == EBPF_SUCCESS &&
         channels_create(s->core, &s->all) == EBPF_SUCCESS);
    register_module(s);
    for (unsigned i = 0; i < CHANNELS; i++) {
        must(channel_open(s->all, i == 0 ? CHANNEL_VERDICT : CHANNEL_REQUEST | CHANNEL_VERDICT, i + 1,
                          &s->channels[i]) == EBPF_SUCCESS);
    }
}

static void close_all(struct state *s)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        channel_close(s->channels[i]);
    }
    pin_remove_all(core_runtime(s->core));
    module_revoke(s->module);
    for (unsigned kind = OBJECT_MAP; kind < OBJECT_KIND_COUNT; kind++) {
        must(object_count(core_runtime(s->core), (enum object_kind)kind) == 0);
    }
    channels_destroy(s->all);
    core_destroy(s->core);
    plat_fini();
}

static void reopen(struct state *s, unsigned i)
{
    channel_close(s->channels[i]);
    must(channel_open(s->all, CHANNEL_REQUEST | CHANNEL_VERDICT, i + 1, &s->channels[i]) == EBPF_SUCCESS);
}

// A verdict is believed, and those of a fuzzer accept programs that would be refused: they are not run.
static bool runs_a_program(const struct channel_call *call)
{
    struct proto_header header = {0};
    if (call->function == PROTO_CONTROL_REQUEST && call->input_size >= sizeof(header)) {
        memcpy(&header, call->input, sizeof(header));
    }
    return header.op == PROTO_PROG_TEST_RUN;
}

static bool is_abandoned(void *user)
{
    UNUSED(user);
    return true;
}

static void check_output(const struct channel_call *call, ebpf_result_t result)
{
    must(call->output_size <= call->output_capacity);
    must(result == EBPF_SUCCESS || call->output_size == 0);
    for (size_t i = 0; i < call->output_size; i++) {
        volatile uint8_t seen = ((const uint8_t *)call->output)[i];
        UNUSED(seen);
    }
}

static void control(struct state *s, unsigned channel, uint8_t code, const uint8_t *input, size_t size)
{
    struct arena arena;
    struct channel_call call = {.function = 0x900u + (code & CODE_CONTROL),
                                .input = input,
                                .input_size = size,
                                .output_capacity = (code & CODE_SMALL_OUTPUT) != 0 ? 24 : 1 << 16,
                                .arena = &arena,
                                .is_abandoned = is_abandoned};
    (void)channel_call_waits(&call);
    if (runs_a_program(&call)) {
        return;
    }
    arena_init(&arena, plat_mem_source(), 0);
    ebpf_result_t result = channel_control(s->channels[channel], &call);
    check_output(&call, result);
    if (result == EBPF_SUCCESS && call.function == PROTO_CONTROL_OFFER) {
        must(call.output_size == sizeof(s->tokens[0]));
        memcpy(&s->tokens[channel], call.output, sizeof(s->tokens[0]));
    }
    arena_fini(&arena);
}

// The token is that of the channel that the first byte names. An exact copy, so that a sanitizer sees reads
// past the end.
static void step(struct state *s, const uint8_t *head, const uint8_t *bytes, size_t size)
{
    unsigned channel = head[0] % CHANNELS;
    size_t prefix = (head[1] & CODE_WITH_TOKEN) != 0 && size != 0 ? sizeof(s->tokens[0]) : 0;
    size_t skip = prefix != 0;
    uint8_t *input = malloc(prefix + size - skip + 1);
    must(input != NULL);
    if (prefix != 0) {
        memcpy(input, &s->tokens[bytes[0] % CHANNELS], prefix);
    }
    memcpy(input + prefix, bytes + skip, size - skip);
    control(s, channel, head[1], input, prefix + size - skip);
    if ((head[1] & CODE_CLOSE) != 0) {
        reopen(s, channel);
    }
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state s = {0};
    uint64_t live = plat_sim_live_count();
    open_all(&s);
    for (unsigned i = 0; i < MAX_STEPS && size >= STEP_HEAD; i++) {
        size_t length = (size_t)data[2] | (size_t)data[3] << 8;
        length = length < size - STEP_HEAD ? length : size - STEP_HEAD;
        length = length < INPUT_ROOM ? length : INPUT_ROOM;
        step(&s, data, data + STEP_HEAD, length);
        data += STEP_HEAD + length;
        size -= STEP_HEAD + length;
    }
    close_all(&s);
    must(plat_sim_live_count() == live);
    return 0;
}
