// SPDX-License-Identifier: MIT
// sandbox_linux: the list of permitted system calls, as a table. Whatever is not in it, and every call of
// another architecture, ends the process. Sources: seccomp(2), seccomp_rule_add(3).
#include "hosts/sandbox_linux.h"

#include <stdio.h>

#if EBPF_SANDBOX == EBPF_SANDBOX_SECCOMP

#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

// What an argument must be. FD: the descriptor that the caller talks on.
enum condition { ANY, IS_FD, IS_STDERR, NOT_EXECUTABLE, MEMORY_FOR_DATA };

static const struct rule {
    int call;
    unsigned argument; // that the condition is about
    enum condition condition;
} rules[] = {
    // Messages. wire.c waits with poll, which is ppoll on younger architectures.
    {SCMP_SYS(sendmsg), 0, IS_FD},
    {SCMP_SYS(recvmsg), 0, IS_FD},
    {SCMP_SYS(poll), 0, ANY},
    {SCMP_SYS(ppoll), 0, ANY},
    {SCMP_SYS(close), 0, ANY},
    {SCMP_SYS(write), 0, IS_STDERR},
    // Memory, of no file: standard streams may be files that the worker can neither read nor write otherwise.
    {SCMP_SYS(brk), 0, ANY},
    {SCMP_SYS(mmap), 2, MEMORY_FOR_DATA},
    {SCMP_SYS(mprotect), 2, NOT_EXECUTABLE},
    {SCMP_SYS(munmap), 0, ANY},
    {SCMP_SYS(mremap), 0, ANY},
    {SCMP_SYS(madvise), 0, ANY},
    // Time and randomness: calls of the kernel where the vDSO has none.
    {SCMP_SYS(clock_gettime), 0, ANY},
    {SCMP_SYS(getrandom), 0, ANY},
    // Locks within the process, and its end.
    {SCMP_SYS(futex), 0, ANY},
    {SCMP_SYS(restart_syscall), 0, ANY},
    {SCMP_SYS(rt_sigreturn), 0, ANY},
    {SCMP_SYS(exit), 0, ANY},
    {SCMP_SYS(exit_group), 0, ANY},
};

static struct scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){
        .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static int add_rule(scmp_filter_ctx filter, const struct rule *rule, int fd)
{
    struct scmp_arg_cmp compare[2] = {{.arg = rule->argument, .op = SCMP_CMP_EQ}};
    unsigned count = 1;
    switch (rule->condition) {
    case ANY: return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 0, NULL);
    case IS_FD: compare[0].datum_a = (scmp_datum_t)fd; break;
    case IS_STDERR: compare[0].datum_a = 2; break;
    case NOT_EXECUTABLE: compare[0] = masked(rule->argument, PROT_EXEC, 0); break;
    case MEMORY_FOR_DATA:
        compare[0] = masked(rule->argument, PROT_EXEC, 0);
        compare[1] = masked(rule->argument + 1, MAP_ANONYMOUS, MAP_ANONYMOUS); // the flags come next
        count = 2;
        break;
    }
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, count, compare);
}

static int fill(scmp_filter_ctx filter, int fd)
{
    int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (err == 0) {
        err = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1); // the kernel's own errors, for the text
    }
    for (size_t i = 0; i < ARRAY_SIZE(rules) && err == 0; i++) {
        err = add_rule(filter, &rules[i], fd);
    }
    return err;
}

const char *sandbox_name(void)
{
    return "seccomp";
}

ebpf_result_t sandbox_enter(int fd)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        fprintf(stderr, "ebpfsvc: no memory for the sandbox\n");
        return EBPF_NO_MEMORY;
    }
    int err = fill(filter, fd);
    if (err == 0) {
        err = seccomp_load(filter);
    }
    seccomp_release(filter); // the calls that this makes are permitted ones
    if (err != 0) {
        fprintf(stderr, "ebpfsvc: the kernel refuses the sandbox (seccomp: %s); ebpfd %s does without\n",
                strerror(-err), SANDBOX_OFF_OPTION);
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    return EBPF_SUCCESS;
}

#elif EBPF_SANDBOX == EBPF_SANDBOX_SANITIZED

// Sanitizers read files, make threads and map shadow memory whenever they like: no list could hold them.
// Such builds exist for tests alone.
const char *sandbox_name(void)
{
    return "none: built with sanitizers";
}

ebpf_result_t sandbox_enter(int fd)
{
    UNUSED(fd);
    return EBPF_SUCCESS;
}

#else

const char *sandbox_name(void)
{
    return "none: built without libseccomp";
}

ebpf_result_t sandbox_enter(int fd)
{
    UNUSED(fd);
    fprintf(stderr, "ebpfsvc: built without libseccomp, it has no sandbox; ebpfd %s does without\n",
            SANDBOX_OFF_OPTION);
    return EBPF_OPERATION_NOT_SUPPORTED;
}

#endif
