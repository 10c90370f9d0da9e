// SPDX-License-Identifier: MIT
// special: where special objects lie, and what ordinary accesses do to them.
#include "domain/special.h"

#include "domain/stack.h"

static const struct value *cell_at(const struct state_frame *f, int64_t at)
{
    if (at < 0 || at >= INSN_STACK_SIZE) {
        return NULL;
    }
    uint32_t c = (uint32_t)at / 4;
    bool present = (f->present[c / 64] >> (c % 64) & 1) != 0;
    return present ? &f->cells[c] : NULL;
}

static bool is_special(const struct value *v)
{
    return v->kind == VALUE_DYNPTR || v->kind == VALUE_ITER || v->kind == VALUE_IRQ;
}

// First special cell that bytes [first, last) touch; *at is its position. Special cells are 8 bytes wide and
// aligned.
static const struct value *find_cell(const struct state_frame *f, int64_t first, int64_t last, int64_t *at)
{
    for (int64_t p = (first < 0 ? 0 : first) & ~(int64_t)7; p < last && p < INSN_STACK_SIZE; p += 8) {
        const struct value *v = cell_at(f, p);
        if (v != NULL && is_special(v)) {
            *at = p;
            return v;
        }
    }
    return NULL;
}

static const char *cell_text(const struct value *v)
{
    return v->kind == VALUE_DYNPTR ? "a dynptr"
           : v->kind == VALUE_ITER ? "an iterator"
                                   : "saved interrupt flags";
}

// Interrupt flags come and go with locks.
static enum domain_rule cell_rule(const struct value *v)
{
    return v->kind == VALUE_DYNPTR ? DOMAIN_RULE_DYNPTR
           : v->kind == VALUE_ITER ? DOMAIN_RULE_ITERATOR
                                   : DOMAIN_RULE_LOCK;
}

static bool check_stack(const struct domain_state *s, const struct value *ptr, int64_t off, uint64_t size,
                        bool write, struct domain_fault *fault)
{
    int64_t first = INSN_STACK_SIZE + (int64_t)ptr->off + off + ptr->num.smin;
    int64_t last = INSN_STACK_SIZE + (int64_t)ptr->off + off + ptr->num.smax + (int64_t)size;
    int64_t at;
    const struct state_frame *f = &s->frames[ptr->frame];
    const struct value *v = find_cell(f, first, last, &at);
    while (v != NULL && write && state_find_ref(s, v->ref) == NULL) {
        v = find_cell(f, at + 8, last, &at); // what owns nothing may be overwritten
    }
    if (v == NULL) {
        return true;
    }
    fault_set(fault, cell_rule(v));
    fault_message(fault, "%s %s at r10-%lld directly", write ? "overwrites" : "reads", cell_text(v),
                  (long long)(INSN_STACK_SIZE - at));
    fault_needed(fault,
                 write ? "%s is released before its stack is used for something else"
                       : "%s is used through helpers only",
                 cell_text(v));
    fault_known(fault, "bytes r10-%lld to r10-%lld are %s", (long long)(INSN_STACK_SIZE - at),
                (long long)(INSN_STACK_SIZE - at - 7), cell_text(v));
    fault_hint(fault, v->kind == VALUE_DYNPTR
                          ? "use bpf_dynptr_read, bpf_dynptr_write or bpf_dynptr_data; declare it as "
                            "'struct bpf_dynptr d;' and use it for nothing else"
                          : "declare a variable of its own for it, and use no other variable's memory");
    const struct state_ref *ref = state_find_ref(s, v->ref);
    fault->related_pc = ref != NULL ? ref->pc : UINT32_MAX;
    return false;
}

static const struct map_facts *facts_of(const struct domain_env *env, uint32_t map)
{
    return env->program->map_facts != NULL ? &env->program->map_facts[map] : NULL;
}

static const char *field_text(uint32_t kind)
{
    switch (kind) {
    case MAP_FIELD_SPIN_LOCK: return "spin lock";
    case MAP_FIELD_TIMER: return "timer";
    case MAP_FIELD_WORKQUEUE: return "work queue";
    case MAP_FIELD_KPTR: return "kernel pointer";
    default: return "special field";
    }
}

static bool check_fields(const struct domain_env *env, const struct value *ptr, int64_t off, uint64_t size,
                         bool write, struct domain_fault *fault)
{
    const struct map_facts *facts = facts_of(env, ptr->map);
    int64_t first = (int64_t)ptr->off + off + ptr->num.smin;
    int64_t last = (int64_t)ptr->off + off + ptr->num.smax + (int64_t)size;
    for (uint32_t i = 0; facts != NULL && i < facts->field_count; i++) {
        const struct map_field *field = &facts->fields[i];
        if (first >= (int64_t)field->off + field->size || last <= (int64_t)field->off) {
            continue;
        }
        fault_set(fault, DOMAIN_RULE_SPECIAL_FIELD);
        fault_message(fault, "%s the %s of a map value directly", write ? "writes" : "reads",
                      field_text(field->kind));
        fault_needed(fault, "bytes [%u, %u) of the value are left to helpers", field->off,
                     field->off + field->size);
        fault_known(fault, "the access covers [%lld, %lld) of a value of map '%s'", (long long)first,
                    (long long)last, env->program->maps[ptr->map].name);
        fault_hint(fault,
                   "access the other members one by one: a copy or memset of the whole value, or an index "
                   "without bounds, includes the special member");
        return false;
    }
    return true;
}

bool special_check_access(const struct domain_env *env, const struct domain_state *s, const struct value *ptr,
                          int64_t off, uint64_t size, bool write, struct domain_fault *fault)
{
    if (ptr->kind == VALUE_STACK) {
        return check_stack(s, ptr, off, size, write, fault);
    }
    return ptr->kind != VALUE_MAP_VALUE || check_fields(env, ptr, off, size, write, fault);
}

static void remove_cell(struct state_frame *f, int64_t at)
{
    uint32_t c = (uint32_t)at / 4;
    memset(&f->cells[c], 0, sizeof(f->cells[c]));
    f->present[c / 64] &= ~((uint64_t)1 << (c % 64));
}

// All words of the object that the cell at `at` belongs to.
static void remove_object(struct state_frame *f, const struct value *cell, int64_t at)
{
    struct value v = *cell;
    int64_t start = at - 8 * (int64_t)v.size;
    for (int64_t p = start; p < INSN_STACK_SIZE; p += 8) {
        const struct value *other = cell_at(f, p);
        if (other == NULL || other->kind != v.kind || other->ref != v.ref) {
            break;
        }
        remove_cell(f, p);
    }
    if (cell_at(f, at) != NULL && is_special(cell_at(f, at))) {
        remove_cell(f, at); // its first word was lost before
    }
}

// What the object lent out is worth nothing any more.
static void revoke(struct domain_state *s, uint32_t ref)
{
    if (ref == 0) {
        return;
    }
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->ref == ref && (v->kind == VALUE_MEM || v->kind == VALUE_OBJECT)) {
            uint8_t width = v->width;
            value_set_pointer(v, VALUE_RELEASED, 0);
            v->width = width;
        }
    }
    state_forget_ref(s, ref);
}

void special_overwrite(struct domain_state *s, uint32_t frame, int32_t at, int32_t size)
{
    int64_t place;
    struct state_frame *f = &s->frames[frame];
    const struct value *v = find_cell(f, at, (int64_t)at + size, &place);
    while (v != NULL) {
        uint32_t ref = v->ref;
        remove_object(f, v, place);
        revoke(s, ref);
        v = find_cell(f, at, (int64_t)at + size, &place);
    }
}

const struct value *special_find(const struct domain_state *s, const struct value *ptr, enum value_kind kind,
                                 uint32_t words)
{
    if (ptr->kind != VALUE_STACK || !value_is_fixed(ptr) || ptr->off % 8 != 0) {
        return NULL;
    }
    const struct state_frame *f = &s->frames[ptr->frame];
    const struct value *first = cell_at(f, stack_position(ptr->off));
    for (uint32_t word = 0; word < words; word++) {
        const struct value *v = cell_at(f, stack_position(ptr->off) + 8 * (int64_t)word);
        if (v == NULL || v->kind != kind || v->size != word || v->ref != first->ref) {
            return NULL;
        }
    }
    return first;
}

void special_place(struct domain_state *s, const struct value *ptr, const struct value *cell, uint32_t words)
{
    struct state_frame *f = &s->frames[ptr->frame];
    int32_t at = stack_position(ptr->off);
    special_overwrite(s, ptr->frame, at, (int32_t)words * 8);
    stack_forget(f, at, (int32_t)words * 8);
    stack_mark_init(f, at, (int32_t)words * 8);
    for (uint32_t word = 0; word < words; word++) {
        uint32_t c = (uint32_t)at / 4 + 2 * word;
        f->cells[c] = *cell;
        f->cells[c].size = word;
        f->cells[c].width = 8;
        f->present[c / 64] |= (uint64_t)1 << (c % 64);
    }
}

const struct value *special_find_address(const struct domain_state *s, const struct value *ptr, int64_t off,
                                         uint64_t size)
{
    const struct state_frame *f = &s->frames[ptr->frame];
    int64_t first = INSN_STACK_SIZE + (int64_t)ptr->off + off + ptr->num.smin;
    int64_t last = INSN_STACK_SIZE + (int64_t)ptr->off + off + ptr->num.smax + (int64_t)size;
    for (int64_t p = (first < 0 ? 0 : first) & ~(int64_t)7; p < last && p < INSN_STACK_SIZE; p += 8) {
        const struct value *v = cell_at(f, p);
        if (v != NULL && value_is_pointer(v)) {
            return v;
        }
    }
    return NULL;
}

const struct map_field *special_field_at(const struct domain_env *env, uint32_t map, int64_t off)
{
    const struct map_facts *facts = facts_of(env, map);
    for (uint32_t i = 0; facts != NULL && i < facts->field_count; i++) {
        if ((int64_t)facts->fields[i].off == off) {
            return &facts->fields[i];
        }
    }
    return NULL;
}

const struct map_field *special_field_of(const struct domain_env *env, uint32_t map, enum map_field_kind kind)
{
    const struct map_facts *facts = facts_of(env, map);
    for (uint32_t i = 0; facts != NULL && i < facts->field_count; i++) {
        if (facts->fields[i].kind == (uint32_t)kind) {
            return &facts->fields[i];
        }
    }
    return NULL;
}

// --- what is held --------------------------------------------------------------------------------

bool special_forbids_sleep(const struct domain_state *s)
{
    for (uint32_t i = 0; i < s->ref_count; i++) {
        if (s->refs[i].kind == STATE_REF_IRQ) {
            return true;
        }
    }
    return s->rcu_depth != 0 || s->preempt_depth != 0;
}

static const char *ref_text(const struct state_ref *r)
{
    static const char *const texts[] = {[STATE_REF_RECORD] = "a ring buffer record",
                                        [STATE_REF_OBJECT] = "an object",
                                        [STATE_REF_DYNPTR] = "a dynptr",
                                        [STATE_REF_ITER] = "an iterator",
                                        [STATE_REF_IRQ] = "saved interrupt flags"};
    return texts[r->kind];
}

static const char *ref_hint(const struct state_ref *r)
{
    static const char *const hints[] = {
        [STATE_REF_RECORD] =
            "call bpf_ringbuf_submit or bpf_ringbuf_discard on every path from the reservation, "
            "early returns too",
        [STATE_REF_OBJECT] =
            "call the helper that gives it back (for sockets bpf_sk_release) on every path, early "
            "returns too",
        [STATE_REF_DYNPTR] =
            "call bpf_ringbuf_submit_dynptr or bpf_ringbuf_discard_dynptr on every path, also when "
            "the reservation failed",
        [STATE_REF_ITER] = "call the iterator's destroy function on every path, also after break",
        [STATE_REF_IRQ] = "restore the interrupt flags on every path",
    };
    return hints[r->kind];
}

static bool refuse_ref(const struct domain_state *s, const char *doing, struct domain_fault *fault)
{
    const struct state_ref *r = &s->refs[0];
    fault_set(fault, DOMAIN_RULE_UNRELEASED_REFERENCE);
    fault_message(fault, "%s while %s is not released", doing, ref_text(r));
    fault_needed(fault, "everything that was acquired is released");
    fault_known(fault, "%s that instruction %u acquired is still held (%u in all)", ref_text(r), r->pc,
                s->ref_count);
    fault_hint(fault, ref_hint(r));
    fault->related_pc = r->pc;
    return false;
}

static bool refuse_lock(const char *doing, const char *needed, const char *known, const char *hint,
                        struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_LOCK);
    fault_message(fault, "%s while %s", doing, known);
    fault_needed(fault, "%s", needed);
    fault_known(fault, "%s", known);
    fault_hint(fault, hint);
    return false;
}

bool special_check_nothing_held(const struct domain_env *env, const struct domain_state *s, const char *doing,
                                struct domain_fault *fault)
{
    if (s->ref_count != 0) {
        return refuse_ref(s, doing, fault);
    }
    if (s->lock_ref != 0) {
        refuse_lock(doing, "the spin lock is given back", "a spin lock is held",
                    "call bpf_spin_unlock on every path before this, early returns too", fault);
        fault_known(fault, "the spin lock of a value of map '%s' is held",
                    env->program->maps[s->lock_map].name);
        return false;
    }
    if (s->rcu_depth != 0) {
        return refuse_lock(doing, "the RCU section is left", "an RCU read section is open",
                           "call bpf_rcu_read_unlock on every path before this", fault);
    }
    if (s->preempt_depth != 0) {
        return refuse_lock(doing, "preemption is enabled again", "preemption is disabled",
                           "call bpf_preempt_enable on every path before this", fault);
    }
    return true;
}
