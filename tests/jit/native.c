// SPDX-License-Identifier: MIT
// native: the pages are writable while a program is copied there and executable when it runs, never both.
#include "tests/jit/native.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

enum {
    PAGE = 4096,
    SLOTS = 4,
    SLOT_SIZE = 1 << 20,
    WORKSPACE = 8 << 20,
    FRAMES = 8 * INSN_STACK_SIZE,
    MARGIN = 256, // on both sides of the frames
    MAX_CALLS = 16384,
    MAX_LINES = 65536,
    MAX_FRAMES = 64,
    GUARDS = 16,
    SECONDS = 5, // one run
};

static uint8_t *pages[NATIVE_PLACES];
static uint8_t *workspace, *buffer;
static struct jit_call calls[MAX_CALLS];
static struct jit_line lines[MAX_LINES];
static struct jit_frame frames[MAX_FRAMES];
static uint8_t frame_room[FRAMES + 2 * MARGIN] __attribute__((aligned(16)));

// --- signals -------------------------------------------------------------------------------------

static sigjmp_buf back;
static volatile sig_atomic_t is_guarded;
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGVTALRM};

static void on_signal(int number)
{
    if (is_guarded) {
        siglongjmp(back, number);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static const char *signal_text(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGILL: return "SIGILL (a failed check in Debug builds)";
    case SIGTRAP: return "SIGTRAP";
    case SIGFPE: return "SIGFPE";
    default: return NATIVE_ENDLESS;
    }
}

static void catch_signals(bool on)
{
    struct sigaction action = {.sa_handler = on ? on_signal : SIG_DFL, .sa_flags = SA_NODEFER | SA_ONSTACK};
    static uint8_t stack[1 << 16];
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack), .ss_flags = on ? 0 : SS_DISABLE};
    sigaltstack(&other, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

static void set_timer(long seconds)
{
    const struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

bool native_guard(void (*body)(void *user), void *user, const char **crash)
{
    *crash = NULL;
    int number = sigsetjmp(back, 0);
    if (number == 0) {
        is_guarded = 1;
        set_timer(SECONDS);
        body(user);
    } else {
        *crash = signal_text(number);
    }
    set_timer(0);
    is_guarded = 0;
    return number == 0;
}

// --- calling with guards -------------------------------------------------------------------------

// (entry, r1, r2, run, frame top, guards): fills the registers that the callee has to keep with
// GUARD_VALUE and leaves in `guards` what they are afterwards.
#define GUARD_VALUE 0x6b6b6b6b12345678u
typedef uint64_t guarded_fn(const void *entry, uint64_t r1, uint64_t r2, struct jit_run *run,
                            uint8_t *frame_top, uint64_t guards[GUARDS]);
#if defined(__x86_64__)
enum { SYSV_GUARDS = 6, MS_GUARDS = 8 };
#define SAVE    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %r9\n"
#define RESTORE "pop %r9\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
#define FILL                                                                                                 \
    "movabs $0x6b6b6b6b12345678, %rbx\n mov %rbx, %rbp\n mov %rbx, %r12\n mov %rbx, %r13\n"                  \
    "mov %rbx, %r14\n mov %rbx, %r15\n"
#define KEEP                                                                                                 \
    "mov %rbx, (%r9)\n mov %rbp, 8(%r9)\n mov %r12, 16(%r9)\n mov %r13, 24(%r9)\n mov %r14, 32(%r9)\n"       \
    "mov %r15, 40(%r9)\n"
__asm__(".text\n.p2align 4\nnative_guarded_sysv:\n" SAVE
        "mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %rcx\n" FILL
        "call *%rax\n mov (%rsp), %r9\n" KEEP RESTORE);
__asm__(".p2align 4\nnative_guarded_ms:\n" SAVE
        "mov %rdi, %rax\n mov %r8, %r9\n mov %rcx, %r8\n mov %rsi, %rcx\n" FILL
        "mov %rbx, %rdi\n mov %rbx, %rsi\n"
        "sub $32, %rsp\n call *%rax\n add $32, %rsp\n mov (%rsp), %r9\n" KEEP
        "mov %rdi, 48(%r9)\n mov %rsi, 56(%r9)\n" RESTORE);
guarded_fn native_guarded_sysv, native_guarded_ms;
#elif defined(__aarch64__)
enum { SYSV_GUARDS = 10 };
__asm__(
    ".text\n.p2align 4\nnative_guarded_sysv:\n"
    "stp x29, x30, [sp, #-112]!\n stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n"
    "stp x23, x24, [sp, #48]\n stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n str x5, [sp, #96]\n"
    "mov x9, x0\n mov x0, x1\n mov x1, x2\n mov x2, x3\n mov x3, x4\n"
    "ldr x19, =0x6b6b6b6b12345678\n mov x20, x19\n mov x21, x19\n mov x22, x19\n mov x23, x19\n"
    "mov x24, x19\n mov x25, x19\n mov x26, x19\n mov x27, x19\n mov x28, x19\n"
    "blr x9\n ldr x9, [sp, #96]\n"
    "stp x19, x20, [x9]\n stp x21, x22, [x9, #16]\n stp x23, x24, [x9, #32]\n stp x25, x26, [x9, #48]\n"
    "stp x27, x28, [x9, #64]\n"
    "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n ldp x25, x26, [sp, #64]\n"
    "ldp x27, x28, [sp, #80]\n ldp x29, x30, [sp], #112\n ret\n .ltorg\n");
guarded_fn native_guarded_sysv;
#endif

static uint64_t call_guarded(const struct native *n, uint64_t r1, uint64_t r2, struct jit_run *run,
                             bool *kept)
{
    uint64_t guards[GUARDS], result;
    uint8_t *top = frame_room + MARGIN + INSN_STACK_SIZE;
    unsigned count = SYSV_GUARDS;
#if defined(__x86_64__)
    if (n->options.abi == JIT_ABI_WINDOWS) {
        count = MS_GUARDS;
        result = native_guarded_ms(n->entry, r1, r2, run, top, guards);
    } else
#endif
    {
        result = native_guarded_sysv(n->entry, r1, r2, run, top, guards);
    }
    *kept = true;
    for (unsigned i = 0; i < count; i++) {
        *kept = *kept && guards[i] == GUARD_VALUE;
    }
    return result;
}

static bool margins_are_whole(void)
{
    for (unsigned i = 0; i < MARGIN; i++) {
        if (frame_room[i] != 0xee || frame_room[MARGIN + FRAMES + i] != 0xee) {
            return false;
        }
    }
    return true;
}

struct call {
    struct native *n;
    uint64_t r1, r2, result;
    struct jit_run *run;
    bool kept;
};

static void call_entry(void *user)
{
    struct call *c = user;
    c->result = call_guarded(c->n, c->r1, c->r2, c->run, &c->kept);
}

bool native_run(struct native *n, uint64_t r1, uint64_t r2, struct jit_run *run, uint64_t *result)
{
    struct call c = {.n = n, .r1 = r1, .r2 = r2, .run = run};
    memset(frame_room, 0xee, sizeof(frame_room));
    n->misuse = NULL;
    if (!native_guard(call_entry, &c, &n->crash)) {
        return false;
    }
    *result = c.result;
    if (!c.kept) {
        n->misuse = "a register that has to survive was changed";
    } else if (!margins_are_whole()) {
        n->misuse = "memory beside the frames was written";
    }
    return n->misuse == NULL;
}

// --- translation ---------------------------------------------------------------------------------

// Twice as much again and again when the workspace is too small, as callers do.
static ebpf_result_t translate(struct native *n, const struct jit_input *input)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    size_t size = jit_workspace_size(input->insn_count), capacity = jit_code_size(input->insn_count);
    while (size <= WORKSPACE && capacity <= SLOT_SIZE) {
        memset(workspace, 0xcc, size);
        n->code.code = buffer;
        n->code.capacity = capacity;
        result = jit_translate(input, &n->options, workspace, size, &n->code, &n->bad_pc);
        if (result == EBPF_NO_MEMORY) {
            size *= 2;
        } else if (result == EBPF_INSUFFICIENT_BUFFER) {
            capacity *= 2;
        } else {
            break;
        }
    }
    return result;
}

struct translation {
    struct native *n;
    const struct jit_input *input;
    ebpf_result_t result;
};

static void translate_guarded(void *user)
{
    struct translation *t = user;
    t->result = translate(t->n, t->input);
}

ebpf_result_t native_translate(struct native *n, const struct jit_input *input,
                               const struct jit_options *options, enum native_place place, unsigned slot)
{
    uint8_t *to = pages[place] + slot * (size_t)SLOT_SIZE;
    *n = (struct native){.options = *options};
    n->code = (struct jit_code){.calls = calls,
                                .call_capacity = MAX_CALLS,
                                .lines = lines,
                                .line_capacity = MAX_LINES,
                                .frames = frames,
                                .frame_capacity = MAX_FRAMES};
    struct translation t = {n, input, EBPF_FAILED};
    (void)native_guard(translate_guarded, &t, &n->crash);
    TRY(t.result);
    jit_link(options, &n->code, (uintptr_t)to);
    size_t size = (n->code.size + PAGE - 1) / PAGE * PAGE;
    if (mprotect(to, size, PROT_READ | PROT_WRITE) != 0) {
        return EBPF_NO_MEMORY;
    }
    memset(to, 0xcc, size);
    memcpy(to, n->code.code, n->code.size);
    if (mprotect(to, size, PROT_READ | PROT_EXEC) != 0) {
        return EBPF_NO_MEMORY;
    }
    __builtin___clear_cache((char *)to, (char *)to + n->code.size);
    n->entry = to;
    return EBPF_SUCCESS;
}

// --- pages ---------------------------------------------------------------------------------------

static uint8_t *map(uintptr_t near, size_t size, int protection)
{
    void *at = mmap((void *)near, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED ? at : NULL;
}

bool native_open(void)
{
    uintptr_t here = (uintptr_t)&native_open & ~(uintptr_t)0xfffff;
    pages[NATIVE_FAR] = map(0, (size_t)SLOTS * SLOT_SIZE, PROT_NONE);
    pages[NATIVE_NEAR] = map(here + 0x4000000, (size_t)SLOTS * SLOT_SIZE, PROT_NONE);
    workspace = map(0, WORKSPACE, PROT_READ | PROT_WRITE);
    buffer = map(0, SLOT_SIZE, PROT_READ | PROT_WRITE);
    catch_signals(true);
    return pages[NATIVE_FAR] != NULL && pages[NATIVE_NEAR] != NULL && workspace != NULL && buffer != NULL;
}

void native_close(void)
{
    catch_signals(false);
    for (unsigned i = 0; i < NATIVE_PLACES; i++) {
        munmap(pages[i], (size_t)SLOTS * SLOT_SIZE);
    }
    munmap(workspace, WORKSPACE);
    munmap(buffer, SLOT_SIZE);
}

unsigned native_arch(void)
{
#if defined(__aarch64__)
    return JIT_ARM64;
#else
    return JIT_X86_64;
#endif
}

unsigned native_abi(void)
{
#if defined(__aarch64__)
    return JIT_ABI_AAPCS64;
#else
    return JIT_ABI_SYSV;
#endif
}
