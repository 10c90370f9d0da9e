// SPDX-License-Identifier: MIT
// cgen_digest: what binds a program's code to the tables that it was made with: one stream of bytes, little
// endian, and its SHA-256. Whoever loads a module makes the same stream from the canonical program and the
// evidence of the module and from tables of its own.
//
// The stream: u32 size, canonical program; u32 size, evidence; for each slot that calls a helper: u32 id,
// name with its NUL, u32 kind of the result, five times {u32 kind, u32 detail}, u32 flags; for each mark of
// the evidence: u32 slot, u32 offset and u32 size of the field in the runtime's context.
#include "cgen/cgen_int.h"
#include "proto/proto.h"

#define MARK_SIZE 8u
#define HEAD_SIZE 16u

// Counts everything, writes what fits.
struct stream {
    uint8_t *bytes;
    size_t capacity, size;
};

static void put_bytes(struct stream *s, const void *data, size_t size)
{
    if (size != 0 && s->size <= s->capacity && size <= s->capacity - s->size) {
        memcpy(s->bytes + s->size, data, size);
    }
    s->size += size;
}

static void put_u32(struct stream *s, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    put_bytes(s, bytes, sizeof(bytes));
}

static void put_helper(struct stream *s, uint32_t id, const struct helper_row *row)
{
    put_u32(s, id);
    put_bytes(s, row->name, str_len(row->name) + 1);
    put_u32(s, row->ret);
    for (size_t i = 0; i < ARRAY_SIZE(row->args); i++) {
        put_u32(s, row->args[i]);
        put_u32(s, row->detail[i]);
    }
    put_u32(s, row->flags);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_fields(struct stream *s, const struct spec_view *v, const struct cgen_program *p)
{
    const struct layout_row *layout = &v->layouts[program_layout(v, p->program)];
    for (size_t at = HEAD_SIZE; at + MARK_SIZE <= p->evidence.size; at += MARK_SIZE) {
        uint32_t field = read_u32(p->evidence.bytes + at + 4);
        if (field < layout->field_count) {
            put_u32(s, read_u32(p->evidence.bytes + at));
            put_u32(s, layout->fields[field].native_off);
            put_u32(s, layout->fields[field].native_size);
        }
    }
}

// The canonical form is put in its place by the caller.
static void put_rest(struct stream *s, const struct spec_view *v, const struct cgen_program *p)
{
    put_u32(s, (uint32_t)p->evidence.size);
    put_bytes(s, p->evidence.bytes, p->evidence.size);
    for (uint32_t pc = 0; pc < p->program->insn_count; pc++) {
        const struct helper_row *row = unit_helper(v, &p->program->insns[pc]);
        if (row != NULL) {
            put_helper(s, (uint32_t)p->program->insns[pc].imm, row);
        }
    }
    put_fields(s, v, p);
}

ebpf_result_t cgen_digest(const struct spec_view *spec, const struct cgen_program *p,
                          const struct cgen_hasher *hasher, struct arena *arena,
                          uint8_t digest[CGEN_DIGEST_SIZE])
{
    uint8_t none[1];
    size_t canonical = proto_program_encode(p->program, none, 0);
    struct stream s = {none, 0, sizeof(uint32_t) + canonical};
    put_rest(&s, spec, p);
    uint8_t *bytes = arena_alloc(arena, s.size);
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    s = (struct stream){bytes, s.size, 0};
    put_u32(&s, (uint32_t)canonical);
    (void)proto_program_encode(p->program, bytes + s.size, canonical);
    s.size += canonical;
    put_rest(&s, spec, p);
    return hasher->sha256(hasher->user, bytes, s.size, digest) ? EBPF_SUCCESS : EBPF_FAILED;
}
