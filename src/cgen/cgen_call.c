// SPDX-License-Identifier: MIT
// cgen_call: calls of helpers, of functions, by number; packet loads; tail calls; look-ups in line.
#include "cgen/cgen_int.h"

#define ARGUMENTS       5
#define RESULT_OF_WRONG 22 // EINVAL: what calling a helper that the dialect does not have gives

static const char lookup_name[] = "bpf_map_lookup_elem", cpu_name[] = "bpf_get_smp_processor_id";

// "(r1, r2, 0, 0, 0, run)"
static void put_arguments(const struct cgen *c, uint32_t count)
{
    text_put(c, "(");
    for (uint32_t i = 1; i <= ARGUMENTS; i++) {
        text_write(c, i <= count ? "r%u, " : "0, ", (unsigned)i);
    }
    text_put(c, "run);");
}

// --- by number -----------------------------------------------------------------------------------

static void put_number_call(const struct unit *u)
{
    text_put(u->c, "\n    r0 = imports.call_number");
    put_arguments(u->c, ARGUMENTS);
}

static void write_raw_call(const struct unit *u, const struct insn *in)
{
    text_put(u->c, "run->number = ");
    text_number(u->c, in->imm, 64);
    text_put(u->c, ";");
    put_number_call(u);
}

// --- helpers -------------------------------------------------------------------------------------

static const struct map_def *looked_up(const struct unit *u)
{
    const struct known *map = &u->known[1];
    if (map->kind != KNOWN_MAP || !unit_is_array(u->c->in->spec, &u->p->maps[map->value])) {
        return NULL;
    }
    return &u->p->maps[map->value];
}

// The key is read once: others may write to it meanwhile.
static void write_lookup(const struct unit *u, uint32_t pc, const struct map_def *map)
{
    bool per_cpu = (u->c->in->spec->map_types[map->type].flags & MAP_PER_CPU) != 0;
    text_write(u->c, "r0 = %s(&map_bindings[%u], ", per_cpu ? "PERCPU_LOOKUP" : "ARRAY_LOOKUP",
               (unsigned)u->source->map_of[u->known[1].value]);
    insn_place(u, pc, 2, 0, 32, false);
    text_write(u->c, ", %uu, %uu); // ", (unsigned)map->max_entries, (unsigned)unit_stride(map));
    text_comment(u->c, map->name);
}

// The function of the helper for tail calls finds the program. Nothing of this function is needed then: the
// one around it (cgen_func.c) goes there, with r1.
static void write_tail_call(const struct unit *u, uint32_t row)
{
    text_write(u->c,
               "r0 = helper_bindings[%u](r1, r2, r3, (uint64_t)(uintptr_t)frame_top, 0, run);\n"
               "    if (r0 == 0) return r1; // tail call",
               (unsigned)row);
}

static void write_helper(const struct unit *u, uint32_t pc, const struct insn *in)
{
    const struct helper_row *row = unit_helper(u->c->in->spec, in);
    const struct map_def *map = looked_up(u);
    if (row == NULL) {
        text_write(u->c, "r0 = (uint64_t)-%d; // no such helper", RESULT_OF_WRONG);
        return;
    }
    if (str_equal(row->name, lookup_name) && map != NULL) {
        write_lookup(u, pc, map);
        return;
    }
    if (str_equal(row->name, cpu_name)) {
        text_put(u->c, "r0 = run->slot;");
        return;
    }
    uint32_t number = u->c->helper_rows[in->imm] - 1;
    if (unit_calls_tail(u->c->in->spec, in)) {
        write_tail_call(u, number);
        return;
    }
    text_write(u->c, "r0 = helper_bindings[%u]", (unsigned)number);
    put_arguments(u->c, unit_arg_count(row));
    text_put(u->c, " // ");
    text_comment(u->c, row->name);
}

// --- functions -----------------------------------------------------------------------------------

void func_test_aborted(const struct unit *u)
{
    bool resets = u->tails[u->func] != 0;
    text_write(u->c, "\n    if (run->aborted != 0) %sreturn 0;%s", resets ? "{ run->number = 0; " : "",
               resets ? " }" : "");
}

static ebpf_result_t write_local(const struct unit *u, uint32_t pc)
{
    uint32_t func = unit_func_at(u, insn_target(&u->p->insns[pc], pc));
    if (func == u->p->func_count) {
        return cgen_refuse(u->c, u->index, pc, EBPF_INVALID_ARGUMENT, "there is no function to call");
    }
    text_put(u->c, "r0 = ");
    func_name(u, func);
    text_put(u->c, u->any_tails ? "(r1, r2, r3, r4, r5, run, frame_top);" : "(r1, r2, r3, r4, r5, run);");
    if (u->aborts[func] != 0) {
        func_test_aborted(u);
    }
    return EBPF_SUCCESS;
}

static void write_packet(const struct unit *u, const struct insn *in, const struct insn_info *info)
{
    text_put(u->c, "r0 = imports.load_packet(");
    if (info->form == FORM_LDIND) {
        text_write(u->c, "(uint32_t)((uint32_t)r%u + ", in->src);
    }
    text_write(u->c, "0x%xu", (unsigned)(uint32_t)in->imm);
    text_write(u->c, "%s, %u, 0, 0, 0, run);", info->form == FORM_LDIND ? ")" : "", info->width / 8u);
    func_test_aborted(u);
}

ebpf_result_t call_write(struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    switch (info->sem) {
    case SEM_CALL:
        if (u->c->in->raw) {
            write_raw_call(u, in);
        } else {
            write_helper(u, pc, in);
        }
        return EBPF_SUCCESS;
    case SEM_CALL_LOCAL: return write_local(u, pc);
    case SEM_CALLX:
        text_write(u->c, "run->number = r%u;", in->dst);
        put_number_call(u);
        return EBPF_SUCCESS;
    case SEM_LDABS:
    case SEM_LDIND: write_packet(u, in, info); return EBPF_SUCCESS;
    default:
        return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "functions of the kernel are not there");
    }
}
