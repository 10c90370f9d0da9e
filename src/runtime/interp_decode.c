// SPDX-License-Identifier: MIT
// interp_decode: turns canonical instructions into what the interpreter runs: the handler's address, operands
// in place, helpers as functions, maps as addresses, and context accesses moved to the runtime's own
// structure.
//
// Invariant of the result: every reachable operation's successor lies in ops[0, count], and ops[count] ends
// the run.
#include "runtime/runtime_int.h"

struct decoder {
    const struct interp_source *from;
    struct interp_code *code;
    const struct interp_labels *labels;
    uint32_t mark; // next one
};

static ebpf_result_t refuse(void)
{
    return EBPF_PROGRAM_LOAD_FAILED;
}

// --- context accesses ----------------------------------------------------------------------------

// The field that the mark names must be the one that the access touches, in the program's layout.
static ebpf_result_t find_field(const struct decoder *d, const struct insn *in, uint32_t index,
                                const struct field_row **out)
{
    const struct spec_view *spec = d->code->spec;
    const struct insn_info *info = insn_info(in->id);
    uint32_t layout = spec->prog_types[d->from->prog_type].layout[d->from->dialect];
    bool is_store = info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG;
    if (!is_store && info->form != FORM_LOAD) {
        return refuse();
    }
    if (spec_field_find(spec, layout, in->off, info->width / 8, is_store) != (int64_t)index) {
        return refuse();
    }
    *out = &spec->layouts[layout].fields[index];
    return EBPF_SUCCESS;
}

// Pointers have 64 bits in the runtime's context, whatever the program's layout gives them.
static ebpf_result_t decode_context(const struct decoder *d, const struct insn *in, uint32_t index,
                                    struct interp_op *op)
{
    const struct insn_info *info = insn_info(in->id);
    const struct field_row *field;
    TRY(find_field(d, in, index, &field));
    uint32_t within = (uint32_t)in->off - field->off;
    if (field->kind != FIELD_SCALAR) {
        if (info->sem != SEM_LDX || within != 0) {
            return refuse();
        }
        op->label = d->labels->by_id[INSN_LDXDW];
    } else if (within + info->width / 8 > field->native_size) {
        return refuse();
    }
    op->off = (int32_t)(field->native_off + within);
    return EBPF_SUCCESS;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value)); // all supported machines are little endian
    return value;
}

// The mark on `pc`, if there is one. Marks are sorted.
static bool take_mark(struct decoder *d, uint32_t pc, uint32_t *field)
{
    if (d->mark == d->from->mark_count) {
        return false;
    }
    const uint8_t *mark = d->from->marks + (size_t)d->mark * 8;
    if (read_u32(mark) != pc) {
        return false;
    }
    d->mark++;
    *field = read_u32(mark + 4);
    return true;
}

// --- operands by form ----------------------------------------------------------------------------

static ebpf_result_t decode_target(const struct decoder *d, const struct insn *in, uint32_t pc,
                                   struct interp_op *op)
{
    int64_t target = insn_target(in, pc);
    if (target < 0 || target >= (int64_t)d->from->insn_count) {
        return refuse();
    }
    op->off = (int32_t)(target - (int64_t)pc - 1);
    return EBPF_SUCCESS;
}

static ebpf_result_t decode_call(const struct decoder *d, const struct insn *in, uint32_t pc,
                                 struct interp_op *op)
{
    switch (in->id) {
    case INSN_CALL_LOCAL: return decode_target(d, in, pc, op);
    case INSN_CALL: break;
    default: return refuse(); // kernel functions by BTF id are not known here
    }
    if (d->from->raw) {
        op->label = d->labels->raw_call;
        return EBPF_SUCCESS;
    }
    if (in->imm < 0) {
        op->fn = helper_absent; // of a weak function that the object lacks: guarded, so never reached
        return EBPF_SUCCESS;
    }
    if (in->imm == 0 || in->imm > UINT32_MAX) {
        return refuse();
    }
    op->fn = helper_function(d->code->spec, d->from->prog_type, (uint32_t)in->imm);
    return op->fn != NULL ? EBPF_SUCCESS : refuse();
}

static ebpf_result_t decode_map(const struct decoder *d, uint64_t index, struct map **out)
{
    if (index >= d->from->map_count) {
        return refuse();
    }
    *out = d->from->maps[index];
    return EBPF_SUCCESS;
}

static ebpf_result_t decode_map_value(const struct decoder *d, const struct insn *in, struct interp_op *op)
{
    struct map *m;
    TRY(decode_map(d, (uint32_t)in->imm, &m));
    if (m->ops->value_address == NULL) {
        return refuse();
    }
    const uint8_t *address = m->ops->value_address(m, (uint32_t)((uint64_t)in->imm >> 32));
    if (address == NULL) {
        return refuse();
    }
    op->imm = (int64_t)(uintptr_t)address;
    return EBPF_SUCCESS;
}

static ebpf_result_t decode_lddw(const struct decoder *d, const struct insn *in, struct interp_op *op)
{
    struct map *m;
    switch (in->id) {
    case INSN_LDDW: return EBPF_SUCCESS;
    case INSN_LDDW_MAP:
        TRY(decode_map(d, (uint64_t)in->imm, &m));
        op->imm = (int64_t)(uintptr_t)m;
        return EBPF_SUCCESS;
    case INSN_LDDW_MAP_VALUE: return decode_map_value(d, in, op);
    default: return refuse(); // descriptors are not canonical; no helper takes code yet
    }
}

static ebpf_result_t decode_memory(struct decoder *d, const struct insn *in, uint32_t pc,
                                   struct interp_op *op)
{
    uint32_t field;
    return take_mark(d, pc, &field) ? decode_context(d, in, field, op) : EBPF_SUCCESS;
}

static ebpf_result_t decode_one(struct decoder *d, uint32_t pc)
{
    const struct insn *in = &d->from->insns[pc];
    struct interp_op *op = &d->code->ops[pc];
    if (in->id >= INSN_ID_COUNT || in->dst >= INSN_REG_COUNT || in->src >= INSN_REG_COUNT) {
        return refuse();
    }
    op->label = in->id == INSN_NONE ? d->labels->end : d->labels->by_id[in->id];
    op->dst = in->dst;
    op->src = in->src;
    op->off = in->off;
    op->imm = in->imm;
    switch (insn_info(in->id)->form) {
    case FORM_JMP_IMM:
    case FORM_JMP_REG:
    case FORM_JA16:
    case FORM_JA32:
    case FORM_MAY_GOTO: return decode_target(d, in, pc, op);
    case FORM_CALL: return decode_call(d, in, pc, op);
    case FORM_LDDW: return pc + 1 < d->from->insn_count ? decode_lddw(d, in, op) : refuse();
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: return decode_memory(d, in, pc, op);
    default: return EBPF_SUCCESS; // arithmetic, exit, callx, packet loads: operands as they are
    }
}

// --- the whole program ---------------------------------------------------------------------------

static ebpf_result_t decode_all(struct decoder *d)
{
    for (uint32_t pc = 0; pc < d->from->insn_count; pc++) {
        TRY(decode_one(d, pc));
    }
    d->code->ops[d->from->insn_count].label = d->labels->end;
    // A mark that is left stands on something else than an access.
    return d->mark == d->from->mark_count ? EBPF_SUCCESS : refuse();
}

// Puts the observer before every instruction; the sentinel is none.
static ebpf_result_t observe(struct interp_code *code, const struct interp_labels *labels)
{
    code->observed = plat_alloc(code->count * sizeof(*code->observed), POOL_TAG_PROGRAM);
    if (code->observed == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t pc = 0; pc < code->count; pc++) {
        code->observed[pc] = code->ops[pc].label;
        code->ops[pc].label = labels->observer;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t interp_decode(struct runtime *rt, const struct interp_source *source, struct interp_code *out)
{
    ebpf_result_t result;
    struct interp_code code = {
        .count = source->insn_count,
        .prog_type = source->prog_type,
        .dialect = source->dialect,
        .spec = rt->spec,
        .observe = rt->observe,
        .observe_user = rt->observe_user,
    };
    struct decoder d = {source, &code, interp_labels(), 0};
    if (source->insn_count == 0 || source->insn_count > INSN_MAX_SLOTS) {
        return refuse();
    }
    code.ops = plat_alloc(((size_t)source->insn_count + 1) * sizeof(*code.ops), POOL_TAG_PROGRAM);
    if (code.ops == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY_OR(result, decode_all(&d), undo_alloc);
    if (code.observe != NULL) {
        TRY_OR(result, observe(&code, d.labels), undo_alloc);
    }
    *out = code;
    return EBPF_SUCCESS;

undo_alloc:
    plat_free(code.ops);
    return result;
}

void interp_fini(struct interp_code *code)
{
    plat_free(code->observed);
    plat_free(code->ops);
}

void interp_set_observer(struct runtime *rt,
                         void (*observer)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]),
                         void *user)
{
    rt->observe = observer;
    rt->observe_user = user;
}

// --- raw runs ------------------------------------------------------------------------------------

static uint64_t no_helper(uint64_t id, const uint64_t args[5])
{
    UNUSED(id);
    UNUSED(args);
    return 0;
}

ebpf_result_t interp_run_raw(struct runtime *rt, const struct interp_raw *raw, uint64_t *result)
{
    struct interp_source source = {
        .insns = raw->insns, .insn_count = raw->insn_count, .prog_type = PROG_TYPE_RAW_MEMORY, .raw = true};
    struct interp_code code;
    struct run run = {.rt = rt, .context = raw->mem, .r1 = (uintptr_t)raw->mem, .r2 = raw->mem_size};
    uint8_t *mem = raw->mem;
    TRY(interp_decode(rt, &source, &code));
    run.packet = (struct run_data){mem, mem != NULL ? mem + raw->mem_size : NULL, mem};
    run.raw_helper = raw->helper != NULL ? raw->helper : no_helper;
    epoch_enter(rt);
    run.slot = plat_cpu_current();
    ebpf_result_t status = interp_run(&code, &run, result);
    epoch_exit(rt);
    interp_fini(&code);
    return status;
}
