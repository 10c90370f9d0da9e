// SPDX-License-Identifier: MIT
// The sandbox: each thing that a program gone wrong might try, in a child that has entered it. What is
// forbidden ends the child with SIGSYS; what the service needs works.
#define _GNU_SOURCE // memfd_create, clone
#include "hosts/sandbox_linux.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/plat.h"
#include "tests/test.h"

enum { PAGE = 4096 };

static int talk;    // the child's end of a socket pair
static void *page;  // of this process, writable
static pid_t other; // some process of the same user

static void try(long call, long a, long b, long c, long d)
{
    syscall(call, a, b, c, d, 0L, 0L);
}

#define ADDRESS(p) ((long)(uintptr_t)(p))

// --- forbidden -----------------------------------------------------------------------------------

#define FORBID(name, ...)                                                                                    \
    static void name(void)                                                                                   \
    {                                                                                                        \
        try(__VA_ARGS__);                                                                                    \
    }
FORBID(open_a_file, SYS_openat, AT_FDCWD, ADDRESS("/etc/passwd"), O_RDONLY, 0)
FORBID(read_a_descriptor, SYS_read, 0, ADDRESS(page), 1, 0)
FORBID(write_to_standard_output, SYS_write, 1, ADDRESS("x"), 1, 0)
FORBID(write_to_the_socket, SYS_write, talk, ADDRESS("x"), 1, 0)
FORBID(remove_a_file, SYS_unlinkat, AT_FDCWD, ADDRESS("/nonexistent"), 0, 0)
FORBID(change_the_folder, SYS_chdir, ADDRESS("/"), 0, 0, 0)
FORBID(look_at_a_file, SYS_statx, AT_FDCWD, ADDRESS("/"), 0, 0)
FORBID(make_a_socket, SYS_socket, AF_INET, SOCK_STREAM, 0, 0)
FORBID(make_a_socket_pair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ADDRESS(page))
FORBID(connect_somewhere, SYS_connect, talk, ADDRESS(page), sizeof(struct sockaddr_in), 0)
FORBID(listen_for_others, SYS_listen, talk, 1, 0, 0)
FORBID(execute_a_program, SYS_execve, ADDRESS("/bin/true"), 0, 0, 0)
FORBID(make_a_process, SYS_clone, SIGCHLD, 0, 0, 0)
FORBID(make_a_process_of_a_younger_kernel, SYS_clone3, ADDRESS(page), 64, 0, 0)
FORBID(trace_another, SYS_ptrace, PTRACE_ATTACH, other, 0, 0)
FORBID(read_the_memory_of_another, SYS_process_vm_readv, other, ADDRESS(page), 0, 0)
FORBID(kill_another, SYS_kill, other, 0, 0, 0)
FORBID(kill_a_thread, SYS_tgkill, other, other, 0, 0)
FORBID(duplicate_a_descriptor, SYS_dup, talk, 0, 0, 0)
FORBID(make_a_file_of_memory, SYS_memfd_create, ADDRESS("x"), 0, 0, 0)
FORBID(map_code, SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS)
FORBID(map_a_descriptor, SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE)
FORBID(make_memory_executable, SYS_mprotect, ADDRESS(page), PAGE, PROT_READ | PROT_EXEC, 0)
FORBID(make_memory_executable_by_key, SYS_pkey_mprotect, ADDRESS(page), PAGE, PROT_EXEC, -1)
FORBID(load_an_ebpf_program, SYS_bpf, 5, ADDRESS(page), 64, 0)
FORBID(raise_a_limit, SYS_prlimit64, 0, RLIMIT_AS, 0, ADDRESS(page))
FORBID(become_another_user, SYS_setuid, 0, 0, 0, 0)
FORBID(use_io_uring, SYS_io_uring_setup, 1, ADDRESS(page), 0, 0)
FORBID(make_a_user_namespace, SYS_unshare, CLONE_NEWUSER, 0, 0, 0)
FORBID(add_a_kernel_module, SYS_finit_module, talk, ADDRESS(""), 0, 0)
FORBID(ask_who_it_is, SYS_getpid, 0, 0, 0, 0)
#if defined(SYS_open)
FORBID(open_a_file_the_old_way, SYS_open, ADDRESS("/etc/passwd"), O_RDONLY, 0, 0)
FORBID(fork_the_old_way, SYS_fork, 0, 0, 0, 0)
#endif

#if defined(__x86_64__)
// The other architectures of the processor have numbers of their own: the same way out by another door.
static void call_the_32_bit_kernel(void)
{
    long result = 20; // getpid of i386
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}
FORBID(call_the_x32_kernel, 0x40000000L + SYS_getppid, 0, 0, 0, 0)
#endif

// --- permitted -----------------------------------------------------------------------------------

// As wire.c does: waits, receives, sends.
static void exchange_messages(void)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct pollfd fd = {talk, POLLIN, 0};
    if (poll(&fd, 1, 5000) != 1 || recvmsg(talk, &message, MSG_DONTWAIT) != 1 ||
        sendmsg(talk, &message, MSG_NOSIGNAL) != 1) {
        _exit(1);
    }
}

static void use_much_memory(void)
{
    enum { SIZE = 64 << 20 };
    uint8_t *large = malloc(SIZE), *small[100];
    if (large == NULL) {
        _exit(1);
    }
    memset(large, 1, SIZE);
    large = realloc(large, 2 * (size_t)SIZE);
    for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
        small[i] = malloc(i * 1000);
    }
    for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
        free(small[i]);
    }
    _exit(large != NULL && large[SIZE - 1] == 1 ? 0 : 1);
}

static void use_pages(void)
{
    void *pages = plat_alloc_pages(1 << 20, POOL_TAG_TEST);
    if (pages == NULL) {
        _exit(1);
    }
    plat_free_pages(pages, 1 << 20);
}

static void tell_the_time(void)
{
    _exit(plat_time_ns() != 0 && plat_boot_time_ns() != 0 ? 0 : 1);
}

static void say_what_went_wrong(void)
{
    _exit(write(2, "", 0) == 0 ? 0 : 1);
}

static void end_quietly(void)
{
    exit(0);
}

// --- children ------------------------------------------------------------------------------------

// Runs `body` in a child in the sandbox; its wait status.
static int run_confined(void (*body)(void), bool answer)
{
    int pair[2], status = -1;
    char byte = 'x';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        talk = pair[1];
        if (sandbox_enter(talk) != EBPF_SUCCESS) {
            _exit(SANDBOX_EXIT_STATUS);
        }
        body();
        _exit(0);
    }
    close(pair[1]);
    if (answer) {
        CHECK(send(pair[0], &byte, 1, MSG_NOSIGNAL) == 1);
        CHECK(recv(pair[0], &byte, 1, 0) == 1);
    }
    waitpid(pid, &status, 0);
    close(pair[0]);
    return status;
}

static const struct attempt {
    const char *name;
    void (*body)(void);
} forbidden[] = {
#define ROW(name) {#name, name}
    ROW(open_a_file),
    ROW(read_a_descriptor),
    ROW(write_to_standard_output),
    ROW(write_to_the_socket),
    ROW(remove_a_file),
    ROW(change_the_folder),
    ROW(look_at_a_file),
    ROW(make_a_socket),
    ROW(make_a_socket_pair),
    ROW(connect_somewhere),
    ROW(listen_for_others),
    ROW(execute_a_program),
    ROW(make_a_process),
    ROW(make_a_process_of_a_younger_kernel),
    ROW(trace_another),
    ROW(read_the_memory_of_another),
    ROW(kill_another),
    ROW(kill_a_thread),
    ROW(duplicate_a_descriptor),
    ROW(make_a_file_of_memory),
    ROW(map_code),
    ROW(map_a_descriptor),
    ROW(make_memory_executable),
    ROW(make_memory_executable_by_key),
    ROW(load_an_ebpf_program),
    ROW(raise_a_limit),
    ROW(become_another_user),
    ROW(use_io_uring),
    ROW(make_a_user_namespace),
    ROW(add_a_kernel_module),
    ROW(ask_who_it_is),
#if defined(SYS_open)
    ROW(open_a_file_the_old_way),
    ROW(fork_the_old_way),
#endif
#if defined(__x86_64__)
    ROW(call_the_32_bit_kernel),
    ROW(call_the_x32_kernel),
#endif
};
static const struct attempt permitted[] = {
    ROW(use_much_memory), ROW(use_pages), ROW(tell_the_time), ROW(say_what_went_wrong), ROW(end_quietly),
};

static void forbidden_calls_end_the_process(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
        int status = run_confined(forbidden[i].body, false);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            test_fail(__FILE__, __LINE__, "%s: wait status 0x%x", forbidden[i].name, (unsigned)status);
        }
    }
}

static void what_the_service_needs_works(void)
{
    CHECK_EQ(run_confined(exchange_messages, true), 0);
    for (size_t i = 0; i < ARRAY_SIZE(permitted); i++) {
        int status = run_confined(permitted[i].body, false);
        if (status != 0) {
            test_fail(__FILE__, __LINE__, "%s: wait status 0x%x", permitted[i].name, (unsigned)status);
        }
    }
}

TEST_SUITE(sandbox_linux)
{
    if (plat_init() != EBPF_SUCCESS) {
        return;
    }
    page = plat_alloc_pages(PAGE, POOL_TAG_TEST);
    other = getppid();
    RUN(forbidden_calls_end_the_process);
    RUN(what_the_service_needs_works);
    plat_free_pages(page, PAGE);
    plat_fini();
}
