// SPDX-License-Identifier: MIT
// pointer: what may be added to which pointer, and what differences of pointers are. Offsets are bounded, so
// they are added as integers.
#include "domain/pointer.h"
#include "domain/linear.h"

bool pointer_can_move(const struct value *ptr, const struct scalar *number, bool subtract, struct scalar *out)
{
    if (!value_is_bounded(number)) {
        return false;
    }
    struct scalar moved = ptr->num;
    scalar_alu(subtract ? SEM_SUB : SEM_ADD, 64, &moved, number);
    int64_t low = moved.smin + ptr->off, high = moved.smax + ptr->off;
    if (!value_is_bounded(&moved) || low < -VALUE_MAX_OFFSET || high > VALUE_MAX_OFFSET) {
        return false;
    }
    *out = moved;
    return true;
}

bool pointer_same_base(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind || a->maybe_null || b->maybe_null) {
        return false;
    }
    switch (a->kind) {
    case VALUE_STACK: return a->frame == b->frame;
    case VALUE_CTX:
    case VALUE_PACKET:
    case VALUE_PACKET_META: return true;
    case VALUE_MAP_VALUE: return a->ref != 0 && a->ref == b->ref && a->map == b->map;
    case VALUE_MEM: // a dynptr or an iterator lends out many blocks, a reservation is one
        return a->ref != 0 && a->ref == b->ref && (a->flags & b->flags & VALUE_ACQUIRED) != 0;
    default: return false;
    }
}

// --- obligations ---------------------------------------------------------------------------------

static bool refuse_arithmetic(const struct domain_env *env, const char *what, const struct value *v,
                              const char *needed, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POINTER_ARITHMETIC);
    fault_needed(fault, "%s", needed);
    fault_known_value(fault, env, what, v);
    return false;
}

static bool refuse_null(const struct domain_env *env, const char *what, const struct value *ptr,
                        struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POSSIBLY_NULL);
    fault_message(fault, "computes with %s, which may be null", what);
    fault_needed(fault, "%s is not null", what);
    fault_known_value(fault, env, what, ptr);
    fault_hint(fault, "compare the result of the look-up with NULL before using it");
    return false;
}

// Pointers that a number may be added to.
static bool check_movable(const struct domain_env *env, const char *what, const struct value *ptr,
                          const struct scalar *number, struct domain_fault *fault)
{
    bool constant = scalar_is_const(number);
    if (ptr->maybe_null) {
        return (constant && number->umin == 0) || refuse_null(env, what, ptr, fault);
    }
    switch (ptr->kind) {
    case VALUE_CTX:
    case VALUE_STACK:
    case VALUE_PACKET:
    case VALUE_PACKET_META:
    case VALUE_MAP_VALUE:
    case VALUE_MEM:
    case VALUE_KERNEL: return true;
    case VALUE_OBJECT:
        return constant || refuse_arithmetic(env, what, ptr, "a constant offset into the object", fault);
    default: return refuse_arithmetic(env, what, ptr, "a pointer that numbers can be added to", fault);
    }
}

static bool check_move(const struct domain_env *env, const char *what, const struct value *ptr,
                       const struct value *number, bool subtract, struct domain_fault *fault)
{
    struct scalar moved;
    if (!check_movable(env, what, ptr, &number->num, fault)) {
        return false;
    }
    if (pointer_can_move(ptr, &number->num, subtract, &moved) ||
        (ptr->kind == VALUE_KERNEL && !scalar_is_const(&number->num))) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_POINTER_OFFSET);
    fault_needed(fault, "an offset between -%d and %d", VALUE_MAX_OFFSET, VALUE_MAX_OFFSET);
    fault_known_value(fault, env, subtract ? "the number that is subtracted" : "the number that is added",
                      number);
    fault_hint(fault, "bound the number with a comparison or a mask before it is added to a pointer");
    return false;
}

static bool is_packet_side(const struct value *v)
{
    return v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END || v->kind == VALUE_PACKET_META;
}

// A distance inside one piece of memory tells nothing about where it is.
static bool check_difference(const struct domain_env *env, const struct insn *in, const struct value *d,
                             const struct value *s, struct domain_fault *fault)
{
    if (!env->unprivileged || pointer_same_base(d, s) || (is_packet_side(d) && is_packet_side(s))) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(fault, "computes the distance of two unrelated addresses");
    fault_needed(fault, "two pointers into the same memory");
    fault_known_value(fault, env, fault_reg_name(in->src), s);
    return false;
}

bool pointer_check(const struct domain_env *env, const struct insn *in, const struct insn_info *info,
                   const struct value *d, const struct value *s, struct domain_fault *fault)
{
    bool add = info->sem == SEM_ADD, subtract = info->sem == SEM_SUB;
    if (value_is_pointer(d) && !value_is_pointer(s) && (add || subtract)) {
        return check_move(env, fault_reg_name(in->dst), d, s, subtract, fault);
    }
    if (!value_is_pointer(d) && add) {
        return check_move(env, fault_reg_name(in->src), s, d, false, fault);
    }
    if (value_is_pointer(d) && value_is_pointer(s) && subtract) {
        return check_difference(env, in, d, s, fault);
    }
    bool left = value_is_pointer(d);
    return refuse_arithmetic(env, fault_reg_name(left ? in->dst : in->src), left ? d : s,
                             "numbers; only + and - work with pointers", fault);
}

// --- moves ---------------------------------------------------------------------------------------

// What is known of data + N + range <= data_end for the class: the best that any of its members knows.
static int64_t class_range(struct domain_state *s, uint32_t id, int64_t at_least)
{
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value(s, loc);
        if (v->kind == VALUE_PACKET && v->id == id && v->range > at_least) {
            at_least = v->range;
        }
    }
    return at_least;
}

// Packet pointers have the class of their variable part itself: moves delta into the constant offset. False
// when the line is of another form or the offset becomes too large.
static bool place_in_packet(struct domain_state *s, struct value *p, struct linear *line,
                            struct scalar *variable)
{
    if (line->cf != 1 || line->id < VALUE_ID_FIRST || line->delta < -VALUE_MAX_OFFSET ||
        line->delta > VALUE_MAX_OFFSET) {
        return false;
    }
    struct scalar delta, rest = *variable;
    scalar_set_const(&delta, (uint64_t)line->delta);
    scalar_alu(SEM_SUB, 64, &rest, &delta);
    int64_t off = p->off + line->delta;
    if (!value_is_bounded(&rest) || off < -VALUE_MAX_OFFSET || off > VALUE_MAX_OFFSET) {
        return false;
    }
    p->off = (int32_t)off;
    *variable = rest;
    line->delta = 0;
    p->range = p->kind == VALUE_PACKET
                   ? value_clamp_range(class_range(s, line->id, (int64_t)s->packet_length - variable->smax))
                   : 0;
    return true;
}

// Turns of a loop, or what a loop has written, are counted in class `id`.
static bool is_counted(struct domain_state *s, uint32_t id)
{
    STATE_FOR_EACH(loc, s)
    {
        if (loc >= STATE_LOC_LOOPS && loc < STATE_LOC_CELLS && state_value(s, loc)->id == id) {
            return true;
        }
    }
    return state_has_bounds(s, id);
}

// A multiple that is added to a packet pointer starts a class: it and its own multiples are better known
// there, since another pointer may be made of them. (Not where that would tear a loop's counter from its
// turns.)
static void rebase(struct domain_state *s, struct value *number)
{
    const struct value old = *number;
    if (old.cf == 1 || old.id < VALUE_ID_FIRST || is_counted(s, old.id)) {
        return;
    }
    uint32_t id = state_make_id(s);
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->id != old.id || v->kind != VALUE_SCALAR || v->cf % old.cf != 0) {
            continue;
        }
        v->id = id;
        v->cf /= old.cf;
        v->delta = (int64_t)((uint64_t)v->delta - (uint64_t)(int64_t)v->cf * (uint64_t)old.delta);
    }
    value_set_id(number, id);
}

// The variable part of p +- number in terms of one class.
static bool combine(const struct value *p, const struct value *number, bool subtract, struct linear *out)
{
    struct linear by;
    return linear_of(p, out) && linear_of(number, &by) && (!subtract || linear_scale(&by, -1)) &&
           linear_add(out, &by);
}

// A new class for a packet pointer; what its range was carries over, less what the number may add.
static void start_class(struct domain_state *s, struct value *p, const struct value *number, bool subtract,
                        int64_t range)
{
    struct value old = *p;
    int64_t least = subtract ? -number->num.smax : number->num.smin;
    int64_t most = subtract ? -number->num.smin : number->num.smax;
    p->id = state_make_id(s);
    p->cf = 1;
    p->delta = 0;
    p->range = p->kind == VALUE_PACKET ? value_clamp_range(range - most) : 0;
    if (old.id == VALUE_ID_NONE || old.cf != 1) {
        return;
    }
    state_carry_bounds(s, old.id, old.delta, p->id, least, most);
    if (!subtract && p->kind == VALUE_PACKET && number->id >= VALUE_ID_FIRST && number->cf == 1 &&
        number->delta == 0) {
        state_add_sum(s, old.id, number->id, p->id);
    }
}

static void move_by_constant(struct value *p, int64_t by)
{
    p->off = (int32_t)(p->off + by);
}

// Kernel memory may be read at any offset: where exactly it points to is lost.
static void move_kernel(struct value *p)
{
    uint16_t flags = p->flags | VALUE_UNTRUSTED;
    value_set_pointer(p, VALUE_KERNEL, 0);
    p->flags = flags;
}

void pointer_move(struct domain_state *s, struct value *p, const struct value *by, bool subtract)
{
    struct value copy = *by, *number = &copy;
    struct scalar moved;
    struct linear line;
    bool packet = p->kind == VALUE_PACKET || p->kind == VALUE_PACKET_META;
    if (scalar_is_const(&number->num)) {
        move_by_constant(p, subtract ? -number->num.smin : number->num.smin);
        return;
    }
    if (packet && !subtract && value_is_fixed(p)) {
        rebase(s, number);
    }
    if (p->kind == VALUE_KERNEL) {
        move_kernel(p);
        return;
    }
    if (!pointer_can_move(p, &number->num, subtract, &moved)) {
        return; // excluded by the obligations
    }
    int64_t range = p->kind == VALUE_PACKET ? state_packet_range(s, p) : 0;
    bool linear = combine(p, number, subtract, &line) && line.id != VALUE_ID_LENGTH;
    if (linear && (!packet || line.id == VALUE_ID_NONE || place_in_packet(s, p, &line, &moved))) {
        p->num = moved;
        linear_store(&line, p);
    } else {
        start_class(s, p, number, subtract, range);
        p->num = moved;
    }
    value_normalize(p);
}

// --- differences ---------------------------------------------------------------------------------

// Offset from the base, as a number of the pointer's class.
static void offset_of(const struct value *p, struct value *out)
{
    value_set_scalar(out, &p->num);
    out->id = p->id;
    out->cf = p->cf;
    out->delta = p->delta;
    value_add_const(out, p->off);
}

static void subtract_same_base(const struct value *left, const struct value *right, struct value *out)
{
    struct value l, r;
    struct linear a, b;
    offset_of(left, &l);
    offset_of(right, &r);
    struct scalar n = l.num;
    scalar_alu(SEM_SUB, 64, &n, &r.num);
    value_set_scalar(out, &n);
    if (linear_of(&l, &a) && linear_of(&r, &b) && linear_scale(&b, -1) && linear_add(&a, &b)) {
        linear_store(&a, out);
    }
}

// data_end - (data + off + N).
static void subtract_from_end(struct domain_state *s, const struct value *p, struct value *out)
{
    struct scalar n;
    if (value_is_fixed(p)) {
        scalar_set_urange(&n, (uint64_t)s->packet_length, VALUE_MAX_LENGTH);
        value_set_scalar(out, &n);
        out->id = VALUE_ID_LENGTH;
        out->cf = 1;
        value_add_const(out, -(int64_t)p->off);
        return;
    }
    // A class of its own: its sum with N is the length.
    int64_t range = state_packet_range(s, p), most = (int64_t)VALUE_MAX_LENGTH - p->num.smin;
    scalar_set_srange(&n, range, most < range ? range : most);
    value_set_scalar(out, &n);
    out->id = state_make_id(s);
    out->cf = 1;
    if (p->id >= VALUE_ID_FIRST) {
        state_add_sum(s, out->id, p->id, VALUE_ID_LENGTH);
    }
    value_add_const(out, -(int64_t)p->off);
}

// data + off - (data_meta + m).
static void subtract_meta(const struct domain_state *s, const struct value *p, const struct value *meta,
                          struct value *out)
{
    struct scalar n;
    scalar_set_srange(&n, (int64_t)s->meta_length + p->off + p->num.smin - meta->off - meta->num.smax,
                      (int64_t)VALUE_MAX_LENGTH + p->off + p->num.smax - meta->off - meta->num.smin);
    value_set_scalar(out, &n);
}

static void negate(struct value *v)
{
    struct scalar n = v->num;
    struct linear line;
    bool linear = linear_of(v, &line) && linear_scale(&line, -1);
    scalar_alu(SEM_NEG, 64, &n, &n);
    value_set_scalar(v, &n);
    if (linear) {
        linear_store(&line, v);
    }
}

void pointer_subtract(struct domain_state *s, const struct value *left, const struct value *right,
                      struct value *out)
{
    if (pointer_same_base(left, right)) {
        subtract_same_base(left, right, out);
    } else if (left->kind == VALUE_PACKET_END && right->kind == VALUE_PACKET) {
        subtract_from_end(s, right, out);
    } else if (left->kind == VALUE_PACKET && right->kind == VALUE_PACKET_END) {
        subtract_from_end(s, left, out);
        negate(out);
    } else if (left->kind == VALUE_PACKET && right->kind == VALUE_PACKET_META) {
        subtract_meta(s, left, right, out);
    } else if (left->kind == VALUE_PACKET_META && right->kind == VALUE_PACKET) {
        subtract_meta(s, right, left, out);
        negate(out);
    } else if (left->kind == VALUE_PACKET_END && right->kind == VALUE_PACKET_END) {
        value_set_const(out, 0);
    } else {
        value_set_unknown(out, 8);
    }
}
