// SPDX-License-Identifier: MIT
// cgen_insn: one instruction, one statement. Arithmetic and conditions are the text of isa_ops.def with the
// operands in place of its letters; all other semantics are in switches without default, so that a row of
// isa.def that has no translation does not compile.
#include "cgen/cgen_int.h"

static const char *const alu_text[SEM_COUNT] = {
#define ALU_OP(sem, text, expression) [SEM_##sem] = text,
#define JMP_OP(...)
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
};

static const char *const jump_text[SEM_COUNT] = {
#define ALU_OP(...)
#define JMP_OP(sem, text, condition) [SEM_##sem] = text,
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
};

// --- expressions of isa_ops.def ------------------------------------------------------------------

struct operands {
    const struct cgen *c;
    const struct insn *in;
    unsigned width;
    bool is_imm;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A cast to a signed or a narrow type needs no cast to 32 bits before it.
static void put_register(const struct operands *o, unsigned reg, bool is_cast)
{
    text_write(o->c, o->width == 64 || is_cast ? "r%u" : "(uint32_t)r%u", reg);
}

static void put_word(const struct operands *o, const char *word, size_t length, bool is_cast)
{
    if (length != 1) {
        for (size_t i = 0; i < length; i++) {
            text_write(o->c, "%c", word[i]);
        }
        return;
    }
    switch (word[0]) {
    case 'd': put_register(o, o->in->dst, is_cast); break;
    case 's':
        if (o->is_imm) {
            text_number(o->c, o->in->imm, o->width);
        } else {
            put_register(o, o->in->src, is_cast);
        }
        break;
    case 'U': text_write(o->c, "uint%u_t", o->width); break;
    case 'S': text_write(o->c, "int%u_t", o->width); break;
    case 'W': text_write(o->c, "%u", o->width); break;
    default: text_write(o->c, "%c", word[0]); break;
    }
}

static const char *behind(const char *text, const char *mark)
{
    for (; *text != '\0'; text++) {
        if (str_starts_with(text, mark)) {
            return text + str_len(mark);
        }
    }
    return text;
}

// What is left of "s == 0 ? a : b" and "s == (U)-1 ? a : b" for a constant s; `*end`: where the rest stops.
static const char *decided(const struct operands *o, const char *text, const char **end)
{
    static const char zero[] = "s == 0 ? ", ones[] = "s == (U)-1 ? ";
    int64_t value = o->width == 32 ? (int32_t)o->in->imm : o->in->imm;
    while (o->is_imm && (str_starts_with(text, zero) || str_starts_with(text, ones))) {
        bool is_zero = str_starts_with(text, zero);
        if (value == (is_zero ? 0 : -1)) {
            text += is_zero ? sizeof(zero) - 1 : sizeof(ones) - 1;
            *end = behind(text, " : ") - 3;
            return text;
        }
        text = behind(text, " : ");
    }
    *end = text + str_len(text);
    return text;
}

static void put_shift(const struct operands *o, const char **text)
{
    static const char count[] = "(s & (W - 1))";
    if (o->is_imm && str_starts_with(*text, count)) {
        text_write(o->c, "%u", (unsigned)o->in->imm & (o->width - 1));
        *text += sizeof(count) - 1;
    }
}

static void put_expression(const struct operands *o, const char *text)
{
    const char *end;
    bool is_cast = false;
    text = decided(o, text, &end);
    while (text < end) {
        put_shift(o, &text);
        size_t length = 0;
        while (text + length < end && is_letter(text[length])) {
            length++;
        }
        if (length != 0) {
            put_word(o, text, length, is_cast);
            text += length;
        } else if (text < end) {
            is_cast = *text == ')' && text[1] != ' ' && text[1] != '\0' && text[1] != ')';
            text_write(o->c, "%c", *text++);
        }
    }
}

// --- arithmetic ----------------------------------------------------------------------------------

// The machine's order is little endian on every supported machine.
static void write_order(const struct cgen *c, const struct insn *in, const struct insn_info *info)
{
    if (info->sem != SEM_LE) {
        text_write(c, "r%u = __builtin_bswap%u((uint%u_t)r%u);", in->dst, info->width, info->width, in->dst);
    } else {
        text_write(c, "r%u = (uint%u_t)r%u;", in->dst, info->width, in->dst);
    }
}

static ebpf_result_t write_alu(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    const struct operands o = {u->c, in, info->width, info->form == FORM_ALU_IMM};
    if (in->dst == 10) {
        return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED, "r10 cannot be written to");
    }
    if (info->sem == SEM_LE || info->sem == SEM_BE || info->sem == SEM_BSWAP) {
        write_order(u->c, in, info);
        return EBPF_SUCCESS;
    }
    if (alu_text[info->sem] == NULL) {
        return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "this operation has no expression");
    }
    text_write(u->c, "r%u = ", in->dst);
    put_expression(&o, alu_text[info->sem]);
    text_put(u->c, ";");
    return EBPF_SUCCESS;
}

static ebpf_result_t write_jump(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    const struct operands o = {u->c, in, info->width, info->form == FORM_JMP_IMM};
    text_put(u->c, "if (");
    put_expression(&o, jump_text[info->sem]);
    text_write(u->c, ") goto pc%u;", (unsigned)insn_target(in, pc));
    return EBPF_SUCCESS;
}

// --- memory --------------------------------------------------------------------------------------

static void put_address(const struct cgen *c, unsigned base, int off)
{
    text_write(c,
               off == 0  ? "r%u"
               : off < 0 ? "r%u - %u"
                         : "r%u + %u",
               base, (unsigned)(off < 0 ? -off : off));
}

void insn_place(const struct unit *u, uint32_t pc, unsigned base, int off, unsigned width, bool is_private)
{
    int64_t at = u->known[base].value + (int64_t)off;
    UNUSED(pc);
    if (u->known[base].kind == KNOWN_STACK && at >= -INSN_STACK_SIZE && at + (int)width / 8 <= 0) {
        text_write(u->c, "STACK(%u, %d)", width, (int)at);
        return;
    }
    text_write(u->c, "%s(%u, ", u->shares && !is_private ? "SHARED" : "MEM", width);
    put_address(u->c, base, off);
    text_put(u->c, ")");
}

// The field in the runtime's own context: pointers have 64 bits there.
struct access {
    int off;
    unsigned width;
    bool is_context;
};

static ebpf_result_t resolve(const struct unit *u, uint32_t pc, struct access *out)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    const struct spec_view *v = u->c->in->spec;
    uint32_t layout = program_layout(v, u->p);
    bool is_store = info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG;
    *out = (struct access){in->off, info->width, false};
    if (u->fields[pc] < 0) {
        return EBPF_SUCCESS;
    }
    if (spec_field_find(v, layout, in->off, info->width / 8, is_store) != u->fields[pc]) {
        return cgen_refuse(u->c, u->index, pc, EBPF_INVALID_ARGUMENT,
                           "the evidence names another field of the context than the instruction");
    }
    const struct field_row *field = &v->layouts[layout].fields[u->fields[pc]];
    uint32_t within = (uint32_t)in->off - field->off;
    bool is_pointer = field->kind != FIELD_SCALAR;
    if (is_pointer ? info->sem != SEM_LDX || within != 0 : within + info->width / 8 > field->native_size) {
        return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "this field of the context is not there at run time");
    }
    *out = (struct access){(int)(field->native_off + within), is_pointer ? 64 : info->width, true};
    return EBPF_SUCCESS;
}

static ebpf_result_t write_load(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    struct access a;
    TRY(resolve(u, pc, &a));
    text_write(u->c, "r%u = ", in->dst);
    if (insn_info(in->id)->sem == SEM_LDXS) {
        text_write(u->c, "(uint64_t)(int64_t)(int%u_t)", a.width);
    }
    insn_place(u, pc, in->src, a.off, a.width, a.is_context);
    text_put(u->c, ";");
    return EBPF_SUCCESS;
}

static ebpf_result_t write_store(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    struct access a;
    TRY(resolve(u, pc, &a));
    insn_place(u, pc, in->dst, a.off, a.width, a.is_context);
    text_put(u->c, " = ");
    if (a.width < 64 || (insn_info(in->id)->form == FORM_STORE_IMM && in->imm < 0)) {
        text_write(u->c, "(uint%u_t)", a.width);
    }
    if (insn_info(in->id)->form == FORM_STORE_REG) {
        text_write(u->c, "r%u;", in->src);
    } else {
        text_write(u->c, "%lld;", (long long)(int32_t)in->imm);
    }
    return EBPF_SUCCESS;
}

// --- atomics -------------------------------------------------------------------------------------

static const char *fetch_name(enum insn_sem sem)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return "add";
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return "or";
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return "and";
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return "xor";
    default: return NULL;
    }
}

static ebpf_result_t write_atomic(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    const struct cgen *c = u->c;
    const char *name = fetch_name((enum insn_sem)info->sem);
    if (in->src == 10) {
        return cgen_refuse(c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED, "r10 cannot be written to");
    }
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        text_write(c, "r0 = ATOMIC_CMPXCHG(%u, ", info->width);
        put_address(c, in->dst, in->off);
        text_write(c, ", r0, r%u);", in->src);
        return EBPF_SUCCESS;
    }
    if (info->sem >= SEM_ATOMIC_FETCH_ADD) {
        text_write(c, "r%u = ", in->src);
    }
    bool fetches = info->sem >= SEM_ATOMIC_FETCH_ADD;
    text_put(c, name == NULL ? "ATOMIC_XCHG" : fetches ? "ATOMIC_FETCH" : "ATOMIC");
    text_write(c, "(%u, ", info->width);
    if (name != NULL) {
        text_write(c, "%s, ", name);
    }
    put_address(c, in->dst, in->off);
    text_write(c, ", r%u);", in->src);
    return EBPF_SUCCESS;
}

// --- 64-bit constants ----------------------------------------------------------------------------

static uint32_t module_map(const struct unit *u, uint64_t index)
{
    return u->source->map_of[index];
}

static ebpf_result_t write_map_value(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    uint32_t index = (uint32_t)in->imm, off = (uint32_t)((uint64_t)in->imm >> 32);
    const struct map_def *map = &u->p->maps[index];
    bool good = unit_is_array(u->c->in->spec, map) && map->max_entries == 1 && off < map->value_size &&
                (u->c->in->spec->map_types[map->type].flags & MAP_PER_CPU) == 0;
    if (!good) {
        return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "only an array with one element has a value of constant address");
    }
    text_write(u->c, "r%u = map_bindings[%u].values + %u; // ", in->dst, (unsigned)module_map(u, index),
               (unsigned)off);
    text_comment(u->c, map->name);
    return EBPF_SUCCESS;
}

static ebpf_result_t write_lddw(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    const struct cgen *c = u->c;
    switch (in->id) {
    case INSN_LDDW:
        text_write(c, "r%u = ", in->dst);
        text_number(c, in->imm, 64);
        text_put(c, ";");
        return EBPF_SUCCESS;
    case INSN_LDDW_MAP:
        text_write(c, "r%u = map_bindings[%u].address; // ", in->dst,
                   (unsigned)module_map(u, (uint64_t)in->imm));
        text_comment(c, u->p->maps[in->imm].name);
        return EBPF_SUCCESS;
    case INSN_LDDW_MAP_VALUE: return write_map_value(u, pc);
    case INSN_LDDW_CODE:
        return cgen_refuse(c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "callbacks are not translated yet: no helper that takes one runs");
    default:
        return cgen_refuse(c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED,
                           "this constant has a meaning for the Linux kernel only");
    }
}

// --- one instruction -----------------------------------------------------------------------------

static void write_exit(const struct unit *u)
{
    if (u->tails[u->func] != 0) {
        text_put(u->c, "run->number = 0; ");
    }
    text_put(u->c, "return r0;");
}

static void write_may_goto(const struct unit *u, uint32_t pc)
{
    text_write(u->c, "if (run->turns == 0) goto pc%u;\n    run->turns--;",
               (unsigned)insn_target(&u->p->insns[pc], pc));
}

ebpf_result_t insn_write(struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    switch ((enum insn_form)insn_info(in->id)->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY: return write_alu(u, pc);
    case FORM_JMP_IMM:
    case FORM_JMP_REG: return write_jump(u, pc);
    case FORM_JA16:
    case FORM_JA32: text_write(u->c, "goto pc%u;", (unsigned)insn_target(in, pc)); return EBPF_SUCCESS;
    case FORM_MAY_GOTO: write_may_goto(u, pc); return EBPF_SUCCESS;
    case FORM_CALL:
    case FORM_CALLX:
    case FORM_LDABS:
    case FORM_LDIND: return call_write(u, pc);
    case FORM_EXIT: write_exit(u); return EBPF_SUCCESS;
    case FORM_LOAD: return write_load(u, pc);
    case FORM_STORE_IMM:
    case FORM_STORE_REG: return write_store(u, pc);
    case FORM_LDDW: return write_lddw(u, pc);
    case FORM_ATOMIC: return write_atomic(u, pc);
    case FORM_NONE:
    case FORM_COUNT: break;
    }
    return cgen_refuse(u->c, u->index, pc, EBPF_OPERATION_NOT_SUPPORTED, "this is no instruction");
}
