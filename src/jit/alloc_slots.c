// SPDX-License-Identifier: MIT
// alloc_slots: a second scan, over the values that got no register: those that are never live together share
// a slot.
#include "jit/alloc.h"

#define LOOKED_AT 16 // operands of a PHI

struct slots {
    struct alloc *a;
    uint64_t *taken; // bit per slot
    uint32_t words;
};

static bool needs_slot(const struct alloc *a, uint32_t n)
{
    return a->values[n].kind == ALLOC_KEPT && a->values[n].reg == IR_REG_NONE;
}

static void take(struct slots *s, uint32_t slot)
{
    s->taken[(slot - 1) / 64] |= (uint64_t)1 << (slot - 1) % 64;
}

static void give_back(struct slots *s, uint32_t slot)
{
    s->taken[(slot - 1) / 64] &= ~((uint64_t)1 << (slot - 1) % 64);
}

static bool is_free(const struct slots *s, uint32_t slot)
{
    return (s->taken[(slot - 1) / 64] >> (slot - 1) % 64 & 1) == 0;
}

static uint32_t first_free(const struct slots *s)
{
    uint32_t word = 0;
    while (s->taken[word] == UINT64_MAX) { // there are as many bits as values
        word++;
    }
    return word * 64 + (uint32_t)__builtin_ctzll(~s->taken[word]) + 1;
}

// The slot of a PHI that it goes to, or of an operand: then nothing moves.
static uint32_t liked(const struct slots *s, uint32_t n)
{
    const struct alloc *a = s->a;
    uint32_t operands = a->values[n].op == IR_PHI ? alloc_operand_count(a, n) : 0;
    uint32_t slot = a->values[a->values[n].phi].slot;
    for (uint32_t k = 0; k < operands && k < LOOKED_AT && slot == 0; k++) {
        slot = a->values[alloc_operand(a, n, k)].slot;
    }
    return slot != 0 && is_free(s, slot) ? slot : 0;
}

static void start_block(struct slots *s, uint32_t block)
{
    struct alloc *a = s->a;
    memset(s->taken, 0, s->words * sizeof *s->taken);
    for (uint32_t i = a->blocks[block].live; i < a->blocks[block].live_end; i++) {
        uint32_t slot = a->values[a->lives[i]].slot;
        if (slot != 0) {
            take(s, slot);
        }
    }
}

static void release(struct slots *s, uint32_t n)
{
    struct alloc *a = s->a;
    uint32_t count = a->values[n].op == IR_PHI ? 0 : alloc_operand_count(a, n);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = a->operands[a->values[n].operands + i];
        const struct alloc_value *operand = &a->values[number & ~ALLOC_LAST];
        if ((number & ALLOC_LAST) != 0 && operand->slot != 0 && !operand->alone) {
            give_back(s, operand->slot);
        }
    }
}

static void scan_block(struct slots *s, uint32_t block)
{
    struct alloc *a = s->a;
    start_block(s, block);
    for (uint32_t n = a->blocks[block].first; n < a->blocks[block].end; n++) {
        struct alloc_value *value = &a->values[n];
        if (needs_slot(a, n) && !value->alone) {
            // Before its operands give theirs back: an operation may write its result before it has read them
            // all.
            uint32_t slot = liked(s, n);
            value->slot = slot != 0 ? slot : first_free(s);
            take(s, value->slot);
            a->slot_count = value->slot > a->slot_count ? value->slot : a->slot_count;
        }
        release(s, n);
    }
}

static void place_alone(struct alloc *a)
{
    for (uint32_t n = 1; n < a->value_count; n++) {
        if (needs_slot(a, n) && a->values[n].alone) {
            a->values[n].slot = ++a->slot_count;
        }
    }
}

ebpf_result_t alloc_slots(struct alloc *a)
{
    struct slots s = {.a = a, .words = a->spilled / 64 + 1};
    s.taken = jit_alloc(a->j, s.words, sizeof *s.taken);
    if (s.taken == NULL) {
        return EBPF_NO_MEMORY;
    }
    a->slot_count = 0;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        if (a->blocks[a->ir->order[i]].entered == ALLOC_SPILLS) { // no others have anything to do
            scan_block(&s, a->ir->order[i]);
        }
    }
    if (a->alone) {
        place_alone(a);
    }
    return EBPF_SUCCESS;
}
