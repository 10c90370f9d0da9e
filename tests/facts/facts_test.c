// SPDX-License-Identifier: MIT
// The tables of Linux' program types against a Linux kernel (bpf(2); programs are loaded and closed again,
// nothing is attached or run): which accesses to the context it permits, which helpers programs of a type may
// call, under which licence, what r0 may be at exit, who may load packet bytes by LD_ABS or write to the
// packet. The tables state what Linux 6.18 does; under other kernels, and where bpf(2) is not permitted, this
// is skipped. Where the two are meant to differ, the difference is listed here with its reason.
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "spec/spec.h"
#include "tests/test.h"

enum { LAST_HELPER = 211, LAST_TYPE = 25, R0 = BPF_REG_0, R1 = BPF_REG_1, R2 = BPF_REG_2, R3 = BPF_REG_3 };

#define OP(op, dst_, src_, off_, imm_)                                                                       \
    (struct bpf_insn)                                                                                        \
    {                                                                                                        \
        .code = (op), .dst_reg = (dst_), .src_reg = (src_), .off = (off_), .imm = (imm_)                     \
    }
#define MOV_NUMBER (BPF_ALU64 | BPF_MOV | BPF_K)
#define MOV        (BPF_ALU64 | BPF_MOV | BPF_X)
#define LEAVE      OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define CALL(id)   OP(BPF_JMP | BPF_CALL, 0, 0, 0, (int32_t)(id))

static const struct spec_view *v;
static char said[1 << 16]; // by the kernel

// A program type and attach type that the kernel knows, and the context of such programs.
struct subject {
    const struct attach_type_row *attach;
    uint32_t attach_type, type, layout;
    int32_t r0; // some permitted result
};

static bool ask(const struct subject *s, const struct bpf_insn *insns, uint32_t count, const char *licence)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    said[0] = '\0';
    attr.prog_type = v->prog_types[s->type].number[DIALECT_LINUX];
    attr.expected_attach_type = s->attach->number[DIALECT_LINUX];
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = count;
    attr.license = (uint64_t)(uintptr_t)licence;
    attr.log_buf = (uint64_t)(uintptr_t)said;
    attr.log_size = sizeof(said);
    attr.log_level = 1;
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static bool permits_exit(const struct subject *s, int32_t r0)
{
    struct program p = {.type = s->type, .attach_type = s->attach_type, .dialect = DIALECT_LINUX};
    int64_t min, max;
    return !program_exit_range(v, &p, &min, &max) || (r0 >= min && r0 <= max);
}

// Types above LAST_TYPE need the kernel's BTF or sleep; a number of 0 is one of the Windows dialect, or a
// hook that Linux has no number for.
static bool open_subject(uint32_t attach_type, struct subject *s)
{
    const struct attach_type_row *attach = &v->attach_types[attach_type];
    uint32_t number = v->prog_types[attach->prog_type].number[DIALECT_LINUX];
    bool other = attach->number[DIALECT_LINUX] == 0 && attach->number[DIALECT_WINDOWS] != 0;
    struct program p = {.type = attach->prog_type, .attach_type = attach_type, .dialect = DIALECT_LINUX};
    struct bpf_insn insns[] = {OP(MOV_NUMBER, R0, 0, 0, 0), LEAVE};
    if (number == 0 || number > LAST_TYPE || other) {
        return false;
    }
    *s = (struct subject){attach, attach_type, attach->prog_type, program_layout(v, &p), 0};
    s->r0 = permits_exit(s, 0) ? 0 : 1;
    insns[0].imm = s->r0;
    return ask(s, insns, ARRAY_SIZE(insns), "GPL"); // not every kernel is built with every type
}

#define FOR_EACH_SUBJECT(s)                                                                                  \
    for (uint32_t type_ = 1; type_ < v->attach_type_count; type_++)                                          \
        if (open_subject(type_, &(s)))

static bool kernel_is_known(void)
{
    struct utsname name;
    struct subject s;
    return uname(&name) == 0 && str_starts_with(name.release, "6.18.") &&
           open_subject(ATTACH_TYPE_SOCKET_FILTER, &s);
}

// --- contexts ------------------------------------------------------------------------------------

// Fields where loads that Linux refuses are permitted here, or the other way round (`here` false).
static const struct {
    uint8_t layout;
    const char *field, *why;
    bool here;
} differences[] = {
    {LAYOUT_XDP_LINUX, NULL, "fields may be read in parts here", true},
    {LAYOUT_SOCK_CONTEXT, NULL, "Linux permits the low parts of fields only", true},
    {LAYOUT_SOCK_CONTEXT_BOUND4, NULL, "Linux permits the low parts of fields only", true},
    {LAYOUT_SOCK_CONTEXT_BOUND6, NULL, "Linux permits the low parts of fields only", true},
    {LAYOUT_SOCK_OPS_LINUX, "skb_tcp_flags", "Linux permits the low parts only", true},
    {LAYOUT_SK_REUSEPORT, "eth_protocol", "Linux permits 2 bytes and more", true},
    {LAYOUT_RAW_TRACEPOINT, "args", "the first argument of a writable one must be read whole", true},
};

static const char *field_at(const struct layout_row *l, uint32_t off)
{
    for (unsigned i = 0; i < l->field_count; i++) {
        if (off >= l->fields[i].off && off < (uint32_t)l->fields[i].off + l->fields[i].size) {
            return l->fields[i].name;
        }
    }
    return "";
}

static bool is_known(const struct subject *s, uint32_t off, bool here)
{
    const char *field = field_at(&v->layouts[s->layout], off);
    for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
        if (differences[i].layout == s->layout && differences[i].here == here &&
            (differences[i].field == NULL || str_equal(differences[i].field, field))) {
            return true;
        }
    }
    return false;
}

static void check_access(const struct subject *s, uint32_t off, unsigned log2_width, bool store)
{
    static const uint8_t sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
    uint8_t op = (uint8_t)((store ? BPF_STX : BPF_LDX) | BPF_MEM | sizes[log2_width]);
    struct bpf_insn insns[] = {OP(MOV_NUMBER, R3, 0, 0, 0),
                               OP(op, store ? R1 : R2, store ? R3 : R1, (int16_t)off, 0),
                               OP(MOV_NUMBER, R0, 0, 0, s->r0), LEAVE};
    bool there = ask(s, insns, ARRAY_SIZE(insns), "GPL");
    bool here = spec_field_find(v, s->layout, (int32_t)off, 1u << log2_width, store) >= 0;
    if (here != there && (store || !is_known(s, off, here))) {
        test_fail(__FILE__, __LINE__, "%s: %s of %u bytes at %u (%s): here %d, kernel %d", s->attach->name,
                  store ? "store" : "load", 1u << log2_width, off, field_at(&v->layouts[s->layout], off),
                  here, there);
    }
}

// Large contexts are alike everywhere: their beginning and their end are asked for.
static bool is_asked(uint32_t off, uint32_t size)
{
    return off < 300 || off + 8 >= size;
}

static void contexts_are_the_kernels(void)
{
    struct subject s;
    if (!kernel_is_known()) {
        SKIP("no Linux 6.18 that permits bpf(2)");
    }
    FOR_EACH_SUBJECT(s)
    {
        uint32_t size = v->layouts[s.layout].size;
        for (uint32_t off = 0; off < size + 8; off++) {
            for (unsigned width = 0; width < 4 && is_asked(off, size) && off <= INT16_MAX; width++) {
                check_access(&s, off, width, false);
                check_access(&s, off, width, true);
            }
        }
    }
}

// --- helpers -------------------------------------------------------------------------------------

// Meant to differ: helpers that the tables give to fewer or more types than Linux does.
static bool helper_differs(const struct subject *s, uint32_t id)
{
    switch (id) {
    case HELPER_CSUM_DIFF:        // programs for Windows of all types have it
    case HELPER_PROBE_WRITE_USER: // a kernel may be built, or locked down, without
    case HELPER_OVERRIDE_RETURN: return true;
    case HELPER_SPIN_LOCK: // Linux refuses their maps in these types instead
    case HELPER_SPIN_UNLOCK:
    case HELPER_TIMER_INIT:
    case HELPER_TIMER_SET_CALLBACK:
    case HELPER_TIMER_START:
    case HELPER_TIMER_CANCEL: return !spec_helper_allowed(v, id, s->type, s->attach_type);
    case HELPER_GET_FUNC_IP: return s->type != PROG_TYPE_KPROBE; // Linux refuses it later
    default: return false;
    }
}

static bool licence_differs(const struct subject *s, uint32_t id)
{
    return id == HELPER_TRACE_PRINTK || // nothing of Linux is called here
           id == HELPER_GET_FUNC_IP ||  // Linux wants it of single kprobes only
           (id == HELPER_GET_STACKID && s->type == PROG_TYPE_PERF_EVENT);
}

static void check_helper(const struct subject *s, uint32_t number)
{
    struct bpf_insn insns[] = {CALL(number), OP(MOV_NUMBER, R0, 0, 0, s->r0), LEAVE};
    uint32_t id = spec_helper_by_number(v, DIALECT_LINUX, s->type, number);
    bool here = spec_helper_allowed(v, id, s->type, s->attach_type);
    (void)ask(s, insns, ARRAY_SIZE(insns), "Proprietary");
    bool there = strstr(said, "unknown func") == NULL && strstr(said, "of this type cannot use") == NULL;
    if (helper_differs(s, id)) {
        return;
    }
    if (here != there) {
        test_fail(__FILE__, __LINE__, "%s: %s: here %d, kernel %d", s->attach->name, v->helpers[id].name,
                  here, there);
        return;
    }
    bool gpl = (v->helpers[id].flags & HELPER_GPL) != 0;
    if (here && !licence_differs(s, id) && gpl != (strstr(said, "GPL") != NULL)) {
        test_fail(__FILE__, __LINE__, "%s: %s: licence", s->attach->name, v->helpers[id].name);
    }
}

static void helpers_are_the_kernels(void)
{
    struct subject s;
    if (!kernel_is_known()) {
        SKIP("no Linux 6.18 that permits bpf(2)");
    }
    FOR_EACH_SUBJECT(s)
    {
        for (uint32_t number = 1; number <= LAST_HELPER; number++) {
            check_helper(&s, number);
        }
    }
}

// --- types ---------------------------------------------------------------------------------------

static void check_exits(const struct subject *s)
{
    for (int32_t r0 = -2; r0 <= 4; r0++) {
        struct bpf_insn insns[] = {OP(MOV_NUMBER, R0, 0, 0, r0), LEAVE};
        if (ask(s, insns, ARRAY_SIZE(insns), "GPL") != permits_exit(s, r0)) {
            test_fail(__FILE__, __LINE__, "%s: r0 = %d at exit", s->attach->name, r0);
        }
    }
}

static void check_legacy_load(const struct subject *s)
{
    struct bpf_insn insns[] = {OP(MOV, BPF_REG_6, R1, 0, 0), OP(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0),
                               OP(MOV_NUMBER, R0, 0, 0, s->r0), LEAVE};
    bool here = (v->prog_types[s->type].flags & PROG_LEGACY_LOADS) != 0;
    CHECK_EQ(ask(s, insns, ARRAY_SIZE(insns), "GPL"), here);
}

static const struct field_row *find_kind(const struct layout_row *l, unsigned kind)
{
    for (unsigned i = 0; i < l->field_count; i++) {
        if (l->fields[i].kind == kind) {
            return &l->fields[i];
        }
    }
    return NULL;
}

static void check_packet_write(const struct subject *s)
{
    const struct layout_row *l = &v->layouts[s->layout];
    const struct field_row *data = find_kind(l, FIELD_PACKET), *end = find_kind(l, FIELD_PACKET_END);
    if (data == NULL || end == NULL) {
        return;
    }
    uint8_t load = (uint8_t)(BPF_LDX | BPF_MEM | (data->size == 8 ? BPF_DW : BPF_W));
    struct bpf_insn insns[] = {OP(load, R2, R1, (int16_t)data->off, 0),
                               OP(load, R3, R1, (int16_t)end->off, 0),
                               OP(MOV, BPF_REG_4, R2, 0, 0),
                               OP(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_4, 0, 0, 1),
                               OP(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, R3, 1, 0),
                               OP(BPF_ST | BPF_MEM | BPF_B, R2, 0, 0, 1),
                               OP(MOV_NUMBER, R0, 0, 0, s->r0),
                               LEAVE};
    CHECK_EQ(ask(s, insns, ARRAY_SIZE(insns), "GPL"), !l->data_read_only);
}

static void types_are_the_kernels(void)
{
    struct subject s;
    unsigned count = 0;
    if (!kernel_is_known()) {
        SKIP("no Linux 6.18 that permits bpf(2)");
    }
    FOR_EACH_SUBJECT(s)
    {
        check_exits(&s);
        check_legacy_load(&s);
        check_packet_write(&s);
        count++;
    }
    CHECK(count > 30);
}

TEST_SUITE(facts)
{
    v = spec_builtin();
    RUN(contexts_are_the_kernels);
    RUN(helpers_are_the_kernels);
    RUN(types_are_the_kernels);
}
