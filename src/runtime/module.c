// SPDX-License-Identifier: MIT
// module: native modules: programs whose code is in an image that the system has loaded.
//
// Invariants, all under object_lock: a module is in runtime.modules until nobody holds it; `programs` are
// those that have its code; a row of maps belongs to one map while programs use it. The table is read between
// module_enter and module_leave only; who revokes the module waits for readers and, by the epoch, for runs.
// Programs that are revoked have no entry any more: they cannot be started, neither by a tail call.
#include "runtime/runtime_int.h"

#define MAX_ROWS      1024u // programs, maps, helpers
#define MAX_ROW_SIZE  4096u
#define MAX_TEXT      256u // of the module, with NUL
#define MAX_CANONICAL ((uint32_t)32 << 20)
#define ALL_MAP_USES  (EBPF_NATIVE_USE_ADDRESS | EBPF_NATIVE_USE_VALUES)
#define ALL_USES      (EBPF_NATIVE_USE_CALL_NUMBER | EBPF_NATIVE_USE_LOAD_PACKET)

_Static_assert(offsetof(struct ebpf_native_run, number) == offsetof(struct jit_run, number) &&
                   offsetof(struct ebpf_native_run, turns) == offsetof(struct jit_run, turns) &&
                   offsetof(struct ebpf_native_run, slot) == offsetof(struct jit_run, slot) &&
                   offsetof(struct ebpf_native_run, aborted) == offsetof(struct jit_run, aborted) &&
                   sizeof(struct ebpf_native_run) == sizeof(struct jit_run),
               "modules and translated programs see the same of a run");

// --- rows: as large as the module says -----------------------------------------------------------

static const void *row_at(const void *rows, uint32_t index, uint32_t size)
{
    return (const uint8_t *)rows + (size_t)index * size;
}

static const struct ebpf_native_program *program_at(const struct ebpf_native_module *t, uint32_t index)
{
    return row_at(t->programs, index, t->program_size);
}

static const struct ebpf_native_map *map_at(const struct ebpf_native_module *t, uint32_t index)
{
    return row_at(t->maps, index, t->map_size);
}

static const struct ebpf_native_helper *helper_at(const struct ebpf_native_module *t, uint32_t index)
{
    return row_at(t->helpers, index, t->helper_size);
}

// --- checks of the table -------------------------------------------------------------------------

// One sentence for people, cut where it is too long.
PRINTF_LIKE(2, 3) static void say(char why[MODULE_WHY_SIZE], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)str_vformat(why, MODULE_WHY_SIZE, fmt, args);
    va_end(args);
}

static bool is_text(const char *s, size_t room)
{
    return s != NULL && str_is_terminated(s, room);
}

static bool are_below(const uint32_t *list, uint32_t count, uint32_t limit)
{
    bool all = count == 0 || list != NULL;
    for (uint32_t i = 0; all && i < count; i++) {
        all = list[i] < limit;
    }
    return all;
}

static bool is_row_size(uint32_t size, size_t least)
{
    return size >= least && size <= MAX_ROW_SIZE && size % sizeof(uint64_t) == 0;
}

static bool is_table(const void *rows, uint32_t count)
{
    return count <= MAX_ROWS && (rows != NULL || count == 0);
}

// What version 1 has must be there. NULL, or what is wrong.
static const char *head_fault(const struct ebpf_native_module *t)
{
    if (t->size < sizeof(*t)) {
        return "is shorter than that of its version";
    }
    if (!is_row_size(t->program_size, sizeof(struct ebpf_native_program)) ||
        !is_row_size(t->map_size, sizeof(struct ebpf_native_map)) ||
        !is_row_size(t->helper_size, sizeof(struct ebpf_native_helper)) ||
        !is_row_size(t->binding_size, sizeof(struct ebpf_native_map_binding))) {
        return "has rows of a wrong size";
    }
    if (!is_table(t->programs, t->program_count) || !is_table(t->maps, t->map_count) ||
        !is_table(t->map_bindings, t->map_count) || !is_table(t->helpers, t->helper_count) ||
        !is_table(t->helper_bindings, t->helper_count)) {
        return "lacks rows, or has too many";
    }
    if (t->imports == NULL || t->imports->size < sizeof(*t->imports)) {
        return "has no place for what it imports";
    }
    return is_text(t->name, MAX_TEXT) && is_text(t->generator, MAX_TEXT) ? NULL : "has no name";
}

static const char *program_fault(const struct ebpf_native_module *t, const struct ebpf_native_program *p)
{
    if (!is_text(p->name, SPEC_NAME_SIZE)) {
        return "has a program without a name";
    }
    if (p->entry == NULL || p->canonical == NULL || p->evidence == NULL || p->canonical_size == 0 ||
        p->canonical_size > MAX_CANONICAL || p->evidence_size > MAX_CANONICAL) {
        return "has a program without code, canonical form or evidence";
    }
    if (p->map_count > SPEC_MAX_MAPS || !are_below(p->maps, p->map_count, t->map_count) ||
        !are_below(p->helpers, p->helper_count, t->helper_count)) {
        return "has a program with maps or helpers that it does not have";
    }
    return (p->uses & ~(uint32_t)ALL_USES) == 0 ? NULL : "imports what this version does not know";
}

static const char *map_fault(const struct ebpf_native_map *m)
{
    if (!is_text(m->name, SPEC_NAME_SIZE) || !is_text(m->type, SPEC_NAME_SIZE)) {
        return "has a map without a name";
    }
    return (m->uses & ~(uint32_t)ALL_MAP_USES) == 0 ? NULL
                                                    : "uses a map in a way that this version does not know";
}

static const char *table_fault(const struct ebpf_native_module *t)
{
    const char *fault = head_fault(t);
    for (uint32_t i = 0; fault == NULL && i < t->program_count; i++) {
        fault = program_fault(t, program_at(t, i));
    }
    for (uint32_t i = 0; fault == NULL && i < t->map_count; i++) {
        fault = map_fault(map_at(t, i));
    }
    for (uint32_t i = 0; fault == NULL && i < t->helper_count; i++) {
        fault = is_text(helper_at(t, i)->name, SPEC_NAME_SIZE) ? NULL : "has a helper without a name";
    }
    return fault;
}

static ebpf_result_t check_table(const struct ebpf_native_module *t, char why[MODULE_WHY_SIZE])
{
    if (t == NULL || t->magic != EBPF_NATIVE_MAGIC) {
        say(why, "this is no native module");
        return EBPF_INVALID_OBJECT;
    }
    if (t->version != EBPF_NATIVE_VERSION) {
        say(why, "the native module is of version %u; this execution context takes version %u",
            (unsigned)t->version, EBPF_NATIVE_VERSION);
        return EBPF_INVALID_OBJECT;
    }
    const char *fault = table_fault(t);
    if (fault != NULL) {
        say(why, "the native module's table %s", fault);
        return EBPF_INVALID_OBJECT;
    }
    return EBPF_SUCCESS;
}

// --- registration --------------------------------------------------------------------------------

// Id of the helper, HELPER_ID_ABSENT when there is none of this name here. The name decides; the id only says
// which of several with one name it is.
static uint32_t helper_id(const struct runtime *rt, const struct ebpf_native_helper *row)
{
    bool known = row->id != HELPER_NONE && row->id < HELPER_RUN_COUNT && row->id < rt->spec->helper_count;
    return known && str_equal(rt->spec->helpers[row->id].name, row->name) ? row->id : HELPER_ID_ABSENT;
}

// Functions are the same for all programs: bound once, before any of them runs.
static void bind_functions(const struct runtime *rt, const struct ebpf_native_module *t)
{
    for (uint32_t i = 0; i < t->helper_count; i++) {
        uint64_t address = rt->helpers[helper_id(rt, helper_at(t, i))].address;
        t->helper_bindings[i] = (ebpf_native_helper_fn)(uintptr_t)address;
    }
    t->imports->call_number = (ebpf_native_helper_fn)(uintptr_t)helper_call_number;
    t->imports->load_packet = (ebpf_native_helper_fn)(uintptr_t)helper_load_packet;
}

static bool has_id(const struct module *m, const uint8_t id[MODULE_ID_SIZE])
{
    uint8_t difference = 0, any = 0;
    for (unsigned i = 0; i < MODULE_ID_SIZE; i++) { // in constant time: ids are secrets
        difference |= m->source.id[i] ^ id[i];
        any |= id[i];
    }
    return difference == 0 && any != 0 && !m->revoked;
}

// With object_lock held.
static struct module *find_locked(struct runtime *rt, const uint8_t id[MODULE_ID_SIZE])
{
    LIST_FOR_EACH (node, &rt->modules) {
        struct module *m = CONTAINER_OF(node, struct module, node);
        if (has_id(m, id)) {
            return m;
        }
    }
    return NULL;
}

static ebpf_result_t add(struct runtime *rt, struct module *m)
{
    ebpf_result_t result = EBPF_SUCCESS;
    plat_spinlock_acquire(&rt->object_lock);
    if (find_locked(rt, m->source.id) != NULL) {
        result = EBPF_OBJECT_ALREADY_EXISTS;
    } else if (rt->module_count == RUNTIME_MAX_MODULES) {
        result = EBPF_OUT_OF_SPACE;
    } else {
        list_push_back(&rt->modules, &m->node);
        rt->module_count++;
    }
    plat_spinlock_release(&rt->object_lock);
    return result;
}

// From now on module_by_id finds it.
static void let_in(struct runtime *rt, struct module *m)
{
    plat_spinlock_acquire(&rt->object_lock);
    m->published = true;
    plat_spinlock_release(&rt->object_lock);
}

static void take_out(struct runtime *rt, struct module *m)
{
    plat_spinlock_acquire(&rt->object_lock);
    list_remove(&m->node);
    rt->module_count--;
    plat_spinlock_release(&rt->object_lock);
}

static void last_release(struct object *o)
{
    take_out(o->rt, CONTAINER_OF(o, struct module, object));
}

// In an epoch, so that who revokes the module waits for `idle` to return.
static void released(struct object *o)
{
    struct module *m = CONTAINER_OF(o, struct module, object);
    if (__atomic_load_n(&m->has_image, __ATOMIC_SEQ_CST) && m->source.idle != NULL) {
        m->source.idle(m->source.user, m);
    }
}

static void destroy(struct object *o)
{
    struct module *m = CONTAINER_OF(o, struct module, object);
    const struct module_source source = m->source;
    bool stays = m->keeps_itself;
    plat_free(m);
    if (!stays && source.gone != NULL) {
        source.gone(source.user);
    }
}

static const struct object_ops object_ops = {last_release, released, destroy};

static struct module *make(const struct module_source *source)
{
    const struct ebpf_native_module *t = source->table;
    struct module *m = plat_alloc(sizeof(*m) + t->map_count * sizeof(m->rows[0]), POOL_TAG_OBJECT);
    if (m == NULL) {
        return NULL;
    }
    m->source = *source;
    m->program_count = t->program_count;
    m->map_count = t->map_count;
    (void)str_copy(m->name, sizeof(m->name), t->name);
    (void)str_copy(m->generator, sizeof(m->generator), t->generator);
    list_init(&m->programs);
    return m;
}

ebpf_result_t module_register(struct runtime *rt, const struct module_source *source,
                              char why[MODULE_WHY_SIZE], struct module **out)
{
    why[0] = '\0';
    if (rt->engine != RUNTIME_JIT) {
        say(why, "the interpreter is set to run all programs, and runs no native ones");
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    TRY(check_table(source->table, why));
    struct module *m = make(source);
    if (m == NULL) {
        return EBPF_NO_MEMORY;
    }
    bind_functions(rt, source->table);
    ebpf_result_t result = add(rt, m);
    if (result != EBPF_SUCCESS) {
        say(why, result == EBPF_OUT_OF_SPACE ? "too many native modules are there already"
                                             : "another native module has this id");
        plat_free(m);
        return result;
    }
    result = object_publish(rt, &m->object, OBJECT_MODULE, &object_ops);
    if (result != EBPF_SUCCESS) {
        take_out(rt, m);
        plat_free(m);
        return result;
    }
    let_in(rt, m);
    *out = m;
    return EBPF_SUCCESS;
}

ebpf_result_t module_by_id(struct runtime *rt, const uint8_t id[MODULE_ID_SIZE], struct module **out)
{
    plat_spinlock_acquire(&rt->object_lock);
    struct module *m = find_locked(rt, id);
    bool found = m != NULL && m->published && object_try_acquire(&m->object);
    plat_spinlock_release(&rt->object_lock);
    if (!found) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    *out = m;
    return EBPF_SUCCESS;
}

struct object *module_object(struct module *m)
{
    return &m->object;
}

struct module *module_from_object(struct object *o)
{
    return o->kind == OBJECT_MODULE ? CONTAINER_OF(o, struct module, object) : NULL;
}

void module_info(const struct module *m, struct module_info *out)
{
    *out = (struct module_info){.id = m->object.id,
                                .name = m->name,
                                .generator = m->generator,
                                .program_count = m->program_count,
                                .map_count = m->map_count,
                                .revoked = __atomic_load_n(&m->revoked, __ATOMIC_RELAXED)};
}

// --- the image -----------------------------------------------------------------------------------

void module_keep_registered(struct module *m)
{
    m->keeps_itself = true;
    __atomic_store_n(&m->has_image, true, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&m->object.references, OBJECT_KEEPER, __ATOMIC_RELAXED);
}

// Whether the image's reference is the caller's to drop.
static bool stop_programs(struct module *m)
{
    plat_spinlock_acquire(&m->object.rt->object_lock);
    bool has_image = m->has_image;
    __atomic_store_n(&m->revoked, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&m->has_image, false, __ATOMIC_SEQ_CST);
    LIST_FOR_EACH (node, &m->programs) {
        struct module_use *use = CONTAINER_OF(node, struct module_use, node);
        __atomic_store_n(&use->prog->code.entry, 0, __ATOMIC_SEQ_CST);
    }
    plat_spinlock_release(&m->object.rt->object_lock);
    return has_image;
}

void module_revoke(struct module *m)
{
    struct runtime *rt = m->object.rt;
    bool has_image = stop_programs(m);
    while (__atomic_load_n(&m->readers, __ATOMIC_SEQ_CST) != 0) {
        plat_sleep_us(100);
    }
    epoch_synchronize(rt);
    if (has_image) {
        object_drop_kept(&m->object);
        epoch_reclaim(rt);
    }
}

ebpf_result_t module_enter(struct module *m)
{
    plat_spinlock_acquire(&m->object.rt->object_lock);
    bool revoked = m->revoked;
    if (!revoked) {
        __atomic_fetch_add(&m->readers, 1, __ATOMIC_SEQ_CST);
    }
    plat_spinlock_release(&m->object.rt->object_lock);
    return revoked ? EBPF_INVALID_STATE : EBPF_SUCCESS;
}

void module_leave(struct module *m)
{
    __atomic_fetch_sub(&m->readers, 1, __ATOMIC_SEQ_CST);
}

// --- programs ------------------------------------------------------------------------------------

ebpf_result_t module_program(struct module *m, uint32_t index, struct module_program *out)
{
    if (index >= m->program_count) {
        return EBPF_NO_MORE_KEYS;
    }
    const struct ebpf_native_program *p = program_at(m->source.table, index);
    *out = (struct module_program){.name = p->name,
                                   .canonical = p->canonical,
                                   .evidence = p->evidence,
                                   .digest = p->digest,
                                   .canonical_size = p->canonical_size,
                                   .evidence_size = p->evidence_size,
                                   .maps = p->maps,
                                   .map_count = p->map_count};
    return EBPF_SUCCESS;
}

ebpf_result_t module_check_helpers(struct module *m, uint32_t index, char why[MODULE_WHY_SIZE])
{
    const struct ebpf_native_module *t = m->source.table;
    const struct ebpf_native_program *p = program_at(t, index);
    for (uint32_t i = 0; i < p->helper_count; i++) {
        const struct ebpf_native_helper *row = helper_at(t, p->helpers[i]);
        if (helper_id(m->object.rt, row) == HELPER_ID_ABSENT) {
            say(why, "the native module calls the helper %s, which this execution context does not have",
                row->name);
            return EBPF_PROGRAM_LOAD_FAILED;
        }
    }
    return EBPF_SUCCESS;
}

// Code that calls helpers in another way than by the rows that were bound has not the ids of this version.
static bool names_helper(const struct ebpf_native_module *t, const struct ebpf_native_program *p, uint32_t id)
{
    bool found = false;
    for (uint32_t i = 0; !found && i < p->helper_count; i++) {
        found = helper_at(t, p->helpers[i])->id == id;
    }
    return found;
}

static ebpf_result_t check_calls(const struct module *m, const struct ebpf_native_program *row,
                                 const struct program *p, char why[MODULE_WHY_SIZE])
{
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        const struct insn *in = &p->insns[pc];
        bool helper =
            in->id == INSN_CALL && in->imm > 0 && in->imm < (int64_t)m->object.rt->spec->helper_count;
        if (helper && !names_helper(m->source.table, row, (uint32_t)in->imm)) {
            say(why, "the native module does not say which helpers its program %s calls", row->name);
            return EBPF_PROGRAM_LOAD_FAILED;
        }
    }
    return EBPF_SUCCESS;
}

// --- maps ----------------------------------------------------------------------------------------

// What the code relies on. Constants of it are the number of values and the distance between them.
static const char *map_difference(const struct ebpf_native_map *row, const struct map *m,
                                  const struct jit_map *place)
{
    const struct spec_view *spec = m->object.rt->spec;
    if (!str_equal(spec->map_types[m->def.type].name, row->type) || m->def.key_size != row->key_size ||
        m->def.value_size != row->value_size || m->def.max_entries != row->max_entries) {
        return "is not as the native module defines it";
    }
    if (row->stride != 0 && row->stride != place->stride) {
        return "has its values at other distances than the native module takes them to be";
    }
    if ((row->uses & EBPF_NATIVE_USE_VALUES) != 0 && place->values == 0) {
        return "has no values that the native module could find in line";
    }
    return NULL;
}

struct binding {
    struct map *map;
    struct jit_map place;
    uint32_t row;
};

static ebpf_result_t check_map(const struct module *m, const struct binding *b, char why[MODULE_WHY_SIZE])
{
    const struct ebpf_native_map *row = map_at(m->source.table, b->row);
    const char *difference = map_difference(row, b->map, &b->place);
    if (difference != NULL) {
        say(why, "the map %s %s", row->name, difference);
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    return EBPF_SUCCESS;
}

// With object_lock held. A row that nobody uses is what no run looks at.
static bool bind_row(struct module *m, const struct binding *b)
{
    const struct ebpf_native_module *t = m->source.table;
    struct module_row *row = &m->rows[b->row];
    if (row->users != 0 && row->map != b->map) {
        return false;
    }
    if (row->users++ == 0) {
        const struct ebpf_native_map_binding binding = {
            .address = b->place.address, .values = b->place.values, .cpu_stride = b->place.cpu_stride};
        row->map = b->map;
        memcpy((uint8_t *)t->map_bindings + (size_t)b->row * t->binding_size, &binding, sizeof(binding));
    }
    return true;
}

static void unbind_rows(struct module *m, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        m->rows[rows[i]].users--;
    }
}

// With object_lock held: all of them or none.
static ebpf_result_t bind_rows(struct module_use *use, struct map *const *maps, char why[MODULE_WHY_SIZE])
{
    struct module *m = use->module;
    for (uint32_t i = 0; i < use->count; i++) {
        struct binding b = {.map = maps[i], .row = use->rows[i]};
        bind_describe_map(maps[i], &b.place);
        ebpf_result_t result = check_map(m, &b, why);
        if (result == EBPF_SUCCESS && !bind_row(m, &b)) {
            say(why, "the native module's map %s is bound to another map",
                map_at(m->source.table, b.row)->name);
            result = EBPF_INVALID_STATE;
        }
        if (result != EBPF_SUCCESS) {
            unbind_rows(m, use->rows, i);
            return result;
        }
    }
    return EBPF_SUCCESS;
}

// --- code ----------------------------------------------------------------------------------------

static struct module_use *make_use(struct module *m, struct prog *g, const struct ebpf_native_program *row)
{
    struct module_use *use =
        plat_alloc(sizeof(*use) + row->map_count * sizeof(use->rows[0]), POOL_TAG_PROGRAM);
    if (use == NULL) {
        return NULL;
    }
    use->module = m;
    use->prog = g;
    use->count = row->map_count;
    for (uint32_t i = 0; i < row->map_count; i++) {
        use->rows[i] = row->maps[i];
    }
    return use;
}

static ebpf_result_t join(struct module_use *use, ebpf_native_entry_fn entry, struct map *const *maps,
                          char why[MODULE_WHY_SIZE])
{
    struct module *m = use->module;
    plat_spinlock_acquire(&m->object.rt->object_lock);
    ebpf_result_t result = m->revoked ? EBPF_INVALID_STATE : bind_rows(use, maps, why);
    if (result == EBPF_SUCCESS) {
        use->prog->code.entry = (uintptr_t)entry;
        list_push_back(&m->programs, &use->node);
    }
    plat_spinlock_release(&m->object.rt->object_lock);
    return result;
}

ebpf_result_t module_take_code(struct module *m, uint32_t index, const struct program *p,
                               struct map *const *maps, char why[MODULE_WHY_SIZE], struct prog *g)
{
    if (index >= m->program_count) {
        say(why, "the native module has no such program");
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    const struct ebpf_native_program *row = program_at(m->source.table, index);
    TRY(module_check_helpers(m, index, why));
    TRY(check_calls(m, row, p, why));
    if (row->map_count != p->map_count) {
        say(why, "the native module's program %s has another number of maps", row->name);
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    struct module_use *use = make_use(m, g, row);
    if (use == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = join(use, row->entry, maps, why);
    if (result != EBPF_SUCCESS) {
        plat_free(use);
        return result;
    }
    object_acquire(&m->object);
    g->use = use;
    return EBPF_SUCCESS;
}

void module_return_code(struct module_use *use)
{
    struct module *m = use->module;
    plat_spinlock_acquire(&m->object.rt->object_lock);
    list_remove(&use->node);
    unbind_rows(m, use->rows, use->count);
    plat_spinlock_release(&m->object.rt->object_lock);
    plat_free(use);
    object_drop(&m->object);
}
