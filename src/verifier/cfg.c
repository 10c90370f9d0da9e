// SPDX-License-Identifier: MIT
// cfg: one pass for the ways that lead to each instruction, one that cuts blocks, one over the call graph in
// topological order. The address of a function counts as a call of it: callbacks run on top of the caller.
#include "verifier/cfg.h"

static bool falls_through(const struct insn *in)
{
    uint8_t form = insn_info(in->id)->form;
    return form != FORM_JA16 && form != FORM_JA32 && form != FORM_EXIT;
}

// --- ways ----------------------------------------------------------------------------------------

// A way leads to `pc`; the second one makes it a point.
static void reach(uint8_t *flags, uint8_t *ways, uint32_t pc)
{
    if (ways[pc] != 0) {
        flags[pc] |= CFG_POINT;
    }
    ways[pc] = 1;
}

static bool calls_back(const struct spec_view *spec, const struct insn *in)
{
    if ((in->id != INSN_CALL && in->id != INSN_CALL_BTF) || in->imm <= 0 ||
        in->imm >= (int64_t)spec->helper_count) {
        return false;
    }
    for (unsigned arg = 0; arg < 5; arg++) {
        if ((spec->helpers[in->imm].args[arg] & ARG_KIND_MASK) == ARG_CALLBACK) {
            return true;
        }
    }
    return false;
}

static void mark_ways(const struct spec_view *spec, const struct program *p, struct cfg *cfg, uint8_t *ways)
{
    for (uint32_t i = 0; i < p->func_count; i++) {
        cfg->flags[p->funcs[i].start] |= CFG_FUNCTION;
        reach(cfg->flags, ways, p->funcs[i].start);
    }
    for (uint32_t pc = 0; pc < p->insn_count; pc += insn_slots(&p->insns[pc])) {
        const struct insn *in = &p->insns[pc];
        uint32_t next = pc + insn_slots(in);
        if (falls_through(in) && next < p->insn_count) {
            reach(cfg->flags, ways, next);
        }
        if (insn_is_conditional(in) && next < p->insn_count) {
            cfg->flags[next] |= CFG_TARGET;
        }
        if (calls_back(spec, in)) {
            cfg->flags[pc] |= CFG_POINT | CFG_CALLBACK;
        }
        if (insn_is_jump(in)) {
            uint32_t target = (uint32_t)insn_target(in, pc);
            cfg->flags[target] |= CFG_TARGET;
            reach(cfg->flags, ways, target);
        }
    }
}

// --- blocks --------------------------------------------------------------------------------------

static bool ends_block(const struct insn *in)
{
    return insn_is_jump(in) || in->id == INSN_EXIT || in->id == INSN_CALL_LOCAL;
}

// Cuts the program; without blocks only counts.
static uint32_t cut_blocks(const struct program *p, struct cfg *cfg)
{
    uint32_t count = 0, func = 0;
    bool leader = true;
    for (uint32_t pc = 0; pc < p->insn_count; pc += insn_slots(&p->insns[pc])) {
        if (leader || cfg->flags[pc] != 0) {
            func += pc >= p->funcs[func].end;
            if (cfg->blocks != NULL) {
                cfg->blocks[count] = (struct cfg_block){pc, pc, func, {CFG_NONE, CFG_NONE}};
            }
            count++;
        }
        if (cfg->blocks != NULL) {
            cfg->blocks[count - 1].end = pc + insn_slots(&p->insns[pc]);
        }
        leader = ends_block(&p->insns[pc]);
    }
    return count;
}

uint32_t cfg_block_of(const struct cfg *cfg, uint32_t pc)
{
    uint32_t low = 0, high = cfg->block_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (cfg->blocks[middle].start <= pc) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t cfg_block_at(const struct cfg *cfg, uint32_t pc)
{
    uint32_t b = cfg_block_of(cfg, pc);
    return cfg->block_count != 0 && cfg->blocks[b].start == pc ? b : CFG_NONE;
}

uint32_t cfg_last(const struct program *p, const struct cfg_block *b)
{
    uint32_t pc = b->end - 1;
    return p->insns[pc].id == INSN_NONE && pc > b->start ? pc - 1 : pc;
}

static void link_blocks(const struct program *p, struct cfg *cfg)
{
    uint32_t func = 0;
    for (uint32_t i = 0; i < cfg->block_count; i++) {
        struct cfg_block *b = &cfg->blocks[i];
        uint32_t last = cfg_last(p, b), n = 0;
        const struct insn *in = &p->insns[last];
        while (func <= b->func) {
            cfg->first_block[func++] = i;
        }
        if (falls_through(in) && i + 1 < cfg->block_count && b[1].func == b->func) {
            b->next[n++] = i + 1;
        }
        if (insn_is_jump(in)) {
            b->next[n] = cfg_block_at(cfg, (uint32_t)insn_target(in, last));
        }
    }
    cfg->first_block[p->func_count] = cfg->block_count;
}

// --- calls ---------------------------------------------------------------------------------------

uint32_t cfg_callee(const struct program *p, uint32_t pc)
{
    uint16_t id = p->insns[pc].id;
    return id == INSN_CALL_LOCAL || id == INSN_LDDW_CODE
               ? program_func_at(p, (uint32_t)insn_target(&p->insns[pc], pc))
               : CFG_NONE;
}

// The call graph while functions are taken away from it, leaves first.
struct graph {
    const struct program *p;
    uint32_t *callers, *queue, *height;
    uint32_t queued;
};

static void count_callers(struct graph *g, uint32_t f)
{
    for (uint32_t pc = g->p->funcs[f].start; pc < g->p->funcs[f].end; pc++) {
        uint32_t callee = cfg_callee(g->p, pc);
        if (callee != CFG_NONE) {
            g->callers[callee]++;
        }
    }
}

// Callees of a function that nobody is left to call may be the next ones.
static void take_away(struct graph *g, uint32_t f)
{
    for (uint32_t pc = g->p->funcs[f].start; pc < g->p->funcs[f].end; pc++) {
        uint32_t callee = cfg_callee(g->p, pc);
        if (callee != CFG_NONE && --g->callers[callee] == 0) {
            g->queue[g->queued++] = callee;
        }
    }
}

static void measure(struct graph *g, uint32_t f)
{
    uint32_t height = 0;
    for (uint32_t pc = g->p->funcs[f].start; pc < g->p->funcs[f].end; pc++) {
        uint32_t callee = cfg_callee(g->p, pc);
        if (callee != CFG_NONE && g->height[callee] > height) {
            height = g->height[callee];
        }
    }
    g->height[f] = height + 1;
}

// Takes away functions without callers until none is left; what stays calls itself. The queue is then in
// topological order, so heights are known from its end on.
static uint32_t order_calls(struct graph *g)
{
    uint32_t taken = 0;
    for (uint32_t f = 0; f < g->p->func_count; f++) {
        count_callers(g, f);
    }
    for (uint32_t f = 0; f < g->p->func_count; f++) {
        if (g->callers[f] == 0) {
            g->queue[g->queued++] = f;
        }
    }
    while (taken < g->queued) {
        take_away(g, g->queue[taken++]);
    }
    for (uint32_t f = 0; f < g->p->func_count; f++) {
        if (g->callers[f] != 0) {
            return f;
        }
    }
    while (taken-- > 0) {
        measure(g, g->queue[taken]);
    }
    return CFG_NONE;
}

ebpf_result_t cfg_build(const struct spec_view *spec, const struct program *p, struct arena *arena,
                        struct cfg *out)
{
    uint8_t *ways = arena_array(arena, p->insn_count, 1);
    struct graph g = {.p = p};
    g.callers = arena_array(arena, p->func_count, sizeof(*g.callers));
    g.queue = arena_array(arena, p->func_count, sizeof(*g.queue));
    g.height = out->height = arena_array(arena, p->func_count, sizeof(*g.height));
    out->flags = arena_array(arena, p->insn_count, 1);
    out->first_block = arena_array(arena, p->func_count + 1, sizeof(*out->first_block));
    out->blocks = NULL;
    if (ways == NULL || g.callers == NULL || g.queue == NULL || g.height == NULL || out->flags == NULL ||
        out->first_block == NULL) {
        return EBPF_NO_MEMORY;
    }
    mark_ways(spec, p, out, ways);
    out->block_count = cut_blocks(p, out);
    out->blocks = arena_array(arena, out->block_count, sizeof(*out->blocks));
    if (out->blocks == NULL) {
        return EBPF_NO_MEMORY;
    }
    cut_blocks(p, out);
    link_blocks(p, out);
    out->recursive = order_calls(&g);
    return EBPF_SUCCESS;
}
