// SPDX-License-Identifier: MIT
// handles_windows: object descriptors as pipes. The client's end is a descriptor of the C runtime, so that
// close() and dup() have their usual meaning; it is recognised by the pipe's name, which the system tells of
// any copy of the handle and which no other pipe can have while one is open. The kept end is broken as soon
// as the last copy of the client's end is gone.
//
// Invariants, under the lock: an entry of the table owns the kept end and one reference of its object.
// Objects are released outside the lock. Sources: Microsoft's Win32 API reference.
#include <windows.h>

#include "hosts/handles.h"
#include "lib/transport.h"
#include "plat/plat.h"

enum { BUCKETS = 4096, NAME_ROOM = 64 };

struct entry {
    struct entry *next;
    uint64_t number; // in the pipe's name
    HANDLE kept;
    struct object *object;
};

struct handles {
    struct plat_mutex lock, sweep_lock; // taken in the order sweep_lock, lock
    uint64_t secret;                    // in the names too: nobody guesses the next one and takes it first
    uint64_t next_number;
    unsigned count;
    struct entry *buckets[BUCKETS];
};

static struct entry **bucket_of(struct handles *h, uint64_t number)
{
    return &h->buckets[number % BUCKETS];
}

ebpf_result_t handles_create(struct handles **out)
{
    struct handles *h = plat_alloc(sizeof(*h), POOL_TAG_CORE);
    if (h == NULL) {
        return EBPF_NO_MEMORY;
    }
    plat_random_bytes(&h->secret, sizeof(h->secret));
    plat_mutex_init(&h->lock);
    plat_mutex_init(&h->sweep_lock);
    *out = h;
    return EBPF_SUCCESS;
}

static void destroy_entry(struct entry *e)
{
    CloseHandle(e->kept);
    object_release(e->object);
    plat_free(e);
}

void handles_destroy(struct handles *h)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct entry *e = h->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            destroy_entry(e);
        }
    }
    plat_mutex_fini(&h->sweep_lock);
    plat_mutex_fini(&h->lock);
    plat_free(h);
}

// --- names ---------------------------------------------------------------------------------------

// "ebpf-" and two numbers, as 16 hexadecimal digits each.
static void put_hex(wchar_t *out, uint64_t value)
{
    for (int i = 15; i >= 0; i--, value >>= 4) {
        out[i] = L"0123456789abcdef"[value & 15];
    }
}

#define PREFIX       L"ebpf-"
#define PREFIX_CHARS (ARRAY_SIZE(PREFIX) - 1)
#define NAME_CHARS   (PREFIX_CHARS + 33)

static void format_name(wchar_t out[NAME_CHARS], uint64_t secret, uint64_t number)
{
    memcpy(out, PREFIX, PREFIX_CHARS * sizeof(wchar_t));
    put_hex(out + PREFIX_CHARS, secret);
    out[PREFIX_CHARS + 16] = L'-';
    put_hex(out + PREFIX_CHARS + 17, number);
}

static bool read_hex(const wchar_t *digits, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 16; i++) {
        wchar_t c = digits[i];
        bool letter = c >= L'a' && c <= L'f';
        if (!letter && (c < L'0' || c > L'9')) {
            return false;
        }
        *value = *value << 4 | (uint64_t)(letter ? c - L'a' + 10 : c - L'0');
    }
    return true;
}

// The number in the name of the file behind `handle`, when that is a pipe of ours.
static bool read_number(const struct handles *h, HANDLE handle, uint64_t *number)
{
    union {
        FILE_NAME_INFO info;
        wchar_t text[NAME_ROOM];
    } u;
    wchar_t expected[NAME_CHARS];
    const wchar_t *name = u.text + offsetof(FILE_NAME_INFO, FileName) / sizeof(wchar_t) + 1; // a backslash
    if (GetFileType(handle) != FILE_TYPE_PIPE ||
        !GetFileInformationByHandleEx(handle, FileNameInfo, &u, sizeof(u)) ||
        u.info.FileNameLength != (NAME_CHARS + 1) * sizeof(wchar_t) ||
        !read_hex(name + PREFIX_CHARS + 17, number)) {
        return false;
    }
    format_name(expected, h->secret, *number);
    return memcmp(name, expected, sizeof(expected)) == 0;
}

// --- opening -------------------------------------------------------------------------------------

static ebpf_result_t from_win32(DWORD error)
{
    return error == ERROR_TOO_MANY_OPEN_FILES || error == ERROR_NO_SYSTEM_RESOURCES ? EBPF_OUT_OF_SPACE
                                                                                    : EBPF_NO_MEMORY;
}

#define ROOT       L"\\\\.\\pipe\\"
#define ROOT_CHARS (ARRAY_SIZE(ROOT) - 1)

// Both ends of a pipe. The client's can do nothing with it.
static ebpf_result_t open_pair(uint64_t secret, uint64_t number, HANDLE *kept, HANDLE *client)
{
    wchar_t path[ROOT_CHARS + NAME_CHARS + 1] = ROOT;
    ebpf_result_t result;
    format_name(path + ROOT_CHARS, secret, number);
    HANDLE server = CreateNamedPipeW(path, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                     PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, 1, 1, 0, NULL);
    if (server == INVALID_HANDLE_VALUE) {
        return from_win32(GetLastError());
    }
    *client = CreateFileW(path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (*client == INVALID_HANDLE_VALUE) {
        result = from_win32(GetLastError());
        goto undo_server;
    }
    *kept = server;
    return EBPF_SUCCESS;

undo_server:
    CloseHandle(server);
    return result;
}

static void add_entry(struct handles *h, struct entry *e)
{
    plat_mutex_acquire(&h->lock);
    e->next = *bucket_of(h, e->number);
    *bucket_of(h, e->number) = e;
    h->count++;
    plat_mutex_release(&h->lock);
}

static uint64_t new_number(struct handles *h)
{
    plat_mutex_acquire(&h->lock);
    uint64_t number = h->next_number++;
    plat_mutex_release(&h->lock);
    return number;
}

// Makes the pair of `e` and a descriptor of its client's end.
static ebpf_result_t open_entry(struct handles *h, struct entry *e, int *fd)
{
    HANDLE client = NULL;
    ebpf_result_t result;
    e->number = new_number(h);
    TRY(open_pair(h->secret, e->number, &e->kept, &client));
    TRY_OR(result, transport_fd_open((intptr_t)client, fd), undo_pair);
    return EBPF_SUCCESS;

undo_pair:
    CloseHandle(client);
    CloseHandle(e->kept);
    return result;
}

ebpf_result_t handles_open(struct handles *h, struct object *o, int *fd)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    struct entry *e = plat_alloc(sizeof(*e), POOL_TAG_CORE);
    if (e == NULL) {
        goto undo_reference;
    }
    e->object = o;
    TRY_OR(result, open_entry(h, e, fd), undo_entry);
    add_entry(h, e);
    return EBPF_SUCCESS;

undo_entry:
    plat_free(e);
undo_reference:
    object_release(o);
    return result;
}

// --- finding -------------------------------------------------------------------------------------

static struct object *acquire_object(struct handles *h, uint64_t number)
{
    struct object *found = NULL;
    plat_mutex_acquire(&h->lock);
    for (struct entry *e = *bucket_of(h, number); e != NULL && found == NULL; e = e->next) {
        if (e->number == number) {
            found = e->object;
            object_acquire(found);
        }
    }
    plat_mutex_release(&h->lock);
    return found;
}

ebpf_result_t handles_find(struct handles *h, int fd, struct object **out)
{
    intptr_t handle = 0;
    uint64_t number = 0;
    struct object *found = NULL;
    TRY(transport_fd_handle(fd, &handle));
    if (read_number(h, (HANDLE)handle, &number)) {
        found = acquire_object(h, number);
    }
    if (found == NULL) {
        return EBPF_INVALID_FD;
    }
    *out = found;
    return EBPF_SUCCESS;
}

ebpf_result_t handles_dup(struct handles *h, int fd, int *out)
{
    UNUSED(h);
    return transport_fd_dup(fd, out);
}

void handles_close(struct handles *h, int fd)
{
    transport_fd_close(fd);
    handles_sweep(h);
}

// --- sweeping ------------------------------------------------------------------------------------

static bool is_closed(const struct entry *e)
{
    DWORD available;
    return !PeekNamedPipe(e->kept, NULL, 0, NULL, &available, NULL);
}

// Moves the closed entries of a bucket to the list `closed`; the lock is held.
static struct entry *take_closed(struct handles *h, struct entry **at, struct entry *closed)
{
    while (*at != NULL) {
        struct entry *e = *at;
        if (is_closed(e)) {
            *at = e->next;
            e->next = closed;
            closed = e;
            h->count--;
        } else {
            at = &e->next;
        }
    }
    return closed;
}

static struct entry *take_all_closed(struct handles *h)
{
    struct entry *closed = NULL;
    plat_mutex_acquire(&h->lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        closed = take_closed(h, &h->buckets[i], closed);
    }
    plat_mutex_release(&h->lock);
    return closed;
}

void handles_sweep(struct handles *h)
{
    plat_mutex_acquire(&h->sweep_lock);
    struct entry *closed = take_all_closed(h);
    while (closed != NULL) {
        struct entry *next = closed->next;
        destroy_entry(closed);
        closed = next;
    }
    plat_mutex_release(&h->sweep_lock);
}

int handles_poll_fd(const struct handles *h)
{
    UNUSED(h);
    return -1;
}

unsigned handles_count(struct handles *h)
{
    plat_mutex_acquire(&h->lock);
    unsigned count = h->count;
    plat_mutex_release(&h->lock);
    return count;
}
