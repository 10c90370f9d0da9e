// SPDX-License-Identifier: MIT
// proto_control: the controls of the Windows device, and the one whose input has parts.
#include "proto/proto.h"

_Static_assert(sizeof(struct proto_verdict) == 56 && sizeof(struct proto_witness) == 48,
               "no padding in what travels");

enum { ALL = false, DEBUG = true };

static const struct proto_control_row controls[] = {
#define CONTROL(id, function, right, input, output, builds)                                                  \
    {#id, function, CHANNEL_##right, input, output, builds},
#include "proto/controls.def"
#undef CONTROL
};

const struct proto_control_row *proto_control_row(uint32_t function)
{
    for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
        if (controls[i].function == function) {
            return &controls[i];
        }
    }
    return NULL;
}

// A text with exactly one NUL, at its end.
static bool is_text(const uint8_t *text, size_t size)
{
    size_t i = 0;
    while (i < size && text[i] != 0) {
        i++;
    }
    return i + 1 == size;
}

ebpf_result_t proto_verdict_check(const void *input, size_t size, struct proto_verdict_parts *out)
{
    struct proto_verdict_parts v;
    if (size > PROTO_MAX_VERDICT || size < sizeof(v.head)) {
        return EBPF_INVALID_ARGUMENT;
    }
    memcpy(&v.head, input, sizeof(v.head));
    const struct proto_verdict *h = &v.head;
    const uint8_t *at = (const uint8_t *)input + sizeof(*h);
    uint64_t sum = (uint64_t)h->evidence_size + h->text_size + h->json_size + h->request_size;
    if (sum != size - sizeof(*h) || h->reserved != 0 || h->result >= EBPF_RESULT_COUNT) {
        return EBPF_INVALID_ARGUMENT;
    }
    v.evidence = at;
    v.text = (const char *)(at + h->evidence_size);
    v.json = v.text + h->text_size;
    v.request = v.json + h->json_size;
    if (!is_text((const uint8_t *)v.text, h->text_size) || !is_text((const uint8_t *)v.json, h->json_size)) {
        return EBPF_INVALID_ARGUMENT;
    }
    *out = v;
    return EBPF_SUCCESS;
}

static size_t put(uint8_t *at, const void *bytes, size_t size)
{
    if (size != 0) {
        memcpy(at, bytes, size);
    }
    return size;
}

size_t proto_verdict_encode(const struct proto_verdict_parts *v, void *bytes, size_t capacity)
{
    const struct proto_verdict *h = &v->head;
    size_t size = sizeof(*h) + h->evidence_size + h->text_size + h->json_size + h->request_size;
    uint8_t *at = bytes;
    if (size <= capacity) {
        at += put(at, h, sizeof(*h));
        at += put(at, v->evidence, h->evidence_size);
        at += put(at, v->text, h->text_size);
        at += put(at, v->json, h->json_size);
        put(at, v->request, h->request_size);
    }
    return size;
}
