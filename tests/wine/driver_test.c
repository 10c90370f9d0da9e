// SPDX-License-Identifier: MIT
// ebpfcore.sys by raw controls: garbage, wrong lengths, large and concurrent requests. After each case the
// driver's own counts are those of before. The driver is installed, started, and nobody else uses it.
#include <io.h>
#include <stdlib.h>

#include "spec/spec.h"
#include "tests/test.h"
#include "tests/wine/driver_client.h"

static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

// --- well-formed ---------------------------------------------------------------------------------

WITH_WITNESS(a_handle_is_a_descriptor)
{
    HANDLE h = client_open(0);
    REQUIRE(h != INVALID_HANDLE_VALUE);
    CHECK_EQ(GetFileType(h), FILE_TYPE_CHAR);
    CHECK_OK(client_make_array(h, 4, 8));
    int fd = _open_osfhandle((intptr_t)h, 0);
    CHECK(fd >= 0);
    CHECK_EQ(client_witness().objects[PROTO_KIND_MAP], 1);
    CHECK_EQ(_close(fd), 0);
}

WITH_WITNESS(duplicates_are_one_channel)
{
    HANDLE h = client_open(0), copy = NULL;
    struct proto_empty empty = {0};
    CHECK_OK(client_make_array(h, 4, 8));
    CHECK(
        DuplicateHandle(GetCurrentProcess(), h, GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CloseHandle(h);
    CHECK_OK(client_ask(copy, PROTO_OBJECT_INFO, &empty, NULL, 0, 1));
    CloseHandle(copy);
}

WITH_WITNESS(a_program_is_loaded_and_run)
{
    struct proto_prog_test_run_request run = {.repeat = 3};
    struct proto_prog_test_run_reply answer;
    HANDLE h = client_open(0);
    CHECK_OK(client_make_program(h, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY));
    CHECK_OK(client_ask(h, PROTO_PROG_TEST_RUN, &run, NULL, 0, 1));
    memcpy(&answer, client_reply + sizeof(struct proto_header), sizeof(answer));
    CHECK_EQ(answer.retval, 42);
    CloseHandle(h);
}

WITH_WITNESS(holders_are_processes)
{
    struct proto_holder_next_request fixed = {.after_pid = GetCurrentProcessId() - 1};
    struct proto_holder_next_reply answer;
    HANDLE h = client_open(0);
    CHECK_OK(client_ask(h, PROTO_HOLDER_NEXT, &fixed, NULL, 0, 0));
    memcpy(&answer, client_reply + sizeof(struct proto_header), sizeof(answer));
    CHECK_EQ(answer.pid, GetCurrentProcessId());
    CHECK_EQ(answer.others, 1);
    CloseHandle(h);
}

// --- garbage -------------------------------------------------------------------------------------

WITH_WITNESS(garbage_is_refused)
{
    static uint8_t in[256], out[256];
    HANDLE h = client_open(0);
    for (unsigned i = 0; i < 4000; i++) {
        DWORD code = i % 2 == 0 ? next_random() : PROTO_CONTROL_CODE(0x900 + next_random() % 7), size = 0;
        DWORD in_size = next_random() % (sizeof(in) + 1), out_size = next_random() % (sizeof(out) + 1);
        if (code == PROTO_CONTROL_CODE(PROTO_CONTROL_SELFTEST)) {
            continue; // has a case of its own
        }
        for (DWORD at = 0; at < in_size; at++) {
            in[at] = (uint8_t)next_random();
        }
        // A NULL input that has a size never leaves the process: Wine's client side ends on it.
        bool no_input = next_random() % 8 == 0, no_output = next_random() % 8 == 0;
        (void)DeviceIoControl(h, code, no_input ? NULL : in, no_input ? 0 : in_size, no_output ? NULL : out,
                              out_size, &size, NULL);
        CHECK(size <= out_size);
    }
    CloseHandle(h);
}

WITH_WITNESS(other_codes_are_unknown)
{
    static const DWORD codes[] = {
        0,
        0xffffffff,
        PROTO_CONTROL_CODE(0x8ff),
        PROTO_CONTROL_CODE(0x906),
        PROTO_CONTROL_CODE(0xfff),
        PROTO_CONTROL_CODE(PROTO_CONTROL_OFFER) | METHOD_NEITHER,
        PROTO_CONTROL_CODE(PROTO_CONTROL_OFFER) | METHOD_IN_DIRECT,
        PROTO_CONTROL_CODE(PROTO_CONTROL_OFFER) & ~(uint32_t)(FILE_WRITE_ACCESS << 14),
        CTL_CODE(FILE_DEVICE_NULL, PROTO_CONTROL_OFFER, METHOD_BUFFERED, FILE_ANY_ACCESS),
        CTL_CODE(FILE_DEVICE_UNKNOWN, PROTO_CONTROL_OFFER, METHOD_BUFFERED,
                 FILE_READ_ACCESS | FILE_WRITE_ACCESS),
    };
    struct proto_token token;
    DWORD size;
    HANDLE h = client_open(0);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        CHECK(!DeviceIoControl(h, codes[i], NULL, 0, &token, sizeof(token), &size, NULL));
        CHECK_EQ(GetLastError(), ERROR_NOT_SUPPORTED);
    }
    CloseHandle(h);
}

WITH_WITNESS(lengths_are_checked)
{
    static const struct {
        uint32_t function, in_size, out_size;
        DWORD error;
    } cases[] = {
        {PROTO_CONTROL_REQUEST, 0, 64, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_REQUEST, 23, 64, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_REQUEST, 24, 0, ERROR_MORE_DATA},
        {PROTO_CONTROL_REQUEST, 24, 23, ERROR_MORE_DATA},
        {PROTO_CONTROL_OFFER, 0, 0, ERROR_MORE_DATA},
        {PROTO_CONTROL_OFFER, 0, 15, ERROR_MORE_DATA},
        {PROTO_CONTROL_LEND, 0, 0, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_LEND, 15, 0, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_LEND, 17, 0, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_VERDICT, 0, 64, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_VERDICT, sizeof(struct proto_verdict) - 1, 64, ERROR_INVALID_PARAMETER},
        {PROTO_CONTROL_WITNESS, 0, sizeof(struct proto_witness) - 1, ERROR_MORE_DATA},
    };
    static uint8_t in[64], out[64];
    HANDLE h = client_open(0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t size;
        CHECK_EQ(client_control(h, cases[i].function, in, cases[i].in_size, out, cases[i].out_size, &size),
                 cases[i].error);
        CHECK_EQ(size, 0);
    }
    CloseHandle(h);
}

WITH_WITNESS(output_one_byte_short)
{
    struct proto_version_request fixed = {PROTO_WIRE_VERSION};
    struct proto_header header;
    uint8_t message[64], out[64];
    size_t size;
    HANDLE h = client_open(0);
    size_t length = client_build(message, PROTO_VERSION, &fixed, NULL, 0, 0);
    memset(out, 0xcc, sizeof(out));
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, length, out, 39, &size), 0);
    CHECK_EQ(size, sizeof(header));
    memcpy(&header, out, sizeof(header));
    CHECK_EQ(header.result, EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(header.size, 40);
    CHECK_EQ(out[24], 0xcc); // nothing is written past what was said
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, length, out, 40, &size), 0);
    CHECK_EQ(size, 40);
    CHECK_EQ(out[40], 0xcc);
    CloseHandle(h);
}

WITH_WITNESS(an_old_client_reads_why)
{
    struct proto_version_request fixed = {1};
    struct proto_header header;
    uint8_t message[64];
    size_t size;
    HANDLE h = client_open(0);
    size_t length = client_build(message, PROTO_VERSION, &fixed, NULL, 0, 0);
    memcpy(&header, message, sizeof(header));
    header.version = PROTO_WIRE_VERSION + 1;
    memcpy(message, &header, sizeof(header));
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, length, &header, sizeof(header), &size), 0);
    CHECK_EQ(header.result, EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(header.version, PROTO_WIRE_VERSION);
    CloseHandle(h);
}

WITH_WITNESS(there_is_nothing_inside_the_device)
{
    HANDLE h = CreateFileA(NAME_DEVICE_USER "\\x", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(h == INVALID_HANDLE_VALUE);
}

// What the system gives to a token of low integrity: a handle for reading. It asks for nothing and changes
// nothing.
WITH_WITNESS(a_handle_for_reading_is_not_enough)
{
    static const DWORD accesses[] = {0, FILE_READ_ATTRIBUTES, GENERIC_READ, GENERIC_WRITE};
    struct proto_token token;
    size_t size;
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
        HANDLE h = CreateFileA(NAME_DEVICE_USER, accesses[i], 0, NULL, OPEN_EXISTING, 0, NULL);
        CHECK(h != INVALID_HANDLE_VALUE);
        CHECK_EQ(client_control(h, PROTO_CONTROL_OFFER, NULL, 0, &token, sizeof(token), &size),
                 ERROR_ACCESS_DENIED);
        CloseHandle(h);
    }
}

// --- large requests ------------------------------------------------------------------------------

// So many values in one request, and back.
static void large_update(uint32_t elements, size_t value_size)
{
    struct proto_map_batch_request set = {.count = elements};
    struct proto_map_lookup_batch_request get = {.count = elements};
    struct proto_header header = {0};
    uint8_t ask[64];
    size_t tail_size = elements * (4 + value_size);
    size_t size = sizeof(header) + sizeof(set) + tail_size;
    uint8_t *message = calloc(1, size), *tail = malloc(tail_size);
    HANDLE h = client_open(0);
    size_t done = 0;
    REQUIRE(message != NULL && tail != NULL);
    memset(tail, 0x5a, tail_size);
    for (uint32_t key = 0; key < elements; key++) {
        memcpy(tail + 4 * key, &key, 4);
    }
    CHECK_OK(client_make_array(h, elements, (uint32_t)value_size));
    client_build(message, PROTO_MAP_UPDATE_BATCH, &set, tail, tail_size, 1);
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, size, client_reply, CLIENT_ROOM, &done), 0);
    memcpy(&header, client_reply, sizeof(header));
    CHECK_EQ(header.result, EBPF_SUCCESS);
    size_t length = client_build(ask, PROTO_MAP_LOOKUP_BATCH, &get, NULL, 0, 1);
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, ask, length, message, size, &done), 0);
    CHECK_EQ(done, sizeof(header) + sizeof(struct proto_map_batch_reply) + tail_size);
    CHECK(memcmp(message + sizeof(header) + sizeof(struct proto_map_batch_reply), tail, tail_size) == 0);
    CloseHandle(h);
    free(message);
    free(tail);
}

WITH_WITNESS(requests_of_a_megabyte)
{
    large_update(16, 1 << 16);
}

WITH_WITNESS(requests_of_forty_megabytes)
{
    large_update(40, 1 << 20);
}

WITH_WITNESS(requests_above_the_limit)
{
    size_t size = (size_t)PROTO_MAX_SIZE + 4096;
    uint8_t *message = calloc(1, size);
    size_t done;
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_MAP_UPDATE, .size = (uint32_t)size};
    HANDLE h = client_open(0);
    REQUIRE(message != NULL);
    memcpy(message, &header, sizeof(header));
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, size, &header, sizeof(header), &done), 0);
    CHECK_EQ(header.result, EBPF_INVALID_ARGUMENT);
    CHECK_EQ(client_control(h, PROTO_CONTROL_REQUEST, message, 64, message, size, &done),
             ERROR_INVALID_PARAMETER);
    CloseHandle(h);
    free(message);
}

// --- many clients --------------------------------------------------------------------------------

enum { CLIENTS = 8, ROUNDS = 100 };

static DWORD WINAPI one_client(void *user)
{
    uint8_t message[256], out[512];
    DWORD failures = 0;
    size_t size;
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .number = MAP_TYPE_ARRAY,
                                                     .key_size = 4,
                                                     .value_size = 8,
                                                     .max_entries = 4,
                                                     .name = "m"}};
    struct proto_token token;
    UNUSED(user);
    for (unsigned i = 0; i < ROUNDS; i++) {
        HANDLE map = client_open(0), other = client_open(0);
        size_t length = client_build(message, PROTO_MAP_CREATE, &fixed, NULL, 0, 0);
        failures += client_control(map, PROTO_CONTROL_REQUEST, message, length, out, sizeof(out), &size) != 0;
        failures += !device_offer(other, &token);
        failures += !device_lend(map, &token);
        CloseHandle(map);
        CloseHandle(other);
    }
    return failures;
}

WITH_WITNESS(many_clients_at_once)
{
    HANDLE threads[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        threads[i] = CreateThread(NULL, 0, one_client, NULL, 0, NULL);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        DWORD failures = 1;
        WaitForSingleObject(threads[i], INFINITE);
        GetExitCodeThread(threads[i], &failures);
        CHECK_EQ(failures, 0);
        CloseHandle(threads[i]);
    }
}

TEST_SUITE(driver)
{
    (void)scm_start(L"" NAME_DRIVER); // when it does not run yet
    RUN(a_handle_is_a_descriptor);
    RUN(duplicates_are_one_channel);
    RUN(a_program_is_loaded_and_run);
    RUN(holders_are_processes);
    RUN(garbage_is_refused);
    RUN(other_codes_are_unknown);
    RUN(lengths_are_checked);
    RUN(output_one_byte_short);
    RUN(an_old_client_reads_why);
    RUN(there_is_nothing_inside_the_device);
    RUN(a_handle_for_reading_is_not_enough);
    RUN(requests_of_a_megabyte);
    RUN(requests_of_forty_megabytes);
    RUN(requests_above_the_limit);
    RUN(many_clients_at_once);
}
