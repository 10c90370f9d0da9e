// SPDX-License-Identifier: MIT
// call: frames come and go; contracts of global functions.
#include "domain/call.h"

#include "domain/access.h"
#include "domain/pointer.h"
#include "domain/special.h"

#define ARG_COUNT 5u

static void set_frame_pointer(struct domain_state *s)
{
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->regs[10].frame = (uint8_t)(s->frame_count - 1);
}

static void clear_regs(struct domain_state *s, unsigned from, unsigned to)
{
    memset(&s->regs[from], 0, (to - from) * sizeof(s->regs[0]));
}

// An empty frame; cells count only where a bit says that they are present.
static void clear_frame(struct state_frame *f)
{
    memset(f->present, 0, sizeof(f->present));
    memset(f->init, 0, sizeof(f->init));
    memset(f->saved, 0, sizeof(f->saved));
    memset(&f->span, 0, sizeof(f->span));
    f->return_pc = 0;
    f->counting = 0;
}

// --- functions -----------------------------------------------------------------------------------

bool call_may_hide(const struct domain_state *caller, uint16_t args)
{
    if (caller->ref_count != 0 || caller->lock_ref != 0 || caller->rcu_depth != 0 ||
        caller->preempt_depth != 0) {
        return false;
    }
    for (unsigned r = 1; r <= ARG_COUNT; r++) {
        if ((args >> r & 1) != 0 && caller->regs[r].kind == VALUE_STACK) {
            return false;
        }
    }
    return true;
}

static void keep_args(struct domain_state *s, uint16_t args)
{
    for (unsigned r = 1; r <= ARG_COUNT; r++) {
        if ((args >> r & 1) == 0) {
            clear_regs(s, r, r + 1);
        }
    }
    clear_regs(s, 0, 1);
    clear_regs(s, 6, 10);
}

// A state without facts and with one empty frame.
static void start(struct domain_state *s)
{
    clear_regs(s, 0, INSN_REG_COUNT);
    clear_frame(&s->frames[0]);
    s->frame_count = 1;
    s->packet_length = s->meta_length = 0;
    s->next_id = VALUE_ID_FIRST;
    s->ref_count = s->sum_count = s->bound_count = 0;
    s->lock_ref = 0;
    s->lock_map = 0;
    s->rcu_depth = s->preempt_depth = 0;
    s->packet_changed = false;
    s->shifted.kind = VALUE_NOT_INIT;
    set_frame_pointer(s);
}

// Another value of the caller belongs to class `id`.
static bool is_shared(const struct domain_state *caller, uint32_t id)
{
    for (uint32_t loc = state_next(caller, 6); loc < STATE_LOC_END; loc = state_next(caller, loc + 1)) {
        if (state_value((struct domain_state *)caller, loc)->id == id) {
            return true;
        }
    }
    return false;
}

// Puts a shadow below the callee's frame if there is an argument whose copies the caller keeps.
static void add_shadow(const struct domain_state *caller, struct domain_state *callee)
{
    struct state_frame *shadow = &callee->frames[0];
    bool any = false;
    for (unsigned k = 0; k < STATE_SAVED; k++) {
        const struct value *v = &callee->regs[1 + k];
        bool learns = v->kind == VALUE_SCALAR || v->kind == VALUE_PACKET || v->maybe_null;
        if (learns && v->id >= VALUE_ID_FIRST && is_shared(caller, v->id)) {
            shadow->saved[k] = *v;
            any = true;
        }
    }
    if (any) {
        shadow->return_pc = CALL_SHADOW;
        callee->frame_count = 2;
        clear_frame(&callee->frames[1]);
        set_frame_pointer(callee);
    }
}

static void enter_hidden(const struct domain_state *caller, struct domain_state *callee, uint16_t args)
{
    start(callee);
    memcpy(&callee->regs[1], &caller->regs[1], ARG_COUNT * sizeof(callee->regs[0]));
    callee->packet_length = caller->packet_length;
    callee->meta_length = caller->meta_length;
    callee->next_id = caller->next_id;
    keep_args(callee, args);
    add_shadow(caller, callee);
}

void call_enter(const struct domain_state *caller, struct domain_state *callee, uint16_t args, bool hide)
{
    if (hide) {
        enter_hidden(caller, callee, args);
        return;
    }
    state_copy(callee, caller);
    callee->shifted.kind = VALUE_NOT_INIT;
    struct state_frame *top = state_top(callee);
    memcpy(top->saved, &callee->regs[6], sizeof(top->saved));
    top->return_pc = 0; // whoever explores knows where it goes on; one analysis serves several calls
    keep_args(callee, args);
    callee->frame_count++;
    clear_frame(state_top(callee));
    set_frame_pointer(callee);
}

void call_end_frame(struct domain_state *s)
{
    special_overwrite(s, s->frame_count - 1, 0, INSN_STACK_SIZE);
}

void call_leave(struct domain_state *s)
{
    s->frame_count--;
    struct state_frame *caller = state_top(s);
    memcpy(&s->regs[6], caller->saved, sizeof(caller->saved));
    memset(caller->saved, 0, sizeof(caller->saved));
    clear_regs(s, 1, 1 + ARG_COUNT);
    set_frame_pointer(s);
    state_forget_frame(s, s->frame_count);
}

static uint32_t shifted(uint32_t id, uint32_t by)
{
    return id >= VALUE_ID_FIRST ? id + by : id;
}

// `v` is an argument as the caller handed it over, `x` what the callee made of its copy. False:
// contradiction.
static bool learn(struct domain_state *caller, const struct value *v, const struct value *x)
{
    if (v->id < VALUE_ID_FIRST || x->kind == VALUE_NOT_INIT) {
        return true;
    }
    if (v->maybe_null) {
        if (value_is_zero(x) || (x->kind == v->kind && !x->maybe_null)) {
            state_refine_null(caller, v->id, value_is_zero(x));
        }
        return true;
    }
    if (x->kind != v->kind || x->off != v->off || (v->kind != VALUE_SCALAR && v->kind != VALUE_PACKET)) {
        return true;
    }
    if (v->kind == VALUE_PACKET && x->id != VALUE_ID_NONE) {
        state_refine_range(caller, v->id, x->range);
    }
    return state_refine_value(caller, v, &x->num);
}

// Identities of the callee are others than those of the caller, but for that of the packet's length and those
// of arguments.
static void take_result(struct domain_state *caller, const struct domain_state *exit, uint32_t by)
{
    struct value result = exit->regs[0];
    result.id = shifted(exit->regs[0].id, by);
    result.ref = shifted(exit->regs[0].ref, by);
    for (unsigned k = 0; k < STATE_SAVED; k++) {
        const struct value *v = &caller->regs[1 + k], *x = &exit->regs[6 + k];
        // The same number as a member with coefficient 1 or -1: then the class stands for the same number,
        // too.
        bool same = x->kind == v->kind && x->kind != VALUE_NOT_INIT && x->off == v->off && x->cf == v->cf &&
                    x->delta == v->delta && (x->cf == 1 || x->cf == -1);
        if (same && x->id >= VALUE_ID_FIRST && x->id == exit->regs[0].id && v->id >= VALUE_ID_FIRST) {
            result.id = v->id;
        }
        if (x->kind == v->kind && x->ref >= VALUE_ID_FIRST && x->ref == exit->regs[0].ref &&
            v->ref >= VALUE_ID_FIRST) {
            result.ref = v->ref;
        }
    }
    clear_regs(caller, 0, 1 + ARG_COUNT);
    if (result.kind != VALUE_STACK) { // of a frame that is gone
        caller->regs[0] = result;
    }
}

static void take_facts(struct domain_state *caller, const struct domain_state *exit, uint32_t by)
{
    if (exit->packet_length > caller->packet_length) {
        caller->packet_length = exit->packet_length;
    }
    if (exit->meta_length > caller->meta_length) {
        caller->meta_length = exit->meta_length;
    }
    for (uint32_t i = 0; i < exit->ref_count; i++) {
        caller->refs[i] = exit->refs[i];
        caller->refs[i].ref = shifted(exit->refs[i].ref, by);
    }
    caller->ref_count = exit->ref_count; // the caller held none
    caller->lock_ref = shifted(exit->lock_ref, by);
    caller->lock_map = exit->lock_map;
    caller->rcu_depth = exit->rcu_depth;
    caller->preempt_depth = exit->preempt_depth;
}

bool call_return(struct domain_state *caller, const struct domain_state *exit)
{
    uint32_t by = caller->next_id;
    caller->shifted.kind = VALUE_NOT_INIT; // the callee may have moved the packet, and has set r0
    for (unsigned k = 0; k < STATE_SAVED; k++) {
        struct value v = caller->regs[1 + k];
        if (!learn(caller, &v, &exit->regs[6 + k])) {
            return false;
        }
    }
    if (exit->packet_changed) {
        state_forget_packet(caller);
        caller->packet_changed = true;
    }
    take_result(caller, exit, by);
    take_facts(caller, exit, by);
    caller->next_id = by + exit->next_id;
    return true;
}

// --- callbacks -----------------------------------------------------------------------------------

bool call_is_deferred(enum callback_type type)
{
    return type == CALLBACK_TIMER;
}

// Key and value of some element of the map that `map` points to (or that `map` is an element of).
static void set_element(const struct domain_env *env, struct domain_state *s, const struct value *map)
{
    struct value *key = &s->regs[2], *value = &s->regs[3];
    uint16_t flags = map->flags & VALUE_INNER;
    value_set_pointer(key, VALUE_MEM, 0);
    key->size = env->program->maps[map->map].key_size;
    key->flags = VALUE_READ_ONLY;
    value_set_pointer(value, VALUE_MAP_VALUE, 0);
    value->map = map->map;
    value->flags = flags;
    value->ref = state_make_id(s);
}

static void set_map(struct value *out, const struct value *of)
{
    value_set_pointer(out, VALUE_MAP_PTR, 0);
    out->map = of->map;
    out->flags = of->flags & VALUE_INNER;
    out->ref = out->flags != 0 ? of->ref : 0;
}

static void set_index(const struct value *count, struct value *out)
{
    struct scalar index;
    uint64_t most = count->kind == VALUE_SCALAR && count->num.umax != 0 && count->num.umax <= UINT32_MAX
                        ? count->num.umax - 1
                        : UINT32_MAX;
    scalar_set_urange(&index, 0, most);
    value_set_scalar(out, &index);
}

static bool refuse_type(struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_CALLBACK);
    fault_needed(fault, "a helper whose callback gets numbers, map elements or its context");
    fault_known(fault, "callbacks of this helper cannot be verified here");
    return false;
}

bool call_enter_callback(const struct domain_env *env, const struct domain_state *caller,
                         const struct helper_callback *cb, bool hide, struct domain_state *callee,
                         struct domain_fault *fault)
{
    const struct value *of = &caller->regs[cb->map_reg != 0 ? cb->map_reg : cb->object_reg];
    struct value none, ctx;
    memset(&none, 0, sizeof(none));
    ctx = cb->ctx_reg != 0 ? caller->regs[cb->ctx_reg] : none;
    call_enter(caller, callee, 0, hide || call_is_deferred((enum callback_type)cb->type));
    if (call_is_deferred((enum callback_type)cb->type)) {
        callee->packet_length = callee->meta_length = 0; // of another run
    }
    switch (cb->type) {
    case CALLBACK_LOOP:
        set_index(&caller->regs[1], &callee->regs[1]);
        callee->regs[2] = ctx;
        return true;
    case CALLBACK_FOR_EACH:
    case CALLBACK_TIMER:
        if (of->kind != VALUE_MAP_PTR && of->kind != VALUE_MAP_VALUE) {
            return refuse_type(fault);
        }
        set_map(&callee->regs[1], of);
        set_element(env, callee, of);
        callee->regs[4] = cb->type == CALLBACK_FOR_EACH ? ctx : none;
        return true;
    case CALLBACK_FIND_VMA:
        value_set_pointer(&callee->regs[1], VALUE_KERNEL, 0);
        value_set_pointer(&callee->regs[2], VALUE_KERNEL, 0);
        callee->regs[3] = ctx;
        return true;
    default: return refuse_type(fault);
    }
}

// `v` of another state, without what relates it to other values there.
static void detach(struct domain_state *s, struct value *v)
{
    if (v->maybe_null) {
        v->id = state_make_id(s);
        v->cf = 1;
    } else {
        v->id = VALUE_ID_NONE;
        v->cf = 0;
        v->range = 0;
    }
    v->delta = 0;
    v->ref = 0;
}

void call_resume(struct domain_state *s, const struct domain_state *caller)
{
    for (unsigned r = 1; r <= ARG_COUNT; r++) {
        const struct value *v = &caller->regs[r];
        clear_regs(s, r, r + 1);
        bool lent = v->ref != 0 || v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END ||
                    v->kind == VALUE_PACKET_META;
        if (v->kind != VALUE_NOT_INIT && !lent) {
            s->regs[r] = *v;
            detach(s, &s->regs[r]);
        }
    }
    clear_regs(s, 0, 1);
}

// --- contracts -----------------------------------------------------------------------------------

bool call_has_contract(const struct program *p, uint32_t func)
{
    if (!p->funcs[func].global || p->contracts == NULL || !p->contracts[func].known || func == 0) {
        return false;
    }
    for (unsigned i = 0; i < ARG_COUNT; i++) {
        if (p->contracts[func].args[i].kind == FUNC_ARG_UNKNOWN) {
            return false; // verified at each call, as static functions are
        }
    }
    return true;
}

static void set_argument(struct domain_state *s, const struct func_arg *arg, struct value *out)
{
    switch (arg->kind) {
    case FUNC_ARG_SCALAR: value_set_unknown(out, 8); break;
    case FUNC_ARG_CTX: value_set_pointer(out, VALUE_CTX, 0); break;
    case FUNC_ARG_MEM:
    case FUNC_ARG_MEM_NONNULL:
        value_set_pointer(out, VALUE_MEM, 0);
        out->size = arg->size;
        out->flags = VALUE_PACKET_SLICE; // it may lie anywhere, in the packet too
        if (arg->kind == FUNC_ARG_MEM) {
            out->maybe_null = 1;
            out->id = state_make_id(s);
            out->cf = 1;
        }
        break;
    default: break;
    }
}

void call_enter_contract(const struct domain_env *env, uint32_t func, struct domain_state *s)
{
    start(s);
    for (unsigned i = 0; i < ARG_COUNT; i++) {
        set_argument(s, &env->program->contracts[func].args[i], &s->regs[i + 1]);
    }
}

static bool refuse_argument(const struct domain_env *env, const struct domain_state *s, unsigned reg,
                            const char *needed, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_GLOBAL_FUNCTION);
    fault_message(fault, "argument %u of a global function is not what its type says", reg);
    fault_needed(fault, "%s in %s", needed, fault_reg_name(reg));
    fault_known_value(fault, env, fault_reg_name(reg), &s->regs[reg]);
    fault_hint(fault, "make the function static, or pass what the type of its argument says");
    return false;
}

// The function takes what the memory holds for numbers.
static bool check_no_address(const struct domain_env *env, const struct domain_state *s, unsigned reg,
                             uint64_t size, struct domain_fault *fault)
{
    const struct value *v = &s->regs[reg], *address;
    if (!env->unprivileged || v->kind != VALUE_STACK ||
        (address = special_find_address(s, v, 0, size)) == NULL) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(fault, "a global function is given memory that holds an address");
    fault_needed(fault, "memory without addresses in %s", fault_reg_name(reg));
    fault_known_value(fault, env, "the stack there", address);
    fault_hint(fault, "make the function static, or pass what the pointer points to");
    return false;
}

static bool check_memory(const struct domain_env *env, const struct domain_state *s, unsigned reg,
                         const struct func_arg *arg, struct domain_fault *fault)
{
    const struct value *v = &s->regs[reg];
    if (arg->kind == FUNC_ARG_MEM && value_is_zero(v)) {
        return true;
    }
    struct value present = *v;
    if (arg->kind == FUNC_ARG_MEM) {
        present.maybe_null = 0;
    }
    bool memory = v->kind == VALUE_STACK || v->kind == VALUE_PACKET || v->kind == VALUE_MAP_VALUE ||
                  v->kind == VALUE_MEM;
    if (!memory || present.maybe_null) {
        return refuse_argument(env, s, reg, "a pointer to memory that is not null", fault);
    }
    struct access a = {&present, fault_reg_name(reg), 0, arg->size, ACCESS_READ | ACCESS_WRITE};
    if (arg->size == 0) {
        return true;
    }
    if (!access_check(env, s, &a, fault)) {
        fault_message(fault, "a global function may read and write the %u bytes that %s points to", arg->size,
                      fault_reg_name(reg));
        return false;
    }
    return special_check_access(env, s, &present, 0, arg->size, true, fault) &&
           check_no_address(env, s, reg, arg->size, fault);
}

bool call_check_contract(const struct domain_env *env, const struct domain_state *s, uint32_t func,
                         struct domain_fault *fault)
{
    for (unsigned i = 0; i < ARG_COUNT; i++) {
        const struct func_arg *arg = &env->program->contracts[func].args[i];
        const struct value *v = &s->regs[i + 1];
        bool good = true;
        switch (arg->kind) {
        case FUNC_ARG_SCALAR:
            good = v->kind == VALUE_SCALAR || pointer_is_word(v) ||
                   refuse_argument(env, s, i + 1, "a number", fault);
            break;
        case FUNC_ARG_CTX:
            good = (v->kind == VALUE_CTX && v->off == 0 && value_is_fixed(v)) ||
                   refuse_argument(env, s, i + 1, "the context", fault);
            break;
        case FUNC_ARG_MEM:
        case FUNC_ARG_MEM_NONNULL: good = check_memory(env, s, i + 1, arg, fault); break;
        default: break;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

// Bytes [first, first + size) of the frame hold something unknown afterwards.
static void spoil(struct domain_state *s, uint32_t frame, int64_t first, int64_t size)
{
    for (uint32_t c = 0; c < STATE_CELL_COUNT; c++) {
        bool present = (s->frames[frame].present[c / 64] >> (c % 64) & 1) != 0;
        int64_t at = (int64_t)c * 4;
        if (present && at < first + size && first < at + s->frames[frame].cells[c].width) {
            state_put(s, state_loc_cell(frame, c), NULL);
        }
    }
}

void call_apply_contract(const struct domain_env *env, struct domain_state *s, uint32_t func,
                         bool changes_packet)
{
    const struct func_contract *contract = &env->program->contracts[func];
    for (unsigned i = 0; i < ARG_COUNT; i++) {
        const struct value v = s->regs[i + 1];
        if (v.kind == VALUE_STACK && contract->args[i].size != 0) {
            spoil(s, v.frame, INSN_STACK_SIZE + (int64_t)v.off + v.num.smin,
                  v.num.smax - v.num.smin + contract->args[i].size);
        }
    }
    clear_regs(s, 0, 1 + ARG_COUNT);
    s->shifted.kind = VALUE_NOT_INIT;
    if (!contract->returns_void) {
        value_set_unknown(&s->regs[0], 8);
    }
    if (changes_packet) {
        state_forget_packet(s);
        s->packet_changed = true;
    }
}
