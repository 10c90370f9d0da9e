// SPDX-License-Identifier: MIT
// elf_programs: puts programs together. A program is an entry function followed by the functions that it
// refers to, directly or through others, each once, in the order in which they are met. Entries are the
// functions outside .text that are not static or that no code refers to (tail calls reach them by a program
// array); those of .text only in an object without others. A function that others call, in a section of no
// type, is put together with a caller that passes any numbers: enough to verify it.
#include "elf/elf_int.h"

enum { CALLER_ARGUMENTS = 5, CALLER_SLOTS = 2 * CALLER_ARGUMENTS + 2 };

// The functions of the program in the making.
struct build {
    uint32_t program;  // counted from 1
    uint32_t *members; // indices of functions
    uint32_t count;
    uint32_t slots, lines;
    bool has_caller; // a made-up function 0
};

static bool is_program(const struct elf_loader *l, const struct elf_func *f, bool of_text)
{
    bool is_entry = elf_is_entry(l, f) || (!of_text && !f->is_referenced);
    return is_entry && l->sections[f->section].text == of_text;
}

static uint32_t count_programs(const struct elf_loader *l, bool of_text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->func_count; i++) {
        count += is_program(l, &l->funcs[i], of_text);
    }
    return count;
}

// Rows of line information of a function: [*from, *to) of line_places.
static void find_lines(const struct elf_loader *l, const struct elf_func *f, uint32_t *from, uint32_t *to)
{
    *from = elf_pairs_from(&l->line_places, elf_place(f->section, f->start));
    *to = elf_pairs_from(&l->line_places, elf_place(f->section, f->end));
}

static void add_member(struct elf_loader *l, struct build *b, uint32_t index)
{
    struct elf_func *f = &l->funcs[index];
    uint32_t from, to;
    if (f->user == b->program) {
        return;
    }
    f->user = b->program;
    f->position = b->slots;
    b->members[b->count++] = index;
    b->slots += f->end - f->start; // at most the object's instructions: no overflow
    find_lines(l, f, &from, &to);
    b->lines += to - from + 1;
}

static bool refers_to_code(const struct insn *in)
{
    return in->id == INSN_CALL_LOCAL || in->id == INSN_LDDW_CODE;
}

// Finds all members; `count` grows while they are read.
static ebpf_result_t collect_members(struct elf_loader *l, struct build *b, uint32_t entry)
{
    add_member(l, b, entry);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct elf_func *f = &l->funcs[b->members[i]];
        const struct insn *insns = l->sections[f->section].insns;
        for (uint32_t pc = f->start; pc < f->end; pc++) {
            if (refers_to_code(&insns[pc])) {
                add_member(l, b, (uint32_t)insns[pc].imm);
            }
        }
    }
    if (b->slots > INSN_MAX_SLOTS) {
        const struct elf_func *f = &l->funcs[entry];
        return elf_fail(l, &l->sections[f->section],
                        "program '%s' has %u instructions with its subprograms; the limit is %u", f->name,
                        b->slots, INSN_MAX_SLOTS);
    }
    return EBPF_SUCCESS;
}

static void copy_insns(const struct elf_loader *l, const struct build *b, struct insn *out)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct elf_func *f = &l->funcs[b->members[i]];
        for (uint32_t pc = f->start; pc < f->end; pc++, out++) {
            *out = l->sections[f->section].insns[pc];
            out->reserved = 0;
            if (refers_to_code(out)) {
                uint32_t here = f->position + (pc - f->start);
                out->imm = (int64_t)l->funcs[out->imm].position - here - 1;
            }
        }
    }
}

// r1 to r5 = any number; call the function behind; exit.
static uint32_t make_caller(struct insn *out, struct func *func)
{
    for (uint32_t i = 0; i < CALLER_ARGUMENTS; i++) {
        out[2 * i] = (struct insn){.id = INSN_LDDW_VAR, .dst = (uint8_t)(i + 1)};
    }
    out[CALLER_SLOTS - 2] = (struct insn){.id = INSN_CALL_LOCAL, .imm = 1};
    out[CALLER_SLOTS - 1] = (struct insn){.id = INSN_EXIT};
    *func = (struct func){.end = CALLER_SLOTS, .name = "(any arguments)"};
    return CALLER_SLOTS;
}

static void copy_funcs(const struct elf_loader *l, const struct build *b, struct func *out)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct elf_func *f = &l->funcs[b->members[i]];
        out[i].start = f->position;
        out[i].end = f->position + (f->end - f->start);
        // The entry has a context instead of a contract.
        out[i].global = i != 0 && f->btf_global && !f->is_static && !f->is_hidden;
        str_copy(out[i].name, sizeof(out[i].name), f->name);
    }
}

// A function whose first instruction has no row gets one, so that no row of the function before it reaches
// into it.
static uint32_t copy_lines(const struct elf_loader *l, const struct build *b, struct line *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct elf_func *f = &l->funcs[b->members[i]];
        uint32_t from, to;
        find_lines(l, f, &from, &to);
        if (count != 0 && (from == to || (uint32_t)l->line_places.items[from].key != f->start)) {
            out[count++] = (struct line){.pc = f->position};
        }
        for (uint32_t at = from; at < to; at++, count++) {
            const struct elf_line *line = &l->lines[l->line_places.items[at].value];
            out[count].pc = f->position + (line->slot - f->start);
            out[count].file_off = line->file_off;
            out[count].text_off = line->text_off;
            out[count].line = line->line;
            out[count].column = line->column;
        }
    }
    return count;
}

// Old compilers marked no function: their loaders know a program by the section that it fills.
static const char *program_name(const struct elf_loader *l, const struct elf_func *f)
{
    uint32_t index = (uint32_t)(f - l->funcs);
    bool alone = (index == 0 || l->funcs[index - 1].section != f->section) &&
                 (index + 1 == l->func_count || l->funcs[index + 1].section != f->section);
    return f->is_label && alone ? l->sections[f->section].name : f->name;
}

static ebpf_result_t copy_code(struct elf_loader *l, const struct build *b, struct elf_program *out)
{
    uint32_t before = b->has_caller ? 1 : 0, slots = 0;
    struct insn *insns = arena_array(l->arena, b->slots, sizeof(*insns));
    struct func *funcs = arena_array(l->arena, b->count + before, sizeof(*funcs));
    uint32_t *types = arena_array(l->arena, b->count + before, sizeof(*types));
    if (insns == NULL || funcs == NULL || types == NULL) {
        return elf_no_memory(l);
    }
    if (b->has_caller) {
        slots = make_caller(insns, funcs);
    }
    copy_insns(l, b, insns + slots);
    copy_funcs(l, b, funcs + before);
    for (uint32_t i = 0; i < b->count; i++) {
        types[i + before] = l->funcs[b->members[i]].btf;
    }
    out->insns = insns;
    out->insn_count = b->slots;
    out->funcs = funcs;
    out->func_types = types;
    out->func_count = b->count + before;
    return EBPF_SUCCESS;
}

static void set_types(struct elf_loader *l, const struct section_row *row, struct elf_program *out)
{
    out->autoload = out->section[0] != '?' && !out->is_function;
    out->sleepable = row != NULL && row->sleepable;
    out->attach_type = spec_attach_type_by_section(l->options->spec, l->object->dialect, out->section);
    out->likely_attach_type = row != NULL ? row->attach_type : ATTACH_TYPE_NONE;
}

static const struct section_row *section_row(const struct elf_loader *l, const struct elf_func *f)
{
    return spec_section_row(l->options->spec, l->object->dialect, l->sections[f->section].name);
}

static ebpf_result_t make_program(struct elf_loader *l, const struct build *b, struct elf_program *out)
{
    const struct elf_func *entry = &l->funcs[b->members[0]];
    struct line *lines = arena_array(l->arena, b->lines, sizeof(*lines));
    if (lines == NULL) {
        return elf_no_memory(l);
    }
    out->name = program_name(l, entry);
    out->section = l->sections[entry->section].name;
    out->is_function = b->has_caller;
    out->line_count = l->has_btf ? copy_lines(l, b, lines) : 0;
    out->lines = lines;
    set_types(l, section_row(l, entry), out);
    return copy_code(l, b, out);
}

ebpf_result_t elf_collect_programs(struct elf_loader *l)
{
    bool of_text = count_programs(l, false) == 0;
    uint32_t count = count_programs(l, of_text), total = 0;
    struct build b = {.members = arena_array(l->arena, l->func_count, sizeof(uint32_t))};
    l->object->programs = arena_array(l->arena, count, sizeof(struct elf_program));
    if (b.members == NULL || l->object->programs == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->func_count; i++) {
        if (!is_program(l, &l->funcs[i], of_text)) {
            continue;
        }
        b.program++;
        b.count = b.lines = 0;
        b.has_caller = l->funcs[i].is_referenced && !of_text && section_row(l, &l->funcs[i]) == NULL;
        b.slots = b.has_caller ? CALLER_SLOTS : 0;
        TRY(collect_members(l, &b, i));
        total += b.slots;
        if (total > ELF_MAX_SLOTS) {
            return elf_fail(
                l, &l->sections[l->funcs[i].section],
                "the programs up to '%s' have more than %u instructions, subprograms counted each time",
                l->funcs[i].name, ELF_MAX_SLOTS);
        }
        TRY(make_program(l, &b, &l->object->programs[l->object->program_count]));
        l->object->program_count++;
    }
    return EBPF_SUCCESS;
}
