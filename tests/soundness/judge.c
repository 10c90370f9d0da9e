// SPDX-License-Identifier: MIT
// judge: the verdict on a program, and its runs under the watch.
#include "tests/soundness/judge.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/soundness/watch.h"
#include "tests/test.h"

enum { MAX_PACKET = 96, MAX_META = 32 };

static struct watch watch;
static struct runtime *rt;
static struct gen *subject; // the program at hand
static bool visited[WATCH_INSNS];
static uint64_t live; // allocations before

// A program that is wrong is printed whole; nothing after it can be trusted.
static void give_up(struct watch *w)
{
    char text[96];
    printf("soundness: seed %llu (%s, dialect %u): %s\n", (unsigned long long)subject->origin,
           spec_builtin()->prog_types[w->program->type].name, w->program->dialect, w->fault);
    for (uint32_t pc = 0; pc < w->program->insn_count; pc++) {
        if (w->program->insns[pc].id != INSN_NONE) {
            insn_print(&w->program->insns[pc], text, sizeof(text));
            printf("%4u: %s\n", pc, text);
        }
    }
    fflush(stdout);
    exit(EXIT_FAILURE);
}

// --- one run -------------------------------------------------------------------------------------

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint32_t kind = gen_pick(subject, 4);
        bytes[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? gen_pick(subject, 16) : gen_random(subject) >> 20);
    }
}

// Some elements exist, with any content.
static void fill_maps(void)
{
    for (uint32_t i = 0; i < GEN_MAPS; i++) {
        uint8_t value[1024];
        size_t size = map_user_value_size(watch.maps[i]);
        for (uint64_t key = 0; key < 4 && size <= sizeof(value); key++) {
            fill(value, size);
            if (gen_pick(subject, 3) != 0 &&
                map_user_update(watch.maps[i], &key, value, UPDATE_ANY) == EBPF_SUCCESS) {
                continue;
            }
        }
    }
}

static jmp_buf enough;

static void leave(struct watch *w)
{
    UNUSED(w);
    longjmp(enough, 1);
}

// A run that is left in the middle gives its stack back.
static void run_program(struct prog *g, struct run *run)
{
    uint64_t result;
    epoch_enter(rt);
    uint32_t slot = plat_cpu_current(), nest = rt->cpus[slot].nest;
    if (setjmp(enough) == 0) {
        CHECK_OK(prog_run(g, run, &result));
    } else {
        rt->cpus[slot].nest = nest;
    }
    epoch_exit(rt);
}

static void run_once(struct prog *g)
{
    uint32_t meta = gen_pick(subject, 3) == 0 ? 4 * gen_pick(subject, MAX_META / 4 + 1) : 0;
    uint32_t head = gen_pick(subject, 3) * 16, tail = gen_pick(subject, 3) * 16,
             size = gen_pick(subject, MAX_PACKET);
    bool raw = subject->program.type == PROG_TYPE_RAW_MEMORY;
    if (subject->program.type != PROG_TYPE_XDP) {
        meta = head = tail = 0; // only frames have room around the data
    }
    uint8_t *buffer = malloc(head + meta + size + tail + 1);
    REQUIRE(buffer != NULL);
    uint8_t *exact = buffer + 1; // an odd address, and nothing after the end
    fill(exact, head + meta + size + tail);
    struct run_data data = {exact + head + meta, exact + head + meta + size, exact + head};
    struct xdp_context xdp = {.packet = data,
                              .frame_start = exact,
                              .frame_end = data.data_end + tail,
                              .ingress_ifindex = gen_pick(subject, 40),
                              .rx_queue_index = (uint32_t)gen_random(subject),
                              .egress_ifindex = gen_pick(subject, 4)};
    struct sample_context sample = {.data = data,
                                    .uint32_data = (uint32_t)gen_random(subject),
                                    .uint16_data = (uint16_t)gen_pick(subject, 300)};
    void *context = subject->program.type == PROG_TYPE_XDP ? (void *)&xdp : (void *)&sample;
    struct run run = {.context = raw ? data.data : context, .packet = data};
    run.r1 = (uintptr_t)run.context;
    run.r2 = raw ? size : 0;
    fill_maps();
    watch_begin_run(&watch, raw ? &data : context, raw ? 0 : run.r1);
    run_program(g, &run);
    free(buffer);
}

// --- programs ------------------------------------------------------------------------------------

bool judge_open(void)
{
    struct runtime_options options = {.spec = spec_builtin(), .engine = RUNTIME_INTERPRETER};
    live = plat_sim_live_count();
    static struct gen any;
    if (runtime_create(&options, &rt) != EBPF_SUCCESS) {
        return false;
    }
    interp_set_observer(rt, watch_machine, &watch);
    watch.give_up = give_up;
    watch.leave = leave;
    gen_program(&any, 1);
    for (uint32_t i = 0; i < GEN_MAPS; i++) {
        if (map_create(rt, &any.maps[i], &watch.maps[i]) != EBPF_SUCCESS) {
            return false;
        }
    }
    return true;
}

void judge_close(void)
{
    for (uint32_t i = 0; i < GEN_MAPS; i++) {
        object_release(map_object(watch.maps[i]));
    }
    runtime_destroy(rt);
    CHECK_EQ(plat_sim_live_count(), live);
}

// The loader resolves maps and calls everywhere, the verifier judges only what can be reached.
static bool has_dead_references(const struct program *p)
{
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        unsigned form = insn_info(p->insns[pc].id)->form;
        bool refers = (form == FORM_LDDW && p->insns[pc].id != INSN_LDDW) || form == FORM_CALL;
        if (refers && watch.first[pc] == 0) {
            return true;
        }
    }
    return false;
}

static void run_accepted(const struct verify_report *report, unsigned runs)
{
    struct evidence evidence = {report->evidence, report->evidence_size};
    struct prog *g = NULL;
    if (watch.too_many || !watch_begin_program(&watch, &evidence)) {
        return;
    }
    ebpf_result_t result = prog_load(rt, &subject->program, watch.maps, &evidence, &g);
    CHECK(result == EBPF_SUCCESS || has_dead_references(&subject->program));
    for (unsigned i = 0; i < runs && g != NULL; i++) {
        run_once(g);
    }
    if (g != NULL) {
        object_release(prog_object(g));
    }
}

bool judge_program(struct gen *g, unsigned runs, uint16_t *rule)
{
    struct arena arena;
    struct verify_report report;
    struct verify_options options = {.spec = spec_builtin(), .max_steps = 20000};
    if (runs != 0) {
        options.observe = watch_verifier;
        options.observe_user = &watch;
    }
    subject = g;
    watch.program = &g->program;
    arena_init(&arena, test_mem_source(), 64u << 20);
    ebpf_result_t result = verify_program(&g->program, &options, &arena, &report);
    if (result != EBPF_SUCCESS) {
        str_format(watch.fault, sizeof(watch.fault),
                   "no verdict, but result %d (replaying refuses what was accepted?)", (int)result);
        give_up(&watch);
    }
    *rule = result == EBPF_SUCCESS && report.finding_count != 0 ? report.findings[0].rule : RULE_NONE;
    bool accepted = result == EBPF_SUCCESS && report.accepted;
    if (accepted && runs != 0) {
        run_accepted(&report, runs);
    }
    for (uint32_t pc = 0; pc < WATCH_INSNS; pc++) {
        visited[pc] = watch.first[pc] != 0;
    }
    arena_fini(&arena);
    watch_end_program(&watch);
    return accepted;
}

bool judge_visited(uint32_t pc)
{
    return pc < WATCH_INSNS && visited[pc];
}
