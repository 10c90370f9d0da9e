// SPDX-License-Identifier: MIT
// x86_emit: from allocated values to x86-64 code, shared by its parts. A function is emitted once, with long
// branches; they are shortened afterwards (x86_relax.c), so whatever depends on an offset is a patch.
// Inside the folder only.
#pragma once

#include "jit/target.h"
#include "jit/x86_encode.h"

#define X86_SCRATCH  X86_R11 // never allocated
#define X86_SCRATCH2 X86_R10 // not allocated when something is spilled

const struct jit_convention *x86_convention(const struct jit *j);

// A place in the code that depends on where something else comes to lie.
enum x86_patch_kind {
    X86_PATCH_BRANCH, // jmp or jcc to a block
    X86_PATCH_LOCAL,  // call of a function of the program
    X86_PATCH_STUB,   // call or jmp of a stub
    X86_PATCH_TABLE,  // lea of the jump table of a block
    X86_PATCH_ALIGN,  // room for nops
    X86_PATCH_NONE,
};
struct x86_patch {
    uint32_t at, to;        // offset of the instruction, before and after relaxation
    uint32_t target;        // block, function or stub
    uint32_t line;          // the first one behind it
    uint8_t kind;           // enum x86_patch_kind
    uint8_t cc;             // BRANCH: enum x86_cc
    uint8_t size, new_size; // bytes, before and after
};

// Where a block starts before relaxation, and the last patch before that.
struct x86_start {
    uint32_t at, patch;
};

// A C function that is called, or the retpoline. Places to be patched are chained through their
// displacements; X86_CHAIN_END.
struct x86_stub {
    uint64_t target;
    uint32_t chain;
};
#define X86_CHAIN_END UINT32_MAX
#define X86_RETPOLINE UINT32_MAX // as a stub

struct x86_emitter {
    // of the whole program: kept in jit.emitter
    struct x86_stub *stubs;
    uint16_t *stub_table; // hashed by target: 1 + number of the stub; the order of the stubs in the code
    uint64_t *stubs_at;   // bits: places of the table that are taken
    uint32_t *func_chain; // by function: places that call it
    uint32_t stub_count, stub_capacity;
    uint32_t table_size;      // a power of two
    uint32_t retpoline_chain; // places that jump to the retpoline
    // of the function at work, or the end
    struct jit *j;
    struct ir *ir;
    const struct jit_convention *convention;
    struct x86_code code;
    struct x86_patch *patches; // the first one is empty, and before everything
    uint32_t patch_count;
    uint32_t *forward;        // by block: where branches to it go instead, or IR_NONE
    struct x86_start *starts; // by block
    uint8_t *outer;           // by loop: it has another one in it
    uint32_t next;            // block that is emitted next, or IR_NONE
    uint32_t tail;            // block that is written again in the place of a jump to it, or IR_NONE
    uint32_t tail_room;       // what the copies behind one block may still take
    uint32_t start, end;      // offsets of the function
    ebpf_result_t result;     // first error of an emitter
    uint32_t first_line;      // of the function
    uint32_t last_pc;         // of the last line
    uint32_t last_line;       // its offset: until x86_relax lines have their distance from the one before
    uint32_t frame_size;      // bytes below the pushes
    uint32_t frame_top;       // FRAME, from rsp; a multiple of 16, as rsp is
    uint32_t saved;           // set of registers that are pushed
    uint32_t spill_off;       // of slot 0, from rsp
    bool calls, calls_c, uses_frame;
    bool pads;       // blocks that a table leads to have a mark, and get a landing pad
    bool keep_flags; // constants are moved, never xored
};

#define X86_KEPT offsetof(struct x86_emitter, j) // bytes of jit.emitter

// An emitter with what was kept, behind the code that there is; and what it adds is kept.
void x86_resume(struct x86_emitter *e, struct jit *j);
void x86_keep(const struct x86_emitter *e);

// What emits one value. (x86_emit_alu.c, _memory.c, _flow.c, _call.c)
typedef void x86_emit_fn(struct x86_emitter *e, const struct ir_value *v);
x86_emit_fn x86_emit_alu, x86_emit_mul, x86_emit_mulhu, x86_emit_andn, x86_emit_shift, x86_emit_division,
    x86_emit_neg, x86_emit_sext, x86_emit_zext, x86_emit_bswap, x86_emit_bits, x86_emit_popcnt, x86_emit_clz,
    x86_emit_ctz, x86_emit_constant, x86_emit_copy, x86_emit_select;
x86_emit_fn x86_emit_lea, x86_emit_load, x86_emit_loads, x86_emit_loadbe, x86_emit_store, x86_emit_storebe,
    x86_emit_atomic, x86_emit_exchange, x86_emit_fetch_loop, x86_emit_cmpxchg;
x86_emit_fn x86_emit_jump, x86_emit_branch, x86_emit_switch, x86_emit_ret, x86_emit_tail;
x86_emit_fn x86_emit_call, x86_emit_call_local;

// --- operands (x86_emit_place.c) -----------------------------------------------------------------

static inline struct x86_mem x86_slot(const struct x86_emitter *e, uint32_t slot)
{
    return x86_at(X86_RSP, (int32_t)(e->spill_off + slot * 8));
}
static inline bool x86_in_slot(const struct x86_emitter *e, uint32_t value)
{
    const struct ir_value *v = ir_at(e->ir, value);
    return v->reg == IR_REG_NONE && v->slot != 0;
}
static inline struct x86_mem x86_slot_of(const struct x86_emitter *e, uint32_t value)
{
    return x86_slot(e, ir_at(e->ir, value)->slot - 1);
}
static inline struct x86_mem x86_frame(const struct x86_emitter *e, int64_t disp)
{
    return x86_at(X86_RSP, (int32_t)((int64_t)e->frame_top + disp));
}
// Makes CONST, MAP or FRAME `v` in `reg`.
void x86_make(struct x86_emitter *e, const struct ir_value *v, unsigned width, unsigned reg);
// Puts `value` into `reg`: 64 bits of it, or the low 32, zero-extended, for `width` 32.
void x86_fetch(struct x86_emitter *e, uint32_t value, unsigned width, unsigned reg);
// The register that `value` is in; one that has none is fetched into `scratch`.
static inline unsigned x86_source(struct x86_emitter *e, uint32_t value, unsigned scratch)
{
    unsigned reg = ir_at(e->ir, value)->reg;
    if (reg != IR_REG_NONE) {
        return reg;
    }
    x86_fetch(e, value, 64, scratch);
    return scratch;
}
// The register that the result of `v` is computed in, and what brings it from `reg` to its place.
static inline unsigned x86_target_reg(const struct ir_value *v)
{
    return v->reg != IR_REG_NONE ? v->reg : X86_SCRATCH;
}
void x86_finish_elsewhere(struct x86_emitter *e, const struct ir_value *v, unsigned reg);
static inline void x86_finish(struct x86_emitter *e, const struct ir_value *v, unsigned reg)
{
    if (v->reg != reg) {
        x86_finish_elsewhere(e, v, reg);
    }
}
// Whether anybody wants the result.
static inline bool x86_is_wanted(const struct ir_value *v)
{
    return v->reg != IR_REG_NONE || v->slot != 0;
}
// Makes `count` moves that happen at once.
void x86_moves(struct x86_emitter *e, const struct jit_move *moves, uint32_t count);
void x86_move(struct x86_emitter *e, const struct jit_move *m);
// Moves that happen at once, as most of them are: few, and to registers. They are made in the order in which
// alloc_order_moves has them.
#define X86_SHUFFLE 8
struct x86_shuffle {
    uint32_t count, made_count;
    uint8_t to[X86_SHUFFLE], made_to[X86_SHUFFLE];
    uint16_t from[X86_SHUFFLE]; // register, or X86_REG_COUNT + slot
    uint32_t made[X86_SHUFFLE]; // values that come from nothing
};
// `value` goes to `reg`. false: there are too many.
static inline bool x86_shuffle_add(const struct x86_emitter *e, struct x86_shuffle *s, unsigned reg,
                                   uint32_t value)
{
    const struct ir_value *v = ir_at(e->ir, value);
    if (v->reg != IR_REG_NONE) {
        s->to[s->count] = (uint8_t)reg;
        s->from[s->count] = v->reg;
        s->count += v->reg != reg;
    } else if (v->slot != 0) {
        s->to[s->count] = (uint8_t)reg;
        s->from[s->count++] = (uint16_t)(X86_REG_COUNT + v->slot - 1);
    } else if (v->op == IR_CONST || v->op == IR_MAP || v->op == IR_FRAME) {
        s->made_to[s->made_count] = (uint8_t)reg;
        s->made[s->made_count++] = value;
    }
    return s->count < X86_SHUFFLE && s->made_count < X86_SHUFFLE;
}
void x86_shuffle_make(struct x86_emitter *e, struct x86_shuffle *s);
static inline struct jit_location x86_in_reg(unsigned reg)
{
    return (struct jit_location){.place = PLACE_REG, .reg = (uint8_t)reg};
}

// --- branches (x86_emit_flow.c, x86_relax.c) -----------------------------------------------------

// A short branch forward inside the code of one value: x86_land puts its target here.
size_t x86_skip(struct x86_emitter *e, enum x86_cc cc);
void x86_land(struct x86_emitter *e, size_t skip);
void x86_jump_back(struct x86_emitter *e, enum x86_cc cc, size_t target);
enum x86_cc x86_condition(unsigned cond);
// Sets the flags for the condition of a BRANCH or SELECT.
void x86_compare(struct x86_emitter *e, const struct ir_value *v);
// Leaves room, which x86_relax writes.
static inline void x86_add_patch(struct x86_emitter *e, enum x86_patch_kind kind, unsigned size,
                                 uint32_t target, unsigned cc)
{
    uint32_t at = (uint32_t)e->code.size;
    e->code.size += size;
    e->patches[e->patch_count++] = (struct x86_patch){
        at, at, target, e->j->out->line_count, (uint8_t)kind, (uint8_t)cc, (uint8_t)size, (uint8_t)size};
}
static inline void x86_branch(struct x86_emitter *e, enum x86_cc cc, uint32_t block)
{
    x86_add_patch(e, X86_PATCH_BRANCH, cc == X86_CC_ALWAYS ? 5 : 6, block, cc);
}
// The block that a branch to `block` reaches in the end.
uint32_t x86_follow(struct x86_emitter *e, uint32_t block);
static inline uint32_t x86_find(struct x86_emitter *e, uint32_t block)
{
    return e->forward[block] == IR_NONE ? block : x86_follow(e, block);
}
void x86_epilogue(struct x86_emitter *e);
// Jumps to the address in r11.
void x86_jump_scratch(struct x86_emitter *e);
// Up to a multiple of 16, with int3. (x86_emit_call.c)
void x86_align(struct x86_emitter *e);
// Shortens branches, puts everything in its final place, fills in displacements, writes jump tables.
ebpf_result_t x86_relax(struct x86_emitter *e) MUST_CHECK;
