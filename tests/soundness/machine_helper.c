// SPDX-License-Identifier: MIT
// machine_helper: helpers as their rows describe them, with the worst that the rows permit, and callbacks.
#include "tests/soundness/machine.h"

struct call {
    const struct helper_row *row;
    const uint64_t *r; // r[0] is r1
    struct block *map;
    uint64_t alloc;  // ARG_ALLOC_SIZE
    uint64_t memory; // size of the first memory argument
    struct block *object;
    struct special *special;
    unsigned callback; // argument, or 5
};

static const struct map_facts *facts_of(const struct machine *m, const struct block *b)
{
    return m->program->map_facts != NULL ? &m->program->map_facts[b->map] : NULL;
}

static struct block *block_at_start(struct machine *m, uint64_t value)
{
    struct block *b = machine_block(m, value);
    return b != NULL && b->base == value ? b : NULL;
}

static bool read_only(struct machine *m, uint64_t at, uint64_t size)
{
    return size == 0 || machine_touch(m, at, size, 1) != NULL;
}

// What a helper writes of memory may be anything.
static bool scribble(struct machine *m, uint64_t at, uint64_t size)
{
    uint8_t *bytes = size == 0 ? NULL : machine_touch(m, at, size, 6);
    for (uint64_t i = 0; bytes != NULL && i < size && i < 2048; i++) {
        bytes[i] = (uint8_t)(machine_pick(m, 3) == 0 ? 0 : machine_random(m) >> 20);
    }
    m->epoch++;
    return size == 0 || bytes != NULL;
}

// Argument with the size of memory argument `arg`.
static unsigned size_argument(const struct call *c, unsigned arg)
{
    return c->row->detail[arg] != 0 ? c->row->detail[arg] - 1u : arg < 4 ? arg + 1 : 4;
}

// ARG_MEM_COPY: at least the first bytes are written, as many as the readable memory has.
static bool scribble_copy(struct machine *m, const struct call *c, uint64_t at, uint64_t size)
{
    uint64_t most = size;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t there = c->r[size_argument(c, i)];
        if ((c->row->args[i] & ARG_KIND_MASK) == ARG_MEM_READ && there < most) {
            most = there;
        }
    }
    return (size == 0 || machine_touch(m, at, size, 4) != NULL) && scribble(m, at, most);
}

static bool check_field(struct machine *m, uint64_t value, unsigned kind, struct block **out)
{
    struct block *b = machine_block(m, value);
    const struct map_facts *facts = b != NULL && b->kind == BLOCK_VALUE ? facts_of(m, b) : NULL;
    for (uint32_t i = 0; facts != NULL && i < facts->field_count; i++) {
        if (facts->fields[i].kind == kind && b->base + facts->fields[i].off == value) {
            *out = b;
            return true;
        }
    }
    return machine_fail(m, "gives a helper something else than the field it wants", value);
}

static bool check_string(struct machine *m, uint64_t value)
{
    struct block *b = machine_block(m, value);
    for (uint64_t at = value; b != NULL && b->kind == BLOCK_VALUE && b->read_only && at < b->base + b->size;
         at++) {
        if (b->bytes[at - b->base] == '\0') {
            return true;
        }
    }
    return machine_fail(m, "gives a helper something else than a constant string", value);
}

static struct special *special_at(struct machine *m, uint64_t value, unsigned arg)
{
    for (uint32_t i = 0; i < m->special_count; i++) {
        if (m->specials[i].at == value && m->specials[i].arg == arg) {
            return &m->specials[i];
        }
    }
    machine_fail(m, "gives a helper something that was not made, or is gone", value);
    return NULL;
}

static uint32_t special_size(unsigned kind, uint16_t detail)
{
    return kind == ARG_DYNPTR_NEW ? 16 : kind == ARG_ITER_NEW ? 8u * ITER_DETAIL_WORDS(detail) : 8;
}

static bool make_special(struct machine *m, const struct call *c, unsigned arg, unsigned kind)
{
    uint32_t size = special_size(kind, c->row->detail[arg]);
    if (!scribble(m, c->r[arg], size)) {
        return false;
    }
    if (m->special_count == MACHINE_SPECIALS) {
        m->unknown = m->ended = true;
        return false;
    }
    m->specials[m->special_count++] = (struct special){.at = c->r[arg],
                                                       .size = size,
                                                       .arg = (uint8_t)(kind - 1),
                                                       .detail = c->row->detail[arg],
                                                       .held = (c->row->flags & HELPER_ACQUIRES) != 0,
                                                       .turns = machine_pick(m, 5)};
    return true;
}

static bool is_of(const struct machine *m, const struct block *b, uint32_t want)
{
    bool good = want == LAYOUT_NONE || spec_object_is(m->spec, b->map, want);
    for (unsigned i = 0; i < 3; i++) {
        good = good || (b->casts[i] != LAYOUT_NONE && spec_object_is(m->spec, b->casts[i], want));
    }
    return good;
}

static bool check_object(struct machine *m, struct call *c, unsigned arg, bool record)
{
    uint64_t value = c->r[arg];
    struct block *b = block_at_start(m, value);
    bool good = b != NULL && !b->dead &&
                (record ? b->kind == BLOCK_MEM && b->held
                        : b->kind == BLOCK_OBJECT && is_of(m, b, c->row->detail[arg]));
    if (!good) {
        return machine_fail(m, "gives a helper an object that it does not have", value);
    }
    c->object = c->object == NULL ? b : c->object;
    return true;
}

static bool check_memory(struct machine *m, struct call *c, unsigned arg, unsigned kind)
{
    unsigned other = size_argument(c, arg);
    uint64_t at = c->r[arg], size = c->r[other];
    if (c->memory == UINT64_MAX) {
        c->memory = size;
    }
    if ((c->row->args[other] & ARG_KIND_MASK) == ARG_SIZE && size == 0 && at != 0) {
        return machine_fail(m, "gives a helper a size of 0", arg);
    }
    switch (kind) {
    case ARG_MEM_READ:
    case ARG_MEM_READ_OR_NULL: return read_only(m, at, size);
    case ARG_MEM_READ_WRITE: return read_only(m, at, size) && scribble(m, at, size);
    case ARG_MEM_COPY: return scribble_copy(m, c, at, size);
    default: return scribble(m, at, size);
    }
}

static bool check_null(struct machine *m, const struct call *c, unsigned arg, unsigned kind)
{
    bool sized = kind == ARG_MEM_READ || kind == ARG_MEM_READ_OR_NULL || kind == ARG_MEM_WRITE ||
                 kind == ARG_MEM_READ_WRITE || kind == ARG_MEM_COPY;
    return !sized || c->r[size_argument(c, arg)] == 0 || (c->row->flags & HELPER_NULL_ANY_SIZE) != 0 ||
           machine_fail(m, "gives a helper NULL with a size", c->r[size_argument(c, arg)]);
}

static bool check_map(struct machine *m, struct call *c, uint64_t value)
{
    struct block *b = block_at_start(m, value);
    if (b == NULL || b->kind != BLOCK_MAP) {
        return machine_fail(m, "gives a helper something else than a map", value);
    }
    c->map = c->map == NULL ? b : c->map;
    return true;
}

static bool check_code(struct machine *m, struct call *c, unsigned arg)
{
    c->callback = arg;
    for (uint32_t i = 1; i < m->program->func_count; i++) {
        if (c->r[arg] == MACHINE_CODE + 16 * (uint64_t)m->program->funcs[i].start) {
            return true;
        }
    }
    return machine_fail(m, "gives a helper something else than a function", c->r[arg]);
}

// Arguments that are written come in a second pass: a helper reads before it writes.
static bool writes(unsigned kind)
{
    return kind == ARG_MEM_WRITE || kind == ARG_MEM_COPY || kind == ARG_MEM_READ_WRITE ||
           kind == ARG_FIXED_WRITE || kind == ARG_MAP_VALUE_WRITE || kind == ARG_DYNPTR_NEW ||
           kind == ARG_ITER_NEW || kind == ARG_IRQ_FLAGS_NEW;
}

static bool check_argument(struct machine *m, struct call *c, unsigned arg)
{
    unsigned kind = c->row->args[arg] & ARG_KIND_MASK;
    uint64_t value = c->r[arg];
    struct block *b;
    bool nullable = (c->row->args[arg] & ARG_NULLABLE) != 0 || kind == ARG_MEM_READ_OR_NULL;
    bool optional = kind == ARG_NONE || kind == ARG_SCALAR_OR_NONE || kind == ARG_ANYTHING_OR_NONE;
    if (!optional && (m->init >> (arg + 1) & 1) == 0) {
        return machine_fail(m, "gives a helper a register that was not written", arg + 1);
    }
    if (nullable && value == 0) {
        return check_null(m, c, arg, kind);
    }
    switch (kind) {
    case ARG_CTX: return value == MACHINE_CTX || machine_fail(m, "gives a helper another context", value);
    case ARG_MAP: return check_map(m, c, value);
    case ARG_MAP_KEY: return read_only(m, value, m->program->maps[c->map->map].key_size);
    case ARG_MAP_VALUE: return read_only(m, value, m->program->maps[c->map->map].value_size);
    case ARG_MAP_VALUE_WRITE: return scribble(m, value, m->program->maps[c->map->map].value_size);
    case ARG_MEM_READ:
    case ARG_MEM_READ_OR_NULL:
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY:
    case ARG_MEM_READ_WRITE: return check_memory(m, c, arg, kind);
    case ARG_FIXED_READ: return read_only(m, value, c->row->detail[arg]);
    case ARG_FIXED_WRITE: return scribble(m, value, c->row->detail[arg]);
    case ARG_CONST_STRING: return check_string(m, value);
    case ARG_ALLOC_SIZE: c->alloc = value; return true;
    case ARG_RECORD: return check_object(m, c, arg, true);
    case ARG_OBJECT: return check_object(m, c, arg, false);
    case ARG_KERNEL: return value != 0 || machine_fail(m, "gives a helper a null pointer", arg);
    case ARG_SPIN_LOCK: return check_field(m, value, MAP_FIELD_SPIN_LOCK, &c->object);
    case ARG_TIMER: return check_field(m, value, MAP_FIELD_TIMER, &b);
    case ARG_WORKQUEUE: return check_field(m, value, MAP_FIELD_WORKQUEUE, &b);
    case ARG_KPTR: return check_field(m, value, MAP_FIELD_KPTR, &b);
    case ARG_DYNPTR:
    case ARG_ITER:
    case ARG_IRQ_FLAGS: return (c->special = special_at(m, value, kind)) != NULL;
    case ARG_DYNPTR_NEW:
    case ARG_ITER_NEW:
    case ARG_IRQ_FLAGS_NEW: return make_special(m, c, arg, kind);
    case ARG_CALLBACK: return check_code(m, c, arg);
    default: return true;
    }
}

static bool check_arguments(struct machine *m, struct call *c)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned arg = 0; arg < 5; arg++) {
            if (writes(c->row->args[arg] & ARG_KIND_MASK) == (pass == 1) && !check_argument(m, c, arg)) {
                return false;
            }
        }
    }
    return true;
}

// --- results --------------------------------------------------------------------------------------

static uint64_t new_block(struct machine *m, const struct call *c, enum block_kind kind, uint64_t size)
{
    struct block *b = machine_add(m, kind, (uint32_t)size);
    b->map = kind == BLOCK_OBJECT ? c->row->ret_detail : 0;
    if (c->special != NULL && kind == BLOCK_MEM) {
        unsigned from = c->special->detail & (DYNPTR_WRITABLE - 1);
        b->owner = c->special->at;
        b->of_packet = c->special->arg == ARG_DYNPTR && (from == DYNPTR_SKB || from == DYNPTR_XDP);
    }
    b->held = (c->row->flags & HELPER_ACQUIRES) != 0;
    return b->base;
}

// Elements of arrays are always there: the index of the one that is looked up, or -1: any, or none.
static int64_t element_index(struct machine *m, const struct call *c)
{
    uint32_t key, both = MAP_KEY_IS_INDEX | MAP_FIXED;
    const struct map_def *def = c->map != NULL ? &m->program->maps[c->map->map] : NULL;
    if (def == NULL || (m->spec->map_types[def->type].flags & both) != both || def->key_size != 4 ||
        c->row->args[1] != ARG_MAP_KEY || c->row->args[2] != ARG_NONE) {
        return -1;
    }
    const uint8_t *bytes = machine_touch(m, c->r[1], sizeof(key), 1);
    if (bytes == NULL) {
        return -1;
    }
    memcpy(&key, bytes, sizeof(key));
    return key < def->max_entries ? key : INT64_MAX;
}

// A value of the map, or an inner map of it.
static uint64_t look_up(struct machine *m, const struct call *c, int64_t index)
{
    const struct map_facts *facts = facts_of(m, c->map);
    uint32_t map = (uint32_t)(c->map - m->blocks);
    const struct map_type_row *type = &m->spec->map_types[m->program->maps[c->map->map].type];
    if (type->element != LAYOUT_NONE) {
        struct block *object = machine_object(m, type->element, false);
        object->held = (type->flags & MAP_LOOKUP_ACQUIRES) != 0;
        return object->base;
    }
    if (facts == NULL || !facts->has_inner) {
        uint32_t which = index >= 0 ? (uint32_t)(index % MACHINE_PER_MAP) : machine_pick(m, MACHINE_PER_MAP);
        return machine_value(m, map, which)->base;
    }
    struct block *b = machine_add(m, BLOCK_MAP, 0);
    b->map = (uint16_t)facts->inner;
    return b->base;
}

static uint64_t number_result(struct machine *m, const struct call *c)
{
    uint64_t n = machine_number(m);
    uint64_t most = c->memory == UINT64_MAX ? 0 : c->memory;
    switch (c->row->ret) {
    case RET_U32: return (uint32_t)n;
    case RET_INT32: return (uint64_t)(int64_t)(int32_t)n;
    case RET_ERROR: return machine_pick(m, 2) == 0 ? 0 : 0 - (n & 4095);
    case RET_SIZE_OR_ERROR:
        return machine_pick(m, 3) == 0 ? 0 - (n & 4095) : machine_pick(m, 2) == 0 ? most : n % (most + 1);
    case RET_BOOL: return n & ~(uint64_t)0xfe;
    default: return n;
    }
}

static uint64_t pointer_result(struct machine *m, const struct call *c, int64_t index)
{
    uint64_t size = c->alloc != UINT64_MAX ? c->alloc : c->row->ret_detail;
    switch (c->row->ret) {
    case RET_MAP_VALUE_OR_NULL:
    case RET_MAP_VALUE: return look_up(m, c, index);
    case RET_MEM_OR_NULL:
    case RET_MEM:
    case RET_ITER_ELEMENT: return new_block(m, c, BLOCK_MEM, size);
    case RET_OBJECT_OR_NULL:
    case RET_OBJECT:
        if ((c->row->flags & HELPER_CASTS) != 0 && c->object != NULL) {
            unsigned i = c->object->casts[0] == LAYOUT_NONE ? 0 : c->object->casts[1] == LAYOUT_NONE ? 1 : 2;
            c->object->casts[i] = c->row->ret_detail;
            return c->object->base;
        }
        return new_block(m, c, BLOCK_OBJECT, 1);
    default: return MACHINE_KERNEL + 4096 * (uint64_t)machine_pick(m, 64);
    }
}

static bool is_null(struct machine *m, const struct call *c, int64_t index)
{
    if (c->row->ret == RET_MAP_VALUE_OR_NULL && index == INT64_MAX) {
        return true;
    }
    switch (c->row->ret) {
    case RET_MAP_VALUE_OR_NULL: return index < 0 && machine_pick(m, 4) == 0;
    case RET_MEM_OR_NULL:
    case RET_OBJECT_OR_NULL:
    case RET_KERNEL_OR_NULL: return machine_pick(m, 4) == 0;
    case RET_ITER_ELEMENT: return c->special == NULL || c->special->turns == 0 || c->special->turns-- == 0;
    default: return false;
    }
}

static bool is_pointer_result(unsigned ret)
{
    return ret == RET_MAP_VALUE_OR_NULL || ret == RET_MAP_VALUE || ret == RET_MEM_OR_NULL || ret == RET_MEM ||
           ret == RET_OBJECT_OR_NULL || ret == RET_OBJECT || ret == RET_KERNEL_OR_NULL || ret == RET_KERNEL ||
           ret == RET_ITER_ELEMENT;
}

static void finish(struct machine *m, const struct call *c)
{
    uint64_t result = 0;
    int64_t index = element_index(m, c);
    if (!is_pointer_result(c->row->ret)) {
        result = number_result(m, c);
    } else if (!is_null(m, c, index)) {
        result = pointer_result(m, c, index);
    }
    for (unsigned r = 1; r <= 5; r++) {
        m->regs[r] = 0xbad0bad0bad0bad0u + r;
    }
    m->regs[0] = result;
    m->init = (uint16_t)((m->init & ~0x3eu) | 1u);
    if (c->row->ret == RET_VOID) {
        m->init = (uint16_t)(m->init & ~1u);
    }
    m->epoch++;
}

// --- what else a call does ------------------------------------------------------------------------

static bool release(struct machine *m, struct call *c)
{
    if (c->special != NULL) {
        machine_drop_slices(m, c->special->at);
        *c->special = m->specials[--m->special_count];
        return true;
    }
    if (c->object == NULL) {
        return true; // NULL, where the row takes it
    }
    if (!c->object->held) {
        return machine_fail(m, "gives back what it did not acquire", c->object->base);
    }
    c->object->dead = true;
    return true;
}

static bool leave_section(struct machine *m, uint32_t *depth)
{
    if (*depth == 0) {
        return machine_fail(m, "leaves a section that it is not in", 0);
    }
    --*depth;
    return true;
}

static bool change_sections(struct machine *m, const struct call *c)
{
    uint32_t flags = c->row->flags, lock = c->object != NULL ? (uint32_t)(c->object - m->blocks) + 1 : 0;
    m->rcu += (flags & HELPER_RCU_ENTERS) != 0;
    m->preempt += (flags & HELPER_PREEMPT_DISABLES) != 0;
    if (m->lock != 0 && (flags & HELPER_UNLOCKS) == 0) {
        return machine_fail(m, "calls a helper while a lock is held", m->lock);
    }
    if ((flags & HELPER_LOCKS) != 0) {
        m->lock = lock;
    } else if ((flags & HELPER_UNLOCKS) != 0) {
        if (m->lock != lock) {
            return machine_fail(m, "gives back another lock", lock);
        }
        m->lock = 0;
    }
    return ((flags & HELPER_RCU_LEAVES) == 0 || leave_section(m, &m->rcu)) &&
           ((flags & HELPER_PREEMPT_ENABLES) == 0 || leave_section(m, &m->preempt));
}

// --- callbacks ------------------------------------------------------------------------------------

static void enter_callback(struct machine *m)
{
    struct machine_frame *f = &m->frames[m->depth];
    uint64_t map = f->args[0];
    m->init = 0x400;
    switch (f->callback - 1) {
    case CALLBACK_LOOP:
        m->regs[1] = f->turn;
        m->regs[2] = f->args[2];
        m->init |= 6;
        break;
    case CALLBACK_FOR_EACH: {
        struct block *b = machine_block(m, map);
        const struct map_def *def = &m->program->maps[b->map];
        struct block *value = machine_value(m, (uint32_t)(b - m->blocks), machine_pick(m, MACHINE_PER_MAP));
        struct block *key = machine_add(m, BLOCK_MEM, def->key_size);
        key->read_only = true;
        m->regs[1] = map;
        m->regs[2] = key->base;
        m->regs[3] = value->base;
        m->regs[4] = f->args[2];
        m->init |= 0x1e;
        break;
    }
    default: m->unknown = m->ended = true; break;
    }
    memset(f->init, 0, sizeof(f->init));
    memcpy(f->entry, &m->regs[1], sizeof(f->entry));
    m->pc = (uint32_t)((f->args[1] - MACHINE_CODE) / 16);
}

static bool start_callback(struct machine *m, const struct call *c, uint64_t result)
{
    unsigned type = c->row->detail[c->callback];
    uint64_t args[5];
    memcpy(args, c->r, sizeof(args));
    if (type != CALLBACK_LOOP && type != CALLBACK_FOR_EACH) {
        m->unknown = type != CALLBACK_TIMER; // timers run later: not played
        return !m->unknown;
    }
    uint32_t most = machine_pick(m, 6);
    uint32_t turns = type == CALLBACK_LOOP && (uint32_t)args[0] < most ? (uint32_t)args[0] : most;
    if (turns == 0) {
        return true;
    }
    if (m->depth + 1 == INSN_MAX_FRAMES) {
        return machine_fail(m, "calls are nested too deeply", m->depth);
    }
    machine_enter(m, m->pc);
    struct machine_frame *f = &m->frames[m->depth];
    memcpy(f->args, args, sizeof(args));
    f->callback = type + 1;
    f->turn = 0;
    f->turns = turns;
    f->args[4] = result;
    enter_callback(m);
    return true;
}

bool machine_callback_exit(struct machine *m)
{
    struct machine_frame *f = &m->frames[m->depth];
    if ((m->init & 1) == 0 || m->regs[0] > 1) {
        return machine_fail(m, "a callback returns something else than 0 or 1", m->regs[0]);
    }
    if (m->regs[0] == 0 && ++f->turn < f->turns) {
        enter_callback(m);
        return true;
    }
    uint64_t result = f->turn;
    machine_leave(m);
    m->regs[0] = result;
    m->init |= 1;
    m->epoch++;
    return true;
}

static bool tail_call(struct machine *m)
{
    if (machine_pick(m, 2) == 0) {
        return true; // no such program: goes on
    }
    for (uint32_t i = 0; i < m->block_count; i++) {
        if (m->blocks[i].held && !m->blocks[i].dead) {
            return machine_fail(m, "a tail call without giving back", m->blocks[i].base);
        }
    }
    m->ended = true;
    return false;
}

bool machine_helper(struct machine *m, uint32_t id)
{
    uint64_t args[5];
    memcpy(args, &m->regs[1], sizeof(args));
    if (id == HELPER_NONE || id >= m->spec->helper_count ||
        !spec_helper_allowed(m->spec, id, m->program->type, m->program->attach_type)) {
        return machine_fail(m, "calls a helper that it may not", id);
    }
    struct call c = {
        .row = &m->spec->helpers[id], .r = args, .alloc = UINT64_MAX, .memory = UINT64_MAX, .callback = 5};
    if (!check_arguments(m, &c) || !change_sections(m, &c) ||
        ((c.row->flags & HELPER_RELEASES) != 0 && !release(m, &c))) {
        return false;
    }
    if ((c.row->flags & HELPER_CHANGES_PACKET) != 0) {
        machine_move_packet(m);
    }
    if ((c.row->flags & HELPER_TAIL_CALL) != 0 && !tail_call(m)) {
        return false;
    }
    if (c.callback < 5 && c.row->detail[c.callback] != CALLBACK_TIMER) {
        uint32_t depth = m->depth, at = m->pc;
        m->pc = at + 1; // where the helper returns to
        if (!start_callback(m, &c, 0) || m->depth != depth) {
            return m->fault[0] == '\0' && !m->ended;
        }
        m->pc = at;
    }
    finish(m, &c);
    m->pc++;
    return m->fault[0] == '\0';
}
