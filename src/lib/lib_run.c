// SPDX-License-Identifier: MIT
// lib_run: test runs of programs.
#include <errno.h>

#include "lib/lib_int.h"

static ebpf_result_t exchange_run(int prog_fd, const struct bpf_test_run_opts *opts, struct lib_reply *reply)
{
    struct proto_prog_test_run_request fixed = {
        .repeat = LIB_OPTS_GET(opts, repeat, 0) > 0 ? (uint32_t)opts->repeat : 1,
        .data_in_size = LIB_OPTS_GET(opts, data_size_in, 0),
        .ctx_in_size = LIB_OPTS_GET(opts, ctx_size_in, 0),
        .data_out_capacity =
            LIB_OPTS_GET(opts, data_out, NULL) != NULL ? LIB_OPTS_GET(opts, data_size_out, 0) : 0,
        .ctx_out_capacity =
            LIB_OPTS_GET(opts, ctx_out, NULL) != NULL ? LIB_OPTS_GET(opts, ctx_size_out, 0) : 0,
    };
    struct lib_request request = {
        .op = PROTO_PROG_TEST_RUN,
        .fixed = &fixed,
        .tail = {{LIB_OPTS_GET(opts, data_in, NULL), fixed.data_in_size},
                 {LIB_OPTS_GET(opts, ctx_in, NULL), fixed.ctx_in_size}},
        .fds = &prog_fd,
        .fd_count = 1,
    };
    return lib_exchange(&request, reply);
}

// Copies what the reply holds of one output into the caller's room; false when some of it was cut.
static bool take_output(const uint8_t **tail, size_t *left, void *out, uint32_t *size_io, uint32_t whole)
{
    uint32_t here = min_u32(out != NULL ? *size_io : 0, whole);
    bool fits = out == NULL || whole <= *size_io;
    if (here > *left) {
        here = (uint32_t)*left;
    }
    if (here != 0) {
        memcpy(out, *tail, here);
    }
    *tail += here;
    *left -= here;
    *size_io = whole;
    return fits;
}

static ebpf_result_t take_reply(const struct lib_reply *reply, struct bpf_test_run_opts *opts)
{
    struct proto_prog_test_run_reply fixed;
    const uint8_t *tail = reply->tail;
    size_t left = reply->tail_size;
    bool fits = true;
    memcpy(&fixed, reply->fixed, sizeof(fixed));
    if (LIB_OPTS_HAS(opts, data_size_out)) {
        fits &= take_output(&tail, &left, opts->data_out, &opts->data_size_out, fixed.data_out_size);
    }
    if (LIB_OPTS_HAS(opts, ctx_size_out)) {
        fits &= take_output(&tail, &left, opts->ctx_out, &opts->ctx_size_out, fixed.ctx_out_size);
    }
    LIB_OPTS_SET(opts, retval, (uint32_t)fixed.retval);
    LIB_OPTS_SET(opts, duration, (uint32_t)min_u64(fixed.duration_ns, UINT32_MAX));
    return fits ? EBPF_SUCCESS : EBPF_INSUFFICIENT_BUFFER;
}

static bool run_opts_ok(const struct bpf_test_run_opts *opts)
{
    return opts != NULL && LIB_OPTS_VALID(opts, bpf_test_run_opts) && LIB_OPTS_GET(opts, flags, 0) == 0 &&
           LIB_OPTS_GET(opts, batch_size, 0) == 0 &&
           (LIB_OPTS_GET(opts, data_size_in, 0) == 0 || opts->data_in != NULL) &&
           (LIB_OPTS_GET(opts, ctx_size_in, 0) == 0 || opts->ctx_in != NULL);
}

int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts)
{
    struct lib_reply reply;
    if (!run_opts_ok(opts)) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result = exchange_run(prog_fd, opts, &reply);
    if (result != EBPF_SUCCESS) {
        return lib_result(result);
    }
    result = (ebpf_result_t)reply.header.result;
    if (reply.fixed != NULL && (result == EBPF_SUCCESS || result == EBPF_INSUFFICIENT_BUFFER)) {
        result = take_reply(&reply, opts);
    }
    lib_reply_free(&reply);
    return lib_result(result);
}
