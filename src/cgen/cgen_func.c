// SPDX-License-Identifier: MIT
// cgen_func: functions of a program as C functions. The entry has the signature of ebpf_native_entry_fn. What
// may go on with another program is two functions: a small one around the body, which jumps there when the
// body's frame is gone, with any compiler.
#include "cgen/cgen_int.h"

static const char entry_parameters[] =
    "(uint64_t r1, uint64_t r2, struct ebpf_native_run *run, uint8_t *frame_top)";
static const char parameters[] =
    "(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct ebpf_native_run *run)";
static const char tail_parameters[] = "(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,\n"
                                      "    struct ebpf_native_run *run, uint8_t *frame_top)";

// It is the program's entry itself; otherwise a function of its own calls it.
static bool is_entry(const struct unit *u, uint32_t func)
{
    return func == 0 && !u->calls_first;
}

static void put_name(const struct unit *u, uint32_t func, bool is_body)
{
    text_write(u->c, "p%u", (unsigned)u->index);
    if (is_body || !is_entry(u, func)) {
        text_write(u->c, is_body ? "f%ub" : "f%u", (unsigned)func);
    }
    text_put(u->c, "_");
    text_name(u->c, func != 0 ? u->p->funcs[func].name : u->p->name);
}

void func_name(const struct unit *u, uint32_t func)
{
    put_name(u, func, false);
}

static void put_head(const struct unit *u, uint32_t func, bool is_body)
{
    text_put(u->c, is_body ? "__attribute__((noinline)) EBPF_NATIVE_FUNCTION " : "EBPF_NATIVE_FUNCTION ");
    put_name(u, func, is_body);
    text_put(u->c, is_entry(u, func) ? entry_parameters : u->any_tails ? tail_parameters : parameters);
}

void func_prototypes(const struct unit *u)
{
    uint32_t first = u->calls_first ? 0 : 1;
    for (uint32_t f = first; f < u->p->func_count; f++) {
        put_head(u, f, false);
        text_put(u->c, ";\n");
    }
    if (u->p->func_count > first) {
        text_put(u->c, "\n");
    }
}

// --- registers -----------------------------------------------------------------------------------

static uint32_t used_registers(const struct unit *u, const struct func *f)
{
    uint32_t used = 1, reads, writes;
    for (uint32_t pc = f->start; pc < f->end; pc++) {
        unit_effect(u, pc, &reads, &writes);
        used |= reads | writes;
    }
    return used;
}

// r0 and others start as zero: a verified program reads none before it has written it.
static void put_registers(const struct unit *u, uint32_t used)
{
    unsigned parameter_count = is_entry(u, u->func) ? 2 : 5;
    text_put(u->c, "    uint64_t r0 = 0");
    for (unsigned reg = parameter_count + 1; reg < 10; reg++) {
        if ((used >> reg & 1) != 0) {
            text_write(u->c, ", r%u = 0", reg);
        }
    }
    text_put(u->c, ";\n");
    for (unsigned reg = parameter_count + 1; reg < 10; reg++) {
        if ((used >> reg & 1) != 0) {
            text_write(u->c, "%s(void)r%u;", reg == parameter_count + 1 ? "    " : " ", reg);
        }
    }
    text_put(u->c, used >> (parameter_count + 1) != 0 ? "\n" : "");
    if ((used >> 10 & 1) != 0) {
        text_put(u->c, "    uint8_t stack[EBPF_NATIVE_STACK] __attribute__((aligned(16)));\n"
                       "    const uint64_t r10 = (uint64_t)(uintptr_t)(stack + EBPF_NATIVE_STACK);\n"
                       "    (void)r10;\n");
    }
}

// --- lines ---------------------------------------------------------------------------------------

static void put_source(const struct unit *u, uint32_t pc, const struct line **last)
{
    const struct line *line = program_line(u->p, pc);
    bool is_same = line != NULL && *last != NULL && line->line == (*last)->line &&
                   line->file_off == (*last)->file_off && line->text_off == (*last)->text_off;
    if (line == NULL || is_same || line->line == 0) {
        return;
    }
    *last = line;
    text_put(u->c, "    // ");
    text_comment(u->c, program_string(u->p, line->file_off));
    text_write(u->c, ":%u: ", (unsigned)line->line);
    text_comment(u->c, program_string(u->p, line->text_off));
    text_put(u->c, "\n");
    if (u->c->in->lines) {
        text_write(u->c, "#line %u ", (unsigned)line->line);
        text_string(u->c, program_string(u->p, line->file_off));
        text_put(u->c, "\n");
    }
}

static void forget(struct unit *u)
{
    memset(u->known, 0, sizeof(u->known));
    u->known[10] = (struct known){KNOWN_STACK, 0};
}

static ebpf_result_t write_insns(struct unit *u, const struct func *f)
{
    const struct line *last = NULL;
    uint8_t form = FORM_NONE;
    forget(u);
    for (uint32_t pc = f->start; pc < f->end; pc += insn_slots(&u->p->insns[pc])) {
        if (u->targets[pc] != 0) {
            text_write(u->c, "pc%u:\n", (unsigned)pc);
            forget(u);
        }
        put_source(u, pc, &last);
        text_put(u->c, "    ");
        TRY(insn_write(u, pc));
        text_put(u->c, "\n");
        unit_step(u, pc);
        form = insn_info(u->p->insns[pc].id)->form;
    }
    if (form != FORM_EXIT && form != FORM_JA16 && form != FORM_JA32) {
        text_put(u->c, "    return 0;\n");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t write_body(struct unit *u, uint32_t func)
{
    const struct func *f = &u->p->funcs[func];
    u->func = func;
    put_head(u, func, u->tails[func] != 0);
    text_put(u->c, "\n{\n");
    if (is_entry(u, func)) {
        text_put(u->c, "    (void)r1, (void)r2, (void)run, (void)frame_top;\n");
    }
    put_registers(u, used_registers(u, f));
    TRY(write_insns(u, f));
    text_put(u->c, "}\n\n");
    return EBPF_SUCCESS;
}

// What the body returns when it made a tail call is r1 of the next program.
static void write_jump(const struct unit *u, uint32_t func)
{
    put_head(u, func, false);
    text_put(u->c, "\n{\n    const uint64_t r0 = ");
    put_name(u, func, true);
    text_put(u->c,
             is_entry(u, func) ? "(r1, r2, run, frame_top);\n" : "(r1, r2, r3, r4, r5, run, frame_top);\n");
    text_put(u->c, "    if (run->number == 0) {\n        return r0;\n    }\n"
                   "    ebpf_native_entry_fn next = (ebpf_native_entry_fn)(uintptr_t)run->number;\n"
                   "    return next(r0, 0, run, frame_top);\n}\n\n");
}

static void write_entry(const struct unit *u)
{
    text_write(u->c, "EBPF_NATIVE_FUNCTION p%u_", (unsigned)u->index);
    text_name(u->c, u->p->name);
    text_put(u->c, entry_parameters);
    text_put(u->c, "\n{\n    (void)frame_top;\n    return ");
    func_name(u, 0);
    text_put(u->c,
             u->any_tails ? "(r1, r2, 0, 0, 0, run, frame_top);\n}\n\n" : "(r1, r2, 0, 0, 0, run);\n}\n\n");
}

ebpf_result_t func_write_all(struct unit *u)
{
    func_prototypes(u);
    for (uint32_t f = u->p->func_count; f-- > 0;) {
        TRY(write_body(u, f));
        if (u->tails[f] != 0) {
            write_jump(u, f);
        }
    }
    if (u->calls_first) {
        write_entry(u);
    }
    return EBPF_SUCCESS;
}
