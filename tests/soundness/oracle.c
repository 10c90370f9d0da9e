// SPDX-License-Identifier: MIT
// oracle: the verifier's states by instruction, and runs of the machine through them.
#include "tests/soundness/oracle.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/soundness/contain.h"
#include "tests/soundness/machine.h"
#include "tests/test.h"

enum { MAX_SNAPSHOTS = 400000, MAX_COMPARED = 60000, CHUNK = 1 << 20, MAX_CHUNKS = 512 };
#define MEMORY_LIMIT ((size_t)512 << 20)

struct snapshot {
    struct snapshot *next; // of the same pc
    const struct packed *state;
};

// All that a program could come back to: the machine without what others may change.
struct moment {
    uint64_t regs[INSN_REG_COUNT];
    uint32_t pc, depth;
    uint64_t turns; // of callbacks and iterators, where frames return to and what they keep, as one number
    uint8_t bytes[INSN_MAX_FRAMES][INSN_STACK_SIZE];
};

static struct {
    struct packed_scratch scratch;
    struct domain_state state;
    struct machine machine;
    struct moment mark;
    struct snapshot **first; // by pc
    uint32_t pc_count;
    uint8_t *chunks[MAX_CHUNKS];
    uint32_t chunk_count, chunk;
    size_t used;                   // of the chunk
    const struct program *program; // that is verified
    uint32_t snapshot_count;
    uint32_t compared; // states with machines, for one program
    bool too_many;
    char why[CONTAIN_WHY];
} *o;

struct oracle_totals oracle_totals;

static void report_signal(int number);

bool oracle_open(void)
{
    static const int numbers[] = {SIGILL, SIGSEGV, SIGABRT, SIGFPE};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        signal(numbers[i], report_signal);
    }
    o = o != NULL ? o : calloc(1, sizeof(*o));
    return o != NULL;
}

static void forget(void)
{
    o->chunk = 0;
    o->used = 0;
    o->snapshot_count = o->compared = 0;
    o->too_many = false;
}

void oracle_close(void)
{
    for (uint32_t i = 0; o != NULL && i < o->chunk_count; i++) {
        free(o->chunks[i]);
    }
    if (o != NULL) {
        free(o->first);
    }
    free(o);
    o = NULL;
}

// --- what the verifier saw ------------------------------------------------------------------------

static void *take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (o->chunk < o->chunk_count && o->used + size > CHUNK) {
        o->chunk++;
        o->used = 0;
    }
    if (o->chunk == MAX_CHUNKS || size > CHUNK) {
        return NULL;
    }
    if (o->chunk == o->chunk_count) {
        o->chunks[o->chunk] = malloc(CHUNK);
        if (o->chunks[o->chunk] == NULL) {
            return NULL;
        }
        o->chunk_count++;
    }
    void *result = o->chunks[o->chunk] + o->used;
    o->used += size;
    return result;
}

static void remember(void *user, uint32_t pc, const void *state)
{
    UNUSED(user);
    const struct packed *p = packed_make(&o->scratch, state, NULL);
    struct snapshot *s = o->snapshot_count < MAX_SNAPSHOTS && pc < o->pc_count ? take(sizeof(*s)) : NULL;
    void *copy = s != NULL ? take(p->size) : NULL;
    if (copy == NULL) {
        o->too_many = true;
        return;
    }
    memcpy(copy, p, p->size);
    s->state = copy;
    s->next = o->first[pc];
    o->first[pc] = s;
    o->snapshot_count++;
}

bool oracle_visited(uint32_t pc)
{
    return pc < o->pc_count && o->first[pc] != NULL;
}

// --- what the machine's addresses mean ------------------------------------------------------------

static bool base(void *user, const struct value *v, uint64_t number, uint32_t index, uint64_t *out)
{
    struct machine *m = user;
    struct block *b = machine_block(m, number);
    static const uint8_t kinds[VALUE_KIND_COUNT] = {[VALUE_MAP_VALUE] = BLOCK_VALUE,
                                                    [VALUE_MEM] = BLOCK_MEM,
                                                    [VALUE_OBJECT] = BLOCK_OBJECT,
                                                    [VALUE_MAP_PTR] = BLOCK_MAP};
    if (index != 0 || b == NULL || b->kind != kinds[v->kind] || b->dead) {
        return false;
    }
    if ((v->kind == VALUE_MAP_VALUE || v->kind == VALUE_MAP_PTR) && b->map != v->map) {
        return false;
    }
    *out = b->base;
    return v->kind != VALUE_MEM || v->size <= b->size;
}

// Memory of a contract or a slice may lie anywhere that is readable; kernel pointers are anything but null.
static bool plausible(void *user, const struct value *v, uint64_t number)
{
    struct machine *m = user;
    if (v->kind == VALUE_KERNEL) {
        return true;
    }
    if (v->kind != VALUE_MEM || m->fault[0] != '\0') {
        return false;
    }
    if (!value_is_fixed(v)) {
        return number != 0;
    }
    bool good = machine_touch(m, number - (uint64_t)(int64_t)v->off, v->size, 4) != NULL;
    m->fault[0] = '\0';
    return good;
}

static uint32_t count_held(const struct machine *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->block_count; i++) {
        count += m->blocks[i].held && !m->blocks[i].dead;
    }
    for (uint32_t i = 0; i < m->special_count; i++) {
        count += m->specials[i].held;
    }
    return count;
}

static void look(struct machine *m, struct contain_view *view)
{
    view->program = m->program;
    view->regs = m->regs;
    view->regs_init = m->init;
    view->depth = m->depth;
    view->context = MACHINE_CTX;
    view->data = machine_data(m);
    view->data_end = view->data + m->data_size;
    view->data_meta = view->data - m->meta_size;
    view->held = count_held(m);
    view->lock = m->lock != 0 ? m->blocks[m->lock - 1].base : 0;
    view->rcu = m->rcu;
    view->preempt = m->preempt;
    view->base = base;
    view->plausible = plausible;
    view->user = m;
    for (uint32_t f = 0; f <= m->depth; f++) {
        const struct machine_frame *frame = &m->frames[f];
        view->frames[f] =
            (struct contain_frame){frame->saved, frame->bytes, frame->init, machine_top(f), frame->entry};
    }
}

static bool was_foreseen(struct machine *m)
{
    struct contain_view view;
    look(m, &view);
    str_copy(o->why, CONTAIN_WHY, "the verifier has no state there");
    struct snapshot **link = m->pc < o->pc_count ? &o->first[m->pc] : NULL;
    for (; link != NULL && *link != NULL; link = &(*link)->next) {
        struct snapshot *s = *link;
        o->compared++;
        packed_unpack(s->state, &o->state);
        if (contain_state(&view, &o->state, o->why)) {
            *link = s->next; // what fitted once goes to the front
            s->next = o->first[m->pc];
            o->first[m->pc] = s;
            return true;
        }
    }
    char text[CONTAIN_WHY];
    str_copy(text, sizeof(text), o->why);
    str_format(m->fault, sizeof(m->fault), "at %u: no abstract state contains the machine: %s", m->pc, text);
    return false;
}

// --- loops that do not end ------------------------------------------------------------------------

static uint64_t turns_of(const struct machine *m)
{
    uint64_t turns = (uint64_t)m->special_count * 1000003 + m->turns;
    for (uint32_t f = 1; f <= m->depth; f++) {
        turns = turns * 1000003 + (m->frames[f].callback != 0 ? m->frames[f].turn + 1 : 0);
        turns = turns * 1000003 + m->frames[f].return_pc;
        for (unsigned r = 0; r < 4; r++) {
            turns = turns * 1000003 + m->frames[f - 1].saved[r];
        }
    }
    for (uint32_t i = 0; i < m->special_count; i++) {
        turns = turns * 1000003 + m->specials[i].turns;
    }
    return turns;
}

static bool comes_again(const struct machine *m)
{
    const struct moment *mark = &o->mark;
    if (mark->pc != m->pc || mark->depth != m->depth || memcmp(mark->regs, m->regs, sizeof(m->regs)) != 0 ||
        mark->turns != turns_of(m)) {
        return false;
    }
    for (uint32_t f = 0; f <= m->depth; f++) {
        if (memcmp(mark->bytes[f], m->frames[f].bytes, INSN_STACK_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

// Brent: marks at powers of two find every cycle.
static bool goes_on(struct machine *m)
{
    if (m->steps > 1 && comes_again(m)) {
        return machine_fail(m, "a state comes again: the program does not end", m->steps);
    }
    if ((m->steps & (m->steps - 1)) == 0) {
        memcpy(o->mark.regs, m->regs, sizeof(m->regs));
        o->mark.pc = m->pc;
        o->mark.depth = m->depth;
        o->mark.turns = turns_of(m);
        for (uint32_t f = 0; f <= m->depth; f++) {
            memcpy(o->mark.bytes[f], m->frames[f].bytes, INSN_STACK_SIZE);
        }
    }
    return true;
}

// --- runs -----------------------------------------------------------------------------------------

static bool run(const struct program *p, const struct oracle_options *options, uint64_t seed)
{
    struct machine *m = &o->machine;
    uint64_t most = options->run_steps != 0 ? options->run_steps : 4000;
    machine_begin(m, options->spec, p, seed);
    o->mark.pc = UINT32_MAX;
    while (m->steps < most && o->compared < MAX_COMPARED) {
        if (!was_foreseen(m) || !goes_on(m) || !machine_step(m)) {
            break;
        }
        if (machine_pick(m, 16) == 0) {
            machine_disturb(m);
        }
    }
    oracle_totals.runs++;
    oracle_totals.steps += m->steps;
    oracle_totals.unknown += m->unknown;
    machine_end(m);
    return m->fault[0] == '\0' || m->unknown;
}

static void print_program(const struct program *p)
{
    char text[96];
    printf("oracle: %s (%s, dialect %u), run seed %llu: %s\n", p->name,
           spec_builtin()->prog_types[p->type].name, p->dialect, (unsigned long long)o->machine.seed,
           o->machine.fault);
    for (uint32_t pc = 0; pc < p->insn_count && p->insn_count < 4096; pc++) {
        if (p->insns[pc].id != INSN_NONE) {
            insn_print(&p->insns[pc], text, sizeof(text));
            printf("%4u: %s\n", pc, text);
        }
    }
    fflush(stdout);
}

// A crash of the verifier names the program, too.
static void report_signal(int number)
{
    signal(number, SIG_DFL);
    str_format(o->machine.fault, sizeof(o->machine.fault), "the verifier ended with signal %d", number);
    print_program(o->program);
    raise(number);
}

static bool all_runs(const struct program *p, const struct oracle_options *options)
{
    for (unsigned i = 0; i < options->runs; i++) {
        if (!run(p, options, options->seed + i)) {
            if (!options->quiet) {
                print_program(p);
            }
            return false;
        }
    }
    return true;
}

static bool make_index(uint32_t count)
{
    if (count > o->pc_count) {
        free(o->first);
        o->first = malloc(count * sizeof(*o->first));
        o->pc_count = count;
    }
    if (o->first == NULL) {
        o->pc_count = 0;
        return false;
    }
    memset(o->first, 0, o->pc_count * sizeof(*o->first));
    return true;
}

static enum oracle_verdict verdict_of(ebpf_result_t result, const struct verify_report *report,
                                      uint16_t *rule)
{
    *rule = report->finding_count != 0 ? report->findings[0].rule : RULE_NONE;
    if (report->accepted != (result == EBPF_SUCCESS && report->finding_count == 0)) {
        test_fail(__FILE__, __LINE__, "a verdict without a finding, or an acceptance with one");
    }
    oracle_totals.programs++;
    oracle_totals.accepted += report->accepted;
    oracle_totals.rules[*rule] += !report->accepted;
    return report->accepted ? ORACLE_ACCEPTED : result == EBPF_NO_MEMORY ? ORACLE_NO_VERDICT : ORACLE_REFUSED;
}

static enum oracle_verdict verify(const struct program *p, const struct oracle_options *options, bool observe,
                                  uint16_t *rule)
{
    struct arena arena;
    struct verify_report report;
    struct verify_options verify = {.spec = options->spec, .max_steps = options->max_steps, .replay = true};
    if (observe) {
        verify.observe = remember;
    }
    o->program = p;
    arena_init(&arena, test_mem_source(), MEMORY_LIMIT);
    ebpf_result_t result = verify_program(p, &verify, &arena, &report);
    enum oracle_verdict verdict = verdict_of(result, &report, rule);
    arena_fini(&arena);
    if (result == EBPF_FAILED) {
        str_copy(o->machine.fault, sizeof(o->machine.fault), "replaying refuses what was accepted");
        print_program(p);
        return ORACLE_WRONG;
    }
    return verdict;
}

enum oracle_verdict oracle_verify(const struct program *p, const struct oracle_options *options,
                                  uint16_t *rule)
{
    return verify(p, options, false, rule);
}

enum oracle_verdict oracle_judge(const struct program *p, const struct oracle_options *options,
                                 uint16_t *rule)
{
    forget();
    if (!make_index(p->insn_count)) {
        return ORACLE_NO_VERDICT;
    }
    enum oracle_verdict verdict = verify(p, options, true, rule);
    oracle_totals.too_many += o->too_many;
    if (verdict == ORACLE_ACCEPTED && !o->too_many && !all_runs(p, options)) {
        return ORACLE_WRONG;
    }
    return verdict;
}
