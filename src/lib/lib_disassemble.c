// SPDX-License-Identifier: MIT
// lib_disassemble: a program of an object file as text, one instruction a line, with its source between, the
// names of helpers and maps behind, and the names of functions above.
#include <errno.h>

#include "lib/lib_int.h"

#define OBJECT_MEMORY_LIMIT ((size_t)256 << 20)

// --- text that grows -----------------------------------------------------------------------------

struct text {
    char *bytes; // NUL-terminated; NULL before the first piece
    size_t size, room;
    bool failed; // out of memory
};

static bool make_room(struct text *t, size_t more)
{
    size_t room = t->room != 0 ? t->room : 4096;
    while (room - t->size <= more) {
        room *= 2;
    }
    if (room == t->room) {
        return true;
    }
    char *grown = lib_alloc(room);
    if (grown == NULL) {
        t->failed = true;
        return false;
    }
    if (t->bytes != NULL) {
        memcpy(grown, t->bytes, t->size);
    }
    lib_free(t->bytes);
    t->bytes = grown;
    t->room = room;
    return true;
}

static void put(struct text *t, const char *piece)
{
    size_t size = str_len(piece);
    if (!t->failed && make_room(t, size)) {
        memcpy(t->bytes + t->size, piece, size);
        t->size += size;
        t->bytes[t->size] = '\0';
    }
}

static void put_number(struct text *t, const char *format, uint32_t number)
{
    char piece[32];
    snprintf(piece, sizeof(piece), format, number);
    put(t, piece);
}

// --- one program ---------------------------------------------------------------------------------

struct listing {
    const struct elf_object *object;
    const struct elf_program *program;
    uint32_t next_line; // first one that was not shown yet
    struct text text;
};

static const char *string_at(const struct listing *l, uint32_t off)
{
    return off < l->object->strings_size ? l->object->strings + off : "";
}

// Columns of one line follow each other: it is shown once.
static bool same_line(const struct listing *l, const struct line *a, const struct line *b)
{
    return a->line == b->line && str_equal(string_at(l, a->file_off), string_at(l, b->file_off));
}

static void put_source(struct listing *l, uint32_t pc)
{
    const struct elf_program *p = l->program;
    for (; l->next_line < p->line_count && p->lines[l->next_line].pc <= pc; l->next_line++) {
        const struct line *line = &p->lines[l->next_line];
        if (l->next_line != 0 && same_line(l, line, line - 1)) {
            continue;
        }
        put(&l->text, "; ");
        put(&l->text, string_at(l, line->file_off));
        put_number(&l->text, ":%u\n; ", line->line);
        put(&l->text, string_at(l, line->text_off));
        put(&l->text, "\n");
    }
}

static void put_function(struct listing *l, uint32_t pc)
{
    for (uint32_t i = 1; i < l->program->func_count; i++) {
        if (l->program->funcs[i].start == pc) {
            put(&l->text, "\n");
            put(&l->text, l->program->funcs[i].name);
            put(&l->text, ":\n");
        }
    }
}

static const char *helper_name(const struct listing *l, const struct insn *in)
{
    const struct spec_view *v = spec_builtin();
    uint32_t type = v->attach_types[l->program->attach_type].prog_type,
             id = spec_helper_by_number(v, l->object->dialect, type, (uint32_t)in->imm);
    return id != HELPER_NONE ? v->helpers[id].name : "unknown helper";
}

static const char *map_name(const struct listing *l, const struct insn *in)
{
    uint32_t index = (uint32_t)in->imm;
    return index < l->object->map_count ? l->object->maps[index].def.name : "unknown map";
}

// What a number in the instruction stands for, or NULL.
static const char *meaning(const struct listing *l, const struct insn *in)
{
    switch (insn_info(in->id)->sem) {
    case SEM_CALL: return helper_name(l, in);
    case SEM_LDDW_MAP:
    case SEM_LDDW_MAP_VALUE: return map_name(l, in);
    default: return NULL;
    }
}

static void put_insn(struct listing *l, uint32_t pc)
{
    const struct insn *in = &l->program->insns[pc];
    const char *known = meaning(l, in);
    char piece[96];
    insn_print(in, piece, sizeof(piece));
    put_number(&l->text, "%8u:\t", pc);
    put(&l->text, piece);
    if (known != NULL) {
        put(&l->text, "\t; ");
        put(&l->text, known);
    }
    put(&l->text, "\n");
}

static void put_program(struct listing *l)
{
    for (uint32_t pc = 0; pc < l->program->insn_count; pc += insn_slots(&l->program->insns[pc])) {
        put_function(l, pc);
        put_source(l, pc);
        put_insn(l, pc);
    }
}

// --- the object ----------------------------------------------------------------------------------

static ebpf_result_t find_program(const struct elf_object *object, const char *section, const char *name,
                                  const struct elf_program **out, const char **why)
{
    bool section_exists = section == NULL && object->program_count != 0;
    for (uint32_t i = 0; i < object->program_count; i++) {
        const struct elf_program *p = &object->programs[i];
        bool here = section == NULL || str_equal(p->section, section);
        section_exists |= here;
        if (here && (name == NULL || str_equal(p->name, name))) {
            *out = p;
            return EBPF_SUCCESS;
        }
    }
    *why = section_exists ? "Program not found" : "Section not found";
    return EBPF_OBJECT_NOT_FOUND;
}

struct request {
    const char *section, *program;
    char why[400]; // on failure
};

static ebpf_result_t list_object(const void *bytes, size_t size, const char *file, struct request *r,
                                 struct arena *arena, struct text *out)
{
    struct elf_options options = {
        .spec = spec_builtin(), .platform_default = LIB_DIALECT, .name = lib_base_name(file)};
    struct elf_error error = {0};
    struct elf_object object;
    const char *why = "";
    ebpf_result_t result = elf_open(bytes, size, &options, arena, &object, &error);
    if (result != EBPF_SUCCESS) {
        str_format(r->why, sizeof(r->why), "%s%s%s", error.section, error.section[0] != '\0' ? ": " : "",
                   error.message[0] != '\0' ? error.message : ebpf_result_text(result));
        return result;
    }
    struct listing l = {.object = &object};
    result = find_program(&object, r->section, r->program, &l.program, &why);
    if (result != EBPF_SUCCESS) {
        str_copy(r->why, sizeof(r->why), why);
        return result;
    }
    put_program(&l);
    if (l.text.failed) {
        lib_free(l.text.bytes);
        return EBPF_NO_MEMORY;
    }
    *out = l.text;
    return EBPF_SUCCESS;
}

static ebpf_result_t list_file(const char *file, struct request *r, struct text *out)
{
    struct arena arena;
    uint8_t *bytes = NULL;
    size_t size = 0;
    ebpf_result_t result = lib_read_file(file, &bytes, &size);
    if (result != EBPF_SUCCESS) {
        snprintf(r->why, sizeof(r->why), "%s opening %.256s", strerror(errno), file);
        return result;
    }
    arena_init(&arena, lib_mem_source(), OBJECT_MEMORY_LIMIT);
    result = list_object(bytes, size, file, r, &arena, out);
    arena_fini(&arena);
    lib_free(bytes);
    return result;
}

// --- public --------------------------------------------------------------------------------------

ebpf_result_t ebpf_api_elf_disassemble_program(const char *file, const char *section_name,
                                               const char *program_name, const char **disassembly,
                                               const char **error_message)
{
    struct request r = {.section = section_name, .program = program_name};
    struct text text = {0};
    *disassembly = *error_message = NULL;
    if (file == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    ebpf_result_t result = list_file(file, &r, &text);
    if (result == EBPF_SUCCESS) {
        *disassembly = text.bytes;
        return EBPF_SUCCESS;
    }
    char sentence[sizeof(r.why) + 16];
    snprintf(sentence, sizeof(sentence), "error: %s", r.why[0] != '\0' ? r.why : ebpf_result_text(result));
    *error_message = lib_strdup(sentence); // NULL when there is no memory for it
    return result;
}

void ebpf_free_string(const char *string)
{
    lib_free((void *)string);
}
