// SPDX-License-Identifier: MIT
// prog: program objects: bound to their maps and helpers at load, immutable but for counters and bound maps.
#include "runtime/runtime_int.h"

// --- evidence ------------------------------------------------------------------------------------

struct marks {
    const uint8_t *bytes; // pairs {pc, field}
    uint32_t count;
};

// Marks rise by pc; what they mean is checked while binding.
static ebpf_result_t check_order(const struct marks *marks, uint32_t insn_count, struct reader *r)
{
    uint32_t next = 0, pc, field;
    for (uint32_t i = 0; i < marks->count; i++) {
        TRY(reader_u32(r, &pc));
        TRY(reader_u32(r, &field));
        if (pc < next || pc >= insn_count) {
            return EBPF_INVALID_ARGUMENT;
        }
        next = pc + 1;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_evidence(const struct evidence *evidence, uint32_t insn_count, struct marks *out)
{
    struct reader r, again;
    struct marks marks;
    uint32_t magic, format, count;
    reader_init(&r, evidence->bytes, evidence->size);
    TRY(reader_u32(&r, &magic));
    TRY(reader_u32(&r, &format));
    TRY(reader_u32(&r, &count));
    TRY(reader_u32(&r, &marks.count));
    if (magic != EVIDENCE_MAGIC || format != EVIDENCE_FORMAT || count != insn_count ||
        reader_left(&r) != (uint64_t)marks.count * 8) {
        return EBPF_INVALID_ARGUMENT;
    }
    again = r;
    TRY(reader_view(&r, reader_left(&r), &marks.bytes));
    TRY(check_order(&marks, insn_count, &again));
    *out = marks;
    return EBPF_SUCCESS;
}

// --- maps ----------------------------------------------------------------------------------------

// The verifier judged the program by the definitions: what it relied on must be so.
static bool is_as_defined(const struct map *m, const struct map_def *def)
{
    const uint32_t relevant = MAP_FLAG_RDONLY_PROG | MAP_FLAG_WRONLY_PROG;
    return m->def.type == def->type && m->def.key_size == def->key_size &&
           m->def.value_size == def->value_size && (m->def.flags & relevant) == (def->flags & relevant);
}

static ebpf_result_t check_maps(const struct program *p, struct map *const *maps)
{
    for (uint32_t i = 0; i < p->map_count; i++) {
        if (!is_as_defined(maps[i], &p->maps[i])) {
            return EBPF_PROGRAM_LOAD_FAILED;
        }
    }
    return EBPF_SUCCESS;
}

static void acquire_maps(struct prog *g, struct map *const *maps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        map_keep(maps[i]);
        g->maps[i] = maps[i];
    }
    g->map_count = count;
}

static void drop_maps(struct prog *g)
{
    for (uint32_t i = 0; i < g->map_count; i++) {
        map_drop(g->maps[i]);
    }
}

// --- load ----------------------------------------------------------------------------------------

static void notify(const struct prog *g, bool gone)
{
    const struct runtime *rt = g->object.rt;
    const struct code_notice notice = {g->name, g->object.id, g->code.pages.address, g->code.size, gone};
    if (rt->watch_code != NULL && g->code.size != 0) {
        rt->watch_code(rt->watch_user, &notice);
    }
}

static void drop_code(struct prog *g)
{
    if (g->use != NULL) {
        module_return_code(g->use);
    } else {
        prog_code_free(&g->code);
    }
}

static void destroy(struct object *o)
{
    struct prog *g = CONTAINER_OF(o, struct prog, object);
    notify(g, true);
    drop_code(g);
    drop_maps(g);
    counter_fini(&g->runs);
    plat_free(g->source);
    plat_free(g);
}

static const struct object_ops object_ops = {NULL, NULL, destroy};

// A digest for people: the key is fixed, so that equal programs show equal tags everywhere.
static void set_tag(struct prog *g, const struct program *p)
{
    static const struct hash_key key = {0x65426646, 0x57696e43};
    uint64_t digest = hash_bytes(&key, p->insns, p->insn_count * sizeof(*p->insns));
    memcpy(g->tag, &digest, sizeof(g->tag));
}

static void set_identity(struct prog *g, const struct program *p)
{
    g->type = p->type;
    g->attach_type = p->attach_type;
    g->dialect = p->dialect;
    g->insn_count = p->insn_count;
    g->load_time_ns = plat_boot_time_ns();
    str_copy(g->name, sizeof(g->name), p->name);
    set_tag(g, p);
}

// Through a prog array the program may come to run in another's place.
static ebpf_result_t admit(const struct prog *g, struct map *const *maps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(map_admit_caller(maps[i], g));
    }
    return EBPF_SUCCESS;
}

// What prog_load and prog_load_native have in common.
struct load {
    struct runtime *rt;
    const struct program *p;
    struct map *const *maps;
    const struct evidence *evidence;
    struct module *module; // NULL: the program is translated
    uint32_t index;
    char *why;
};

// A native program is bound for the checks alone: its code is there.
static ebpf_result_t make_code(const struct load *l, const struct bind_source *source, struct prog *g)
{
    struct bound bound;
    ebpf_result_t result = EBPF_SUCCESS;
    TRY(bind_program(l->rt, source, &bound));
    if (l->module == NULL) {
        result = prog_code_make(l->rt, l->rt->engine, &bound, &g->code);
    }
    bind_free(&bound);
    TRY(result);
    return l->module != NULL ? module_take_code(l->module, l->index, l->p, l->maps, l->why, g) : EBPF_SUCCESS;
}

static ebpf_result_t bind_and_make(const struct load *l, struct prog *g)
{
    const struct program *p = l->p;
    struct bind_source source = {
        .insns = p->insns,
        .insn_count = p->insn_count,
        .funcs = p->funcs,
        .func_count = p->func_count,
        .prog_type = p->type,
        .dialect = p->dialect,
        .maps = l->maps,
        .map_count = p->map_count,
    };
    struct marks marks;
    if (read_evidence(l->evidence, p->insn_count, &marks) != EBPF_SUCCESS) {
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    source.marks = marks.bytes;
    source.mark_count = marks.count;
    return make_code(l, &source, g);
}

static ebpf_result_t check_program(const struct load *l)
{
    uint32_t bad_pc;
    const char *why, *name;
    if (program_check(l->rt->spec, l->p, &bad_pc, &why) != EBPF_SUCCESS || l->p->map_count > SPEC_MAX_MAPS ||
        program_check_loadable(l->rt->spec, l->p, &bad_pc, &why, &name) != EBPF_SUCCESS) {
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    return check_maps(l->p, l->maps);
}

static ebpf_result_t keep_source(struct prog *g, const struct program *p)
{
    if (p->source == NULL) {
        return EBPF_SUCCESS;
    }
    g->source = plat_alloc(p->source_size, POOL_TAG_PROGRAM);
    if (g->source == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(g->source, p->source, p->source_size);
    g->source_size = p->source_size;
    return EBPF_SUCCESS;
}

static ebpf_result_t load(const struct load *l, struct prog **out)
{
    ebpf_result_t result;
    TRY(check_program(l));
    struct prog *g = plat_alloc(sizeof(*g), POOL_TAG_PROGRAM);
    if (g == NULL) {
        return EBPF_NO_MEMORY;
    }
    g->object.rt = l->rt;
    set_identity(g, l->p);
    TRY_OR(result, keep_source(g, l->p), undo_alloc);
    TRY_OR(result, bind_and_make(l, g), undo_source);
    TRY_OR(result, counter_init(&g->runs), undo_code);
    TRY_OR(result, admit(g, l->maps, l->p->map_count),
           undo_counter); // decides the kind of arrays: when all else is there
    acquire_maps(g, l->maps, l->p->map_count);
    TRY_OR(result, object_publish(l->rt, &g->object, OBJECT_PROGRAM, &object_ops), undo_maps);
    notify(g, false);
    *out = g;
    return EBPF_SUCCESS;

undo_maps:
    drop_maps(g);
undo_counter:
    counter_fini(&g->runs);
undo_code:
    drop_code(g);
undo_source:
    plat_free(g->source);
undo_alloc:
    plat_free(g);
    return result;
}

ebpf_result_t prog_load(struct runtime *rt, const struct program *p, struct map *const *maps,
                        const struct evidence *evidence, struct prog **out)
{
    return load(&(struct load){.rt = rt, .p = p, .maps = maps, .evidence = evidence}, out);
}

ebpf_result_t prog_load_native(struct runtime *rt, const struct program *p, struct map *const *maps,
                               const struct evidence *evidence, struct module *m, uint32_t index,
                               char why[MODULE_WHY_SIZE], struct prog **out)
{
    const struct load l = {rt, p, maps, evidence, m, index, why};
    why[0] = '\0';
    ebpf_result_t result = module_enter(m);
    if (result == EBPF_SUCCESS) {
        result = load(&l, out);
        module_leave(m);
    }
    if (why[0] == '\0' && result == EBPF_INVALID_STATE) {
        (void)str_copy(why, MODULE_WHY_SIZE, "the native module is revoked: its image goes");
    } else if (why[0] == '\0' && result == EBPF_PROGRAM_LOAD_FAILED) {
        (void)str_copy(why, MODULE_WHY_SIZE, "the evidence does not fit the program");
    }
    return result;
}

// --- the rest ------------------------------------------------------------------------------------

ebpf_result_t prog_run(struct prog *g, struct run *run, uint64_t *result)
{
    run->rt = g->object.rt;
    run->prog = g;
    run->jit.slot = plat_cpu_current();
    counter_increment(&g->runs, run->jit.slot);
    return prog_code_run(&g->code, run, result);
}

struct object *prog_object(struct prog *g)
{
    return &g->object;
}

struct prog *prog_from_object(struct object *o)
{
    return o->kind == OBJECT_PROGRAM ? CONTAINER_OF(o, struct prog, object) : NULL;
}

void prog_info(const struct prog *g, struct prog_info *out)
{
    struct runtime *rt = g->object.rt;
    struct prog_info info = {
        .id = g->object.id,
        .type = g->type,
        .attach_type = g->attach_type,
        .dialect = g->dialect,
        .insn_count = g->insn_count,
        .link_count = __atomic_load_n(&g->link_count, __ATOMIC_RELAXED),
        .load_time_ns = g->load_time_ns,
        .jited_size = g->code.size,
        .run_count = counter_sum(&g->runs),
        .run_time_ns = __atomic_load_n(&g->run_time_ns, __ATOMIC_RELAXED),
    };
    memcpy(info.name, g->name, sizeof(info.name));
    memcpy(info.tag, g->tag, sizeof(info.tag));
    if (g->use != NULL) {
        info.module_id = g->use->module->object.id;
        memcpy(info.module, g->use->module->name, sizeof(info.module));
        info.revoked = __atomic_load_n(&g->code.entry, __ATOMIC_RELAXED) == 0;
    }
    plat_spinlock_acquire(&rt->object_lock);
    info.map_count = g->map_count;
    for (uint32_t i = 0; i < g->map_count; i++) {
        info.map_ids[i] = g->maps[i]->object.id;
    }
    plat_spinlock_release(&rt->object_lock);
    *out = info;
}

const uint8_t *prog_source(const struct prog *g, uint32_t *size)
{
    *size = g->source_size;
    return g->source;
}

const uint8_t *prog_machine_code(const struct prog *g, uint32_t *size)
{
    *size = g->code.size;
    return g->code.pages.address;
}

// With object_lock held.
static ebpf_result_t add_map(struct prog *g, struct map *m)
{
    for (uint32_t i = 0; i < g->map_count; i++) {
        if (g->maps[i] == m) {
            return EBPF_SUCCESS;
        }
    }
    if (g->map_count == SPEC_MAX_MAPS) {
        return EBPF_OUT_OF_SPACE;
    }
    map_keep(m);
    g->maps[g->map_count++] = m;
    return EBPF_SUCCESS;
}

ebpf_result_t prog_bind_map(struct prog *g, struct map *m)
{
    plat_spinlock_acquire(&g->object.rt->object_lock);
    ebpf_result_t result = add_map(g, m);
    plat_spinlock_release(&g->object.rt->object_lock);
    return result;
}
