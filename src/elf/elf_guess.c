// SPDX-License-Identifier: MIT
// elf_guess: the attach type of programs whose section does not say it, good enough to verify them: loaders
// of their own, mostly older than libbpf's names, knew it. A type serves when its context is called what BTF
// calls the program's first parameter, its programs may call every helper that is called, and the context has
// every field that is read, with a pointer where one is dereferenced. Programs of one object without a proper
// section call each other by tail calls, so one type is looked for that serves them all; if there is none,
// one for each.
#include "elf/elf_int.h"

enum { MAX_FACTS = 128, MAX_GUESSES = 256 }; // keep the work for one object small

// A part of the context that a program reads or writes.
struct field {
    int32_t off;
    uint32_t size;
    bool store, dereferenced;
};

// What programs ask of their type. What does not fit is left out: it is a guess.
struct demand {
    uint32_t helpers[MAX_FACTS], helper_count;
    struct field fields[MAX_FACTS];
    uint32_t field_count;
    const char *context; // name of its type; NULL: anything
    bool contradicts;    // programs with contexts of different types
};

// What the scan of one function knows of the registers at an instruction.
struct scan {
    uint16_t context;               // registers that hold the context's address
    uint8_t loaded[INSN_REG_COUNT]; // 1 + field that the register's value was loaded from
    bool straight;                  // no jump was met yet
};

static void add_helper(struct demand *d, uint32_t number)
{
    uint32_t i = 0;
    while (i < d->helper_count && d->helpers[i] != number) {
        i++;
    }
    if (i == d->helper_count && i < MAX_FACTS && number < PROGRAM_POISON) {
        d->helpers[d->helper_count++] = number;
    }
}

// Row of the field, counted from 1; 0 when there is no room.
static uint32_t add_field(struct demand *d, int32_t off, uint32_t size, bool store)
{
    uint32_t i = 0;
    while (i < d->field_count &&
           (d->fields[i].off != off || d->fields[i].size != size || d->fields[i].store != store)) {
        i++;
    }
    if (i == MAX_FACTS) {
        return 0;
    }
    if (i == d->field_count) {
        d->fields[d->field_count++] = (struct field){off, size, store, false};
    }
    return i + 1;
}

static bool is_access(uint8_t form)
{
    return form == FORM_LOAD || form == FORM_STORE_IMM || form == FORM_STORE_REG;
}

static bool ends_flow(const struct insn *in)
{
    uint8_t form = insn_info(in->id)->form;
    return form == FORM_JA16 || form == FORM_JA32 || form == FORM_EXIT;
}

static bool writes_register(uint8_t form)
{
    return form == FORM_ALU_IMM || form == FORM_ALU_REG || form == FORM_ALU_UNARY || form == FORM_LOAD ||
           form == FORM_LDDW;
}

// Registers among r6 to r9 that are written once: what they get before the first jump they keep.
static uint16_t written_once(const struct insn *insns, const struct func *f)
{
    uint16_t once = 0, twice = 0;
    for (uint32_t pc = f->start; pc < f->end; pc++) {
        if (insns[pc].id != INSN_NONE && writes_register(insn_info(insns[pc].id)->form)) {
            uint16_t bit = (uint16_t)(1u << insns[pc].dst);
            twice |= once & bit;
            once |= bit;
        }
    }
    return once & (uint16_t)~twice & 0x3c0;
}

static void note_access(struct demand *d, struct scan *s, const struct insn *in, uint8_t form)
{
    uint32_t base = form == FORM_LOAD ? in->src : in->dst, size = insn_info(in->id)->width / 8u;
    if (base < INSN_REG_COUNT && s->loaded[base] != 0) {
        d->fields[s->loaded[base] - 1].dereferenced = true;
    }
    uint32_t field = (s->context >> base & 1) != 0 ? add_field(d, in->off, size, form != FORM_LOAD) : 0;
    if (form == FORM_LOAD) {
        s->context &= (uint16_t)~(1u << in->dst);
        s->loaded[in->dst] = (uint8_t)field;
    }
}

static void note_write(struct scan *s, const struct insn *in)
{
    uint16_t bit = (uint16_t)(1u << in->dst);
    if (in->id == INSN_MOV64_REG) {
        s->context = (uint16_t)((s->context >> in->src & 1) != 0 ? s->context | bit : s->context & ~bit);
        s->loaded[in->dst] = s->loaded[in->src];
    } else if (in->id != INSN_ADD64_IMM) { // a constant on top: the same object still
        s->context &= (uint16_t)~bit;
        s->loaded[in->dst] = 0;
    } else {
        s->context &= (uint16_t)~bit;
    }
}

// Marks where jumps of a function lead.
static void find_targets(const struct insn *insns, const struct func *f, bool *targets)
{
    memset(targets + f->start, 0, f->end - f->start);
    for (uint32_t pc = f->start; pc < f->end; pc++) {
        int64_t target = insn_is_jump(&insns[pc]) ? insn_target(&insns[pc], pc) : -1;
        if (target >= f->start && target < f->end) {
            targets[target] = true;
        }
    }
}

// Adds what the entry function reads of the context. Follows the instructions as they stand; behind the first
// jump only registers that never change count as the context, and where jumps lead nothing is known to be
// loaded.
static void scan_entry(const struct elf_program *p, struct demand *d, bool *targets)
{
    const struct func *f = &p->funcs[0];
    uint16_t stable = written_once(p->insns, f);
    struct scan s = {.context = 1u << 1, .straight = true};
    find_targets(p->insns, f, targets);
    for (uint32_t pc = f->start; pc < f->end; pc++) {
        const struct insn *in = &p->insns[pc];
        uint8_t form = insn_info(in->id)->form;
        if (targets[pc] || (pc != f->start && ends_flow(&p->insns[pc - 1]))) {
            memset(s.loaded, 0, sizeof(s.loaded));
        }
        if (is_access(form)) {
            note_access(d, &s, in, form);
        } else if (writes_register(form)) {
            note_write(&s, in);
        } else if (form == FORM_CALL || form == FORM_CALLX) {
            s.context &= stable;
            memset(s.loaded, 0, 6);
        } else if (insn_is_jump(in)) {
            s.context &= s.straight ? stable | 0x3fu : stable;
            s.straight = false;
        }
    }
}

static bool is_context_name(const struct spec_view *v, const char *name)
{
    for (uint32_t i = 1; i < v->layout_count; i++) {
        if (v->layouts[i].name != NULL && str_equal(v->layouts[i].name, name)) {
            return true;
        }
    }
    return false;
}

// The first name of a context that the type of the function's first parameter points to; NULL if there is
// none.
static const char *context_name(const struct elf_loader *l, uint32_t func)
{
    struct btf_type proto = btf_type(&l->btf, btf_type(&l->btf, func).value);
    uint32_t id = 0;
    if (func == 0 || proto.kind != BTF_FUNC_PROTO || proto.vlen == 0 ||
        !btf_resolve(&l->btf, btf_item(&l->btf, &proto, 0).type, &id) ||
        btf_type(&l->btf, id).kind != BTF_PTR) {
        return NULL;
    }
    struct btf_type type = btf_type(&l->btf, id);
    for (int step = 0; step <= BTF_MAX_CHAIN && type.value != 0; step++) {
        type = btf_type(&l->btf, type.value);
        const char *name = btf_string(&l->btf, type.name_off);
        if (type.kind == BTF_STRUCT || type.kind == BTF_FWD) {
            return is_context_name(l->options->spec, name) ? name : NULL;
        }
        if (type.kind == BTF_TYPEDEF && is_context_name(l->options->spec, name)) {
            return name;
        }
        if (type.kind == BTF_PTR || type.kind == BTF_INT) {
            return NULL;
        }
    }
    return NULL;
}

static void add_context(const char *name, struct demand *d)
{
    if (name == NULL) {
        return;
    }
    d->contradicts = d->contradicts || (d->context != NULL && !str_equal(d->context, name));
    d->context = name;
}

static void add_program(const struct elf_loader *l, const struct elf_program *p, struct demand *d,
                        bool *targets)
{
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (p->insns[pc].id == INSN_CALL && p->insns[pc].imm > 0 && p->insns[pc].imm < INT32_MAX) {
            add_helper(d, (uint32_t)p->insns[pc].imm);
        }
    }
    if (l->has_btf) {
        add_context(context_name(l, p->func_types[0]), d);
    }
    scan_entry(p, d, targets);
}

static bool has_fields(const struct spec_view *v, uint32_t layout, const struct demand *d)
{
    for (uint32_t i = 0; i < d->field_count; i++) {
        const struct field *f = &d->fields[i];
        int row = spec_field_find(v, layout, f->off, f->size, f->store);
        if (row < 0 || (f->dereferenced && v->layouts[layout].fields[row].kind == FIELD_SCALAR)) {
            return false;
        }
    }
    return true;
}

static bool serves(const struct elf_loader *l, uint32_t attach_type, const struct demand *d)
{
    const struct spec_view *v = l->options->spec;
    struct program p = {.type = v->attach_types[attach_type].prog_type,
                        .attach_type = attach_type,
                        .dialect = l->object->dialect};
    uint32_t layout = program_layout(v, &p);
    return v->prog_types[p.type].number[p.dialect] != 0 && layout != LAYOUT_NONE && !d->contradicts &&
           (d->context == NULL || str_equal(d->context, v->layouts[layout].name)) &&
           has_fields(v, layout, d) &&
           spec_may_call_all(v, l->object->dialect, p.type, d->helpers, d->helper_count);
}

// The usual types first, then all in order.
static uint32_t guess(const struct elf_loader *l, const struct demand *d)
{
    static const uint8_t usual[] = {ATTACH_TYPE_SOCKET_FILTER, ATTACH_TYPE_SCHED_CLS, ATTACH_TYPE_XDP};
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        if (serves(l, usual[i], d)) {
            return usual[i];
        }
    }
    for (uint32_t type = 1; type < l->options->spec->attach_type_count; type++) {
        if (serves(l, type, d)) {
            return type;
        }
    }
    return ATTACH_TYPE_NONE;
}

static bool needs_guess(const struct elf_program *p)
{
    return p->likely_attach_type == ATTACH_TYPE_NONE && !p->is_function;
}

static uint32_t most_insns(const struct elf_object *o)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < o->program_count; i++) {
        most = o->programs[i].insn_count > most ? o->programs[i].insn_count : most;
    }
    return most;
}

ebpf_result_t elf_guess_types(struct elf_loader *l)
{
    struct elf_object *o = l->object;
    struct demand *demands = arena_array(l->scratch, 2, sizeof(*demands));
    uint32_t *waiting = arena_array(l->scratch, o->program_count, sizeof(*waiting)), count = 0;
    bool *targets = arena_alloc(l->scratch, most_insns(o));
    if (demands == NULL || waiting == NULL || targets == NULL) {
        return elf_no_memory(l);
    }
    if (o->dialect != DIALECT_LINUX) { // the others never had loaders that knew better
        return EBPF_SUCCESS;
    }
    for (uint32_t i = 0; i < o->program_count; i++) {
        if (needs_guess(&o->programs[i])) {
            waiting[count++] = i;
            add_program(l, &o->programs[i], &demands[0], targets);
        } else if (o->programs[i].is_function) {
            o->programs[i].likely_attach_type = ATTACH_TYPE_SOCKET_FILTER;
        }
    }
    uint32_t common = guess(l, &demands[0]);
    for (uint32_t i = 0; i < count; i++) {
        struct elf_program *p = &o->programs[waiting[i]];
        p->likely_attach_type = common;
        if (common == ATTACH_TYPE_NONE && i < MAX_GUESSES) {
            memset(&demands[1], 0, sizeof(demands[1]));
            add_program(l, p, &demands[1], targets);
            p->likely_attach_type = guess(l, &demands[1]);
        }
    }
    return EBPF_SUCCESS;
}
