// SPDX-License-Identifier: MIT
// service_wire: the verdict as bytes. Whoever decodes does not trust the service: sizes must add up exactly
// and texts must be what their sizes say.
#include "service/service.h"

void *service_encode(const struct service_verdict *v, uint32_t cookie, struct arena *arena, size_t *size)
{
    struct proto_verify_reply fixed = {
        .evidence_size = (uint32_t)v->evidence_size,
        .text_size = (uint32_t)str_len(v->text) + 1,
        .json_size = (uint32_t)str_len(v->json) + 1,
        .states = v->states,
        .time_us = v->time_us,
        .peak_kb = v->peak_kb,
    };
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_PROG_LOAD,
                                  .cookie = cookie,
                                  .result = v->result};
    size_t total = sizeof(header) + sizeof(fixed) + v->evidence_size + fixed.text_size + fixed.json_size;
    uint8_t *bytes = total <= PROTO_MAX_SIZE ? arena_alloc(arena, total) : NULL;
    if (bytes == NULL) {
        return NULL;
    }
    header.size = (uint32_t)total;
    uint8_t *at = bytes;
    memcpy(at, &header, sizeof(header));
    memcpy(at += sizeof(header), &fixed, sizeof(fixed));
    at += sizeof(fixed);
    if (v->evidence_size != 0) {
        memcpy(at, v->evidence, v->evidence_size);
    }
    memcpy(at += v->evidence_size, v->text, fixed.text_size);
    memcpy(at + fixed.text_size, v->json, fixed.json_size);
    *size = total;
    return bytes;
}

static ebpf_result_t get_text(struct reader *r, uint32_t size, const char **out)
{
    const uint8_t *bytes = NULL;
    TRY(reader_view(r, size, &bytes));
    for (uint32_t i = 0; i < size; i++) {
        if ((bytes[i] == 0) != (i == size - 1)) {
            return EBPF_INVALID_ARGUMENT;
        }
    }
    *out = (const char *)bytes;
    return size != 0 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

// Accepted programs have evidence, others none; no result but those of result.def.
static ebpf_result_t check_header(const struct proto_header *header, size_t size, uint32_t evidence_size)
{
    size_t framed = 0;
    TRY(proto_frame_size(header, &framed));
    if (framed != size || header->op != PROTO_PROG_LOAD || header->objects != 0 ||
        header->result >= EBPF_RESULT_COUNT) {
        return EBPF_INVALID_ARGUMENT;
    }
    return (header->result == EBPF_SUCCESS) == (evidence_size != 0) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

ebpf_result_t service_decode(const void *bytes, size_t size, struct service_verdict *out)
{
    struct proto_header header;
    struct proto_verify_reply fixed;
    struct service_verdict v;
    struct reader r;
    memset(&v, 0, sizeof(v));
    reader_init(&r, bytes, size);
    TRY(reader_bytes(&r, &header, sizeof(header)));
    TRY(reader_bytes(&r, &fixed, sizeof(fixed)));
    TRY(check_header(&header, size, fixed.evidence_size));
    TRY(reader_view(&r, fixed.evidence_size, &v.evidence));
    TRY(get_text(&r, fixed.text_size, &v.text));
    TRY(get_text(&r, fixed.json_size, &v.json));
    if (reader_left(&r) != 0 || fixed.reserved != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    v.result = (ebpf_result_t)header.result;
    v.evidence_size = fixed.evidence_size;
    v.states = fixed.states;
    v.peak_kb = fixed.peak_kb;
    v.time_us = fixed.time_us;
    *out = v;
    return EBPF_SUCCESS;
}
