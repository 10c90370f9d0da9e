// SPDX-License-Identifier: MIT
// verifier: the order of things: form of the program, control flow, loops, liveness, exploration, evidence.
#include "verifier/verifier.h"

#include "verifier/engine.h"

struct finding *finding_add(struct verify_report *report, enum rule_id rule, uint32_t pc)
{
    uint32_t index = report->finding_count;
    if (index == VERIFY_MAX_FINDINGS) {
        index--; // the last one gives way
    } else {
        report->finding_count++;
    }
    struct finding *f = &report->findings[index];
    memset(f, 0, sizeof(*f));
    f->rule = (uint16_t)rule;
    f->pc = pc;
    f->related_pc = f->loss.pc = UINT32_MAX;
    str_copy(f->message, sizeof(f->message), rule_row(rule)->sentence);
    return f;
}

static void put_u32(uint8_t **at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        *(*at)++ = (uint8_t)(value >> (8 * i));
    }
}

static bool is_context_mark(uint32_t mark)
{
    return mark != ENGINE_NO_MARK && mark != ENGINE_OTHER_MEMORY;
}

// Evidence format 1 (spec.h) from the marks of an accepted program.
static ebpf_result_t write_evidence(const struct engine *e, struct verify_report *out)
{
    uint32_t count = e->env.program->insn_count, marks = 0;
    for (uint32_t pc = 0; pc < count; pc++) {
        marks += is_context_mark(e->marks[pc]);
    }
    size_t size = 16 + (size_t)marks * 8;
    uint8_t *bytes = arena_alloc(e->arena, size), *at = bytes;
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    put_u32(&at, EVIDENCE_MAGIC);
    put_u32(&at, EVIDENCE_FORMAT);
    put_u32(&at, count);
    put_u32(&at, marks);
    for (uint32_t pc = 0; pc < count; pc++) {
        if (is_context_mark(e->marks[pc])) {
            put_u32(&at, pc);
            put_u32(&at, e->marks[pc] - 1);
        }
    }
    out->evidence = bytes;
    out->evidence_size = size;
    return EBPF_SUCCESS;
}

static void refuse_recursion(const struct program *p, uint32_t func, struct verify_report *out)
{
    struct finding *f = finding_add(out, RULE_RECURSION, p->funcs[func].start);
    str_copy(f->needed, sizeof(f->needed), "functions that call each other in one direction only");
    str_format(f->known, sizeof(f->known), "function '%s' calls itself, or is called by one that does",
               p->funcs[func].name);
    str_copy(f->hint, sizeof(f->hint), "use a loop with a constant upper bound");
}

static void refuse_nesting(const struct engine *e, struct verify_report *out)
{
    struct finding *f =
        finding_add(out, RULE_LOOP_DEPTH, e->cfg.blocks[e->wto.loops[e->wto.deepest].head].start);
    str_format(f->needed, sizeof(f->needed), "at most %u loops inside each other", STATE_MAX_LOOPS);
    str_copy(f->hint, sizeof(f->hint), "move inner loops into a function of their own (__noinline)");
}

static ebpf_result_t judge(struct engine *e, struct verify_report *out)
{
    TRY(cfg_build(e->env.spec, e->env.program, e->arena, &e->cfg));
    if (e->cfg.recursive != CFG_NONE) {
        refuse_recursion(e->env.program, e->cfg.recursive, out);
        return EBPF_SUCCESS;
    }
    _Static_assert(STATE_MAX_LOOPS <= WTO_MAX_DEPTH, "what is accepted was ordered completely");
    TRY(wto_build(e->env.program, &e->cfg, e->arena, &e->wto));
    if (e->wto.max_depth > STATE_MAX_LOOPS) {
        refuse_nesting(e, out);
        return EBPF_SUCCESS;
    }
    TRY(live_analyse(&e->env, &e->cfg, e->arena, &e->live));
    TRY(engine_init(e));
    TRY(engine_run(e));
    if (out->finding_count == 0) {
        TRY(write_evidence(e, out));
        out->accepted = true;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t refuse_form(uint32_t pc, const char *why, struct verify_report *out)
{
    struct finding *f = finding_add(out, RULE_MALFORMED_PROGRAM, pc);
    str_copy(f->known, sizeof(f->known), why);
    return EBPF_INVALID_ARGUMENT;
}

static void refuse_memory(const struct arena *arena, struct verify_report *out)
{
    out->finding_count = 0;
    struct finding *f = finding_add(out, RULE_BUDGET, UINT32_MAX);
    str_copy(f->message, sizeof(f->message), "the memory for verification is used up");
    uint64_t used = arena->held > out->peak_bytes ? arena->held : out->peak_bytes;
    if (arena->limit != 0) {
        str_format(f->needed, sizeof(f->needed), "at most %llu MB", (unsigned long long)(arena->limit >> 20));
    }
    str_format(f->known, sizeof(f->known), "%llu MB were used, %u states are stored",
               (unsigned long long)(used >> 20), out->states);
    str_copy(f->hint, sizeof(f->hint), "split the program, by tail calls or global functions");
}

ebpf_result_t verify_program(const struct program *p, const struct verify_options *options,
                             struct arena *arena, struct verify_report *out)
{
    uint32_t bad_pc = UINT32_MAX;
    const char *why = "";
    memset(out, 0, sizeof(*out));
    struct engine *e = arena_alloc(arena, sizeof(*e));
    out->findings = arena_array(arena, VERIFY_MAX_FINDINGS, sizeof(*out->findings));
    if (e == NULL || out->findings == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (program_check(options->spec, p, &bad_pc, &why) != EBPF_SUCCESS) {
        return refuse_form(bad_pc, why, out);
    }
    state_make_env(options->spec, p, &e->env);
    e->options = options;
    e->arena = arena;
    e->report = out;
    e->env.unprivileged = options->unprivileged;
    ebpf_result_t result = judge(e, out);
    engine_fini(e);
    if (arena->held > out->peak_bytes) {
        out->peak_bytes = arena->held;
    }
    if (result == EBPF_NO_MEMORY) {
        refuse_memory(arena, out);
    }
    return result;
}
