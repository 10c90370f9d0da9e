// SPDX-License-Identifier: MIT
// state_print: a state in one line, for traces and the HTML page. Compact where value_print speaks in
// sentences.
#include "domain/domain.h"
#include "verifier/report_int.h"

static void put_number(struct output *o, const struct scalar *n)
{
    if (scalar_is_const(n)) {
        put(o, "%lld", (long long)n->smin);
    } else if (n->umin == 0 && n->umax == UINT64_MAX && n->unknown == UINT64_MAX) {
        put(o, "?");
    } else if (n->smin < 0) {
        put(o, "[%lld,%lld]", (long long)n->smin, (long long)n->smax);
    } else {
        put(o, "[%llu,%llu]", (unsigned long long)n->umin, (unsigned long long)n->umax);
    }
    // Known bits that the bounds do not say: multiples, and masks.
    if (!scalar_is_const(n) && (n->unknown & 1) == 0) {
        put(o, "&%llx", (unsigned long long)n->unknown);
    }
}

// "=2*n5+3": equal to that function of class 5.
static void put_identity(struct output *o, const struct value *v)
{
    if (v->id == VALUE_ID_NONE) {
        return;
    }
    put(o, "=");
    if (v->cf != 1) {
        put(o, "%d*", v->cf);
    }
    put(o, v->id == VALUE_ID_LENGTH ? "len" : "n%u", v->id);
    if (v->delta != 0) {
        put(o, "%s%lld", v->delta > 0 ? "+" : "", (long long)v->delta);
    }
}

static void put_map(struct output *o, const struct value *v, const struct program *p)
{
    if (p != NULL && v->map < p->map_count) {
        put(o, "(");
        put_clean(o, p->maps[v->map].name);
        put(o, ")");
    } else {
        put(o, "(%u)", v->map);
    }
}

static const char *const kinds[VALUE_KIND_COUNT] = {
    [VALUE_NOT_INIT] = "none",    [VALUE_SCALAR] = "",           [VALUE_CTX] = "ctx",
    [VALUE_STACK] = "fp",         [VALUE_PACKET] = "packet",     [VALUE_PACKET_END] = "packet_end",
    [VALUE_PACKET_META] = "meta", [VALUE_MAP_VALUE] = "value",   [VALUE_MAP_PTR] = "map",
    [VALUE_CODE] = "code",        [VALUE_MEM] = "mem",           [VALUE_OBJECT] = "object",
    [VALUE_KERNEL] = "kernel",    [VALUE_DYNPTR] = "dynptr",     [VALUE_ITER] = "iterator",
    [VALUE_IRQ] = "irq_flags",    [VALUE_RELEASED] = "released",
};

static void put_pointer(struct output *o, const struct value *v, const struct program *p)
{
    put(o, "%s", kinds[v->kind]);
    if (v->kind == VALUE_STACK && v->frame != 0) {
        put(o, "%u", v->frame);
    }
    if (v->kind == VALUE_MAP_PTR || v->kind == VALUE_MAP_VALUE) {
        put_map(o, v, p);
    } else if (v->kind == VALUE_MEM) {
        put(o, "(%u)", v->size);
    }
    if (v->off != 0) {
        put(o, "%s%d", v->off > 0 ? "+" : "", v->off);
    }
    if (!scalar_is_const(&v->num)) {
        put(o, "+");
        put_number(o, &v->num);
    }
    if (v->ref != 0) {
        put(o, "#%u", v->ref);
    }
    put(o, "%s", v->maybe_null ? "|null" : "");
    if (v->id != VALUE_ID_NONE && !v->maybe_null) {
        put_identity(o, v);
        if (v->kind == VALUE_PACKET && v->range > 0) {
            put(o, "(<=end-%d)", v->range);
        }
    }
}

static void put_value(struct output *o, const struct value *v, const struct program *p)
{
    if (v->kind == VALUE_SCALAR) {
        put_number(o, &v->num);
        put_identity(o, v);
    } else if (v->kind < VALUE_KIND_COUNT) {
        put_pointer(o, v, p);
    }
}

static void put_registers(struct output *o, const struct domain_state *s, const struct program *p)
{
    for (unsigned r = 0; r < INSN_REG_COUNT; r++) {
        if (s->regs[r].kind != VALUE_NOT_INIT) {
            put(o, "%sr%u=", o->length == 0 ? "" : " ", r);
            put_value(o, &s->regs[r], p);
        }
    }
}

// Runs of bytes that hold numbers which nobody followed: "fp[-16,-8)".
static void put_written(struct output *o, const struct state_frame *f, const char *name)
{
    unsigned byte = 0;
    while (byte < INSN_STACK_SIZE) {
        unsigned from = byte;
        while (byte < INSN_STACK_SIZE && (f->init[byte / 64] >> (byte % 64) & 1) != 0 &&
               (f->present[byte / 4 / 64] >> (byte / 4 % 64) & 1) == 0) {
            byte++;
        }
        if (byte > from) {
            put(o, " %s[%d,%d)", name, (int)from - INSN_STACK_SIZE, (int)byte - INSN_STACK_SIZE);
        } else {
            byte++;
        }
    }
}

static void put_frame(struct output *o, const struct domain_state *s, uint32_t frame, const struct program *p)
{
    const struct state_frame *f = &s->frames[frame];
    char name[8] = "fp";
    if (frame + 1 != s->frame_count) {
        str_format(name, sizeof(name), "fp%u", frame);
    }
    for (unsigned cell = 0; cell < STATE_CELL_COUNT; cell++) {
        if ((f->present[cell / 64] >> (cell % 64) & 1) != 0) {
            put(o, " %s%d=", name, (int)cell * 4 - INSN_STACK_SIZE);
            put_value(o, &f->cells[cell], p);
        }
    }
    put_written(o, f, name);
    for (unsigned depth = 0; depth < STATE_MAX_LOOPS; depth++) {
        if ((f->counting >> depth & 1) != 0) {
            put(o, " turn%u=", depth);
            put_value(o, &f->loops[depth], p);
        }
    }
}

static void put_facts(struct output *o, const struct domain_state *s)
{
    if (s->packet_length > 0) {
        put(o, "; packet>=%d", s->packet_length);
    }
    if (s->meta_length > 0) {
        put(o, "; meta>=%d", s->meta_length);
    }
    for (uint32_t i = 0; i < s->ref_count; i++) {
        put(o, "; holds #%u from %u", s->refs[i].ref, s->refs[i].pc);
    }
    if (s->lock_ref != 0) {
        put(o, "; locked #%u", s->lock_ref);
    }
    if (s->rcu_depth != 0 || s->preempt_depth != 0) {
        put(o, "; rcu %u, no preemption %u", s->rcu_depth, s->preempt_depth);
    }
}

size_t state_print(const void *state, const struct program *p, char *text, size_t size)
{
    const struct domain_state *s = state;
    struct output o;
    output_start(&o, text, size);
    put_registers(&o, s, p);
    for (uint32_t frame = 0; frame < s->frame_count && frame < INSN_MAX_FRAMES; frame++) {
        put_frame(&o, s, frame, p);
    }
    put_facts(&o, s);
    return o.length;
}
