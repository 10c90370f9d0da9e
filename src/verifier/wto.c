// SPDX-License-Identifier: MIT
// wto: strongly connected components (Tarjan), then those of each one without its head, and so on; with
// explicit stacks. The blocks of a function are permuted in place: a task is a segment of the order.
#include "verifier/wto.h"

struct task {
    uint32_t low, high; // segment of the order
    uint32_t parent;    // loop
    uint32_t entry;     // block that comes first in it
};

struct frame {
    uint32_t block, edge;
};

struct builder {
    const struct program *p;
    const struct cfg *cfg;
    struct wto *out;
    uint32_t *number, *lowest; // Tarjan; number 0: not visited
    uint32_t *member;          // task that a block belongs to
    uint32_t *stack;           // Tarjan's
    struct frame *frames;
    struct task *tasks;
    uint32_t *copy; // result of one task, from its end on
    uint32_t stack_count, frame_count, task_count, next_number, next_task, free_end;
};

static bool is_member(const struct builder *b, uint32_t block, uint32_t task)
{
    return block != CFG_NONE && b->member[block] == task;
}

// The blocks copy[low..high) are a loop. Its head is the block that was visited first: the only one that ways
// from outside lead to, when there is one only.
static void add_loop(struct builder *b, const struct task *t, uint32_t low, uint32_t high)
{
    struct wto *w = b->out;
    uint32_t head = b->copy[low], index = w->loop_count++;
    uint32_t depth = t->parent == CFG_NONE ? 0 : w->loops[t->parent].depth + 1;
    w->loops[index] =
        (struct wto_loop){head, t->parent, depth, low, high - 1, b->cfg->blocks[head].func, false};
    if (depth + 1 > w->max_depth) {
        w->max_depth = depth + 1;
        w->deepest = index;
    }
    for (uint32_t i = low; i < high; i++) {
        w->loop[b->copy[i]] = index;
    }
    if (high - low > 1 && depth < WTO_MAX_DEPTH) {
        b->tasks[b->task_count++] = (struct task){low + 1, high, index, CFG_NONE};
    }
}

// A component is complete: its blocks are on the stack from `root` on.
static void pop_component(struct builder *b, const struct task *t, uint32_t root)
{
    uint32_t high = b->free_end, block;
    do {
        block = b->stack[--b->stack_count];
        b->member[block] = 0; // ways to it from the rest are not looked at any more
        b->copy[--b->free_end] = block;
    } while (block != root);
    const struct cfg_block *r = &b->cfg->blocks[root];
    if (high - b->free_end > 1 || r->next[0] == root || r->next[1] == root) {
        add_loop(b, t, b->free_end, high);
    }
}

static void enter_block(struct builder *b, uint32_t block)
{
    b->number[block] = b->lowest[block] = ++b->next_number;
    b->stack[b->stack_count++] = block;
    b->frames[b->frame_count++] = (struct frame){block, 0};
}

static void visit(struct builder *b, const struct task *t, uint32_t mark, uint32_t root)
{
    enter_block(b, root);
    while (b->frame_count > 0) {
        struct frame *f = &b->frames[b->frame_count - 1];
        if (f->edge < 2) {
            // The jump's target first: what is visited last comes first in the order.
            uint32_t next = b->cfg->blocks[f->block].next[1 - f->edge++];
            if (!is_member(b, next, mark)) {
                continue;
            }
            if (b->number[next] == 0) {
                enter_block(b, next);
            } else if (b->number[next] < b->lowest[f->block]) {
                b->lowest[f->block] = b->number[next];
            }
            continue;
        }
        uint32_t block = f->block, lowest = b->lowest[block];
        b->frame_count--;
        if (b->frame_count > 0 && lowest < b->lowest[b->frames[b->frame_count - 1].block]) {
            b->lowest[b->frames[b->frame_count - 1].block] = lowest;
        }
        if (lowest == b->number[block]) {
            pop_component(b, t, block);
        }
    }
}

static void run_task(struct builder *b, const struct task *t)
{
    uint32_t mark = ++b->next_task;
    for (uint32_t i = t->low; i < t->high; i++) {
        uint32_t block = b->out->order[i];
        b->member[block] = mark;
        b->number[block] = 0;
    }
    b->free_end = t->high;
    if (t->entry != CFG_NONE) {
        visit(b, t, mark, t->entry);
    }
    for (uint32_t i = t->low; i < t->high; i++) {
        uint32_t block = b->out->order[i];
        if (b->member[block] == mark && b->number[block] == 0) {
            visit(b, t, mark, block);
        }
    }
    memcpy(&b->out->order[t->low], &b->copy[t->low], (t->high - t->low) * sizeof(*b->copy));
}

// The blocks that control may reach, as the first segment of the function's order.
static uint32_t collect(struct builder *b, uint32_t func)
{
    uint32_t low = b->cfg->first_block[func], count = 0;
    uint32_t *seen = &b->out->order[low];
    seen[count++] = low;
    b->out->position[low] = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned e = 0; e < 2; e++) {
            uint32_t next = b->cfg->blocks[seen[i]].next[e];
            if (next != CFG_NONE && b->out->position[next] == CFG_NONE) {
                b->out->position[next] = 0;
                seen[count++] = next;
            }
        }
    }
    return low + count;
}

static void order_function(struct builder *b, uint32_t func)
{
    uint32_t low = b->cfg->first_block[func], high = collect(b, func);
    b->tasks[b->task_count++] = (struct task){low, high, CFG_NONE, low};
    while (b->task_count > 0) {
        struct task t = b->tasks[--b->task_count];
        run_task(b, &t);
    }
    for (uint32_t i = low; i < high; i++) {
        b->out->position[b->out->order[i]] = i;
    }
}

static ebpf_result_t allocate(struct builder *b, struct arena *arena)
{
    uint32_t count = b->cfg->block_count;
    struct wto *w = b->out;
    w->position = arena_array(arena, count, sizeof(uint32_t));
    w->order = arena_array(arena, count, sizeof(uint32_t));
    w->loop = arena_array(arena, count, sizeof(uint32_t));
    w->loops = arena_array(arena, count, sizeof(*w->loops));
    b->number = arena_array(arena, count, sizeof(uint32_t));
    b->lowest = arena_array(arena, count, sizeof(uint32_t));
    b->member = arena_array(arena, count, sizeof(uint32_t));
    b->stack = arena_array(arena, count, sizeof(uint32_t));
    b->copy = arena_array(arena, count, sizeof(uint32_t));
    b->frames = arena_array(arena, count, sizeof(*b->frames));
    b->tasks = arena_array(arena, count, sizeof(*b->tasks));
    bool all = w->position != NULL && w->order != NULL && w->loop != NULL && w->loops != NULL &&
               b->number != NULL && b->lowest != NULL && b->member != NULL && b->stack != NULL &&
               b->copy != NULL && b->frames != NULL && b->tasks != NULL;
    return all ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t wto_build(const struct program *p, const struct cfg *cfg, struct arena *arena, struct wto *out)
{
    struct builder b = {.p = p, .cfg = cfg, .out = out};
    TRY(allocate(&b, arena));
    out->loop_count = out->max_depth = 0;
    out->deepest = CFG_NONE;
    for (uint32_t i = 0; i < cfg->block_count; i++) {
        out->position[i] = out->loop[i] = CFG_NONE;
    }
    for (uint32_t func = 0; func < p->func_count; func++) {
        order_function(&b, func);
    }
    return EBPF_SUCCESS;
}
