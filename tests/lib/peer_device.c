// SPDX-License-Identifier: MIT
// peer_device: the running ebpfcore.sys and ebpfsvc.exe, which somebody else has started. What is left in
// them is counted before and after. Windows.
#include "tests/lib/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <ebpf_api.h>

#include "lib/transport.h"
#include "tests/lib/device.h"
#include "tests/test.h"

static struct proto_witness before;

bool peer_start(void)
{
    static char choice[] = "EBPF_TRANSPORT=ioctl";
    return putenv(choice) == 0 && device_wait_quiet(&before);
}

bool peer_stop(void)
{
    return device_wait_witness(&before);
}

// --- descriptors ---------------------------------------------------------------------------------

static void check_stranger(int fd)
{
    uint32_t key = 0;
    uint64_t value = 0;
    errno = 0;
    CHECK_EQ(bpf_map_lookup_elem(fd, &key, &value), (unsigned long long)-EBADF);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(bpf_prog_bind_map(fd, fd, NULL), (unsigned long long)-EBADF); // lends
}

// Whatever is not a channel with an object is refused as a descriptor, and unharmed.
static void strangers_are_refused(void)
{
    int ends[2], file = _open(TEST_SOURCE_DIR "/LICENSE", _O_RDONLY), null = _open("NUL", _O_RDWR),
                 empty = -1;
    char c = 0;
    REQUIRE(_pipe(ends, 64, _O_BINARY) == 0 && file >= 0 && null >= 0);
    REQUIRE_OK(transport_fd_open((intptr_t)device_open(), &empty));
    check_stranger(ends[0]);
    check_stranger(ends[1]);
    check_stranger(file);
    check_stranger(null);
    CHECK(bpf_map_freeze(empty) < 0 && bpf_prog_bind_map(empty, empty, NULL) == -EBADF);
    check_stranger(999);
    check_stranger(-1);
    check_stranger(INT_MAX);
    CHECK_EQ(_write(ends[1], "x", 1), 1);
    CHECK_EQ(_read(ends[0], &c, 1), 1);
    CHECK_EQ(_read(file, &c, 1), 1);
    _close(ends[0]);
    _close(ends[1]);
    _close(file);
    _close(null);
    _close(empty);
}

static void close_and_dup_are_those_of_the_runtime(void)
{
    struct proto_witness start, now;
    uint32_t key = 0;
    uint64_t value = 5;
    int fd, copy;
    REQUIRE(device_wait_quiet(&start)); // a module of the case before may be on its way out
    fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 8, 1, NULL);
    REQUIRE(fd >= 0);
    copy = _dup(fd);
    CHECK(copy >= 0);
    CHECK_EQ(_close(fd), 0);
    CHECK_EQ(bpf_map_lookup_elem(copy, &key, &value), 0);
    REQUIRE(device_witness(&now));
    CHECK_EQ(now.channels, start.channels + 1); // a copy is the same channel
    CHECK_EQ(_close(copy), 0);
    CHECK(device_wait_witness(&start));
}

// --- long requests -------------------------------------------------------------------------------

struct long_run {
    int fd, result;
};

static DWORD WINAPI run_for_hours(void *user)
{
    struct long_run *run = user;
    uint8_t frame[64] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = INT_MAX);
    run->result = bpf_prog_test_run_opts(run->fd, &opts);
    return 0;
}

static int load_program(void)
{
    static const struct bpf_insn insns[] = {{.code = 0xb7, .imm = 1}, {.code = 0x95}};
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "one", "MIT", insns, ARRAY_SIZE(insns), NULL);
}

// One thread waits for a run of hours, others go on using the program, and the run can be given up.
static void long_runs_hold_up_nobody(void)
{
    struct long_run run = {.fd = load_program()};
    struct ebpf_object_info info;
    intptr_t handle = 0;
    REQUIRE(run.fd >= 0);
    REQUIRE_OK(transport_fd_handle(run.fd, &handle));
    HANDLE thread = CreateThread(NULL, 0, run_for_hours, &run, 0, NULL);
    REQUIRE(thread != NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(ebpf_object_get_info(run.fd, &info));
        Sleep(5);
    }
    CHECK_EQ(WaitForSingleObject(thread, 0), WAIT_TIMEOUT);
    for (int i = 0; i < 1000 && WaitForSingleObject(thread, 10) == WAIT_TIMEOUT; i++) {
        CancelIoEx((HANDLE)handle, NULL); // until it has begun to wait
    }
    CHECK_EQ(WaitForSingleObject(thread, 0), WAIT_OBJECT_0);
    CHECK_EQ(run.result, -ebpf_result_errno(EBPF_CANCELED));
    CloseHandle(thread);
    CHECK_OK(ebpf_close_fd(run.fd));
}

void peer_cases(void)
{
    RUN(strangers_are_refused);
    RUN(close_and_dup_are_those_of_the_runtime);
    RUN(long_runs_hold_up_nobody);
}
