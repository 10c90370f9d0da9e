// SPDX-License-Identifier: MIT
// stranger: a program as somebody else would write it: the public headers and the (import) library, nothing
// of this project besides. Prints what went wrong; exit status 0 when nothing did.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

static int failures;

static void expect(int good, const char *what, int line)
{
    if (!good) {
        printf("line %d: %s (errno %d)\n", line, what, errno);
        failures++;
    }
}
#define EXPECT(condition) expect((condition), #condition, __LINE__)

// The library's errno is this program's, with this program's numbers.
static void errno_is_mine(int map)
{
    unsigned key = 1, other = 2;
    unsigned long long value = 7;
    EXPECT(bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == 0);
    errno = 0;
    EXPECT(bpf_map_update_elem(map, &key, &value, BPF_NOEXIST) == -EEXIST && errno == EEXIST);
    errno = 0;
    EXPECT(bpf_map_update_elem(map, &other, &value, BPF_ANY) == -E2BIG && errno == E2BIG);
    errno = 0;
    EXPECT(bpf_map_lookup_elem(map, &other, &value) == -ENOENT && errno == ENOENT);
    errno = 0;
    EXPECT(bpf_map_lookup_elem(-1, &key, &value) == -EBADF && errno == EBADF);
    errno = 0;
    EXPECT(bpf_map_lookup_elem(123456, &key, &value) == -EBADF && errno == EBADF);
    errno = 0;
    EXPECT(bpf_map_lookup_elem(1, &key, &value) == -EBADF && errno == EBADF); // a stream
    EXPECT(bpf_map_lookup_elem(map, &key, &value) == 0 && value == 7);
}

static void numbers_are_those_of_the_runtime(void)
{
    EXPECT(ebpf_result_errno(EBPF_OPERATION_NOT_SUPPORTED) == EOPNOTSUPP);
    EXPECT(ebpf_result_errno(EBPF_ARITHMETIC_OVERFLOW) == EOVERFLOW);
    EXPECT(ebpf_result_errno(EBPF_TIMEOUT) == ETIMEDOUT);
    EXPECT(ebpf_result_errno(EBPF_CANCELED) == ECANCELED);
    EXPECT(ebpf_result_errno(EBPF_INVALID_STATE) == EBUSY);
    EXPECT(ebpf_result_errno(EBPF_NO_MEMORY) == ENOMEM);
}

static int map_exists(void)
{
    unsigned id = 0;
    return bpf_map_get_next_id(0, &id) == 0;
}

// close() and dup() of this program's runtime do what they do to any descriptor.
static void descriptors_are_mine(int map)
{
    int copy = dup(map);
    unsigned key = 1;
    unsigned long long value = 0;
    EXPECT(copy >= 0);
    EXPECT(close(map) == 0);
    EXPECT(map_exists());
    EXPECT(bpf_map_lookup_elem(copy, &key, &value) == 0 && value == 7);
    EXPECT(close(copy) == 0);
    EXPECT(!map_exists());
}

int main(void)
{
    int map = bpf_map_create(BPF_MAP_TYPE_HASH, "strange", 4, 8, 1, NULL);
    EXPECT(map >= 0);
    errno_is_mine(map);
    numbers_are_those_of_the_runtime();
    descriptors_are_mine(map);
    errno = 0;
    EXPECT(bpf_object__open_mem("junk", 4, NULL) == NULL && errno == LIBBPF_ERRNO__FORMAT);
    puts(failures == 0 ? "1 passed, 0 failed" : "0 passed, 1 failed");
    return failures != 0;
}
