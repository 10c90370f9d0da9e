// SPDX-License-Identifier: MIT
// alloc_life: one value's way up from its uses in other blocks to its definition.
#include "jit/alloc.h"

#define CLOBBERS 64 // that are looked at one by one: if there are more, as if there were all of the block

struct life {
    uint32_t number, home;
    uint32_t forbid, length; // more of them
    uint32_t *top;           // of alloc.stack, which starts with IR_NONE
    struct alloc_block *blocks;
    struct alloc_node *nodes;
};

uint32_t alloc_clobbers(const struct alloc *a, const struct alloc_block *b, uint32_t end)
{
    uint32_t set = 0, count = 0;
    for (uint32_t n = b->clobber; n != 0 && n < end && set != b->clobbered; n = a->values[n].clobber) {
        set |= a->values[n].own;
        if (++count == CLOBBERS) {
            return b->clobbered;
        }
    }
    return set;
}

// False: the value is alone from now on.
static bool more_nodes(struct alloc *a, uint32_t n)
{
    uint32_t count = min_u32(a->chunk, a->nodes_left);
    struct alloc_node *nodes = count != 0 ? jit_room(a->j, count, sizeof *nodes) : NULL;
    if (nodes == NULL) {
        a->full = a->full || count != 0;
        a->values[n].alone = true;
        return false;
    }
    a->nodes_left -= count;
    a->node = (uint32_t)(nodes - alloc_node(a, 0));
    a->node_end = a->node + count;
    return true;
}

// The value is live at the start of `block`.
static inline void enter(struct alloc *a, struct life *l, uint32_t block, struct alloc_block *b)
{
    if (b->entered == l->number) {
        return;
    }
    if (a->node == a->node_end && !more_nodes(a, l->number)) {
        l->top = a->stack + 1;
        return;
    }
    uint32_t node = a->node++;
    l->nodes[node].value = l->number;
    l->nodes[node].next = b->live;
    b->live = node;
    b->entered = l->number;
    l->length += b->end - b->first;
    *l->top++ = block;
}

// The value is live at the end of `block`.
static inline void leave(struct alloc *a, struct life *l, uint32_t block)
{
    struct alloc_block *b = &l->blocks[block];
    l->forbid |= b->clobbered;
    b->left = l->number;
    if (block != l->home) {
        enter(a, l, block, b);
    }
}

static inline void follow_use(struct alloc *a, struct life *l, const struct alloc_use *use)
{
    struct alloc_block *b = &l->blocks[use->block];
    if (use->user == 0) {
        leave(a, l, use->block);
    } else {
        l->forbid |= alloc_clobbered_by(a, b, use->user);
        enter(a, l, use->block, b);
    }
}

static void follow_all(struct alloc *a, uint32_t n, struct alloc_value *value, uint32_t home)
{
    struct life l = {n, home, 0, 0, a->stack + 1, a->blocks, alloc_node(a, 0)};
    const struct ir_block *blocks = a->ir->blocks;
    for (uint32_t u = value->uses; u != 0 && !value->alone; u = alloc_use_at(a, u)->next) {
        follow_use(a, &l, alloc_use_at(a, u));
        for (uint32_t block; (block = *--l.top) != IR_NONE;) {
            const uint32_t *pred = blocks[block].preds, *end = pred + blocks[block].pred_count;
            for (; pred != end; pred++) {
                leave(a, &l, *pred);
            }
        }
        l.top++;
    }
    value->forbid |= l.forbid;
    value->length += l.length;
}

// The value is not dead after `user` has read it.
static void lives_on(const struct alloc *a, uint32_t n, uint32_t user)
{
    uint32_t *number = a->operands + a->values[user].operands;
    const uint32_t *end = a->operands + a->values[user + 1].operands;
    for (; number != end; number++) {
        if (*number == (n | ALLOC_LAST)) {
            *number = n;
        }
    }
}

void alloc_follow(struct alloc *a, uint32_t n, uint32_t home)
{
    struct alloc_value *value = &a->values[n];
    follow_all(a, n, value, home);
    for (uint32_t u = value->uses; u != 0; u = alloc_use_at(a, u)->next) {
        const struct alloc_use *use = alloc_use_at(a, u);
        if (use->user != 0 && a->blocks[use->block].left == n) {
            lives_on(a, n, use->user);
        }
    }
    if (value->seen == home && a->blocks[home].left == n) {
        lives_on(a, n, value->last);
    }
}
