// SPDX-License-Identifier: MIT
// service_pipe: overlapped reads and writes. Invariant: no transfer is under way when a function returns, so
// that buffers and OVERLAPPED structures may live on the stack.
#include "hosts/service_pipe.h"

#include <stdlib.h>

#include "plat/plat.h"

#define PIPE_BUFFER ((DWORD)64 * 1024)
#define MAX_PART    ((size_t)1 << 20)   // of one transfer
#define FIRST_ROOM  ((size_t)64 * 1024) // larger messages get more as they arrive

// --- making --------------------------------------------------------------------------------------

// Nobody else can open it: there is one instance, the first, which is ours at once.
static void make_name(wchar_t name[64])
{
    static const wchar_t digits[] = L"0123456789abcdef", prefix[] = L"\\\\.\\pipe\\ebpfsvc-";
    uint8_t random[16];
    size_t used = ARRAY_SIZE(prefix) - 1;
    memcpy(name, prefix, sizeof(prefix));
    plat_random_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        name[used++] = digits[random[i] >> 4];
        name[used++] = digits[random[i] & 15];
    }
    name[used] = 0;
}

ebpf_result_t pipe_create(HANDLE *ours, HANDLE *theirs)
{
    wchar_t name[64];
    SECURITY_ATTRIBUTES inherit = {sizeof(inherit), NULL, TRUE};
    make_name(name);
    *ours = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                             PIPE_TYPE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, PIPE_BUFFER,
                             PIPE_BUFFER, 0, NULL);
    if (*ours == INVALID_HANDLE_VALUE) {
        return EBPF_OUT_OF_SPACE;
    }
    // A peer that takes over the pipe by its name, were there one, could not act in our name.
    *theirs = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, &inherit, OPEN_EXISTING,
                          FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, NULL);
    if (*theirs == INVALID_HANDLE_VALUE) {
        CloseHandle(*ours);
        return EBPF_OUT_OF_SPACE;
    }
    return EBPF_SUCCESS;
}

// --- one transfer --------------------------------------------------------------------------------

struct transfer {
    const struct pipe *pipe;
    uint64_t deadline; // UINT64_MAX: none
    OVERLAPPED overlapped;
};

static ebpf_result_t begin(struct transfer *t, const struct pipe *p)
{
    *t = (struct transfer){.pipe = p, .deadline = UINT64_MAX};
    if (p->timeout_ms != 0) {
        t->deadline = plat_time_ns() + (uint64_t)p->timeout_ms * 1000000;
    }
    t->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    return t->overlapped.hEvent != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

static void end(struct transfer *t)
{
    CloseHandle(t->overlapped.hEvent);
}

static DWORD ms_left(const struct transfer *t)
{
    uint64_t now = plat_time_ns();
    if (t->deadline == UINT64_MAX) {
        return INFINITE;
    }
    return now >= t->deadline ? 0 : (DWORD)min_u64((t->deadline - now) / 1000000 + 1, INFINITE - 1);
}

static ebpf_result_t wait_for(const struct transfer *t)
{
    HANDLE handles[2] = {t->overlapped.hEvent, t->pipe->stop};
    switch (WaitForMultipleObjects(t->pipe->stop != NULL ? 2 : 1, handles, FALSE, ms_left(t))) {
    case WAIT_OBJECT_0: return EBPF_SUCCESS;
    case WAIT_OBJECT_0 + 1: return EBPF_CANCELED;
    case WAIT_TIMEOUT: return EBPF_TIMEOUT;
    default: return EBPF_FAILED;
    }
}

// The rest of a transfer that was started; `started` is what ReadFile or WriteFile said.
static ebpf_result_t finish(struct transfer *t, BOOL started, DWORD *moved)
{
    ebpf_result_t result = EBPF_SUCCESS;
    if (!started && GetLastError() != ERROR_IO_PENDING) {
        return EBPF_RPC_EXCEPTION;
    }
    if (!started) {
        result = wait_for(t);
    }
    if (result != EBPF_SUCCESS) {
        CancelIoEx(t->pipe->handle, &t->overlapped);
    }
    BOOL done = GetOverlappedResult(t->pipe->handle, &t->overlapped, moved, TRUE);
    if (result != EBPF_SUCCESS) {
        return result;
    }
    return done && *moved != 0 ? EBPF_SUCCESS : EBPF_RPC_EXCEPTION;
}

static ebpf_result_t read_all(struct transfer *t, uint8_t *bytes, size_t size)
{
    while (size != 0) {
        DWORD moved = 0, part = (DWORD)min_u64(size, MAX_PART);
        TRY(finish(t, ReadFile(t->pipe->handle, bytes, part, NULL, &t->overlapped), &moved));
        bytes += moved;
        size -= moved;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t write_all(struct transfer *t, const uint8_t *bytes, size_t size)
{
    while (size != 0) {
        DWORD moved = 0, part = (DWORD)min_u64(size, MAX_PART);
        TRY(finish(t, WriteFile(t->pipe->handle, bytes, part, NULL, &t->overlapped), &moved));
        bytes += moved;
        size -= moved;
    }
    return EBPF_SUCCESS;
}

// --- messages ------------------------------------------------------------------------------------

static ebpf_result_t read_body(struct transfer *t, uint8_t **bytes, size_t size)
{
    size_t have = sizeof(struct proto_header);
    for (size_t room = FIRST_ROOM; have < size; room *= 2) {
        room = room < size ? room : size;
        uint8_t *larger = realloc(*bytes, room);
        if (larger == NULL) {
            return EBPF_NO_MEMORY;
        }
        *bytes = larger;
        TRY(read_all(t, larger + have, room - have));
        have = room;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t receive(struct transfer *t, uint8_t **bytes, size_t *size)
{
    size_t framed = 0;
    // Where a message would begin, an end is no accident.
    ebpf_result_t result = read_all(t, *bytes, 1);
    TRY(result == EBPF_RPC_EXCEPTION ? EBPF_CANCELED : result);
    TRY(read_all(t, *bytes + 1, sizeof(struct proto_header) - 1));
    TRY(proto_frame_size(*bytes, &framed));
    TRY(read_body(t, bytes, framed));
    *size = framed;
    return EBPF_SUCCESS;
}

ebpf_result_t pipe_receive(const struct pipe *p, uint8_t **bytes, size_t *size)
{
    struct transfer t;
    uint8_t *buffer = malloc(sizeof(struct proto_header));
    ebpf_result_t result = EBPF_NO_MEMORY;
    if (buffer == NULL) {
        return result;
    }
    TRY_OR(result, begin(&t, p), undo_buffer);
    result = receive(&t, &buffer, size);
    end(&t);
    if (result == EBPF_SUCCESS) {
        *bytes = buffer;
        return EBPF_SUCCESS;
    }
undo_buffer:
    free(buffer);
    return result;
}

ebpf_result_t pipe_send(const struct pipe *p, const void *bytes, size_t size)
{
    struct transfer t;
    TRY(begin(&t, p));
    ebpf_result_t result = write_all(&t, bytes, size);
    end(&t);
    return result;
}

bool pipe_is_quiet(const struct pipe *p)
{
    DWORD waiting = 0;
    return PeekNamedPipe(p->handle, NULL, 0, NULL, &waiting, NULL) && waiting == 0;
}
