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

static void destroy(struct object *o)
{
    struct prog *g = CONTAINER_OF(o, struct prog, object);
    notify(g, true);
    drop_maps(g);
    counter_fini(&g->runs);
    prog_code_free(&g->code);
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

static ebpf_result_t make_code(struct runtime *rt, const struct bind_source *source, struct prog_code *out)
{
    struct bound bound;
    TRY(bind_program(rt, source, &bound));
    ebpf_result_t result = prog_code_make(rt, rt->engine, &bound, out);
    bind_free(&bound);
    return result;
}

static ebpf_result_t bind_and_make(struct runtime *rt, const struct program *p, struct map *const *maps,
                                   const struct evidence *evidence, struct prog_code *out)
{
    struct bind_source source = {
        .insns = p->insns,
        .insn_count = p->insn_count,
        .funcs = p->funcs,
        .func_count = p->func_count,
        .prog_type = p->type,
        .dialect = p->dialect,
        .maps = maps,
        .map_count = p->map_count,
    };
    struct marks marks;
    if (read_evidence(evidence, p->insn_count, &marks) != EBPF_SUCCESS) {
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    source.marks = marks.bytes;
    source.mark_count = marks.count;
    return make_code(rt, &source, out);
}

ebpf_result_t prog_load(struct runtime *rt, const struct program *p, struct map *const *maps,
                        const struct evidence *evidence, struct prog **out)
{
    ebpf_result_t result;
    uint32_t bad_pc;
    const char *why, *name;
    if (program_check(rt->spec, p, &bad_pc, &why) != EBPF_SUCCESS || p->map_count > SPEC_MAX_MAPS ||
        program_check_loadable(rt->spec, p, &bad_pc, &why, &name) != EBPF_SUCCESS) {
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    TRY(check_maps(p, maps));
    struct prog *g = plat_alloc(sizeof(*g), POOL_TAG_PROGRAM);
    if (g == NULL) {
        return EBPF_NO_MEMORY;
    }
    set_identity(g, p);
    TRY_OR(result, bind_and_make(rt, p, maps, evidence, &g->code), undo_alloc);
    TRY_OR(result, counter_init(&g->runs), undo_code);
    TRY_OR(result, admit(g, maps, p->map_count),
           undo_counter); // decides the kind of arrays: when all else is there
    acquire_maps(g, maps, p->map_count);
    TRY_OR(result, object_publish(rt, &g->object, OBJECT_PROGRAM, &object_ops), undo_maps);
    notify(g, false);
    *out = g;
    return EBPF_SUCCESS;

undo_maps:
    drop_maps(g);
undo_counter:
    counter_fini(&g->runs);
undo_code:
    prog_code_free(&g->code);
undo_alloc:
    plat_free(g);
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
    plat_spinlock_acquire(&rt->object_lock);
    info.map_count = g->map_count;
    for (uint32_t i = 0; i < g->map_count; i++) {
        info.map_ids[i] = g->maps[i]->object.id;
    }
    plat_spinlock_release(&rt->object_lock);
    *out = info;
}

ebpf_result_t prog_keep_source(struct prog *g, const uint8_t *bytes, size_t size)
{
    if (size > UINT32_MAX) {
        return EBPF_INVALID_ARGUMENT;
    }
    g->source = plat_alloc(size, POOL_TAG_PROGRAM);
    if (g->source == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(g->source, bytes, size);
    __atomic_store_n(&g->source_size, (uint32_t)size,
                     __ATOMIC_RELEASE); // others may know the program already
    return EBPF_SUCCESS;
}

const uint8_t *prog_source(const struct prog *g, uint32_t *size)
{
    *size = __atomic_load_n(&g->source_size, __ATOMIC_ACQUIRE);
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
