// SPDX-License-Identifier: MIT
// arm64_emit: what the files of the A64 emitter share. It is total: whatever number, address or place an
// operation comes with is made with the scratch registers; arm64_lower.c only sees to it that this is seldom
// needed.
#pragma once

#include "jit/arm64_encode.h"
#include "jit/target.h"

#define ARM64_SAVED UINT32_C(0x1ff80000) // x19-x28

// Scratch registers by use. Operands of one operation that are in no register get A, B, C in this order.
enum {
    SCRATCH_A = 16, // first operand, base address
    SCRATCH_B = 17, // second operand, index, large numbers, large displacements
    SCRATCH_C = 15, // stored values, quotients, moves from memory to memory
    SCRATCH_D = 14, // what an atomic operation found
    SCRATCH_E = 13, // status of a conditional store
};

enum arm64_fix_kind { FIX_BLOCK, FIX_STUB, FIX_FUNC };
struct arm64_fix {
    uint32_t at; // offset of the branch
    uint32_t to; // block, stub, function
    uint32_t kind;
};

// How far branches go: each step is tried when the one before did not reach. TBZ 32 KiB, others 1 MiB, B 128
// MiB.
enum arm64_reach { REACH_BIT, REACH_COND, REACH_FAR, REACH_COUNT };

// One function under way.
struct arm64_emitter {
    struct jit *j;
    struct ir *ir;
    struct jit_code *out;
    enum arm64_reach reach;
    bool full; // a buffer is: nothing is written any more
    struct arm64_fix *fixes;
    uint32_t fix_count;
    uint64_t *stubs; // addresses outside
    uint32_t stub_count;
    uint32_t position;  // in ir->order
    uint32_t tail;      // block that is written again in the place of a jump to it, or IR_NONE
    uint32_t tail_room; // what the copies behind one block may still take
    uint32_t pc;        // of the last line
    // The frame, from the stack pointer up: spill slots, the program's bytes, saved registers.
    uint8_t saved[12];
    uint32_t saved_count;
    uint32_t local_size;    // below the saved registers
    uint32_t program_frame; // offset of r10 (native_frame)
};

extern const struct jit_convention arm64_convention;
ebpf_result_t arm64_lower(struct jit *j) MUST_CHECK;
ebpf_result_t arm64_emit(struct jit *j) MUST_CHECK;
ebpf_result_t arm64_finish(struct jit *j) MUST_CHECK;
void arm64_link(struct jit_code *code, uint64_t address);

// --- arm64_emit.c --------------------------------------------------------------------------------

void arm64_put(struct arm64_emitter *e, uint32_t word);
void arm64_put_fix(struct arm64_emitter *e, uint32_t word, enum arm64_fix_kind kind, uint32_t to);

// --- arm64_emit_place.c: where values are --------------------------------------------------------

void arm64_put_number(struct arm64_emitter *e, unsigned reg, uint64_t imm);
// The register that holds `value`, or `scratch`, loaded with it. Never 31.
unsigned arm64_use(struct arm64_emitter *e, uint32_t value, unsigned scratch);
// The same, but the zero register for zero.
unsigned arm64_use_zero(struct arm64_emitter *e, uint32_t value, unsigned scratch);
// The register to compute the result of `v` in, and what follows.
unsigned arm64_result(const struct ir_value *v);
void arm64_keep(struct arm64_emitter *e, const struct ir_value *v, unsigned reg);
void arm64_put_moves(struct arm64_emitter *e, const struct jit_move *moves, uint32_t count);
// All at once.
ebpf_result_t arm64_put_parallel(struct arm64_emitter *e, const struct jit_move *moves,
                                 uint32_t count) MUST_CHECK;
struct jit_location arm64_in(unsigned reg);
// reg = n + imm; reg is not n when imm is large. n may be the stack pointer.
void arm64_put_add(struct arm64_emitter *e, unsigned width, unsigned reg, unsigned n, int64_t imm);

// --- operations; true: `v` was one of the file's -------------------------------------------------

bool arm64_put_alu(struct arm64_emitter *e, const struct ir_value *v);    // arm64_emit_alu.c
bool arm64_put_memory(struct arm64_emitter *e, const struct ir_value *v); // arm64_emit_memory.c
bool arm64_put_atomic(struct arm64_emitter *e, const struct ir_value *v); // arm64_emit_atomic.c
// Both in one instruction, if there is one; `next` is what follows `v`. Uses are counted. (arm64_emit_fuse.c)
bool arm64_put_fused(struct arm64_emitter *e, const struct ir_value *v, const struct ir_value *next);
// Compares the operands of a SELECT or BRANCH and returns the condition to test. (arm64_emit_flow.c)
enum arm64_cond arm64_put_compare(struct arm64_emitter *e, const struct ir_value *v);
// JUMP, BRANCH, SWITCH.
ebpf_result_t arm64_put_flow(struct arm64_emitter *e, const struct ir_value *v) MUST_CHECK;
// Calls, returns. (arm64_emit_call.c)
ebpf_result_t arm64_put_call(struct arm64_emitter *e, struct ir_value *v) MUST_CHECK;
ebpf_result_t arm64_put_return(struct arm64_emitter *e, struct ir_value *v) MUST_CHECK; // RET, TAIL
ebpf_result_t arm64_plan_frame(struct arm64_emitter *e) MUST_CHECK;
ebpf_result_t arm64_put_prologue(struct arm64_emitter *e) MUST_CHECK;
