// SPDX-License-Identifier: MIT
// differential_ir: subjects in the interpreter of the intermediate form: tells errors of the passes from
// those of allocation and encoding.
#include "jit/ir.h"
#include "jit/target.h"
#include "tests/jit/differential.h"

enum { WORKSPACE = 6 << 20, STEPS = 4000000, NATIVE_FRAME = 8 * INSN_STACK_SIZE };

struct form {
    const struct config *config;
    const struct jit_input *input;
    unsigned end;
    struct jit functions[GENERATE_FUNCS];
    struct jit_code out;
    struct jit_run *run;
    unsigned depth;
    uint64_t steps; // that are left
    uint64_t result;
    ebpf_result_t error;
};

static uint8_t workspaces[GENERATE_FUNCS][WORKSPACE] __attribute__((aligned(16)));
static uint8_t frames[(INSN_MAX_FRAMES + 1) * INSN_STACK_SIZE],
    native_frames[(INSN_MAX_FRAMES + 1) * NATIVE_FRAME] __attribute__((aligned(16)));

static ebpf_result_t make_function(struct form *f, uint32_t func)
{
    struct jit *j = &f->functions[func];
    *j = (struct jit){
        .input = f->input, .options = &f->config->options, .out = &f->out, .target = &x86_target};
    if (f->config->options.arch == JIT_ARM64) {
        j->target = &arm64_target;
    }
    TRY(jit_begin(j, workspaces[func], WORKSPACE));
    TRY(build_program(j));
    jit_begin_function(j, func);
    return jit_run_passes(j, 0, f->end);
}

static uint64_t run_function(struct form *f, uint32_t func, const uint64_t params[7]);

static uint64_t call_out(void *user, uint32_t op, int64_t imm, const uint64_t *args, uint32_t count)
{
    struct form *f = user;
    uint64_t a[7] = {0};
    if (op == IR_CALL_LOCAL) {
        return run_function(f, (uint32_t)imm, args);
    }
    for (uint32_t i = 0; i < count && i < ARRAY_SIZE(a); i++) {
        a[i] = args[i];
    }
    uint64_t address = op == IR_HELPER ? f->input->helpers[imm].address : (uint64_t)imm;
    return ((jit_helper_fn)(uintptr_t)address)(a[0], a[1], a[2], a[3], a[4], f->run);
}

static uint64_t run_function(struct form *f, uint32_t func, const uint64_t params[7])
{
    uint64_t result = 0;
    struct ir_machine m = {.call = call_out, .user = f, .steps = f->steps};
    memcpy(m.params, params, sizeof(m.params));
    m.frame_top = (uintptr_t)native_frames + ++f->depth * NATIVE_FRAME;
    if (f->error == EBPF_SUCCESS && f->depth < INSN_MAX_FRAMES) {
        f->error = ir_run(&f->functions[func], &m, &result);
    }
    f->depth--;
    f->steps = m.steps;
    return result;
}

static void run_form(void *user)
{
    struct form *f = user;
    for (uint32_t i = 0; i < f->input->func_count; i++) {
        f->error = make_function(f, i);
        if (f->error != EBPF_SUCCESS) {
            return;
        }
    }
    const uint64_t params[7] = {(uintptr_t)world.state.mem,         WORLD_MEM, 0, 0, 0, (uintptr_t)f->run,
                                (uintptr_t)frames + INSN_STACK_SIZE};
    f->result = run_function(f, 0, params);
}

bool ir_differs(const struct subject *s, const struct config *c, unsigned end, struct difference *d)
{
    static struct form form;
    struct jit_run run;
    const char *crash;
    d->text[0] = 0;
    if (s->program_count != 1) {
        return false;
    }
    form = (struct form){.config = c, .end = end, .run = &run, .steps = STEPS};
    form.input = subject_bind(s, native_abi());
    subject_begin(s, &run);
    if (!native_guard(run_form, &form, &crash) || form.error != EBPF_SUCCESS) {
        str_format(d->text, sizeof(d->text), "ir: %s",
                   crash != NULL ? crash : result_row(form.error)->sentence);
        return true;
    }
    return outcome_differs(s, &run, form.result, d);
}
