// SPDX-License-Identifier: MIT
// cgen_int: what the files of the folder share. Inside the folder only.
#pragma once

#include "cgen/cgen.h"

struct cgen {
    const struct cgen_input *in;
    const struct cgen_sink *sink;
    struct arena *arena;
    struct cgen_error *error;
    uint32_t *helper_rows; // by helper id: 1 + row of the module; 0: not called
    uint32_t *helper_ids;  // by row
    uint32_t helper_count;
    uint32_t *helper_numbers;              // by row: of the dialect that calls it first
    uint32_t *map_uses;                    // by map of the module: enum ebpf_native_map_use
    uint8_t (*digests)[PROTO_DIGEST_SIZE]; // by program, once it is written
};

// What is known of a register where the next instruction is.
enum known_kind {
    KNOWN_NOTHING,
    KNOWN_MAP,   // address of map `value`, of the program's
    KNOWN_STACK, // r10 + value
};
struct known {
    uint8_t kind; // enum known_kind
    int32_t value;
};

// A program while it is written.
struct unit {
    struct cgen *c;
    const struct program *p;
    const struct cgen_program *source;
    uint32_t index;   // of the program
    uint8_t *targets; // by slot: a jump goes there
    uint8_t *aborts;  // by function: a packet load in it, or below, may end the run
    int32_t *fields;  // by slot: field of the context that it accesses; -1: none
    bool shares;      // there is memory that others may write during a run
    uint8_t *tails;   // by function: it may go on with another program
    bool any_tails;   // one of them does: functions know the frame top
    bool calls_first; // functions call the one that the program starts with
    uint32_t uses;    // enum ebpf_native_import_use
    uint32_t func;    // at work
    struct known known[INSN_REG_COUNT];
};

// --- cgen_text.c ---------------------------------------------------------------------------------

void text_put(const struct cgen *c, const char *text);
void text_write(const struct cgen *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
// As a C string literal.
void text_string(const struct cgen *c, const char *text);
// As (part of) a C identifier.
void text_name(const struct cgen *c, const char *text);
// As what follows "// " to the end of the line.
void text_comment(const struct cgen *c, const char *text);
// Bytes as string literals, which compilers read faster than numbers: rows of a line each, without the last
// line's end.
void text_literal(const struct cgen *c, const uint8_t *bytes, size_t size);
// static const uint8_t NAME[] = ...;
void text_bytes(const struct cgen *c, const char *name, const uint8_t *bytes, size_t size);
// A number as a constant of `width` bits.
void text_number(const struct cgen *c, int64_t value, unsigned width);

ebpf_result_t cgen_refuse(const struct cgen *c, uint32_t program, uint32_t pc, ebpf_result_t result,
                          const char *fmt, ...) PRINTF_LIKE(5, 6);

// --- cgen_unit.c ---------------------------------------------------------------------------------

// Looks at a program before it is written.
ebpf_result_t unit_begin(struct unit *u, struct cgen *c, uint32_t index) MUST_CHECK;
// Function that starts at `pc`.
uint32_t unit_func_at(const struct unit *u, int64_t pc);
bool unit_calls_tail(const struct spec_view *v, const struct insn *in);
const struct helper_row *unit_helper(const struct spec_view *v, const struct insn *in); // or NULL
uint32_t unit_arg_count(const struct helper_row *row);
// Its values are found in line: an array.
bool unit_is_array(const struct spec_view *v, const struct map_def *map);
static inline uint32_t unit_stride(const struct map_def *map)
{
    return (uint32_t)align_up(map->value_size, 8);
}
// Registers that the instruction reads and writes, as masks. Helpers: by their row.
void unit_effect(const struct unit *u, uint32_t pc, uint32_t *reads, uint32_t *writes);
// What is known behind the instruction at `pc`.
void unit_step(struct unit *u, uint32_t pc);

// --- cgen_func.c, cgen_insn.c, cgen_call.c -------------------------------------------------------

void func_prototypes(const struct unit *u);
ebpf_result_t func_write_all(struct unit *u) MUST_CHECK;
// What others call.
void func_name(const struct unit *u, uint32_t func);
// Behind what may have aborted the run.
void func_test_aborted(const struct unit *u);
// The statement of one instruction, without indentation of the first line.
ebpf_result_t insn_write(struct unit *u, uint32_t pc) MUST_CHECK;
ebpf_result_t call_write(struct unit *u, uint32_t pc) MUST_CHECK;
// "MEM(32, r1 + 4)", by what is known of the base.
void insn_place(const struct unit *u, uint32_t pc, unsigned base, int off, unsigned width, bool is_private);

// --- cgen_table.c --------------------------------------------------------------------------------

ebpf_result_t table_collect(struct cgen *c) MUST_CHECK;
void table_declare(const struct cgen *c);
ebpf_result_t table_program(struct unit *u) MUST_CHECK;
void table_object(const struct cgen *c);
void table_module(const struct cgen *c);
