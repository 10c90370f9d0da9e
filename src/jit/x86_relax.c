// SPDX-License-Identifier: MIT
// x86_relax: gives a function its final form. Everything is emitted with long branches and full padding; here
// branches that are near enough become short, in a fixed number of rounds that only ever shrink the code,
// then the pieces between patches move down and displacements are filled in. All of it is linear.
#include "jit/x86_emit.h"

#define ROUNDS    3
#define MOVE_STEP 32

// Offset of the start of `block` after relaxation, as far as it is decided.
static uint32_t block_at(const struct x86_emitter *e, uint32_t block)
{
    const struct x86_start *start = &e->starts[block];
    const struct x86_patch *p = &e->patches[start->patch]; // the last one before it
    return p->to + p->new_size + (start->at - (p->at + p->size));
}

static void place(struct x86_emitter *e)
{
    uint32_t removed = 0;
    struct x86_patch *p = e->patches;
    for (uint32_t left = e->patch_count; left != 0; left--, p++) {
        p->to = p->at - removed;
        removed += (uint32_t)p->size - p->new_size;
    }
}

// The distance when `p` is short. A target behind `p` comes nearer by as much as `p` shrinks.
static bool is_near(const struct x86_emitter *e, const struct x86_patch *p, uint32_t index)
{
    uint32_t behind = e->starts[p->target].patch >= index, end = p->to + 2 + behind * (p->new_size - 2u);
    return x86_fits8((int32_t)(block_at(e, p->target) - end));
}

// Numbers of the patches that are branches.
static uint32_t list_branches(const struct x86_emitter *e, uint32_t *list)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        list[count] = i;
        count += e->patches[i].kind == X86_PATCH_BRANCH;
    }
    return count;
}

// Leaves those in the list that stay long, and how many they are. Which ones cannot be foreseen: all are
// treated alike.
static uint32_t shorten(const struct x86_emitter *e, uint32_t *list, uint32_t count)
{
    uint32_t left = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct x86_patch *p = &e->patches[list[k]];
        uint32_t near = is_near(e, p, list[k]);
        p->new_size = (uint8_t)(p->new_size - near * (p->new_size - 2u));
        list[left] = list[k];
        left += near ^ 1;
    }
    return left;
}

static ebpf_result_t shorten_all(struct x86_emitter *e)
{
    size_t mark = e->j->memory.used;
    uint32_t *list = jit_room(e->j, e->patch_count, sizeof(*list));
    if (list == NULL) {
        return EBPF_NO_MEMORY;
    }
    uint32_t count = list_branches(e, list), left = shorten(e, list, count);
    for (unsigned round = 1; left != 0 && left != count && round < ROUNDS; round++) {
        place(e);
        count = left;
        left = shorten(e, list, count);
    }
    jit_rewind(e->j, mark);
    return EBPF_SUCCESS;
}

// Padding stays only where it is needed; `place` counted all of it until now.
static void pad(struct x86_emitter *e)
{
    uint32_t removed = 0;
    struct x86_patch *p = e->patches;
    for (uint32_t left = e->patch_count; left != 0; left--, p++) {
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
    __builtin_memcpy(e->code.bytes + at, &value, 4);
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

static void write_pad(struct x86_emitter *e, const struct x86_patch *p)
{
    struct x86_code code = {e->code.bytes, p->to + p->new_size, p->to}; // nothing behind it
    x86_nops(&code, p->new_size);
}

static void write_patch(struct x86_emitter *e, const struct x86_patch *p)
{
    switch (p->kind) {
    case X86_PATCH_BRANCH: write_branch(e, p); break;
    case X86_PATCH_LOCAL: write_chained(e, p, &e->func_chain[p->target]); break;
    case X86_PATCH_STUB: write_stub(e, p); break;
    case X86_PATCH_ALIGN: write_pad(e, p); break;
    default: break; // tables come behind
    }
}

// Moves code down to where there is nothing any more. In steps it may write up to 31 bytes too many: that is
// where it came from, and at most the room of the next patch, which is 5 bytes or more and written later.
static void move_code(struct x86_emitter *e, size_t to, size_t from, size_t end)
{
    uint8_t *code = e->code.bytes;
    if (from - to < MOVE_STEP || end + MOVE_STEP > e->code.capacity) {
        memmove(code + to, code + from, end - from);
        return;
    }
    for (; from < end; from += MOVE_STEP, to += MOVE_STEP) {
        __builtin_memcpy(code + to, code + from, MOVE_STEP);
    }
}

// Lines are as far from each other as they were but for what goes between them; then they have offsets.
static void move_lines(struct x86_emitter *e)
{
    struct jit_line *lines = e->j->out->lines;
    uint32_t count = e->j->out->line_count, at = 0;
    for (uint32_t i = 0; i < e->patch_count && lines != NULL; i++) {
        const struct x86_patch *p = &e->patches[i];
        if (p->line < count) {
            lines[p->line].offset -= (uint32_t)p->size - p->new_size;
        }
    }
    for (uint32_t i = e->first_line; i < count && lines != NULL; i++) {
        lines[i].offset = at += lines[i].offset;
    }
}

static void move_down(struct x86_emitter *e)
{
    uint32_t down = 0;
    for (uint32_t i = 0; i < e->patch_count; i++) {
        const struct x86_patch *p = &e->patches[i];
        uint32_t from = p->at + p->size;
        uint32_t end = i + 1 < e->patch_count ? p[1].at : (uint32_t)e->code.size;
        down = from - (p->to + p->new_size);
        if (down != 0) {
            move_code(e, from - down, from, end);
        }
        write_patch(e, p);
    }
    e->code.size -= down;
}

static void write_table(struct x86_emitter *e, const struct x86_patch *p)
{
    const struct ir_block *b = ir_block_at(e->ir, p->target);
    while (e->code.size % 4 != 0) {
        x86_bytes(&e->code, 0xcc, 1);
    }
    uint32_t table = (uint32_t)e->code.size;
    struct x86_code lea = {e->code.bytes, p->to + p->new_size, p->to};
    x86_lea_rip(&lea, X86_SCRATCH, table);
    for (uint32_t i = 0; i < b->target_count; i++) {
        x86_bytes(&e->code, block_at(e, x86_find(e, b->targets[i])) - table, 4);
    }
}

ebpf_result_t x86_relax(struct x86_emitter *e)
{
    TRY(shorten_all(e));
    pad(e);
    move_lines(e);
    move_down(e);
    e->end = (uint32_t)e->code.size;
    for (uint32_t i = 1; i < e->patch_count && (e->j->allocation->ops & OP_BIT(IR_SWITCH)) != 0; i++) {
        if (e->patches[i].kind == X86_PATCH_TABLE) {
            write_table(e, &e->patches[i]);
        }
    }
    return e->code.size <= e->code.capacity ? EBPF_SUCCESS : EBPF_INSUFFICIENT_BUFFER;
}
