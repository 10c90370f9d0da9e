// SPDX-License-Identifier: MIT
// helper_special: arguments that are special objects: locks, timers and other fields of map values; dynptrs,
// iterators and interrupt flags on the stack; callbacks.
#include "domain/helper_int.h"

#include "domain/special.h"
#include "domain/stack.h"

static const struct value *arg_value(const struct helper_call *c, unsigned arg)
{
    return &c->s->regs[arg + 1];
}

static bool refuse(const struct helper_call *c, unsigned arg, enum domain_rule rule, const char *needed,
                   const char *hint)
{
    fault_set(c->fault, rule);
    fault_message(c->fault, "argument %u of %s is not what the helper takes", arg + 1, c->row->name);
    fault_needed(c->fault, "%s in %s", needed, helper_arg_name(arg));
    fault_known_value(c->fault, c->env, helper_arg_name(arg), arg_value(c, arg));
    fault_hint(c->fault, hint);
    return false;
}

// --- fields of map values ------------------------------------------------------------------------

// The argument points to exactly a field of this kind.
static bool check_field(const struct helper_call *c, unsigned arg, enum map_field_kind kind,
                        enum domain_rule rule, const char *needed, const char *hint)
{
    const struct value *v = arg_value(c, arg);
    if (v->maybe_null || value_is_zero(v)) {
        return helper_refuse_null(c, arg);
    }
    const struct map_field *field = NULL;
    if (v->kind == VALUE_MAP_VALUE && value_is_fixed(v)) {
        field = special_field_at(c->env, v->map, v->off);
    }
    return (field != NULL && field->kind == (uint32_t)kind) || refuse(c, arg, rule, needed, hint);
}

static bool check_spin_lock(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (!check_field(c, arg, MAP_FIELD_SPIN_LOCK, DOMAIN_RULE_LOCK,
                     "the address of a map value's bpf_spin_lock",
                     "pass &value->lock, where the map's value has a member 'struct bpf_spin_lock lock;'")) {
        return false;
    }
    if (special_field_of(c->env, v->map, MAP_FIELD_SPIN_LOCK)->off != (uint32_t)v->off) {
        return refuse(c, arg, DOMAIN_RULE_LOCK,
                      "the first lock of the value", // what is held is told by value
                      "keep one lock in a value");
    }
    if (v->ref == 0) {
        return refuse(c, arg, DOMAIN_RULE_LOCK, "a value of which it is known which one it is",
                      "look the value up once, and lock and unlock through that pointer");
    }
    bool unlocks = (c->row->flags & HELPER_UNLOCKS) != 0;
    bool same = c->s->lock_ref == v->ref && c->s->lock_map == v->map;
    if (unlocks ? same : c->s->lock_ref == 0) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_LOCK);
    if (unlocks) {
        fault_message(c->fault, c->s->lock_ref == 0
                                    ? "gives back a spin lock that is not held"
                                    : "gives back another spin lock than the one that is held");
        fault_needed(c->fault, "the lock in %s was taken, through the same look-up", helper_arg_name(arg));
        fault_known(c->fault, c->s->lock_ref == 0 ? "no spin lock is held" : "another spin lock is held");
        fault_hint(c->fault, "lock and unlock through the same pointer, once each on every path");
    } else {
        fault_message(c->fault, "takes a second spin lock");
        fault_needed(c->fault, "no spin lock is held");
        fault_known(c->fault, "a spin lock is held");
        fault_hint(c->fault, "call bpf_spin_unlock before the next bpf_spin_lock");
    }
    return false;
}

static bool check_timer(const struct helper_call *c, unsigned arg, enum map_field_kind kind)
{
    const struct value *v = arg_value(c, arg);
    if (!check_field(c, arg, kind, DOMAIN_RULE_TIMER, "the address of a map value's timer or work queue",
                     "pass &value->timer, where the map's value has a member 'struct bpf_timer timer;'")) {
        return false;
    }
    if ((v->flags & VALUE_INNER) != 0) {
        return refuse(c, arg, DOMAIN_RULE_TIMER, "a timer of a map that is not an inner map",
                      "keep values with timers in a map of their own");
    }
    unsigned map = helper_find_arg(c->row, ARG_MAP);
    if (map == HELPER_ARG_COUNT || c->s->regs[map + 1].kind != VALUE_MAP_PTR ||
        (c->s->regs[map + 1].map == v->map && (c->s->regs[map + 1].flags & VALUE_INNER) == 0)) {
        return true;
    }
    return refuse(
        c, map, DOMAIN_RULE_TIMER, "the map that the timer lies in",
        "write: bpf_timer_init(&value->timer, &map, clock) with the map that value was looked up in");
}

// --- objects on the stack ------------------------------------------------------------------------

static const char *dynptr_text(unsigned kind)
{
    switch (kind) {
    case DYNPTR_LOCAL: return "a dynptr of a map value";
    case DYNPTR_RINGBUF: return "a dynptr of a ring buffer record";
    case DYNPTR_SKB: return "a dynptr of an skb";
    case DYNPTR_XDP: return "a dynptr of an XDP packet";
    default: return "an initialised dynptr";
    }
}

// `releases`: only what is in the table of references may be given back.
static bool check_held(const struct helper_call *c, unsigned arg, const struct value *cell,
                       enum domain_rule rule)
{
    if (helper_released_arg(c->row) != arg || state_find_ref(c->s, cell->ref) != NULL) {
        return true;
    }
    return refuse(c, arg, rule, "something that has to be released, and was not yet",
                  "release it once on every path, after the call that acquired it");
}

static bool check_dynptr(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    unsigned want = c->row->detail[arg] & ~(unsigned)DYNPTR_WRITABLE;
    const struct value *cell = special_find(c->s, v, VALUE_DYNPTR, 2);
    if (cell == NULL || (want != DYNPTR_ANY && cell->map != want)) {
        bool releases = helper_released_arg(c->row) == arg;
        return refuse(c, arg, releases ? DOMAIN_RULE_INVALID_RELEASE : DOMAIN_RULE_DYNPTR, dynptr_text(want),
                      releases
                          ? "submit or discard the dynptr once on every path, and do not use it afterwards"
                          : "make it first on every path (bpf_dynptr_from_mem, bpf_ringbuf_reserve_dynptr, "
                            "bpf_dynptr_from_skb ...) and pass &dynptr");
    }
    if ((c->row->detail[arg] & DYNPTR_WRITABLE) != 0 && (cell->flags & VALUE_READ_ONLY) != 0) {
        return refuse(c, arg, DOMAIN_RULE_DYNPTR, "a dynptr that may be written",
                      "use bpf_dynptr_read or bpf_dynptr_slice for data that is read-only");
    }
    return check_held(c, arg, cell, DOMAIN_RULE_INVALID_RELEASE);
}

static bool check_iterator(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    uint16_t detail = c->row->detail[arg];
    const struct value *cell = special_find(c->s, v, VALUE_ITER, SPECIAL_ITER_WORDS(detail));
    if (cell == NULL || cell->map != detail) {
        return refuse(c, arg, DOMAIN_RULE_ITERATOR,
                      "an iterator of this type that was made and not destroyed",
                      "call the iterator's new function first, destroy once at the end: bpf_for() does both");
    }
    return check_held(c, arg, cell, DOMAIN_RULE_ITERATOR);
}

static bool check_irq_flags(const struct helper_call *c, unsigned arg)
{
    const struct value *cell = special_find(c->s, arg_value(c, arg), VALUE_IRQ, 1);
    const struct state_ref *ref = cell != NULL ? state_find_ref(c->s, cell->ref) : NULL;
    if (ref == NULL) {
        return refuse(c, arg, DOMAIN_RULE_LOCK, "interrupt flags that were saved and not restored",
                      "restore the flags that bpf_local_irq_save wrote, once on every path");
    }
    for (uint32_t i = 0; i < c->s->ref_count; i++) {
        if (c->s->refs[i].kind == STATE_REF_IRQ && c->s->refs[i].detail > ref->detail) {
            return refuse(c, arg, DOMAIN_RULE_LOCK, "the interrupt flags that were saved last",
                          "restore in the opposite order of saving");
        }
    }
    return true;
}

// Stack that becomes a special object: whole cells of the frame, nothing there that has to be released.
static bool check_new(const struct helper_call *c, unsigned arg, uint32_t words, enum domain_rule rule)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind != VALUE_STACK || !value_is_fixed(v) || v->off % 8 != 0 || v->off < -INSN_STACK_SIZE ||
        v->off + (int64_t)words * 8 > 0) {
        return refuse(c, arg, rule, "the address of a variable on the stack",
                      "declare the object as a local variable and pass its address");
    }
    return special_check_access(c->env, c->s, v, 0, (uint64_t)words * 8, true, c->fault);
}

static bool check_dynptr_new(const struct helper_call *c, unsigned arg)
{
    return check_new(c, arg, 2, DOMAIN_RULE_DYNPTR);
}

static bool check_iterator_new(const struct helper_call *c, unsigned arg)
{
    return check_new(c, arg, SPECIAL_ITER_WORDS(c->row->detail[arg]), DOMAIN_RULE_ITERATOR);
}

// --- callbacks -----------------------------------------------------------------------------------

static bool check_callback(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    const struct program *p = c->env->program;
    if (v->kind != VALUE_CODE || v->map >= p->func_count) {
        return refuse(c, arg, DOMAIN_RULE_CALLBACK, "the address of a static function",
                      "pass the name of a static function of this program");
    }
    if (v->map == 0 || p->funcs[v->map].global != 0) {
        return refuse(
            c, arg, DOMAIN_RULE_CALLBACK, "a static function",
            "declare the callback 'static'; neither global functions nor the program itself can be called "
            "back");
    }
    if (c->row->detail[arg] == CALLBACK_TIMER && p->sleepable) {
        return refuse(c, arg, DOMAIN_RULE_SLEEPABLE, "no timer callback in a sleepable program",
                      "move the timer to a program that does not sleep");
    }
    return true;
}

// A pointer that outlives the call: the callback sees it under the same name.
static bool check_callback_context(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind == VALUE_STACK || value_is_zero(v) || (v->kind == VALUE_MAP_VALUE && !v->maybe_null)) {
        return true;
    }
    return v->maybe_null ? helper_refuse_null(c, arg)
                         : helper_refuse(c, arg, "a stack pointer, a map value or NULL");
}

bool helper_check_special(const struct helper_call *c, unsigned arg)
{
    switch (helper_arg_kind(c->row, arg)) {
    case ARG_SPIN_LOCK: return check_spin_lock(c, arg);
    case ARG_TIMER: return check_timer(c, arg, MAP_FIELD_TIMER);
    case ARG_WORKQUEUE: return check_timer(c, arg, MAP_FIELD_WORKQUEUE);
    case ARG_KPTR:
        return check_field(c, arg, MAP_FIELD_KPTR, DOMAIN_RULE_SPECIAL_FIELD,
                           "the address of a map value's kernel pointer",
                           "pass the address of a member declared with __kptr");
    case ARG_DYNPTR: return check_dynptr(c, arg);
    case ARG_DYNPTR_NEW: return check_dynptr_new(c, arg);
    case ARG_ITER: return check_iterator(c, arg);
    case ARG_ITER_NEW: return check_iterator_new(c, arg);
    case ARG_IRQ_FLAGS: return check_irq_flags(c, arg);
    case ARG_IRQ_FLAGS_NEW: return check_new(c, arg, 1, DOMAIN_RULE_LOCK);
    case ARG_CALLBACK: return check_callback(c, arg);
    case ARG_CALLBACK_CTX: return check_callback_context(c, arg);
    default: return helper_refuse(c, arg, "an argument of a known kind");
    }
}
