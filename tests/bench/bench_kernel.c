// SPDX-License-Identifier: MIT
// bench_kernel: the same program in the running Linux kernel, by test runs of an XDP program. Nothing is
// attached. Times are the kernel's own: whole nanoseconds, with its loop.
#include "tests/bench/bench.h"

#if defined(BENCH_HAS_LIBBPF)
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static int be_silent(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

static bool run_kernel(struct bench_run *r, uint8_t *memory, uint64_t turns, uint32_t *result)
{
    struct bpf_program *program = bpf_object__next_program(r->state, NULL);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = memory, .data_size_in = BENCH_MEMORY,
                .repeat = (int)turns);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
        return false;
    }
    *result = options.retval;
    r->ns = options.duration;
    return true;
}

static void close_kernel(struct bench_run *r)
{
    bpf_object__close(r->state);
}

bool bench_open_kernel(struct bench_run *r, const char *path)
{
    libbpf_set_print(be_silent);
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    *r = (struct bench_run){.run = run_kernel, .close = close_kernel, .state = object};
    if (libbpf_get_error(object) != 0) {
        return false;
    }
    if (bpf_object__load(object) != 0) {
        bpf_object__close(object);
        return false;
    }
    return true;
}
#else
bool bench_open_kernel(struct bench_run *r, const char *path)
{
    (void)r;
    (void)path;
    return false;
}
#endif
