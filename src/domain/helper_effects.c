// SPDX-License-Identifier: MIT
// helper_effects: what a call leaves: memory that it wrote, what it acquired and released, its result.
#include "domain/helper_int.h"

#include "domain/special.h"
#include "domain/stack.h"

// A call that was checked: `old` has the arguments.
struct effect {
    const struct domain_env *env;
    struct domain_state *s;
    const struct helper_row *row;
    struct value old[HELPER_ARG_COUNT + 1]; // r0-r5 before the call
    uint32_t pc;
};

static const struct value *arg_value(const struct effect *e, unsigned arg)
{
    return &e->old[arg + 1];
}

// --- memory --------------------------------------------------------------------------------------

// Bytes that the helper certainly writes at memory argument `arg`.
static uint64_t written_at_least(const struct effect *e, unsigned arg)
{
    if (e->row->ret == RET_MEM_OR_NULL) {
        return 0; // the buffer of a slice is written only where the data is not in one piece
    }
    uint64_t size = arg_value(e, helper_size_arg(e->row, arg))->num.umin;
    if (helper_arg_kind(e->row, arg) != ARG_MEM_COPY) {
        return size;
    }
    for (unsigned i = 0; i + 1 < HELPER_ARG_COUNT; i++) {
        if (helper_arg_kind(e->row, i) == ARG_MEM_READ) {
            size = min_u64(size, arg_value(e, helper_size_arg(e->row, i))->num.umin);
        }
    }
    return size;
}

static void write_memory(const struct effect *e, unsigned arg, uint64_t least, uint64_t most)
{
    const struct value *v = arg_value(e, arg);
    if (v->kind != VALUE_STACK || most == 0) {
        return;
    }
    struct state_frame *f = &e->s->frames[v->frame];
    int32_t first = stack_position((int64_t)v->off + v->num.smin);
    // The pair of offset and size is known to end in the frame, even where their limits together would not.
    int64_t spread = v->num.smax - v->num.smin + (int64_t)most;
    int32_t size = (int32_t)(spread < INSN_STACK_SIZE - first ? spread : INSN_STACK_SIZE - first);
    special_overwrite(e->s, v->frame, first, size);
    stack_forget(f, first, size);
    if (value_is_fixed(v)) {
        stack_mark_init(f, first, (int32_t)least);
    }
}

static void write_element(const struct effect *e, unsigned arg)
{
    uint32_t map = helper_map_before(e->s, e->row, arg);
    uint32_t size = map != UINT32_MAX ? e->env->program->maps[map].value_size : 0;
    write_memory(e, arg, size, size);
}

static void write_arguments(const struct effect *e)
{
    for (unsigned arg = 0; arg < HELPER_ARG_COUNT; arg++) {
        switch (helper_arg_kind(e->row, arg)) {
        case ARG_MEM_WRITE:
        case ARG_MEM_COPY:
        case ARG_MEM_READ_WRITE:
            write_memory(e, arg, written_at_least(e, arg),
                         arg_value(e, helper_size_arg(e->row, arg))->num.umax);
            break;
        case ARG_MAP_VALUE_WRITE: write_element(e, arg); break;
        case ARG_FIXED_READ_WRITE:
        case ARG_FIXED_WRITE: write_memory(e, arg, e->row->detail[arg], e->row->detail[arg]); break;
        default: break;
        }
    }
}

// --- what is acquired and released ---------------------------------------------------------------

// helper_check has made sure that there is room.
static void acquire(const struct effect *e, uint32_t ref, enum state_ref_kind kind, uint8_t detail)
{
    bool room = state_acquire(e->s, ref, e->pc, kind, detail);
    UNUSED(room);
}

static uint8_t irq_depth(const struct domain_state *s)
{
    uint8_t depth = 0;
    for (uint32_t i = 0; i < s->ref_count; i++) {
        depth = (uint8_t)(depth + (s->refs[i].kind == STATE_REF_IRQ));
    }
    return depth;
}

static void make_object(const struct effect *e, unsigned arg)
{
    struct value cell;
    unsigned kind = helper_arg_kind(e->row, arg), detail = e->row->detail[arg];
    bool acquires = (e->row->flags & HELPER_ACQUIRES) != 0;
    uint32_t ref = state_make_id(e->s);
    if (kind == ARG_DYNPTR_NEW) {
        value_set_pointer(&cell, VALUE_DYNPTR, 0);
        cell.map = (uint16_t)(detail & ~(unsigned)DYNPTR_WRITABLE);
        cell.flags = (detail & DYNPTR_WRITABLE) != 0 ? 0 : VALUE_READ_ONLY;
    } else if (kind == ARG_ITER_NEW) {
        value_set_pointer(&cell, VALUE_ITER, 0);
        cell.map = (uint16_t)detail;
    } else {
        value_set_pointer(&cell, VALUE_IRQ, 0);
    }
    cell.ref = ref;
    uint32_t words = kind == ARG_DYNPTR_NEW ? 2 : kind == ARG_ITER_NEW ? SPECIAL_ITER_WORDS(detail) : 1;
    special_place(e->s, arg_value(e, arg), &cell, words);
    if (acquires && kind == ARG_DYNPTR_NEW) {
        acquire(e, ref, STATE_REF_DYNPTR, (uint8_t)cell.map);
    } else if (kind == ARG_ITER_NEW) {
        acquire(e, ref, STATE_REF_ITER, 0);
    } else if (kind == ARG_IRQ_FLAGS_NEW) {
        acquire(e, ref, STATE_REF_IRQ, irq_depth(e->s));
    }
}

static void make_objects(const struct effect *e)
{
    for (unsigned arg = 0; arg < HELPER_ARG_COUNT; arg++) {
        unsigned kind = helper_arg_kind(e->row, arg);
        if (kind == ARG_DYNPTR_NEW || kind == ARG_ITER_NEW || kind == ARG_IRQ_FLAGS_NEW) {
            make_object(e, arg);
        }
    }
}

// The cells of the object that stack pointer `v` names, and what it lent out, are gone.
static void end_object(const struct effect *e, const struct value *v, enum value_kind kind)
{
    const struct value *cell = special_find(e->s, v, kind, 1);
    if (cell != NULL) {
        uint32_t ref = cell->ref;
        special_overwrite(e->s, v->frame, stack_position(v->off), 8);
        state_release(e->s, ref);
    }
}

static void release(const struct effect *e)
{
    unsigned arg = helper_released_arg(e->row);
    if (arg == HELPER_ARG_COUNT) {
        return;
    }
    const struct value *v = arg_value(e, arg);
    switch (helper_arg_kind(e->row, arg)) {
    case ARG_DYNPTR: end_object(e, v, VALUE_DYNPTR); break;
    case ARG_ITER: end_object(e, v, VALUE_ITER); break;
    case ARG_IRQ_FLAGS: end_object(e, v, VALUE_IRQ); break;
    default:
        if (v->ref != 0) {
            state_release(e->s, v->ref);
        }
        break;
    }
}

// Kernel pointers that the RCU section protected may be stale after it, where the program can sleep.
static void distrust(struct domain_state *s)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if ((v->kind == VALUE_OBJECT || v->kind == VALUE_KERNEL) && v->ref == 0) {
            v->flags |= VALUE_UNTRUSTED;
        }
    }
}

static void change_sections(const struct effect *e)
{
    uint32_t flags = e->row->flags;
    struct domain_state *s = e->s;
    unsigned lock = helper_find_arg(e->row, ARG_SPIN_LOCK);
    if ((flags & HELPER_LOCKS) != 0 && lock < HELPER_ARG_COUNT) {
        s->lock_ref = arg_value(e, lock)->ref;
        s->lock_map = arg_value(e, lock)->map;
    } else if ((flags & HELPER_UNLOCKS) != 0) {
        s->lock_ref = 0;
        s->lock_map = 0;
    }
    s->rcu_depth = (uint8_t)(s->rcu_depth + ((flags & HELPER_RCU_ENTERS) != 0));
    s->preempt_depth = (uint8_t)(s->preempt_depth + ((flags & HELPER_PREEMPT_DISABLES) != 0));
    s->preempt_depth = (uint8_t)(s->preempt_depth - ((flags & HELPER_PREEMPT_ENABLES) != 0));
    if ((flags & HELPER_RCU_LEAVES) != 0 && --s->rcu_depth == 0 && e->env->program->sleepable) {
        distrust(s);
    }
}

// --- results -------------------------------------------------------------------------------------

static void set_range(struct value *out, int64_t least, int64_t most)
{
    struct scalar n;
    scalar_set_srange(&n, least, most);
    value_set_scalar(out, &n);
}

// A maybe-null pointer has an identity for its nullness.
static void set_maybe_null(const struct effect *e, struct value *out)
{
    out->maybe_null = 1;
    value_set_id(out, state_make_id(e->s));
}

// The key is one constant below the number of elements, and elements cannot be deleted.
static bool finds_element(const struct effect *e, uint32_t map, bool inner)
{
    const struct map_def *def = &e->env->program->maps[map];
    const struct value *key = arg_value(e, 1);
    uint32_t flags = e->env->spec->map_types[def->type].flags, both = MAP_KEY_IS_INDEX | MAP_FIXED;
    int32_t missing;
    if (inner || (flags & both) != both || helper_arg_kind(e->row, 1) != ARG_MAP_KEY ||
        helper_arg_kind(e->row, 2) != ARG_NONE || key->kind != VALUE_STACK || !value_is_fixed(key) ||
        def->key_size != 4 ||
        !stack_is_init(&e->s->frames[key->frame], stack_position(key->off), 4, &missing)) {
        return false;
    }
    struct value number;
    stack_read(&e->s->frames[key->frame], stack_position(key->off), 4, &number);
    return value_is_const(&number) && number.num.umin < def->max_entries;
}

static void set_element(const struct effect *e, const struct map_type_row *type, struct value *out)
{
    value_set_pointer(out, VALUE_OBJECT, 0);
    out->map = (uint16_t)type->element;
    if ((type->flags & MAP_LOOKUP_ACQUIRES) != 0) {
        out->ref = state_make_id(e->s);
        out->flags |= VALUE_ACQUIRED;
        acquire(e, out->ref, STATE_REF_OBJECT, 0);
    }
    set_maybe_null(e, out);
}

static void set_map_value(const struct effect *e, bool maybe_null, struct value *out)
{
    const struct value *from = arg_value(e, 0);
    const struct map_facts *facts =
        e->env->program->map_facts != NULL ? &e->env->program->map_facts[from->map] : NULL;
    const struct map_type_row *type = &e->env->spec->map_types[e->env->program->maps[from->map].type];
    bool inner = (from->flags & VALUE_INNER) != 0;
    if (type->element != LAYOUT_NONE) {
        set_element(e, type, out);
        return;
    }
    if ((type->flags & MAP_OF_MAPS) != 0 && facts != NULL && facts->has_inner) {
        value_set_pointer(out, VALUE_MAP_PTR, 0);
        out->map = (uint16_t)facts->inner;
        out->flags = VALUE_INNER;
        out->ref = state_make_id(e->s);
        set_maybe_null(e, out);
        return;
    }
    value_set_pointer(out, VALUE_MAP_VALUE, 0);
    out->map = from->map;
    out->flags = inner ? VALUE_INNER : 0;
    if (special_field_of(e->env, from->map, MAP_FIELD_SPIN_LOCK) != NULL) {
        out->ref = state_make_id(e->s);
    }
    if (maybe_null && !finds_element(e, from->map, inner)) {
        set_maybe_null(e, out);
    }
}

// Memory of a dynptr lives as long as it does; an iterator's element as long as the iterator. (Where an
// object is returned there is no dynptr among the arguments.)
static void borrow(const struct effect *e, struct value *out)
{
    unsigned dynptr = helper_find_arg(e->row, ARG_DYNPTR), iter = helper_find_arg(e->row, ARG_ITER);
    const struct value *cell = NULL;
    if (dynptr < HELPER_ARG_COUNT) {
        cell = special_find(e->s, arg_value(e, dynptr), VALUE_DYNPTR, 2);
        bool writable = (e->row->detail[dynptr] & DYNPTR_WRITABLE) != 0;
        bool packet = cell != NULL && (cell->map == DYNPTR_SKB || cell->map == DYNPTR_XDP);
        out->flags |= writable ? 0 : VALUE_READ_ONLY;
        out->flags |= packet ? VALUE_PACKET_SLICE : 0;
    } else if (iter < HELPER_ARG_COUNT) {
        cell = special_find(e->s, arg_value(e, iter), VALUE_ITER, SPECIAL_ITER_WORDS(e->row->detail[iter]));
        out->flags |= out->kind == VALUE_MEM ? VALUE_READ_ONLY : 0; // how far the iterator is
    }
    if (cell != NULL) {
        out->ref = cell->ref;
    }
}

static void set_memory(const struct effect *e, bool maybe_null, struct value *out)
{
    unsigned size = helper_find_arg(e->row, ARG_ALLOC_SIZE);
    value_set_pointer(out, VALUE_MEM, 0);
    out->size = size < HELPER_ARG_COUNT ? (uint32_t)arg_value(e, size)->num.umin : e->row->ret_detail;
    borrow(e, out);
    if ((e->row->flags & HELPER_ACQUIRES) != 0) {
        out->ref = state_make_id(e->s);
        out->flags |= VALUE_ACQUIRED;
        acquire(e, out->ref, STATE_REF_RECORD, 0);
    }
    if (maybe_null) {
        set_maybe_null(e, out);
    }
}

static void set_object(const struct effect *e, enum value_kind kind, bool maybe_null, struct value *out)
{
    value_set_pointer(out, kind, 0);
    out->map = kind == VALUE_OBJECT ? e->row->ret_detail : 0;
    borrow(e, out);
    if ((e->row->flags & HELPER_ACQUIRES) != 0) {
        out->ref = state_make_id(e->s);
        out->flags |= VALUE_ACQUIRED;
        acquire(e, out->ref, STATE_REF_OBJECT, 0);
    } else if ((e->row->flags & HELPER_CASTS) != 0) {
        unsigned arg = helper_find_arg(e->row, ARG_OBJECT);
        out->ref = arg < HELPER_ARG_COUNT ? arg_value(e, arg)->ref : 0;
    }
    if (maybe_null) {
        set_maybe_null(e, out);
    }
}

static int64_t largest_size(const struct effect *e)
{
    for (unsigned arg = 0; arg < HELPER_ARG_COUNT; arg++) {
        if (helper_arg_is_sized(helper_arg_kind(e->row, arg))) {
            return (int64_t)arg_value(e, helper_size_arg(e->row, arg))->num.umax;
        }
    }
    return INT64_MAX;
}

static void set_result(const struct effect *e, struct value *out)
{
    switch (e->row->ret) {
    case RET_MAP_VALUE_OR_NULL:
    case RET_MAP_VALUE: set_map_value(e, e->row->ret == RET_MAP_VALUE_OR_NULL, out); break;
    case RET_MEM_OR_NULL:
    case RET_ITER_ELEMENT: set_memory(e, true, out); break;
    case RET_MEM: set_memory(e, false, out); break;
    case RET_OBJECT_OR_NULL: set_object(e, VALUE_OBJECT, true, out); break;
    case RET_OBJECT: set_object(e, VALUE_OBJECT, false, out); break;
    case RET_KERNEL_OR_NULL: set_object(e, VALUE_KERNEL, true, out); break;
    case RET_KERNEL: set_object(e, VALUE_KERNEL, false, out); break;
    case RET_U32: value_set_unknown(out, 4); break;
    case RET_INT32: set_range(out, INT32_MIN, INT32_MAX); break;
    case RET_ERROR: set_range(out, -4095, 0); break;
    case RET_SIZE_OR_ERROR: set_range(out, -4095, largest_size(e)); break;
    case RET_VOID: memset(out, 0, sizeof(*out)); break;
    default: value_set_unknown(out, 8); break;
    }
}

void helper_apply(const struct domain_env *env, struct domain_state *s, uint32_t id, uint32_t pc)
{
    struct effect e = {.env = env, .s = s, .row = &env->spec->helpers[id], .pc = pc};
    struct value result;
    memcpy(e.old, s->regs, sizeof(e.old));
    write_arguments(&e);
    set_result(&e, &result);
    make_objects(&e);
    memset(&s->regs[0], 0, 6 * sizeof(s->regs[0]));
    release(&e);
    if ((e.row->flags & HELPER_CHANGES_PACKET) != 0) {
        state_forget_packet(s);
        s->packet_changed = true;
    }
    change_sections(&e);
    s->regs[0] = result;
}
