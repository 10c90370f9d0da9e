// SPDX-License-Identifier: MIT
// kernel: bpf(2) as a second opinion. Programs are loaded and closed again; nothing is attached or run.
#include "tests/soundness/kernel.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/soundness/gen.h"

enum { LOG_SIZE = 1 << 16 };

static char log_text[LOG_SIZE];

static bool looks_up_in_arrays(const struct program *p)
{
    bool array = false, call = false;
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        const struct insn *in = &p->insns[pc];
        array = array || (in->id == INSN_LDDW_MAP && in->imm != GEN_HASH);
        call = call || (in->id == INSN_CALL && in->imm == HELPER_MAP_LOOKUP_ELEM);
    }
    return array && call;
}

// What the kernel says in its log, and why the same program is no danger here.
const struct kernel_difference kernel_differences[] = {
    {"misaligned", "stack accesses must be aligned in the kernel; here any machine loads and stores bytes",
     NULL},
    {"unreachable insn", "code that nothing reaches is never run", NULL},
    {"invalid size of register spill", "a part of a pointer is a number here", NULL},
    {"invalid size of register fill", "a part of a pointer is a number here", NULL},
    {"corrupted spill memory", "a part of a pointer is a number here", NULL},
    {"32-bit pointer arithmetic prohibited", "the result is a number here", NULL},
    {"pointer arithmetic on pkt_end prohibited", "not accepted here either, but for moves by 0", NULL},
    {"math between", "limits of offsets differ", NULL},
    {"value is out of bounds", "limits of offsets differ", NULL},
    {"makes pkt pointer be out of bounds", "limits of offsets differ", NULL},
    {"invalid shift", "shifts take the number modulo the width, in the kernel's machine too", NULL},
    {"div by zero", "division by zero has a result, in the kernel's machine too", NULL},
    {"unknown opcode", "an instruction that this kernel does not know", NULL},
    {"too many", "limits of the kernel", NULL},
    {"BPF program is too large", "limits of the kernel", NULL},
    {"invalid bpf_context access", "the kernel's programs read whole fields; some fields need an attach type",
     NULL},
    {"offset is outside of the packet",
     "lengths as numbers, and lower bounds of offsets, prove accesses here", NULL},
    {"!read_ok", "the kernel follows branches that are never taken", NULL},
    {"invalid read from stack", "the kernel follows branches that are never taken", NULL},
    {"max value is outside of the allowed", "the kernel knows less of parts of numbers on the stack", NULL},
    {"pointer prohibited", "with 32 bits the result is a number here", NULL},
    {"cannot spill pointers to stack", "pointers in a caller's frame are followed here", NULL},
    {"null-check it first", "the kernel follows branches that are never taken", NULL},
    {"old state:", "the kernel follows branches that are never taken, here round a loop", NULL},
    {"operator prohibited", "the kernel follows branches that are never taken", NULL},
    {"too complex", "limits of the kernel", NULL},
    {"min value is negative", "here only the sum of all parts of an offset must be positive", NULL},
    {"subtraction from stack pointer", "a rule of the kernel's own", NULL},
    {"btf_id", "an instruction that this kernel does not know", NULL},
    {"direct value access", "the kernel resolves references in code that nothing reaches", NULL},
    {"invalid mem access 'scalar'", "the element of an array at a constant index is always there here",
     looks_up_in_arrays},
    {"map_value_or_null", "the element of an array at a constant index is always there here",
     looks_up_in_arrays},
    {"missing btf func_info", "the kernel wants types for callbacks", NULL},
    {"cannot return stack pointer", "pointers into a caller's frame are followed here", NULL},
    {"unbounded memory access",
     "multiples of one number, and parts of spilled numbers, keep their limits here", NULL},
    {"(no words)", "not the verifier's doing: a program array belongs to a program", NULL},
};
const size_t kernel_difference_count = ARRAY_SIZE(kernel_differences);

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int kernel_create_map(const struct map_def *def)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = def->number;
    attr.key_size = def->key_size;
    attr.value_size = def->value_size;
    attr.max_entries = def->max_entries;
    attr.map_flags = def->flags;
    return bpf(BPF_MAP_CREATE, &attr);
}

// The canonical instructions as the kernel takes them: map descriptors and the dialect's helper numbers.
static bool encode(const struct program *p, const int *map_fds, uint8_t *bytes)
{
    static struct insn insns[GEN_MAX_INSNS];
    uint32_t bad_pc;
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        struct insn in = p->insns[pc];
        if (in.id == INSN_LDDW_MAP) {
            in.id = INSN_LDDW_MAP_FD;
            in.imm = map_fds[in.imm];
        } else if (in.id == INSN_LDDW_MAP_VALUE) {
            in.id = INSN_LDDW_MAP_VALUE_FD;
            in.imm =
                (int64_t)(((uint64_t)in.imm & ~(uint64_t)UINT32_MAX) | (uint32_t)map_fds[(uint32_t)in.imm]);
        } else if (in.id == INSN_CALL && in.imm > 0 && in.imm < HELPER_COUNT) {
            in.imm = spec_builtin()->helpers[in.imm].number[DIALECT_LINUX];
        }
        insns[pc] = in;
    }
    return insn_encode(insns, p->insn_count, bytes, &bad_pc) == INSN_OK;
}

// True when the kernel takes the program. Otherwise its reasons are in log_text.
bool kernel_accepts(const struct program *p, const int *map_fds)
{
    static uint8_t bytes[GEN_MAX_INSNS * INSN_SLOT_SIZE];
    union bpf_attr attr;
    log_text[0] = '\0';
    if (!encode(p, map_fds, bytes)) {
        str_copy(log_text, sizeof(log_text), "unknown opcode");
        return false;
    }
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = spec_builtin()->prog_types[p->type].number[DIALECT_LINUX];
    attr.insns = (uintptr_t)bytes;
    attr.insn_cnt = p->insn_count;
    attr.license = (uintptr_t)"GPL";
    int fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    attr.log_level = 1;
    attr.log_buf = (uintptr_t)log_text;
    attr.log_size = sizeof(log_text);
    fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd >= 0) {
        close(fd);
    }
    if (log_text[0] == '\0') {
        str_copy(log_text, sizeof(log_text), "(no words)");
    }
    return fd >= 0;
}

// --- what it says ---

// The log is the path on which the kernel refuses: it goes through an instruction that nothing reaches here.
bool kernel_path_is_never_taken(bool (*visited)(uint32_t pc))
{
    for (const char *line = log_text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *end;
        unsigned long pc = strtoul(line, &end, 10);
        if (end != line && strncmp(end, ": (", 3) == 0 && !visited((uint32_t)pc)) {
            return true;
        }
    }
    return false;
}

// The sentence with which the kernel refuses: the last line before the statistics.
const char *kernel_last_words(void)
{
    char *end = strstr(log_text, "\nprocessed ");
    if (end != NULL) {
        *end = '\0';
    }
    const char *line = strrchr(log_text, '\n');
    line = line != NULL ? line + 1 : log_text;
    return *line == '\0' || strncmp(line, "processed ", 10) == 0 ? "(no words)" : line;
}

int kernel_find_difference(const struct program *p, const char *words)
{
    for (size_t i = 0; i < kernel_difference_count; i++) {
        const struct kernel_difference *d = &kernel_differences[i];
        if (strstr(words, d->text) != NULL && (d->applies == NULL || d->applies(p))) {
            return (int)i;
        }
    }
    return -1;
}

bool kernel_is_the_one_of_the_classes(void)
{
    struct utsname name;
    return uname(&name) == 0 && str_starts_with(name.release, "6.18.");
}
