// SPDX-License-Identifier: MIT
// x86_relax: gives a function its final form. Everything is emitted with long branches and full padding; here
// branches that are near enough become short, in a fixed number of rounds that only ever shrink the code,
// then the pieces between patches move down and displacements are filled in. All of it is linear.
#include "jit/x86_emit.h"

#define ROUNDS 3

// Offset of the start of `block` after relaxation, as far as it is decided.
static uint32_t block_at(const struct x86_emitter *e, uint32_t block)
{
    uint32_t patch = e->block_patch[block], old = ir_block_at(e->ir, block)->extra;
    if (patch == 0) {
        return old;
    }
    const struct x86_patch *p = &e->patches[patch - 1]; // the last one before it
    return p->to + p->new_size + (old - (p->at + p->size));
}

static void place(struct x86_emitter *e)
{
    uint32_t removed = 0;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        struct x86_patch *p = &e->patches[i];
        p->to = p->at - removed;
        removed += (uint32_t)p->size - p->new_size;
    }
}

// The distance when `p` is short. A target behind `p` comes nearer by as much as `p` shrinks.
static bool is_near(const struct x86_emitter *e, const struct x86_patch *p, uint32_t index)
{
    int64_t target = block_at(e, p->target);
    int64_t end = (int64_t)p->to + (e->block_patch[p->target] > index ? p->new_size : 2);
    return x86_fits8(target - end);
}

static bool shorten(struct x86_emitter *e)
{
    bool changed = false;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        struct x86_patch *p = &e->patches[i];
        if (p->kind == X86_PATCH_BRANCH && p->new_size > 2 && is_near(e, p, i)) {
            p->new_size = 2;
            changed = true;
        }
    }
    return changed;
}

// Padding stays only where it is needed; `place` counted all of it until now.
static void pad(struct x86_emitter *e)
{
    uint32_t removed = 0;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        struct x86_patch *p = &e->patches[i];
        p->to = p->at - removed;
        if (p->kind == X86_PATCH_ALIGN) {
            uint32_t need = -p->to & 15;
            p->new_size = (uint8_t)(need <= p->size ? need : 0);
        }
        removed += (uint32_t)p->size - p->new_size;
    }
}

// --- writing -------------------------------------------------------------------------------------

static void write32(struct x86_emitter *e, uint32_t at, uint32_t value)
{
    memcpy(e->code.bytes + at, &value, 4);
}

static void write_branch(struct x86_emitter *e, const struct x86_patch *p)
{
    uint8_t *code = e->code.bytes + p->to;
    uint32_t distance = block_at(e, p->target) - (p->to + p->new_size);
    bool always = p->cc == X86_CC_ALWAYS;
    if (p->new_size == 2) {
        code[0] = always ? 0xeb : (uint8_t)(0x70 | p->cc);
        code[1] = (uint8_t)distance;
    } else if (always) {
        code[0] = 0xe9;
        write32(e, p->to + 1, distance);
    } else {
        code[0] = 0x0f;
        code[1] = (uint8_t)(0x80 | p->cc);
        write32(e, p->to + 2, distance);
    }
}

// Places that reach something behind the code are chained until it is there.
static void write_chained(struct x86_emitter *e, const struct x86_patch *p, uint32_t *chain)
{
    e->code.bytes[p->to] = p->cc == X86_CC_ALWAYS ? 0xe9 : 0xe8;
    write32(e, p->to + 1, *chain);
    *chain = p->to + 1;
}

static void write_stub(struct x86_emitter *e, const struct x86_patch *p)
{
    struct jit_code *out = e->j->out;
    if (p->target == X86_RETPOLINE) {
        write_chained(e, p, &e->retpoline_chain);
        return;
    }
    write_chained(e, p, &e->stubs[p->target].chain);
    if (out->calls != NULL && out->call_count < out->call_capacity) {
        out->calls[out->call_count++] = (struct jit_call){p->to, e->stubs[p->target].target};
    }
}

static void write_patch(struct x86_emitter *e, const struct x86_patch *p)
{
    struct x86_code pad = {e->code.bytes, e->code.capacity, p->to};
    switch (p->kind) {
    case X86_PATCH_BRANCH: write_branch(e, p); break;
    case X86_PATCH_LOCAL: write_chained(e, p, &e->func_chain[p->target]); break;
    case X86_PATCH_STUB: write_stub(e, p); break;
    case X86_PATCH_ALIGN: x86_nops(&pad, p->new_size); break;
    default: break; // tables come behind
    }
}

static void move_down(struct x86_emitter *e)
{
    for (uint32_t i = 0; i < e->patch_count; i++) {
        const struct x86_patch *p = &e->patches[i];
        size_t from = p->at + p->size, to = p->to + p->new_size;
        size_t end = i + 1 < e->patch_count ? e->patches[i + 1].at : e->code.size;
        memmove(e->code.bytes + to, e->code.bytes + from, end - from);
        write_patch(e, p);
    }
    if (e->patch_count != 0) {
        const struct x86_patch *p = &e->patches[e->patch_count - 1];
        e->code.size -= (size_t)(p->at + p->size) - (p->to + p->new_size);
    }
}

static void move_lines(struct x86_emitter *e)
{
    struct jit_code *out = e->j->out;
    uint32_t i = 0, removed = 0;
    for (uint32_t l = e->first_line; l < out->line_count; l++) {
        for (; i < e->patch_count && e->patches[i].at < out->lines[l].offset; i++) {
            removed += (uint32_t)e->patches[i].size - e->patches[i].new_size;
        }
        out->lines[l].offset -= removed;
    }
}

static void write_table(struct x86_emitter *e, const struct x86_patch *p)
{
    const struct ir_block *b = ir_block_at(e->ir, p->target);
    while (e->code.size % 4 != 0) {
        x86_bytes(&e->code, 0xcc, 1);
    }
    uint32_t table = (uint32_t)e->code.size;
    struct x86_code lea = {e->code.bytes, e->code.capacity, p->to};
    x86_lea_rip(&lea, X86_SCRATCH, table);
    for (uint32_t i = 0; i < b->target_count; i++) {
        x86_bytes(&e->code, block_at(e, x86_find(e, b->targets[i])) - table, 4);
    }
}

ebpf_result_t x86_relax(struct x86_emitter *e)
{
    bool changed = true;
    for (unsigned round = 0; changed && round < ROUNDS; round++) {
        place(e);
        changed = shorten(e);
    }
    pad(e);
    move_down(e);
    move_lines(e);
    e->end = (uint32_t)e->code.size;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        if (e->patches[i].kind == X86_PATCH_TABLE) {
            write_table(e, &e->patches[i]);
        }
    }
    return e->code.size <= e->code.capacity ? EBPF_SUCCESS : EBPF_INSUFFICIENT_BUFFER;
}
