// SPDX-License-Identifier: MIT
// elf_programs: puts programs together. A program is an entry function followed by the functions that it
// refers to, directly or through others, each once, in the order in which they are met. Entries are the
// functions that are not static outside .text; those of .text only in an object without others.
#include "elf/elf_int.h"

// The functions of the program in the making.
struct build {
    uint32_t program;  // counted from 1
    uint32_t *members; // indices of functions
    uint32_t count;
    uint32_t slots, lines;
};

static bool is_program(const struct elf_loader *l, const struct elf_func *f, bool of_text)
{
    return elf_is_entry(l, f) && l->sections[f->section].text == of_text;
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

static ebpf_result_t make_program(struct elf_loader *l, const struct build *b, struct elf_program *out)
{
    const struct elf_func *entry = &l->funcs[b->members[0]];
    const char *section = l->sections[entry->section].name;
    struct insn *insns = arena_array(l->arena, b->slots, sizeof(*insns));
    struct func *funcs = arena_array(l->arena, b->count, sizeof(*funcs));
    struct line *lines = arena_array(l->arena, b->lines, sizeof(*lines));
    if (insns == NULL || funcs == NULL || lines == NULL) {
        return elf_no_memory(l);
    }
    copy_insns(l, b, insns);
    copy_funcs(l, b, funcs);
    out->line_count = l->has_btf ? copy_lines(l, b, lines) : 0;
    out->name = entry->name;
    out->section = section;
    out->autoload = section[0] != '?';
    out->attach_type = spec_attach_type_by_section(l->options->spec, l->object->dialect, section);
    out->insns = insns;
    out->insn_count = b->slots;
    out->funcs = funcs;
    out->func_count = b->count;
    out->lines = lines;
    return EBPF_SUCCESS;
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
        b.count = b.slots = b.lines = 0;
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
