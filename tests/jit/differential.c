// SPDX-License-Identifier: MIT
// differential: subjects, configurations, and the comparison.
#include "tests/jit/differential.h"

enum { STEP_LIMIT = 200000 };

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static bool chance(uint64_t *seed, uint32_t percent)
{
    return next_random(seed) % 100 < percent;
}

// --- subjects ------------------------------------------------------------------------------------

static uint32_t choose_size(uint64_t *seed)
{
    uint32_t kind = next_random(seed) % 100;
    uint64_t number = next_random(seed);
    return (uint32_t)(kind < 30   ? 1 + number % 16
                      : kind < 75 ? 10 + number % 80
                      : kind < 98 ? 50 + number % 350
                                  : 400 + number % 2000);
}

void subject_make(struct subject *s, struct generator *g, uint64_t seed)
{
    uint64_t random = seed * 0x2545f4914f6cdd1du + 1;
    s->seed = seed;
    s->raw = chance(&random, 15);
    s->turns = chance(&random, 50) ? (uint32_t)(next_random(&random) % 8) : INSN_MAY_GOTO_TURNS;
    s->program_count = chance(&random, 8) ? WORLD_PROGRAMS : 1;
    world_bind(&(struct jit_input){0}, native_abi()); // sizes of the maps
    for (uint32_t i = 0; i < s->program_count; i++) {
        bool is_below = s->seed % 2 != 0 && s->program_count > 1;
        const struct generate_options options = {
            .size = choose_size(&random),
            .raw = s->raw,
            .calls_by_number = chance(&random, 20),
            .tail_calls = s->program_count > 1 && !s->raw,
            .tail_calls_below = is_below,
            .may_goto = chance(&random, 25),
            // What a load out of range ends is then not the run, but what a function was left for.
            .packets = chance(&random, 10) && !is_below,
        };
        generate(g, next_random(&random), &options);
        s->programs[i].insn_count = g->count;
        s->programs[i].func_count = g->func_count;
        memcpy(s->programs[i].insns, g->insns, g->count * sizeof(g->insns[0]));
        memcpy(s->programs[i].funcs, g->funcs, sizeof(g->funcs));
    }
}

static struct jit_input inputs[WORLD_PROGRAMS];

const struct jit_input *subject_bind(const struct subject *s, unsigned abi)
{
    for (uint32_t i = 0; i < s->program_count; i++) {
        const struct subject_program *p = &s->programs[i];
        inputs[i] = (struct jit_input){.insns = p->insns,
                                       .insn_count = p->insn_count,
                                       .funcs = p->funcs,
                                       .func_count = p->func_count,
                                       .raw = s->raw};
        world_bind(&inputs[i], abi);
    }
    world.tail_target_count = s->program_count;
    return inputs;
}

static const struct jit_input *program_at(uint64_t address)
{
    return address >= 1 && address <= world.tail_target_count ? &inputs[address - 1] : NULL;
}

void subject_begin(const struct subject *s, struct jit_run *run)
{
    *run = (struct jit_run){.turns = s->turns, .slot = (uint32_t)(s->seed % WORLD_CPUS)};
    world_reset(s->seed);
    world.run = run;
}

static bool refer(const struct subject *s, size_t shift, struct reference *r, struct jit_run *run)
{
    static struct region regions[8];
    for (uint32_t i = 0; i < s->program_count; i++) {
        world.tail_targets[i] = i + 1;
    }
    subject_begin(s, run);
    *r = (struct reference){.input = &inputs[0],
                            .run = run,
                            .r1 = (uintptr_t)world.state.mem,
                            .r2 = WORLD_MEM,
                            .regions = regions,
                            .region_count = world_regions(regions),
                            .limit = STEP_LIMIT,
                            .shift = shift,
                            .program_at = program_at};
    world.allows = reference_allows;
    bool good = reference_run(r);
    world.allows = NULL;
    return good;
}

// The form that program_check demands.
static bool check_target(const struct subject_program *p, const struct func *f, uint32_t pc)
{
    const struct insn *in = &p->insns[pc];
    int64_t target = insn_target(in, pc);
    if (insn_is_jump(in)) {
        return target >= f->start && target < f->end && p->insns[target].id != INSN_NONE;
    }
    for (uint32_t i = 0; insn_info(in->id)->sem == SEM_CALL_LOCAL && i <= p->func_count; i++) {
        if (i == p->func_count) {
            return false;
        }
        if (p->funcs[i].start == target) {
            break;
        }
    }
    return true;
}

static bool check_form(const struct subject_program *p)
{
    uint32_t pc = 0;
    for (uint32_t f = 0; f < p->func_count; f++) {
        unsigned form = FORM_NONE;
        if (p->funcs[f].start != pc || p->funcs[f].end <= pc) {
            return false;
        }
        for (; pc < p->funcs[f].end; pc += insn_slots(&p->insns[pc])) {
            if (insn_check(&p->insns[pc]) != INSN_OK || !check_target(p, &p->funcs[f], pc)) {
                return false;
            }
            form = insn_info(p->insns[pc].id)->form;
        }
        if (form != FORM_EXIT && form != FORM_JA16) {
            return false;
        }
    }
    return pc == p->insn_count;
}

// Twice, with another stack: what depends on addresses, or on what a stack held before, has no meaning.
bool subject_expect(struct subject *s)
{
    struct reference r;
    struct jit_run run;
    s->fault = "an instruction is malformed";
    for (uint32_t i = 0; i < s->program_count; i++) {
        if (!check_form(&s->programs[i])) {
            return false;
        }
    }
    subject_bind(s, native_abi());
    bool good = refer(s, 0, &r, &run);
    s->fault = r.fault;
    if (!good) {
        return false;
    }
    s->result = r.result;
    s->steps = r.steps;
    s->turns_left = run.turns;
    s->aborted = run.aborted;
    memcpy(&s->state, &world.state, sizeof(s->state));
    s->fault = "it depends on addresses";
    if (world.misuse != NULL || !refer(s, 2032, &r, &run) || r.result != s->result ||
        memcmp(&s->state, &world.state, sizeof(s->state)) != 0) {
        return false;
    }
    s->fault = NULL;
    return true;
}

void subject_print(const struct subject *s, void (*put)(const char *line))
{
    char text[160], insn[96];
    for (uint32_t i = 0; i < s->program_count; i++) {
        const struct subject_program *p = &s->programs[i];
        str_format(text, sizeof(text), "program %u: %u slots, %u functions%s, turns %u, seed %llu",
                   (unsigned)i, (unsigned)p->insn_count, (unsigned)p->func_count, s->raw ? ", raw" : "",
                   (unsigned)s->turns, (unsigned long long)s->seed);
        put(text);
        for (uint32_t pc = 0, f = 0; pc < p->insn_count; pc += insn_slots(&p->insns[pc])) {
            bool starts = f < p->func_count && p->funcs[f].start == pc;
            f += starts ? 1 : 0;
            insn_print(&p->insns[pc], insn, sizeof(insn));
            str_format(text, sizeof(text), "%s%5u: %s", starts ? "func\n" : "", (unsigned)pc, insn);
            put(text);
        }
    }
}

// --- configurations ------------------------------------------------------------------------------

static const struct {
    const char *name;
    bool needed;
} passes[JIT_PASS_COUNT] = {
#define NEEDED                           true
#define OPTIONAL                         false
#define PASS(id, name, function, needed) [JIT_PASS_##id] = {name, needed},
#include "jit/jit_passes.def"
#undef PASS
#undef NEEDED
#undef OPTIONAL
};

static void choose_passes(struct config *c, uint64_t *random)
{
    uint32_t kind = next_random(random) % 10;
    if (kind < 4) { // a single one off
        c->options.passes &= ~((uint32_t)1 << next_random(random) % JIT_PASS_COUNT);
    } else if (kind < 6) {
        c->options.passes = (uint32_t)next_random(random);
    } else if (kind == 6) {
        c->options.passes = 0;
    }
}

void config_choose(struct config *c, uint64_t seed, unsigned index)
{
    uint64_t random = seed * 0x9e6c63d0876a9a47u + index;
    *c = (struct config){.options = {.arch = (uint8_t)native_arch(),
                                     .abi = (uint8_t)native_abi(),
                                     .cpu = jit_host_cpu(),
                                     .passes = JIT_ALL_PASSES,
                                     .blind_seed = next_random(&random)}};
    if (index == 0) {
        return;
    }
    c->place = chance(&random, 50) ? NATIVE_NEAR : NATIVE_FAR;
    choose_passes(c, &random);
    c->options.cpu &= chance(&random, 50) ? UINT32_MAX : (uint32_t)next_random(&random);
    c->options.native_frame = chance(&random, 50);
    c->options.blind = chance(&random, 25);
    c->options.retpoline = chance(&random, 25);
    c->options.no_landing = chance(&random, 25);
    if (chance(&random, 40)) {
        c->options.registers = chance(&random, 50) ? 5 : 4 + (uint32_t)(next_random(&random) % 8);
    }
    if (chance(&random, 30) && world_has_abi(JIT_ABI_WINDOWS)) {
        c->options.abi = JIT_ABI_WINDOWS;
    }
}

void config_print(const struct config *c, char *text, size_t size)
{
    const struct jit_options *o = &c->options;
    size_t used =
        str_format(text, size,
                   "%s %s cpu=%x registers=%u%s%s%s%s%s, without:", o->arch == JIT_ARM64 ? "arm64" : "x86-64",
                   o->abi == JIT_ABI_WINDOWS ? "windows"
                   : o->abi == JIT_ABI_SYSV  ? "sysv"
                                             : "aapcs64",
                   (unsigned)o->cpu, (unsigned)o->registers, o->native_frame ? " native_frame" : "",
                   o->blind ? " blind" : "", o->retpoline ? " retpoline" : "",
                   o->no_landing ? " no_landing" : "", c->place == NATIVE_NEAR ? " near" : "");
    bool all = true;
    for (unsigned i = 0; i < JIT_PASS_COUNT && used < size; i++) {
        if (!passes[i].needed && (o->passes >> i & 1) == 0) {
            used += str_format(text + used, size - used, " %s", passes[i].name);
            all = false;
        }
    }
    if (all && used < size) {
        str_format(text + used, size - used, " nothing");
    }
}

// --- comparison ----------------------------------------------------------------------------------

static bool differ(struct difference *d, const char *what, uint64_t is, uint64_t wanted)
{
    str_format(d->text, sizeof(d->text), "%s: 0x%llx, not 0x%llx", what, (unsigned long long)is,
               (unsigned long long)wanted);
    return true;
}

static bool differ_text(struct difference *d, const char *what, const char *why)
{
    str_format(d->text, sizeof(d->text), "%s: %s", what, why);
    return true;
}

static bool state_differs(const struct subject *s, struct difference *d)
{
    const uint8_t *is = (const uint8_t *)&world.state, *wanted = (const uint8_t *)&s->state;
    for (size_t i = 0; i < sizeof(world.state); i++) {
        if (is[i] != wanted[i]) {
            char what[64];
            str_format(what, sizeof(what), "byte %u of the world (memory to 255, maps, trace)", (unsigned)i);
            return differ(d, what, is[i], wanted[i]);
        }
    }
    return false;
}

bool outcome_differs(const struct subject *s, const struct jit_run *run, uint64_t result,
                     struct difference *d)
{
    if (world.misuse != NULL) {
        return differ_text(d, "misuse", world.misuse);
    }
    if (result != s->result) {
        return differ(d, "r0", result, s->result);
    }
    if (run->aborted != s->aborted) {
        return differ(d, "aborted", run->aborted, s->aborted);
    }
    if (run->turns != s->turns_left) {
        return differ(d, "turns of may_goto left", run->turns, s->turns_left);
    }
    return state_differs(s, d);
}

static bool translation_fails(const struct subject *s, const struct config *c, struct native *n,
                              struct difference *d)
{
    for (uint32_t i = s->program_count; i-- > 0;) {
        ebpf_result_t result = native_translate(n, &inputs[i], &c->options, c->place, i);
        if (result != EBPF_SUCCESS) {
            return n->crash != NULL ? differ_text(d, "translation", n->crash)
                                    : differ_text(d, "translation", result_row(result)->sentence);
        }
        world.tail_targets[i] = (uintptr_t)n->entry;
    }
    return false;
}

bool native_differs(const struct subject *s, const struct config *c, struct difference *d)
{
    struct native n;
    struct jit_run run;
    uint64_t result;
    d->text[0] = 0;
    subject_bind(s, c->options.abi);
    if (translation_fails(s, c, &n, d)) {
        return true;
    }
    subject_begin(s, &run);
    if (!native_run(&n, (uintptr_t)world.state.mem, WORLD_MEM, &run, &result)) {
        return differ_text(d, "run", n.crash != NULL ? n.crash : n.misuse);
    }
    return outcome_differs(s, &run, result, d);
}
