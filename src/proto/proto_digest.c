// SPDX-License-Identifier: MIT
// proto_digest: what binds a program's code to the tables that it was made with: one stream of bytes, little
// endian, and its SHA-256. Whoever makes a native module puts the digest into it; whoever loads one makes the
// same stream from the canonical program and the evidence of the module and from tables of its own.
//
// The stream: u32 size, canonical program (in which maps have their definitions); u32 size, evidence; for
// each slot that calls a helper: u32 id, name with its NUL, u32 kind of the result, five times {u32 kind, u32
// detail}, u32 flags; for each mark of the evidence: u32 slot, u32 kind of the field, u32 offset and u32 size
// of it in the runtime's context.
#include "proto/proto_int.h"

#define MARK_SIZE 8u  // u32 slot, u32 field
#define HEAD_SIZE 16u // of the evidence

// All that the stream is made of.
struct sources {
    const struct spec_view *spec;
    const struct program *program;
    const void *canonical;
    size_t canonical_size;
    const struct evidence *evidence;
};

static void put_helper(struct writer *w, uint32_t id, const struct helper_row *row)
{
    put_u32(w, id);
    put_bytes(w, row->name, str_len(row->name) + 1);
    put_u32(w, row->ret);
    for (size_t i = 0; i < ARRAY_SIZE(row->args); i++) {
        put_u32(w, row->args[i]);
        put_u32(w, row->detail[i]);
    }
    put_u32(w, row->flags);
}

static void put_helpers(struct writer *w, const struct sources *s)
{
    for (uint32_t pc = 0; pc < s->program->insn_count; pc++) {
        const struct insn *in = &s->program->insns[pc];
        if (in->id == INSN_CALL && in->imm > 0 && in->imm < (int64_t)s->spec->helper_count) {
            put_helper(w, (uint32_t)in->imm, &s->spec->helpers[in->imm]);
        }
    }
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

// Whether the evidence is well formed is for others to say: what names no field adds nothing.
static void put_fields(struct writer *w, const struct sources *s)
{
    const struct layout_row *layout = &s->spec->layouts[program_layout(s->spec, s->program)];
    for (size_t at = HEAD_SIZE; s->evidence->size >= at + MARK_SIZE; at += MARK_SIZE) {
        uint32_t field = read_u32(s->evidence->bytes + at + 4);
        if (field < layout->field_count) {
            put_u32(w, read_u32(s->evidence->bytes + at));
            put_u32(w, layout->fields[field].kind);
            put_u32(w, layout->fields[field].native_off);
            put_u32(w, layout->fields[field].native_size);
        }
    }
}

static size_t write_stream(const struct sources *s, void *bytes, size_t capacity)
{
    struct writer w = {bytes, capacity, 0};
    put_u32(&w, (uint32_t)s->canonical_size);
    put_bytes(&w, s->canonical, s->canonical_size);
    put_u32(&w, (uint32_t)s->evidence->size);
    put_bytes(&w, s->evidence->bytes, s->evidence->size);
    put_helpers(&w, s);
    put_fields(&w, s);
    return w.size;
}

ebpf_result_t proto_program_digest(const struct spec_view *spec, const struct program *p,
                                   const void *canonical, size_t canonical_size,
                                   const struct evidence *evidence, const struct proto_hasher *hasher,
                                   struct arena *arena, uint8_t digest[PROTO_DIGEST_SIZE])
{
    const struct sources s = {spec, p, canonical, canonical_size, evidence};
    size_t size = write_stream(&s, NULL, 0);
    uint8_t *bytes = arena_alloc(arena, size);
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    (void)write_stream(&s, bytes, size);
    return hasher->sha256(hasher->user, bytes, size, digest) ? EBPF_SUCCESS : EBPF_FAILED;
}
