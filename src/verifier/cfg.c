// SPDX-License-Identifier: MIT
// cfg: one pass for the ways that lead to each instruction, one over the call graph in topological order.
#include "verifier/cfg.h"

static bool falls_through(const struct insn *in)
{
    uint8_t form = insn_info(in->id)->form;
    return form != FORM_JA16 && form != FORM_JA32 && form != FORM_EXIT;
}

// A way leads to `pc`; the second one makes it a point.
static void reach(uint8_t *flags, uint8_t *ways, uint32_t pc)
{
    if (ways[pc] != 0) {
        flags[pc] |= CFG_POINT;
    }
    ways[pc] = 1;
}

static void mark_ways(const struct program *p, struct cfg *cfg, uint8_t *ways)
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
        bool call = in->id == INSN_CALL_LOCAL;
        if (!insn_is_jump(in) && !call) {
            continue;
        }
        uint32_t target = (uint32_t)insn_target(in, pc);
        cfg->flags[target] |= CFG_TARGET;
        reach(cfg->flags, ways, target);
    }
}

// Calls of function `f`, added to or taken from the callers that their callees have. Functions that nobody is
// left to call go to the queue.
static uint32_t count_calls(const struct program *p, uint32_t f, int change, uint32_t *callers,
                            uint32_t *queue, uint32_t queued)
{
    for (uint32_t pc = p->funcs[f].start; pc < p->funcs[f].end; pc++) {
        if (p->insns[pc].id != INSN_CALL_LOCAL) {
            continue;
        }
        uint32_t callee = program_func_at(p, (uint32_t)insn_target(&p->insns[pc], pc));
        callers[callee] += (uint32_t)change;
        if (change < 0 && callers[callee] == 0) {
            queue[queued++] = callee;
        }
    }
    return queued;
}

// Takes away functions without callers until none is left; what stays calls itself.
static uint32_t find_recursion(const struct program *p, uint32_t *callers, uint32_t *queue)
{
    uint32_t queued = 0, taken = 0;
    for (uint32_t f = 0; f < p->func_count; f++) {
        count_calls(p, f, 1, callers, queue, 0);
    }
    for (uint32_t f = 0; f < p->func_count; f++) {
        if (callers[f] == 0) {
            queue[queued++] = f;
        }
    }
    while (taken < queued) {
        queued = count_calls(p, queue[taken++], -1, callers, queue, queued);
    }
    for (uint32_t f = 0; f < p->func_count; f++) {
        if (callers[f] != 0) {
            return f;
        }
    }
    return CFG_NO_FUNC;
}

ebpf_result_t cfg_build(const struct program *p, struct arena *arena, struct cfg *out)
{
    uint8_t *ways = arena_array(arena, p->insn_count, 1);
    uint32_t *callers = arena_array(arena, p->func_count, sizeof(*callers));
    uint32_t *queue = arena_array(arena, p->func_count, sizeof(*queue));
    out->flags = arena_array(arena, p->insn_count, 1);
    if (ways == NULL || callers == NULL || queue == NULL || out->flags == NULL) {
        return EBPF_NO_MEMORY;
    }
    mark_ways(p, out, ways);
    out->recursive = find_recursion(p, callers, queue);
    return EBPF_SUCCESS;
}
