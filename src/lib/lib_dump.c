// SPDX-License-Identifier: MIT
// lib_dump: programs that are loaded: their instructions with what belongs to each, and their machine code.
#include "lib/lib_int.h"

#define DUMP_MEMORY_LIMIT ((size_t)256 << 20)
#define DUMP_PIECE        (1u << 20) // bytes of one request
#define DUMP_LIMIT        (256u << 20)

// --- bytes ---------------------------------------------------------------------------------------

struct dump {
    uint8_t *bytes;
    size_t size, room;
    uint64_t total;
};

static ebpf_result_t read_piece(int fd, uint32_t what, struct dump *d)
{
    const struct proto_prog_dump_request fixed = {
        .what = what, .offset = (uint32_t)d->size, .size = DUMP_PIECE};
    const struct lib_request request = {.op = PROTO_PROG_DUMP, .fixed = &fixed, .fds = &fd, .fd_count = 1};
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    d->total = ((const struct proto_prog_dump_reply *)reply.fixed)->total;
    if (d->bytes == NULL && d->total <= DUMP_LIMIT) {
        d->room = (size_t)d->total;
        d->bytes = lib_alloc(d->room + 1);
    }
    size_t size = reply.tail_size < d->room - d->size ? reply.tail_size : d->room - d->size;
    bool good = d->bytes != NULL && (size != 0 || d->total == 0) && d->total == d->room;
    if (good) {
        memcpy(d->bytes + d->size, reply.tail, size);
        d->size += size;
    }
    lib_reply_free(&reply);
    return good ? EBPF_SUCCESS : d->bytes == NULL ? EBPF_NO_MEMORY : EBPF_RPC_EXCEPTION;
}

// The whole, piece by piece. The caller frees d->bytes, also after a failure.
static ebpf_result_t read_all(int fd, uint32_t what, struct dump *d)
{
    do {
        TRY(read_piece(fd, what, d));
    } while (d->size < d->total);
    return EBPF_SUCCESS;
}

uint32_t lib_code_size(int fd)
{
    const struct proto_prog_dump_request fixed = {.what = PROTO_DUMP_CODE};
    struct proto_prog_dump_reply reply = {0};
    ebpf_result_t result = lib_call_simple(PROTO_PROG_DUMP, &fixed, &fd, 1, &reply, sizeof(reply));
    return result == EBPF_SUCCESS && reply.total <= UINT32_MAX ? (uint32_t)reply.total : 0;
}

ebpf_result_t ebpf_program_get_code(int fd, void *code, size_t *size)
{
    struct dump d = {0};
    ebpf_result_t result = read_all(fd, PROTO_DUMP_CODE, &d);
    if (result == EBPF_SUCCESS && d.size == 0) {
        result = EBPF_OPERATION_NOT_SUPPORTED;
    } else if (result == EBPF_SUCCESS && d.size > *size) {
        *size = d.size;
        result = EBPF_INSUFFICIENT_BUFFER;
    } else if (result == EBPF_SUCCESS) {
        *size = d.size;
        memcpy(code, d.bytes, d.size);
    }
    lib_free(d.bytes);
    return result;
}

// --- instructions --------------------------------------------------------------------------------

struct listing {
    const struct program *program;
    const struct proto_object_info_reply *info;
    uint32_t next_line;
    char text[192];
};

static uint32_t map_id(const struct listing *l, const struct insn *in)
{
    uint32_t index = (uint32_t)in->imm;
    return index < l->info->map_count && index < ARRAY_SIZE(l->info->map_ids) ? l->info->map_ids[index] : 0;
}

static void print_call(struct listing *l, const struct insn *in)
{
    const struct spec_view *v = spec_builtin();
    bool known = in->imm > 0 && in->imm < (int64_t)v->helper_count;
    if (known) {
        const struct helper_row *row = &v->helpers[in->imm];
        str_format(l->text, sizeof(l->text), "call %s#%u", row->name,
                   (unsigned)row->number[l->program->dialect]);
    } else {
        str_format(l->text, sizeof(l->text), "call unknown#%lld", (long long)(-1 - in->imm));
    }
}

static void print_insn(struct listing *l, const struct insn *in)
{
    unsigned sem = insn_info(in->id)->sem;
    if (sem == SEM_CALL) {
        print_call(l, in);
    } else if (sem == SEM_LDDW_MAP) {
        str_format(l->text, sizeof(l->text), "r%u = map[id:%u]", (unsigned)in->dst, (unsigned)map_id(l, in));
    } else if (sem == SEM_LDDW_MAP_VALUE) {
        str_format(l->text, sizeof(l->text), "r%u = map[id:%u][0]+%u", (unsigned)in->dst,
                   (unsigned)map_id(l, in), (unsigned)((uint64_t)in->imm >> 32));
    } else {
        insn_print(in, l->text, sizeof(l->text));
    }
}

// Numbers as the dialect has them, and ids in place of the indices of maps.
static struct insn outward(const struct listing *l, const struct insn *in)
{
    const struct spec_view *v = spec_builtin();
    struct insn out = *in;
    if (in->id == INSN_CALL) {
        bool known = in->imm > 0 && in->imm < (int64_t)v->helper_count;
        out.imm = known ? (int32_t)v->helpers[in->imm].number[l->program->dialect] : -1 - in->imm;
    } else if (in->id == INSN_LDDW_MAP || in->id == INSN_LDDW_MAP_VALUE) {
        out.id = in->id == INSN_LDDW_MAP ? INSN_LDDW_MAP_FD : INSN_LDDW_MAP_VALUE_FD;
        out.imm = (int64_t)(((uint64_t)in->imm & ~(uint64_t)UINT32_MAX) | map_id(l, in));
    }
    return out;
}

static void encode(const struct listing *l, uint32_t pc, struct ebpf_listed_insn *out)
{
    struct insn slots[2] = {outward(l, &l->program->insns[pc])};
    uint32_t bad_pc;
    out->size = insn_slots(&slots[0]) * INSN_SLOT_SIZE;
    if (insn_encode(slots, out->size / INSN_SLOT_SIZE, out->bytes, &bad_pc) != INSN_OK) {
        memset(out->bytes, 0, sizeof(out->bytes));
    }
}

static const char *string_at(const struct listing *l, uint32_t off)
{
    return off < l->program->strings_size ? l->program->strings + off : "";
}

static void find_source(struct listing *l, uint32_t pc, struct ebpf_listed_insn *out)
{
    const struct program *p = l->program;
    for (; l->next_line < p->line_count && p->lines[l->next_line].pc <= pc; l->next_line++) {
        const struct line *line = &p->lines[l->next_line];
        out->file = string_at(l, line->file_off);
        out->source = string_at(l, line->text_off);
        out->line = line->line;
        out->column = line->column;
    }
}

static const char *function_at(const struct program *p, uint32_t pc)
{
    for (uint32_t i = 0; i < p->func_count; i++) {
        if (p->funcs[i].start == pc) {
            return p->funcs[i].name;
        }
    }
    return NULL;
}

static void list_insn(struct listing *l, uint32_t pc, struct ebpf_listed_insn *out)
{
    const struct insn *in = &l->program->insns[pc];
    unsigned form = insn_info(in->id)->form;
    *out = (struct ebpf_listed_insn){.pc = pc, .text = l->text, .function = function_at(l->program, pc)};
    out->target = insn_is_jump(in) ? insn_target(in, pc) : -1;
    out->falls_through = form != FORM_EXIT && form != FORM_JA16 && form != FORM_JA32;
    print_insn(l, in);
    encode(l, pc, out);
    find_source(l, pc, out);
}

static ebpf_result_t check_program(const struct program *p)
{
    uint32_t bad_pc;
    const char *why;
    return program_check(spec_builtin(), p, &bad_pc, &why) == EBPF_SUCCESS ? EBPF_SUCCESS
                                                                           : EBPF_RPC_EXCEPTION;
}

static ebpf_result_t list_bytes(const struct dump *d, const struct proto_object_info_reply *info,
                                struct arena *arena,
                                void (*each)(void *user, const struct ebpf_listed_insn *insn), void *user)
{
    struct program p;
    TRY(proto_program_decode(d->bytes, d->size, arena, &p));
    TRY(check_program(&p));
    struct listing l = {.program = &p, .info = info};
    for (uint32_t pc = 0; pc < p.insn_count; pc += insn_slots(&p.insns[pc])) {
        struct ebpf_listed_insn insn;
        list_insn(&l, pc, &insn);
        each(user, &insn);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_program_list(int fd, void (*each)(void *user, const struct ebpf_listed_insn *insn),
                                void *user)
{
    struct dump d = {0};
    struct proto_object_info_reply info;
    struct arena arena;
    TRY(lib_object_info(fd, &info));
    if (info.kind != PROTO_KIND_PROGRAM) {
        return EBPF_INVALID_OBJECT;
    }
    ebpf_result_t result = read_all(fd, PROTO_DUMP_PROGRAM, &d);
    if (result == EBPF_SUCCESS) {
        arena_init(&arena, lib_mem_source(), DUMP_MEMORY_LIMIT);
        result = list_bytes(&d, &info, &arena, each, user);
        arena_fini(&arena);
    }
    lib_free(d.bytes);
    return result;
}
