// SPDX-License-Identifier: MIT
// lib_program: programs of an object: their properties, pins and attachment.
#include <errno.h>

#include "lib/lib_int.h"

const char *bpf_program__name(const struct bpf_program *prog)
{
    return prog->elf->name;
}

const char *bpf_program__section_name(const struct bpf_program *prog)
{
    return prog->elf->section;
}

enum bpf_prog_type bpf_program__type(const struct bpf_program *prog)
{
    return (enum bpf_prog_type)lib_prog_type_number(prog->type);
}

enum bpf_prog_type bpf_program__get_type(const struct bpf_program *prog)
{
    return bpf_program__type(prog);
}

// The attach type follows, unless it already is one of the new type.
int bpf_program__set_type(struct bpf_program *prog, enum bpf_prog_type type)
{
    const struct spec_view *v = spec_builtin();
    uint32_t id = lib_prog_type_from_number((uint32_t)type);
    if (prog->object->loaded) {
        return lib_fail(EBUSY);
    }
    if (id == PROG_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    prog->type = id;
    if (v->attach_types[prog->attach_type].prog_type != id) {
        prog->attach_type = spec_default_attach_type(v, id);
    }
    return 0;
}

enum bpf_attach_type bpf_program__expected_attach_type(const struct bpf_program *prog)
{
    return (enum bpf_attach_type)lib_attach_type_number(prog->attach_type);
}

enum bpf_attach_type bpf_program__get_expected_attach_type(const struct bpf_program *prog)
{
    return bpf_program__expected_attach_type(prog);
}

int bpf_program__set_expected_attach_type(struct bpf_program *prog, enum bpf_attach_type type)
{
    uint32_t id = lib_attach_type_from_number((uint32_t)type);
    if (prog->object->loaded) {
        return lib_fail(EBUSY);
    }
    if (id == ATTACH_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    prog->attach_type = id;
    return 0;
}

bool bpf_program__autoload(const struct bpf_program *prog)
{
    return prog->autoload;
}

int bpf_program__set_autoload(struct bpf_program *prog, bool autoload)
{
    if (prog->object->loaded) {
        return lib_fail(EINVAL); // libbpf's choice
    }
    prog->autoload = autoload;
    return 0;
}

size_t bpf_program__insn_cnt(const struct bpf_program *prog)
{
    return prog->elf->insn_count;
}

int bpf_program__fd(const struct bpf_program *prog)
{
    if (prog == NULL) {
        return lib_fail(EINVAL);
    }
    return prog->fd >= 0 ? prog->fd : lib_fail(ENOENT);
}

void bpf_program__unload(struct bpf_program *prog)
{
    if (prog != NULL) {
        lib_close_fd(prog->fd);
        prog->fd = -1;
    }
}

// --- log -----------------------------------------------------------------------------------------

__u32 bpf_program__log_level(const struct bpf_program *prog)
{
    return prog->log_level;
}

int bpf_program__set_log_level(struct bpf_program *prog, __u32 log_level)
{
    if (prog->object->loaded) {
        return lib_fail(EBUSY);
    }
    prog->log_level = log_level;
    return 0;
}

const char *bpf_program__log_buf(const struct bpf_program *prog, size_t *log_size)
{
    *log_size = prog->log_size;
    return prog->log_buf;
}

int bpf_program__set_log_buf(struct bpf_program *prog, char *log_buf, size_t log_size)
{
    if ((log_buf == NULL) != (log_size == 0) || log_size > UINT32_MAX) {
        return lib_fail(EINVAL);
    }
    if (prog->object->loaded) {
        return lib_fail(EBUSY);
    }
    prog->log_buf = log_buf;
    prog->log_size = log_size;
    return 0;
}

// --- pins ----------------------------------------------------------------------------------------

int bpf_program__pin(struct bpf_program *prog, const char *path)
{
    if (prog->fd < 0) {
        lib_warn("prog '%s': not loaded, cannot be pinned\n", prog->elf->name);
        return lib_fail(EINVAL);
    }
    return lib_result(lib_pin(prog->fd, path));
}

int bpf_program__unpin(struct bpf_program *prog, const char *path)
{
    return prog->fd < 0 ? lib_fail(EINVAL) : lib_result(lib_unpin(path));
}
