// SPDX-License-Identifier: MIT
// jit: the door of the translation of bound programs to machine code. Kernel-safe: all memory is the caller's
// workspace, nothing recurses, no process is started. It trusts nothing but the form of its input
// (program_check): without any facts it translates every instruction as RFC 9669 defines it. What it cannot
// translate is an error, never a fallback.
//
// The parts: build_*.c bytecode -> SSA; opt_*.c the same for all targets; lower_*.c and x86_*.c, arm64_*.c
// towards one target; alloc_*.c registers; ir_*.c the text form, the checker and the interpreter of the
// intermediate form. docs/jit.md follows one program through all of them.
#pragma once

#include "base/base.h"
#include "isa/isa.h"
#include "spec/spec.h"

enum jit_arch { JIT_X86_64, JIT_ARM64 };
enum jit_abi { JIT_ABI_SYSV, JIT_ABI_WINDOWS, JIT_ABI_AAPCS64 };

// What the CPU has beyond the baseline of its architecture.
enum jit_cpu {
    JIT_CPU_MOVBE = 1 << 0,
    JIT_CPU_BMI1 = 1 << 1,
    JIT_CPU_BMI2 = 1 << 2,
    JIT_CPU_POPCNT = 1 << 3,
    JIT_CPU_LZCNT = 1 << 4,
    JIT_CPU_LSE = 1 << 5, // arm64: atomic instructions
};

// One bit per row of jit_passes.def.
enum jit_pass_number {
#define PASS(id, ...) JIT_PASS_##id,
#include "jit/jit_passes.def"
#undef PASS
    JIT_PASS_COUNT
};
#define JIT_PASS_BIT(id) ((uint32_t)1 << JIT_PASS_##id)
#define JIT_ALL_PASSES   UINT32_MAX

// --- what a program is bound to ------------------------------------------------------------------

// Head of the structure that a run has (struct run of the runtime begins with it). Machine code reads and
// writes it by these offsets; its address is the last argument of every helper.
struct jit_run {
    uint64_t number;  // of the helper, for `callx` and raw calls; address of the next program, for tail calls
    uint32_t turns;   // that may_goto still grants, INSN_MAY_GOTO_TURNS at first
    uint32_t slot;    // of the CPU: what bpf_get_smp_processor_id returns
    uint32_t aborted; // a packet load was out of range: every function returns at once
    uint32_t reserved;
};

// All functions that machine code calls look like this one.
typedef uint64_t (*jit_helper_fn)(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                                  struct jit_run *run);

enum jit_helper_kind {
    JIT_HELPER_NONE,       // may not be called
    JIT_HELPER_CALL,       // an ordinary call
    JIT_HELPER_MAP_LOOKUP, // (map, key): in line where the map is known
    JIT_HELPER_CPU_ID,     // jit_run.slot
    JIT_HELPER_TAIL_CALL,  // (context, map, index, frame top): 0 with the address in jit_run.number, or an
                           // error
};

struct jit_helper {
    uint64_t address;  // of a jit_helper_fn
    uint8_t kind;      // enum jit_helper_kind
    uint8_t arg_count; // 0..5: registers r1.. that it reads
};

enum jit_map_kind {
    JIT_MAP_OTHER,
    JIT_MAP_ARRAY,        // value i is at values + i * stride
    JIT_MAP_PERCPU_ARRAY, // that of CPU c: at values + c * cpu_stride + i * stride
};

struct jit_map {
    uint64_t address; // what LDDW_MAP loads
    uint8_t kind;     // enum jit_map_kind
    uint32_t stride, max_entries;
    uint64_t values, cpu_stride;
    uint64_t lookup; // address of void *(*)(map, key), specialised for this map; 0: none
};

// A program, ready to be translated. Instructions are canonical but for two things: context accesses are
// already those of the runtime's structure (16-bit offsets, widths changed where needed), and LDDW_MAP_VALUE
// is an LDDW of the address.
struct jit_input {
    const struct insn *insns;
    uint32_t insn_count;
    const struct func *funcs; // sorted, covering insns; funcs[0] is the entry
    uint32_t func_count;
    const struct jit_map *maps; // by LDDW_MAP's index
    uint32_t map_count;
    const struct jit_helper *helpers; // by enum helper_id
    uint32_t helper_count;
    // jit_helper_fn: calls the helper whose number (of the dialect) is in jit_run.number, for CALLX and, when
    // `raw`, for every CALL. 0: such calls are refused.
    uint64_t call_number;
    bool raw;
    // jit_helper_fn (offset, bytes): packet load of LDABS and LDIND; sets jit_run.aborted when out of range.
    uint64_t load_packet;
};

// --- options -------------------------------------------------------------------------------------

struct ir;
struct jit_options {
    uint8_t arch, abi;  // enum jit_arch, enum jit_abi
    uint32_t cpu;       // enum jit_cpu
    uint32_t passes;    // bits of jit_passes.def; JIT_ALL_PASSES
    uint32_t registers; // so many registers at most are allocated; 0: all (tests)
    bool native_frame;  // the program's frames lie on the native stack; otherwise the entry's 4th argument
                        // tells
    bool blind;         // no constant of the program appears in the code
    uint64_t blind_seed;
    bool retpoline;  // no indirect branch without one; no jump tables
    bool no_landing; // leave out ENDBR64 / BTI
    // Called after each pass that ran; NULL: not.
    void (*dump)(void *user, const char *pass, const struct ir *ir);
    void *dump_user;
};

// --- results -------------------------------------------------------------------------------------

// A call of a function outside the code: `call rel32` / `bl` at `offset`, which reaches a stub inside the
// code. jit_link lets those that are near enough go there directly.
struct jit_call {
    uint32_t offset;
    uint64_t target;
};
// Machine code from `offset` on belongs to the instruction at `pc`. Sorted by offset.
struct jit_line {
    uint32_t offset, pc;
};
// What undoes the prologue of a function, for unwinders: registers pushed in this order, then one allocation.
struct jit_frame {
    uint32_t start, end; // of the function, in the code
    uint32_t prologue;   // bytes
    uint32_t allocated;  // bytes after the pushes
    uint8_t pushed[16], pushed_count;
    uint8_t push_end[16]; // offset behind each push, from start
};

// In: buffers and their capacities; out: what was written. calls, lines and frames may be NULL (capacity 0):
// left out. The code can be anywhere, but jit_link.
struct jit_code {
    uint8_t *code;
    size_t capacity, size;
    struct jit_call *calls;
    uint32_t call_capacity, call_count;
    struct jit_line *lines;
    uint32_t line_capacity, line_count;
    struct jit_frame *frames;
    uint32_t frame_capacity, frame_count;
    size_t workspace_used;
};

// A workspace that is enough for nearly all programs of `insn_count` slots: 288 bytes an instruction and a
// constant. Others are translated again with more.
size_t jit_workspace_size(uint32_t insn_count);
// A code buffer of the same kind.
size_t jit_code_size(uint32_t insn_count);

// Translates all functions; the entry's code starts at code[0]:
//   uint64_t entry(uint64_t r1, uint64_t r2, struct jit_run *run, uint8_t *frame_top)
// frame_top: end of INSN_STACK_SIZE bytes for the first function; each nested function has the next ones, at
// higher addresses.
// EBPF_NO_MEMORY: the workspace is too small. EBPF_INSUFFICIENT_BUFFER: the code buffer is. Both: try again
// with twice as much. EBPF_JIT_COMPILATION_FAILED: something cannot be translated (*bad_pc tells which
// instruction). `workspace` is 16-byte aligned; its contents do not matter.
ebpf_result_t jit_translate(const struct jit_input *input, const struct jit_options *options, void *workspace,
                            size_t workspace_size, struct jit_code *out, uint32_t *bad_pc) MUST_CHECK;
// Patches calls for code that will run at `address`. Before it is published.
void jit_link(const struct jit_options *options, struct jit_code *code, uint64_t address);
// Windows x64 UNWIND_INFO of a frame; returns its size in bytes (at most 80), or 0 when `capacity` is too
// small.
size_t jit_unwind_x64(const struct jit_frame *frame, uint8_t *out, size_t capacity);
// CPU features of the machine that this code runs on.
uint32_t jit_host_cpu(void);
