// SPDX-License-Identifier: MIT
// prog_bind: turns canonical instructions into bound ones: context accesses go to the runtime's own
// structure, map values are addresses, calls are those that this program may make. Both engines start here.
//
// Invariant of the result: every jump's target lies in the program, every call has a row in the table of
// helpers, every map is one of input.maps.
#include "runtime/runtime_int.h"

struct binder {
    const struct bind_source *from;
    struct runtime *rt;
    struct bound *out;
    uint32_t mark; // next one
};

static ebpf_result_t refuse(void)
{
    return EBPF_PROGRAM_LOAD_FAILED;
}

// --- context accesses ----------------------------------------------------------------------------

// The field that the mark names must be the one that the access touches, in the program's layout.
static ebpf_result_t find_field(const struct binder *b, const struct insn *in, uint32_t index,
                                const struct field_row **out)
{
    const struct spec_view *spec = b->rt->spec;
    const struct insn_info *info = insn_info(in->id);
    uint32_t layout = spec->prog_types[b->from->prog_type].layout[b->from->dialect];
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
static ebpf_result_t bind_context(const struct binder *b, struct insn *in, uint32_t index)
{
    const struct insn_info *info = insn_info(in->id);
    const struct field_row *field;
    TRY(find_field(b, in, index, &field));
    uint32_t within = (uint32_t)in->off - field->off;
    if (field->kind != FIELD_SCALAR) {
        if (info->sem != SEM_LDX || within != 0) {
            return refuse();
        }
        in->id = INSN_LDXDW;
    } else if (within + info->width / 8 > field->native_size) {
        return refuse();
    }
    in->off = (int16_t)(field->native_off + within);
    return EBPF_SUCCESS;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value)); // all supported machines are little endian
    return value;
}

// The mark on `pc`, if there is one. Marks are sorted.
static bool take_mark(struct binder *b, uint32_t pc, uint32_t *field)
{
    if (b->mark == b->from->mark_count) {
        return false;
    }
    const uint8_t *mark = b->from->marks + (size_t)b->mark * 8;
    if (read_u32(mark) != pc) {
        return false;
    }
    b->mark++;
    *field = read_u32(mark + 4);
    return true;
}

// --- operands by form ----------------------------------------------------------------------------

static ebpf_result_t check_target(const struct binder *b, const struct insn *in, uint32_t pc)
{
    int64_t target = insn_target(in, pc);
    return target >= 0 && target < (int64_t)b->from->insn_count ? EBPF_SUCCESS : refuse();
}

static ebpf_result_t bind_call(const struct binder *b, struct insn *in, uint32_t pc)
{
    switch (in->id) {
    case INSN_CALL_LOCAL: return check_target(b, in, pc);
    case INSN_CALL: break;
    default: return refuse(); // kernel functions by BTF id are not known here
    }
    if (b->from->raw) {
        return EBPF_SUCCESS;
    }
    if (in->imm < 0) {
        in->imm = HELPER_ID_ABSENT; // of a weak function that the object lacks: guarded, so never reached
        return EBPF_SUCCESS;
    }
    if (in->imm == HELPER_NONE || in->imm > UINT32_MAX) {
        return refuse();
    }
    return helper_function(b->rt->spec, b->from->prog_type, (uint32_t)in->imm) != NULL ? EBPF_SUCCESS
                                                                                       : refuse();
}

static ebpf_result_t bind_map_value(const struct binder *b, struct insn *in)
{
    uint64_t index = (uint32_t)in->imm;
    if (index >= b->from->map_count) {
        return refuse();
    }
    struct map *m = b->from->maps[index];
    if (m->ops->value_address == NULL) {
        return refuse();
    }
    const uint8_t *address = m->ops->value_address(m, (uint32_t)((uint64_t)in->imm >> 32));
    if (address == NULL) {
        return refuse();
    }
    in->id = INSN_LDDW;
    in->imm = (int64_t)(uintptr_t)address;
    return EBPF_SUCCESS;
}

static ebpf_result_t bind_lddw(const struct binder *b, struct insn *in)
{
    switch (in->id) {
    case INSN_LDDW: return EBPF_SUCCESS;
    case INSN_LDDW_MAP: return (uint64_t)in->imm < b->from->map_count ? EBPF_SUCCESS : refuse();
    case INSN_LDDW_MAP_VALUE: return bind_map_value(b, in);
    default: return refuse(); // descriptors are not canonical; no helper takes code yet
    }
}

static ebpf_result_t bind_memory(struct binder *b, struct insn *in, uint32_t pc)
{
    uint32_t field;
    return take_mark(b, pc, &field) ? bind_context(b, in, field) : EBPF_SUCCESS;
}

static ebpf_result_t bind_one(struct binder *b, uint32_t pc)
{
    struct insn *in = &b->out->insns[pc];
    if (in->id >= INSN_ID_COUNT || in->dst >= INSN_REG_COUNT || in->src >= INSN_REG_COUNT) {
        return refuse();
    }
    switch (insn_info(in->id)->form) {
    case FORM_JMP_IMM:
    case FORM_JMP_REG:
    case FORM_JA16:
    case FORM_JA32:
    case FORM_MAY_GOTO: return check_target(b, in, pc);
    case FORM_CALL: return bind_call(b, in, pc);
    case FORM_LDDW: return pc + 1 < b->from->insn_count ? bind_lddw(b, in) : refuse();
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: return bind_memory(b, in, pc);
    default: return EBPF_SUCCESS; // arithmetic, exit, callx, packet loads: operands as they are
    }
}

// --- the whole program ---------------------------------------------------------------------------

static ebpf_result_t bind_all(struct binder *b)
{
    for (uint32_t pc = 0; pc < b->from->insn_count; pc++) {
        TRY(bind_one(b, pc));
    }
    // A mark that is left stands on something else than an access.
    return b->mark == b->from->mark_count ? EBPF_SUCCESS : refuse();
}

void bind_describe_map(struct map *m, struct jit_map *out)
{
    *out = (struct jit_map){.address = (uintptr_t)m,
                            .kind = JIT_MAP_OTHER,
                            .stride = m->value_stride,
                            .max_entries = m->def.max_entries};
    if (m->ops->describe != NULL) {
        m->ops->describe(m, out);
    }
}

static void set_input(struct runtime *rt, const struct bind_source *from, struct bound *b)
{
    b->input = (struct jit_input){
        .insns = b->insns,
        .insn_count = from->insn_count,
        .funcs = from->funcs,
        .func_count = from->func_count,
        .maps = b->maps,
        .map_count = from->map_count,
        .helpers = rt->helpers,
        .helper_count = ARRAY_SIZE(rt->helpers),
        .call_number = (uintptr_t)helper_call_number,
        .raw = from->raw,
        .load_packet = (uintptr_t)helper_load_packet,
    };
}

// Maps lie behind the instructions.
ebpf_result_t bind_program(struct runtime *rt, const struct bind_source *from, struct bound *out)
{
    struct bound bound;
    struct binder b = {from, rt, &bound, 0};
    size_t insns_size = (size_t)from->insn_count * sizeof(struct insn);
    if (from->insn_count == 0 || from->insn_count > INSN_MAX_SLOTS) {
        return refuse();
    }
    bound.insns = plat_alloc(insns_size + from->map_count * sizeof(struct jit_map), POOL_TAG_PROGRAM);
    if (bound.insns == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(bound.insns, from->insns, insns_size);
    bound.maps = (struct jit_map *)(void *)(bound.insns + from->insn_count);
    ebpf_result_t result = bind_all(&b);
    if (result != EBPF_SUCCESS) {
        plat_free(bound.insns);
        return result;
    }
    for (uint32_t i = 0; i < from->map_count; i++) {
        bind_describe_map(from->maps[i], &bound.maps[i]);
    }
    set_input(rt, from, &bound);
    *out = bound;
    return EBPF_SUCCESS;
}

void bind_free(struct bound *b)
{
    plat_free(b->insns);
}
