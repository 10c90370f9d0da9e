// SPDX-License-Identifier: MIT
// observe: containment of concrete registers in abstract states.
#include "verifier/observe.h"

#include "domain/domain.h"

// What N of an identity is, as two values of one class say it.
struct member {
    uint32_t id;
    uint64_t number;
};

// address - base is off + X with X in num.
static bool offset_is_inside(const struct value *v, uint64_t address, uint64_t base, uint64_t *x)
{
    *x = address - base - (uint64_t)(int64_t)v->off;
    return base == 0 || scalar_contains(&v->num, *x);
}

static uint64_t base_of(const struct value *v, uint32_t top_frame, const struct observe_bases *b)
{
    switch (v->kind) {
    case VALUE_CTX: return b->context;
    case VALUE_PACKET: return b->packet;
    case VALUE_PACKET_END: return b->packet_end;
    case VALUE_PACKET_META: return b->packet_meta;
    case VALUE_STACK: return v->frame == top_frame ? b->frame_top : 0;
    default: return 0;
    }
}

// The value contains `number`. Fills *out with what it says about its identity; id 0: nothing.
static bool value_contains(const struct domain_state *s, const struct value *v, uint64_t number,
                           const struct observe_bases *b, struct member *out)
{
    out->id = VALUE_ID_NONE;
    out->number = 0;
    if (v->kind == VALUE_NOT_INIT) {
        return true;
    }
    if (v->kind == VALUE_SCALAR) {
        out->id = v->id;
        out->number = number - (uint64_t)v->delta;
        return scalar_contains(&v->num, number);
    }
    if (v->kind == VALUE_MAP_VALUE) {
        return v->maybe_null || number != 0;
    }
    uint64_t base = base_of(v, s->frame_count - 1, b), x;
    if (!offset_is_inside(v, number, base, &x)) {
        return false;
    }
    if (base != 0 && v->kind == VALUE_PACKET && v->id != VALUE_ID_NONE) {
        out->id = v->id;
        out->number = x;
        return b->packet_end == 0 || (int64_t)(b->packet_end - b->packet - x) >= v->range;
    }
    return true;
}

bool observe_contains(const void *state, const uint64_t regs[11], const struct observe_bases *bases)
{
    const struct domain_state *s = state;
    struct member seen[INSN_REG_COUNT];
    if (bases->packet != 0 && bases->packet_end != 0 &&
        (int64_t)(bases->packet_end - bases->packet) < s->packet_length) {
        return false;
    }
    for (unsigned r = 0; r < INSN_REG_COUNT; r++) {
        if (!value_contains(s, &s->regs[r], regs[r], bases, &seen[r])) {
            return false;
        }
        for (unsigned q = 0; q < r; q++) {
            if (seen[r].id != VALUE_ID_NONE && seen[q].id == seen[r].id && seen[q].number != seen[r].number) {
                return false;
            }
        }
    }
    return true;
}

size_t observe_print(const void *state, char *text, size_t size)
{
    const struct domain_state *s = state;
    size_t length = 0;
    text[0] = '\0';
    for (unsigned r = 0; r < INSN_REG_COUNT; r++) {
        char one[160];
        value_print(&s->regs[r], NULL, one, sizeof(one));
        size_t at = length < size ? length : size - 1;
        length += str_format(text + at, size - at, "%sr%u: %s", r == 0 ? "" : ", ", r, one);
    }
    return length;
}
