// SPDX-License-Identifier: MIT
// isa: the door of the instruction set. Facts are in isa.def (forms) and isa_ops.def (meanings); this header
// expands them into enums and declares decode, encode, print and parse. Nothing here allocates.
#pragma once

#include "base/base.h"

#define INSN_SLOT_SIZE  8u       // bytes of one instruction slot on the wire
#define INSN_REG_COUNT  11       // r0-r10
#define INSN_STACK_SIZE 512      // bytes of a function's frame
#define INSN_MAX_FRAMES 8        // of calls under way, the entry's included
#define INSN_MAX_SLOTS  1000000u // hard limit of one program, as Linux has
// Times that the may_goto of one run go on, all of them together, callees' and callbacks' included: Linux'
// BPF_MAX_LOOPS. That there is a limit is what the verifier relies on, not which one.
#define INSN_MAY_GOTO_TURNS 8388608u

// Rows of isa.def in order; INSN_NONE marks the second slot of a 64-bit immediate.
enum insn_id {
    INSN_NONE = 0,
#define INSN(id, ...) INSN_##id,
#include "isa/isa.def"
#undef INSN
    INSN_ID_COUNT
};

enum insn_form {
    FORM_NONE,
    FORM_ALU_IMM,   // op dst, imm
    FORM_ALU_REG,   // op dst, src
    FORM_ALU_UNARY, // op dst
    FORM_JMP_IMM,   // op dst, imm, off
    FORM_JMP_REG,   // op dst, src, off
    FORM_JA16,      // op off
    FORM_JA32,      // op imm (slots)
    FORM_MAY_GOTO,  // op off
    FORM_CALL,      // op imm
    FORM_CALLX,     // op dst
    FORM_EXIT,      // op
    FORM_LOAD,      // op dst, [src + off]
    FORM_STORE_IMM, // op [dst + off], imm
    FORM_STORE_REG, // op [dst + off], src
    FORM_LDDW,      // op dst, imm64: two slots
    FORM_LDABS,     // op imm
    FORM_LDIND,     // op src, imm
    FORM_ATOMIC,    // op [dst + off], src
    FORM_COUNT
};

enum insn_sem {
    SEM_NONE,
#define ALU_OP(sem, ...) SEM_##sem,
#define JMP_OP(sem, ...) SEM_##sem,
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    SEM_LE,
    SEM_BE,
    SEM_BSWAP,
    SEM_JA,
    SEM_MAY_GOTO,
    SEM_CALL,
    SEM_CALL_LOCAL,
    SEM_CALL_BTF,
    SEM_CALLX,
    SEM_EXIT,
    SEM_LDX,
    SEM_LDXS,
    SEM_ST,
    SEM_STX,
    SEM_LDDW,
    SEM_LDDW_MAP_FD,
    SEM_LDDW_MAP_VALUE_FD,
    SEM_LDDW_VAR,
    SEM_LDDW_CODE,
    SEM_LDDW_MAP,
    SEM_LDDW_MAP_VALUE,
    SEM_LDABS,
    SEM_LDIND,
    SEM_ATOMIC_ADD,
    SEM_ATOMIC_OR,
    SEM_ATOMIC_AND,
    SEM_ATOMIC_XOR,
    SEM_ATOMIC_FETCH_ADD,
    SEM_ATOMIC_FETCH_OR,
    SEM_ATOMIC_FETCH_AND,
    SEM_ATOMIC_FETCH_XOR,
    SEM_ATOMIC_XCHG,
    SEM_ATOMIC_CMPXCHG,
    SEM_COUNT
};

enum insn_group {
    GROUP_BASE32,
    GROUP_BASE64,
    GROUP_DIVMUL32,
    GROUP_DIVMUL64,
    GROUP_ATOMIC32,
    GROUP_ATOMIC64,
    GROUP_CALLX,
    GROUP_PACKET,
    GROUP_MAY_GOTO, // of Linux, not of RFC 9669
    GROUP_COUNT
};

enum insn_selector { SELECT_NONE, SELECT_SRC, SELECT_OFF, SELECT_IMM };

// A decoded instruction. One entry per 8-byte slot, so that a pc is the slot number that llvm-objdump prints;
// the second slot of an LDDW has id INSN_NONE and all other fields zero. Fields that the form does not use,
// and the field that selects the row (src of CALL_LOCAL, off of SDIV, imm of LE16), are zero.
struct insn {
    uint16_t id;       // enum insn_id
    uint8_t dst;       // 0..10
    uint8_t src;       // 0..10
    int16_t off;       // jump displacement in slots, or memory offset in bytes
    uint16_t reserved; // 0
    // Immediate, sign-extended. By form:
    //   LDDW: 64 bits. LDDW_MAP: index of the map. LDDW_MAP_VALUE: index | (offset in the value << 32).
    //   LDDW_CODE: displacement in slots from pc + 1 to the function, as CALL_LOCAL has.
    //   CALL: helper number as the object has it; in canonical form enum helper_id, or -1 - number where the
    //   dialect knows no such number. CALL_LOCAL, JA32: displacement in slots.
    int64_t imm;
};

struct insn_info {
    uint8_t opcode;
    uint8_t selector; // enum insn_selector
    uint8_t form;     // enum insn_form
    uint8_t sem;      // enum insn_sem
    uint8_t width;    // bits
    uint8_t group;    // enum insn_group
    int16_t value;    // of the selector
    const char *mnemonic;
};

// Row of `id`; a row of zeros with mnemonic "?" for INSN_NONE and ids out of range.
extern const struct insn_info insn_rows[INSN_ID_COUNT];
static inline const struct insn_info *insn_info(unsigned id)
{
    return &insn_rows[id < INSN_ID_COUNT ? id : INSN_NONE];
}
static inline bool insn_is_jump(const struct insn *in) // conditional or not; calls and exit are not jumps
{
    uint8_t f = insn_info(in->id)->form;
    return f == FORM_JMP_IMM || f == FORM_JMP_REG || f == FORM_JA16 || f == FORM_JA32 || f == FORM_MAY_GOTO;
}
static inline bool insn_is_conditional(const struct insn *in) // may_goto too, which tests no register
{
    uint8_t f = insn_info(in->id)->form;
    return f == FORM_JMP_IMM || f == FORM_JMP_REG || f == FORM_MAY_GOTO;
}
// Slots taken: 2 for LDDW, else 1.
static inline unsigned insn_slots(const struct insn *in)
{
    return insn_info(in->id)->form == FORM_LDDW ? 2 : 1;
}
// Slot that a jump, CALL_LOCAL or LDDW_CODE at `pc` goes to. May be out of range: callers check.
int64_t insn_target(const struct insn *in, uint32_t pc);

// The second slot of an LDDW: INSN_NONE with all fields zero.
bool insn_is_second_slot(const struct insn *in);

enum insn_error {
    INSN_OK,
    INSN_ERR_OPCODE,    // no row for this opcode and selector
    INSN_ERR_REGISTER,  // register above r10, or r10 as destination of a computation
    INSN_ERR_RESERVED,  // a field that the form does not use is not zero
    INSN_ERR_TRUNCATED, // the second slot of a 64-bit immediate is missing or malformed
    INSN_ERR_LENGTH,    // size is not a multiple of 8, zero, or above INSN_MAX_SLOTS
};
const char *insn_error_text(enum insn_error error);
// Whether one entry is as the decoder makes them: known id, registers in range, unused fields zero, an
// immediate that has an encoding. The second slot of an LDDW is not an instruction (INSN_ERR_OPCODE); pairs
// are the caller's business.
enum insn_error insn_check(const struct insn *in) MUST_CHECK;

// Decodes `size` bytes of little-endian slots into out[size / 8]. On failure `*bad_pc` is the slot.
// Checks fields only; jump targets and helper ids are the loader's and the verifier's business.
enum insn_error insn_decode(const void *bytes, size_t size, struct insn *out, uint32_t *bad_pc) MUST_CHECK;
// Encodes `count` slots into bytes[count * 8]. INSN_ERR_* when an entry has no encoding.
enum insn_error insn_encode(const struct insn *insns, size_t count, void *bytes, uint32_t *bad_pc) MUST_CHECK;

// Prints one instruction as text of RFC style ("r0 = *(u32 *)(r1 + 4)", "if r1 s> 3 goto +7"). Returns the
// length that the whole text has, as str_format does. `text` of 96 bytes holds any instruction.
size_t insn_print(const struct insn *in, char *text, size_t size);
// Parses one line of the syntax that insn_print writes, and of the conformance suite's assembly
// ("mov %r0, 1", "ldxw %r0, [%r1+4]", "jeq %r0, 1, +2"). Writes 1 or 2 entries to out[2] and their number to
// *slots. EBPF_INVALID_ARGUMENT on anything else.
ebpf_result_t insn_parse(const char *line, struct insn out[2], unsigned *slots) MUST_CHECK;
// Assembles lines of that syntax, for tests and tools: "label:" before an instruction or alone, a label as
// last operand in place of a displacement, '#' comments. Without a label of that name, "exit" is the first
// exit instruction. `*count` is the number of slots. EBPF_INVALID_ARGUMENT with the 1-based `*bad_line`;
// EBPF_INSUFFICIENT_BUFFER above `capacity`.
ebpf_result_t isa_assemble(const char *text, struct insn *out, uint32_t capacity, uint32_t *count,
                           uint32_t *bad_line) MUST_CHECK;
