// SPDX-License-Identifier: MIT
// lib_raw: raw instructions into canonical form, and test runs. The instructions are decoded, helper numbers
// become ids, maps named by descriptor become indices, and functions are cut where calls go.
#include <errno.h>

#include "lib/lib_int.h"

// A program being made canonical. Memory is the arena's.
struct raw {
    struct arena arena;
    struct insn *insns;
    uint32_t insn_count;
    uint32_t type;
    const int *fd_array;
    uint32_t fd_array_count;
    struct map_def maps[SPEC_MAX_MAPS];
    int fds[SPEC_MAX_MAPS];
    uint32_t map_count;
};

// --- maps ----------------------------------------------------------------------------------------

// Index of the map behind `fd`, which is added when it is new.
static ebpf_result_t map_index(struct raw *raw, int fd, uint32_t *index)
{
    for (uint32_t i = 0; i < raw->map_count; i++) {
        if (raw->fds[i] == fd) {
            *index = i;
            return EBPF_SUCCESS;
        }
    }
    if (raw->map_count == SPEC_MAX_MAPS) {
        return EBPF_PROGRAM_TOO_LARGE;
    }
    TRY(lib_map_definition(fd, &raw->maps[raw->map_count]));
    raw->fds[raw->map_count] = fd;
    *index = raw->map_count++;
    return EBPF_SUCCESS;
}

// The descriptor that a map reference names: itself, or by its place in fd_array.
static ebpf_result_t reference_fd(const struct raw *raw, const struct insn *insn, int *fd)
{
    uint32_t low = (uint32_t)insn->imm;
    if (insn->id == INSN_LDDW_MAP_FD || insn->id == INSN_LDDW_MAP_VALUE_FD) {
        *fd = (int)low;
        return EBPF_SUCCESS;
    }
    if (raw->fd_array == NULL || (raw->fd_array_count != 0 && low >= raw->fd_array_count)) {
        return EBPF_INVALID_ARGUMENT;
    }
    *fd = raw->fd_array[low];
    return EBPF_SUCCESS;
}

static ebpf_result_t bind_map(struct raw *raw, struct insn *insn)
{
    bool value = insn->id == INSN_LDDW_MAP_VALUE_FD || insn->id == INSN_LDDW_MAP_VALUE;
    uint64_t off = value ? (uint64_t)insn->imm >> 32 : 0;
    uint32_t index = 0;
    int fd = -1;
    TRY(reference_fd(raw, insn, &fd));
    TRY(map_index(raw, fd, &index));
    insn->id = value ? INSN_LDDW_MAP_VALUE : INSN_LDDW_MAP;
    insn->imm = (int64_t)(off << 32 | index);
    return EBPF_SUCCESS;
}

// --- instructions --------------------------------------------------------------------------------

static void bind_helper(const struct raw *raw, struct insn *insn)
{
    uint32_t id = spec_helper_by_number(spec_builtin(), LIB_DIALECT, raw->type, (uint32_t)insn->imm);
    insn->imm = id != HELPER_NONE ? (int64_t)id : -1 - (int64_t)(uint32_t)insn->imm;
}

static ebpf_result_t bind_insns(struct raw *raw)
{
    for (uint32_t pc = 0; pc < raw->insn_count; pc++) {
        struct insn *insn = &raw->insns[pc];
        switch (insn_info(insn->id)->sem) {
        case SEM_CALL: bind_helper(raw, insn); break;
        case SEM_LDDW_MAP_FD:
        case SEM_LDDW_MAP_VALUE_FD:
        case SEM_LDDW_MAP:
        case SEM_LDDW_MAP_VALUE: TRY(bind_map(raw, insn)); break;
        default: break;
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t decode(struct raw *raw, const void *bytes, size_t count, char *why, size_t why_size)
{
    uint32_t bad_pc = 0;
    if (count == 0 || count > INSN_MAX_SLOTS) {
        return EBPF_PROGRAM_TOO_LARGE;
    }
    raw->insns = arena_array(&raw->arena, count, sizeof(*raw->insns));
    if (raw->insns == NULL) {
        return EBPF_NO_MEMORY;
    }
    raw->insn_count = (uint32_t)count;
    enum insn_error error = insn_decode(bytes, count * INSN_SLOT_SIZE, raw->insns, &bad_pc);
    if (error != INSN_OK) {
        str_format(why, why_size, "instruction %u: %s", bad_pc, insn_error_text(error));
        return EBPF_INVALID_ARGUMENT;
    }
    return EBPF_SUCCESS;
}

// --- functions -----------------------------------------------------------------------------------

static bool names_function(const struct insn *insn)
{
    enum insn_sem sem = (enum insn_sem)insn_info(insn->id)->sem;
    return sem == SEM_CALL_LOCAL || sem == SEM_LDDW_CODE;
}

// Marks where functions start; targets outside the program are the verifier's to refuse.
static uint32_t mark_starts(const struct raw *raw, uint8_t *starts)
{
    uint32_t count = 1;
    starts[0] = 1;
    for (uint32_t pc = 0; pc < raw->insn_count; pc++) {
        int64_t target = names_function(&raw->insns[pc]) ? insn_target(&raw->insns[pc], pc) : -1;
        if (target >= 0 && target < raw->insn_count && starts[target] == 0) {
            starts[target] = 1;
            count++;
        }
    }
    return count;
}

static void name_function(struct func *func, const char *program)
{
    if (func->start == 0) {
        str_copy(func->name, sizeof(func->name), program);
    } else {
        str_format(func->name, sizeof(func->name), "sub_%u", func->start);
    }
}

static ebpf_result_t cut_functions(struct raw *raw, const char *name, struct program *out)
{
    uint8_t *starts = arena_alloc(&raw->arena, raw->insn_count);
    uint32_t count, n = 0;
    if (starts == NULL) {
        return EBPF_NO_MEMORY;
    }
    count = mark_starts(raw, starts);
    struct func *funcs = arena_array(&raw->arena, count, sizeof(*funcs));
    if (funcs == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t pc = 0; pc < raw->insn_count; pc++) {
        if (starts[pc] != 0) {
            funcs[n].start = pc;
            name_function(&funcs[n], name);
            n++;
        }
        funcs[n - 1].end = pc + 1;
    }
    out->funcs = funcs;
    out->func_count = count;
    return EBPF_SUCCESS;
}

// --- bpf_prog_load -------------------------------------------------------------------------------

static bool load_opts_ok(const struct bpf_prog_load_opts *opts)
{
    return LIB_OPTS_VALID(opts, bpf_prog_load_opts) && LIB_OPTS_GET(opts, prog_flags, 0) == 0 &&
           LIB_OPTS_GET(opts, prog_ifindex, 0) == 0 && LIB_OPTS_GET(opts, attach_btf_id, 0) == 0 &&
           LIB_OPTS_GET(opts, attach_prog_fd, 0) == 0 && LIB_OPTS_GET(opts, attach_btf_obj_fd, 0) == 0 &&
           LIB_OPTS_GET(opts, token_fd, 0) == 0 &&
           (LIB_OPTS_GET(opts, log_buf, NULL) != NULL) == (LIB_OPTS_GET(opts, log_size, 0) != 0);
}

static ebpf_result_t choose_attach_type(const struct bpf_prog_load_opts *opts, uint32_t type,
                                        uint32_t *attach)
{
    const struct spec_view *v = spec_builtin();
    uint32_t number = (uint32_t)LIB_OPTS_GET(opts, expected_attach_type, (enum bpf_attach_type)0);
    uint32_t id = lib_attach_type_from_number(number);
    if (number == 0) {
        id = spec_default_attach_type(v, type);
    } else if (id == ATTACH_TYPE_NONE || v->attach_types[id].prog_type != type) {
        return EBPF_INVALID_ARGUMENT;
    }
    *attach = id;
    return EBPF_SUCCESS;
}

static ebpf_result_t make_canonical(struct raw *raw, const char *name, const void *insns, size_t insn_count,
                                    char *why, size_t why_size, struct program *out)
{
    TRY(decode(raw, insns, insn_count, why, why_size));
    TRY(bind_insns(raw));
    TRY(cut_functions(raw, name, out));
    out->insns = raw->insns;
    out->insn_count = raw->insn_count;
    out->maps = raw->maps;
    out->map_count = raw->map_count;
    return EBPF_SUCCESS;
}

static ebpf_result_t load_raw(struct raw *raw, struct program *program, const void *insns, size_t insn_count,
                              const struct bpf_prog_load_opts *opts, struct lib_log *log, int *fd)
{
    char why[96] = "";
    ebpf_result_t result = choose_attach_type(opts, raw->type, &program->attach_type);
    if (result == EBPF_SUCCESS) {
        result = make_canonical(raw, program->name, insns, insn_count, why, sizeof(why), program);
    }
    if (why[0] != '\0' && log->buf != NULL) {
        str_copy(log->buf, log->size, why);
    }
    return result == EBPF_SUCCESS ? lib_prog_load(program, raw->fds, log, fd) : result;
}

int bpf_prog_load(enum bpf_prog_type prog_type, const char *prog_name, const char *license,
                  const struct bpf_insn *insns, size_t insn_cnt, const struct bpf_prog_load_opts *opts)
{
    struct program program = {.dialect = LIB_DIALECT, .strings = "", .strings_size = 1};
    struct lib_log log = {LIB_OPTS_GET(opts, log_buf, NULL), LIB_OPTS_GET(opts, log_size, 0),
                          LIB_OPTS_GET(opts, log_level, 0), 0};
    int fd = -1;
    program.type = lib_prog_type_from_number((uint32_t)prog_type);
    if (!load_opts_ok(opts) || insns == NULL || program.type == PROG_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    struct raw *raw = lib_alloc(sizeof(*raw));
    if (raw == NULL) {
        return lib_fail(ENOMEM);
    }
    raw->type = program.type;
    raw->fd_array = LIB_OPTS_GET(opts, fd_array, NULL);
    raw->fd_array_count = LIB_OPTS_GET(opts, fd_array_cnt, 0);
    str_copy(program.name, sizeof(program.name), prog_name != NULL ? prog_name : "");
    str_copy(program.license, sizeof(program.license), license != NULL ? license : "");
    arena_init(&raw->arena, lib_mem_source(), 0);
    ebpf_result_t result = load_raw(raw, &program, insns, insn_cnt, opts, &log, &fd);
    arena_fini(&raw->arena);
    lib_free(raw);
    if (LIB_OPTS_HAS(opts, log_true_size)) {
        ((struct bpf_prog_load_opts *)(uintptr_t)opts)->log_true_size = log.true_size; // as libbpf does
    }
    return result == EBPF_SUCCESS ? fd : lib_result(result);
}

int bpf_prog_bind_map(int prog_fd, int map_fd, const struct bpf_prog_bind_opts *opts)
{
    struct proto_empty fixed = {0};
    int fds[] = {prog_fd, map_fd};
    if (!LIB_OPTS_VALID(opts, bpf_prog_bind_opts) || LIB_OPTS_GET(opts, flags, 0) != 0) {
        return lib_fail(EINVAL);
    }
    return lib_result(lib_call_simple(PROTO_PROG_BIND_MAP, &fixed, fds, 2, NULL, 0));
}
