// SPDX-License-Identifier: MIT
// differential_interp: subjects in the interpreter, as raw programs: maps are addresses there, helpers
// numbers.
#include "plat/plat.h"
#include "runtime/runtime.h"
#include "tests/jit/differential.h"

#if defined(EBPF_INTERPRETER)
static struct runtime *rt;

static bool start(void)
{
    const struct runtime_options options = {.spec = spec_builtin(), .engine = RUNTIME_INTERPRETER};
    return rt != NULL || (plat_init() == EBPF_SUCCESS && runtime_create(&options, &rt) == EBPF_SUCCESS);
}

void differential_interp_close(void)
{
    if (rt != NULL) {
        runtime_destroy(rt);
        plat_fini();
        rt = NULL;
    }
}

static bool uses(const struct subject_program *p, unsigned id)
{
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (p->insns[pc].id == id) {
            return true;
        }
    }
    return false;
}

static bool can_run(const struct subject *s)
{
    return s->program_count == 1 &&
           (s->turns == INSN_MAY_GOTO_TURNS || !uses(&s->programs[0], INSN_MAY_GOTO));
}

static const struct insn *with_addresses(const struct subject_program *p)
{
    static struct insn insns[SUBJECT_INSNS];
    memcpy(insns, p->insns, p->insn_count * sizeof(insns[0]));
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (insns[pc].id == INSN_LDDW_MAP) {
            insns[pc].id = INSN_LDDW;
            insns[pc].imm = (int64_t)world.maps[insns[pc].imm].address;
        }
    }
    return insns;
}

bool interp_differs(const struct subject *s, struct difference *d)
{
    uint64_t result;
    d->text[0] = 0;
    if (!can_run(s)) {
        return false;
    }
    if (!start()) {
        str_format(d->text, sizeof(d->text), "the runtime does not start");
        return true;
    }
    struct jit_run run = {
        .slot = (uint32_t)(s->seed % WORLD_CPUS), .turns = s->turns_left, .aborted = s->aborted};
    world_reset(s->seed);
    world.run = &run;
    const struct raw_source source = {.insns = with_addresses(&s->programs[0]),
                                      .insn_count = s->programs[0].insn_count,
                                      .helper = world_call};
    ebpf_result_t error =
        raw_prog_once(rt, RUNTIME_INTERPRETER, &source, world.state.mem, WORLD_MEM, &result);
    if (error != EBPF_SUCCESS) {
        str_format(d->text, sizeof(d->text), "%s", result_row(error)->sentence);
        return true;
    }
    return outcome_differs(s, &run, result, d);
}
#else
bool interp_differs(const struct subject *s, struct difference *d)
{
    UNUSED(s);
    d->text[0] = 0;
    return false;
}
void differential_interp_close(void)
{
}
#endif
