// SPDX-License-Identifier: MIT
// case: reader of verifier test files. Directives are words at the start of a line; other lines are assembly
// in which names of maps and helpers are replaced by their numbers.
#include "verifier/case.h"

struct words {
    char at[10][80];
    unsigned count;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

// Copies the line at `text` without its comment; returns the next line, or NULL at the end.
static const char *read_line(const char *text, char *line, size_t size)
{
    size_t length = 0;
    bool comment = false;
    if (*text == '\0') {
        return NULL;
    }
    for (; *text != '\0' && *text != '\n'; text++) {
        comment = comment || *text == '#';
        if (!comment && length + 1 < size) {
            line[length++] = *text;
        }
    }
    line[length] = '\0';
    return *text == '\n' ? text + 1 : text;
}

static void split(const char *line, struct words *out)
{
    out->count = 0;
    while (out->count < ARRAY_SIZE(out->at)) {
        while (is_space(*line)) {
            line++;
        }
        if (*line == '\0') {
            return;
        }
        size_t length = 0;
        for (; *line != '\0' && !is_space(*line); line++) {
            if (length + 1 < sizeof(out->at[0])) {
                out->at[out->count][length++] = *line;
            }
        }
        out->at[out->count++][length] = '\0';
    }
}

static uint32_t number(const char *text)
{
    uint32_t value = 0, base = 10;
    if (str_starts_with(text, "0x")) {
        base = 16;
        text += 2;
    }
    for (; *text != '\0'; text++) {
        value = value * base + (uint32_t)(*text >= 'a' ? *text - 'a' + 10 : *text - '0');
    }
    return value;
}

static void read_map(const struct words *w, struct vt_case *c)
{
    if (c->program.map_count == CASE_MAX_MAPS || w->count < 6) {
        return;
    }
    struct map_def *map = &c->maps[c->program.map_count++];
    str_copy(map->name, sizeof(map->name), w->at[1]);
    map->type = spec_map_type_by_name(spec_builtin(), w->at[2]);
    map->number = map->type == MAP_TYPE_NONE ? 999 : map->type;
    map->key_size = number(w->at[3]);
    map->value_size = number(w->at[4]);
    map->max_entries = number(w->at[5]);
    map->flags = w->count > 6 ? number(w->at[6]) : 0;
}

static uint32_t find_map(const struct vt_case *c, const char *name)
{
    uint32_t i = 0;
    while (i < c->program.map_count && !str_equal(c->maps[i].name, name)) {
        i++;
    }
    return i;
}

struct word_value {
    const char *word;
    uint32_t value;
};

static bool find_word(const struct word_value *rows, size_t count, const char *word, uint32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(rows[i].word, word)) {
            *out = rows[i].value;
            return true;
        }
    }
    return false;
}

// field MAP KIND OFF SIZE
static bool read_field(const struct words *w, struct vt_case *c)
{
    static const struct word_value kinds[] = {{"lock", MAP_FIELD_SPIN_LOCK},
                                              {"timer", MAP_FIELD_TIMER},
                                              {"workqueue", MAP_FIELD_WORKQUEUE},
                                              {"kptr", MAP_FIELD_KPTR},
                                              {"other", MAP_FIELD_OTHER}};
    uint32_t map = find_map(c, w->at[1]), kind;
    if (w->count != 5 || map == c->program.map_count || c->facts[map].field_count == MAP_MAX_FIELDS ||
        !find_word(kinds, ARRAY_SIZE(kinds), w->at[2], &kind)) {
        return false;
    }
    c->facts[map].fields[c->facts[map].field_count++] =
        (struct map_field){.off = number(w->at[3]), .size = number(w->at[4]), .kind = kind};
    return true;
}

// inner MAP TEMPLATE
static bool read_inner(const struct words *w, struct vt_case *c)
{
    uint32_t map = find_map(c, w->at[1]), inner = find_map(c, w->at[2]);
    if (w->count != 3 || map == c->program.map_count || inner == c->program.map_count) {
        return false;
    }
    c->facts[map].has_inner = true;
    c->facts[map].inner = inner;
    return true;
}

// contents MAP BYTE ...: the rest of the value is zero.
static bool read_contents(const struct words *w, struct vt_case *c)
{
    uint32_t map = find_map(c, w->at[1]);
    if (map == c->program.map_count || c->maps[map].value_size > CASE_MAX_CONTENTS) {
        return false;
    }
    for (unsigned i = 2; i < w->count; i++) {
        c->contents[map][i - 2] = (uint8_t)number(w->at[i]);
    }
    c->facts[map].contents = c->contents[map];
    return true;
}

// global N RESULT ARGUMENT ...: the contract of function N, in the order of the code.
static bool read_global(const struct words *w, struct vt_case *c)
{
    static const struct word_value kinds[] = {{"number", FUNC_ARG_SCALAR},
                                              {"context", FUNC_ARG_CTX},
                                              {"memory", FUNC_ARG_MEM},
                                              {"nonnull", FUNC_ARG_MEM_NONNULL},
                                              {"unknown", FUNC_ARG_UNKNOWN}};
    uint32_t func = number(w->at[1]);
    if (func >= CASE_MAX_FUNCS || w->count > 8) {
        return false;
    }
    c->funcs[func].global = 1;
    c->contracts[func].known = true;
    c->contracts[func].returns_void = str_equal(w->at[2], "void");
    for (unsigned i = 3; i < w->count; i++) {
        struct func_arg *arg = &c->contracts[func].args[i - 3];
        char kind[80];
        size_t length = 0;
        while (w->at[i][length] != '\0' && w->at[i][length] != ':') {
            kind[length] = w->at[i][length];
            length++;
        }
        kind[length] = '\0';
        if (!find_word(kinds, ARRAY_SIZE(kinds), kind, &arg->kind)) {
            return false;
        }
        arg->size = w->at[i][length] == ':' ? number(w->at[i] + length + 1) : 0;
    }
    return true;
}

static void read_type(const struct words *w, struct vt_case *c)
{
    c->program.type = spec_prog_type_by_name(spec_builtin(), w->at[1]);
    c->program.attach_type = spec_default_attach_type(spec_builtin(), c->program.type);
    c->program.dialect = str_equal(w->at[2], "windows") ? DIALECT_WINDOWS : DIALECT_LINUX;
}

static bool read_flag(const char *key, struct vt_case *c)
{
    if (str_equal(key, "gpl")) {
        str_copy(c->program.license, sizeof(c->program.license), "GPL");
    } else if (str_equal(key, "sleepable")) {
        c->program.sleepable = true;
    } else if (str_equal(key, "unprivileged")) {
        c->unprivileged = true;
    } else {
        return false;
    }
    return true;
}

// What only some programs need.
static bool read_fact(const struct words *w, struct vt_case *c)
{
    const char *key = w->at[0];
    if (w->count == 1) {
        return read_flag(key, c);
    }
    if (str_equal(key, "attach") && w->count == 2) {
        c->program.attach_type = spec_attach_type_by_name(spec_builtin(), w->at[1]);
        return true;
    }
    return (str_equal(key, "field") && read_field(w, c)) || (str_equal(key, "inner") && read_inner(w, c)) ||
           (str_equal(key, "contents") && read_contents(w, c)) ||
           (str_equal(key, "global") && read_global(w, c));
}

static bool read_directive(const struct words *w, struct vt_case *c)
{
    const char *key = w->at[0];
    if (str_equal(key, "type") && w->count == 3) {
        read_type(w, c);
    } else if (str_equal(key, "map")) {
        read_map(w, c);
    } else if (str_equal(key, "steps") && w->count == 2) {
        c->steps = number(w->at[1]);
    } else if (str_equal(key, "states") && w->count == 2) {
        c->states = number(w->at[1]);
    } else if (str_equal(key, "expect") && w->count >= 2) {
        str_copy(c->rule, sizeof(c->rule), w->at[1]);
        c->rule_pc = w->count > 2 ? number(w->at[2] + 1) : UINT32_MAX;
    } else {
        return read_fact(w, c);
    }
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Number that a word stands for, as text; false when it is no name of a map or helper.
static bool translate(const struct vt_case *c, const char *word, char *out, size_t size)
{
    for (uint32_t i = 0; i < c->program.map_count; i++) {
        if (str_equal(word, c->maps[i].name)) {
            str_format(out, size, "%u", i);
            return true;
        }
    }
    const struct spec_view *spec = spec_builtin();
    uint32_t found = HELPER_NONE;
    for (uint32_t i = spec->helper_count; i-- > 1;) {
        if (str_equal(word, spec->helpers[i].name) &&
            (found == HELPER_NONE || spec_helper_allowed(spec, i, c->program.type, c->program.attach_type))) {
            found = i;
        }
    }
    if (found != HELPER_NONE) {
        str_format(out, size, "%u", found);
    }
    return found != HELPER_NONE;
}

static void add_code(struct vt_case *c, size_t *length, const char *line)
{
    char word[80], text[16];
    while (*line != '\0') {
        size_t n = 0;
        while (is_word(line[n]) && n + 1 < sizeof(word)) {
            word[n] = line[n];
            n++;
        }
        word[n] = '\0';
        const char *put = n != 0 && translate(c, word, text, sizeof(text)) ? text : word;
        *length += str_format(c->code + *length, sizeof(c->code) - *length, "%s", put);
        line += n;
        if (n == 0) {
            *length += str_format(c->code + *length, sizeof(c->code) - *length, "%c", *line++);
        }
    }
    *length += str_format(c->code + *length, sizeof(c->code) - *length, "\n");
}

static bool is_start(const struct vt_case *c, uint32_t pc)
{
    bool found = pc == 0;
    for (uint32_t i = 0; i < c->program.insn_count; i++) {
        const struct insn *in = &c->insns[i];
        if (in->id == INSN_CALL_LOCAL || in->id == INSN_LDDW_CODE) {
            found = found || insn_target(in, i) == (int64_t)pc;
        }
    }
    return found;
}

// Functions start where calls go.
static bool find_funcs(struct vt_case *c)
{
    for (uint32_t pc = 0; pc < c->program.insn_count; pc++) {
        if (!is_start(c, pc)) {
            continue;
        }
        if (c->program.func_count == CASE_MAX_FUNCS) {
            return false;
        }
        struct func *f = &c->funcs[c->program.func_count++];
        f->start = pc;
        str_format(f->name, sizeof(f->name), "func%u", pc);
        if (f != c->funcs) {
            f[-1].end = pc;
        }
    }
    c->funcs[c->program.func_count - 1].end = c->program.insn_count;
    return true;
}

// At offset 1: why "call -1073741826" cannot be resolved (see PROGRAM_POISON).
static const char unresolved[] = "\0'struct imagined' does not exist";

static void begin(struct vt_case *c, const char *name)
{
    memset(c, 0, sizeof(*c));
    str_copy(c->name, sizeof(c->name), name);
    str_copy(c->program.name, sizeof(c->program.name), name);
    c->rule_pc = UINT32_MAX;
    c->program.type = PROG_TYPE_XDP;
    c->program.dialect = DIALECT_LINUX;
    c->program.insns = c->insns;
    c->program.funcs = c->funcs;
    c->program.maps = c->maps;
    c->program.map_facts = c->facts;
    c->program.contracts = c->contracts;
    c->program.strings = unresolved;
    c->program.strings_size = sizeof(unresolved);
}

static bool finish(struct vt_case *c, const char **error)
{
    uint32_t bad_line;
    if (isa_assemble(c->code, c->insns, CASE_MAX_INSNS, &c->program.insn_count, &bad_line) != EBPF_SUCCESS) {
        *error = "the assembly is wrong";
        return false;
    }
    if (!find_funcs(c)) {
        *error = "too many functions";
        return false;
    }
    return true;
}

bool case_read(const char **text, struct vt_case *out, const char **error)
{
    char line[160];
    struct words w;
    const char *next;
    size_t length = 0;
    bool inside = false;
    *error = NULL;
    while ((next = read_line(*text, line, sizeof(line))) != NULL) {
        split(line, &w);
        bool starts = w.count == 2 && str_equal(w.at[0], "case");
        if (starts && inside) {
            break;
        }
        *text = next;
        if (starts) {
            inside = true;
            begin(out, w.at[1]);
        } else if (w.count != 0 && inside && !read_directive(&w, out)) {
            add_code(out, &length, line);
        }
    }
    return inside && finish(out, error);
}
