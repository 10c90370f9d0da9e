// SPDX-License-Identifier: MIT
// core_channel_fixture: channels on the core of core_fixture.h, and controls from parts.
#pragma once

#include "core/core_fixture.h"

struct desk {
    struct bench b;
    struct channels *all;
    uint8_t verdict[MESSAGE_ROOM];
    size_t verdict_size;
    // out: the last control
    ebpf_result_t control; // its own result
    const void *output;
    size_t output_size;
};

static inline ebpf_result_t desk_init(struct desk *d)
{
    d->all = NULL;
    TRY(bench_init(&d->b));
    ebpf_result_t result = channels_create(d->b.core, &d->all);
    if (result != EBPF_SUCCESS) {
        bench_fini(&d->b);
    }
    return result;
}

static inline void desk_fini(struct desk *d)
{
    channels_destroy(d->all);
    bench_fini(&d->b);
}

static inline ebpf_result_t desk_open(struct desk *d, struct channel **out)
{
    return channel_open(d->all, CHANNEL_REQUEST | CHANNEL_VERDICT, 10, out);
}

static inline uint32_t desk_count(const struct desk *d, enum object_kind kind)
{
    return object_count(core_runtime(d->b.core), kind);
}

// --- controls ------------------------------------------------------------------------------------

static inline ebpf_result_t desk_control(struct desk *d, struct channel *c, uint32_t function,
                                         const void *input, size_t size, size_t capacity)
{
    struct channel_call call = {
        .function = function, .input = input, .input_size = size, .output_capacity = capacity};
    bench_reset_arena(&d->b);
    call.arena = &d->b.arena;
    d->control = channel_control(c, &call);
    d->output = call.output;
    d->output_size = call.output_size;
    CHECK(call.output_size <= capacity);
    CHECK(d->control == EBPF_SUCCESS || call.output_size == 0);
    return d->control;
}

// The result of the control when it failed, otherwise that of the reply.
static inline ebpf_result_t desk_reply(struct desk *d)
{
    memset(&d->b.header, 0, sizeof(d->b.header));
    d->b.fixed = NULL;
    d->b.tail_size = 0;
    TRY(d->control);
    memcpy(&d->b.header, d->output, sizeof(d->b.header));
    if (d->b.header.size == d->output_size) {
        CHECK_OK(proto_reply_check(d->b.header.op, d->output, d->output_size, &d->b.header, &d->b.fixed,
                                   &d->b.tail, &d->b.tail_size));
    } else {
        CHECK_EQ(d->b.header.result, EBPF_INSUFFICIENT_BUFFER);
        CHECK_EQ(d->output_size, sizeof(d->b.header));
    }
    return (ebpf_result_t)d->b.header.result;
}

// Sends b.message.
static inline ebpf_result_t desk_send(struct desk *d, struct channel *c, size_t capacity)
{
    (void)desk_control(d, c, PROTO_CONTROL_REQUEST, d->b.message, d->b.message_size, capacity);
    return desk_reply(d);
}

static inline ebpf_result_t desk_call(struct desk *d, struct channel *c, uint16_t op, const void *fixed,
                                      unsigned objects)
{
    bench_build(&d->b, op, fixed, NULL, 0, objects);
    return desk_send(d, c, MESSAGE_ROOM);
}

static inline ebpf_result_t desk_offer(struct desk *d, struct channel *c, struct proto_token *token)
{
    TRY(desk_control(d, c, PROTO_CONTROL_OFFER, NULL, 0, sizeof(*token)));
    CHECK_EQ(d->output_size, sizeof(*token));
    memcpy(token, d->output, sizeof(*token));
    return EBPF_SUCCESS;
}

static inline ebpf_result_t desk_lend(struct desk *d, struct channel *c, const struct proto_token *token)
{
    return desk_control(d, c, PROTO_CONTROL_LEND, token, sizeof(*token), 0);
}

// Makes d->verdict: PROG_LOAD of `p` with `map_count` maps, as the service would deliver it.
static inline void desk_build_verdict(struct desk *d, const struct proto_token *token,
                                      const struct program *p, unsigned map_count,
                                      const struct core_verdict *v)
{
    static const struct proto_prog_load_request fixed;
    uint8_t bytes[1024];
    size_t size = proto_program_encode(p, bytes, sizeof(bytes));
    bench_build(&d->b, PROTO_PROG_LOAD, &fixed, bytes, size, map_count);
    struct proto_verdict_parts parts = {.head = {.token = *token,
                                                 .result = v->result,
                                                 .evidence_size = (uint32_t)v->evidence.size,
                                                 .text_size = (uint32_t)str_len(v->text) + 1,
                                                 .json_size = (uint32_t)str_len(v->json) + 1,
                                                 .request_size = (uint32_t)d->b.message_size},
                                        .evidence = v->evidence.bytes,
                                        .text = v->text,
                                        .json = v->json,
                                        .request = d->b.message};
    d->verdict_size = proto_verdict_encode(&parts, d->verdict, sizeof(d->verdict));
    CHECK(d->verdict_size <= sizeof(d->verdict));
}

static inline ebpf_result_t desk_judge(struct desk *d, struct channel *service, size_t capacity)
{
    (void)desk_control(d, service, PROTO_CONTROL_VERDICT, d->verdict, d->verdict_size, capacity);
    return desk_reply(d);
}

// --- whole objects -------------------------------------------------------------------------------

static inline ebpf_result_t desk_make_map(struct desk *d, struct channel *c)
{
    static const struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                                  .number = MAP_TYPE_ARRAY,
                                                                  .key_size = 4,
                                                                  .value_size = 8,
                                                                  .max_entries = 4,
                                                                  .name = "m"}};
    return desk_call(d, c, PROTO_MAP_CREATE, &fixed, 0);
}

static inline ebpf_result_t desk_make_program(struct desk *d, struct channel *service, struct channel *c,
                                              uint32_t type)
{
    struct proto_token token;
    struct program p = bench_program(type);
    struct core_verdict accept = bench_accept();
    TRY(desk_offer(d, c, &token));
    desk_build_verdict(d, &token, &p, 0, &accept);
    return desk_judge(d, service, MESSAGE_ROOM);
}
