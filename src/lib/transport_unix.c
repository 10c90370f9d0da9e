// SPDX-License-Identifier: MIT
// transport_unix: requests over a Unix stream socket to ebpfd. A request and its descriptors leave in one
// sendmsg, so that the descriptors arrive with its first byte; the reply brings at most one.
//
// Invariants: a connection carries one request at a time; one that failed half-way is closed, never reused;
// one that a fork has copied is not used by the child, which would mix its replies with the parent's.
#include "lib/transport.h"

#if defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/transport_memory.h"
#include "plat/plat.h"

#define MAX_IDLE 4 // connections kept for the next call

struct unix_transport {
    struct transport base;
    struct plat_mutex lock;
    int idle[MAX_IDLE];
    unsigned idle_count;
    pid_t owner; // process that made the idle connections
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static ebpf_result_t from_errno(int err)
{
    switch (err) {
    case EBADF: return EBPF_INVALID_FD;
    case EACCES:
    case EPERM: return EBPF_ACCESS_DENIED;
    case ENOENT:
    case ECONNREFUSED: return EBPF_OBJECT_NOT_FOUND;
    case ENOMEM:
    case ENOBUFS: return EBPF_NO_MEMORY;
    case EMFILE:
    case ENFILE:
    case ETOOMANYREFS: return EBPF_OUT_OF_SPACE;
    default: return EBPF_RPC_EXCEPTION;
    }
}

// --- connections ---------------------------------------------------------------------------------

// A program that has closed a standard stream must not print into a connection, nor find its input in a map.
// -1 and errno when there is no other descriptor.
static int keep_off_streams(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = errno;
    close(fd);
    errno = err;
    return moved;
}

static ebpf_result_t open_connection(const char *path, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ebpf_result_t result;
    int fd = keep_off_streams(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0) {
        return from_errno(errno);
    }
    str_copy(address.sun_path, sizeof(address.sun_path), path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        result = from_errno(errno);
        goto undo_fd;
    }
    *out = fd;
    return EBPF_SUCCESS;

undo_fd:
    close(fd);
    return result;
}

static void forget_inherited(struct unix_transport *t)
{
    if (t->owner == getpid()) {
        return;
    }
    while (t->idle_count != 0) {
        close(t->idle[--t->idle_count]);
    }
    t->owner = getpid();
}

// An idle connection if there is one (then *reused), else a new one.
static ebpf_result_t take_connection(struct unix_transport *t, int *fd, bool *reused)
{
    plat_mutex_acquire(&t->lock);
    forget_inherited(t);
    *reused = t->idle_count != 0;
    if (*reused) {
        *fd = t->idle[--t->idle_count];
    }
    plat_mutex_release(&t->lock);
    return *reused ? EBPF_SUCCESS : open_connection(t->path, fd);
}

static void give_connection(struct unix_transport *t, int fd)
{
    plat_mutex_acquire(&t->lock);
    if (t->idle_count < MAX_IDLE && t->owner == getpid()) {
        t->idle[t->idle_count++] = fd;
        fd = -1;
    }
    plat_mutex_release(&t->lock);
    if (fd >= 0) {
        close(fd);
    }
}

// --- sending -------------------------------------------------------------------------------------

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * PROTO_MAX_OBJECTS)];
};

static void attach_fds(struct msghdr *message, union fd_control *control, const int *fds, unsigned count)
{
    if (count == 0) {
        return;
    }
    memset(control, 0, sizeof(*control));
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
}

static ebpf_result_t send_request(int fd, const void *request, size_t size, const int *fds, unsigned fd_count)
{
    const uint8_t *bytes = request;
    size_t sent = 0;
    while (sent < size) {
        struct iovec part = {(void *)(uintptr_t)(bytes + sent), size - sent};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        union fd_control control;
        attach_fds(&message, &control, fds, sent == 0 ? fd_count : 0);
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return from_errno(errno);
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    return EBPF_SUCCESS;
}

// --- receiving -----------------------------------------------------------------------------------

// Keeps the first descriptor that arrives; a peer that sends more breaks the protocol, and they are closed.
static void keep_fd(struct msghdr *message, int *new_fd)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            if (*new_fd < 0) {
                *new_fd = keep_off_streams(fd);
            } else {
                close(fd);
            }
        }
    }
}

static ebpf_result_t receive_bytes(int fd, void *out, size_t size, int *new_fd)
{
    uint8_t *bytes = out;
    size_t received = 0;
    while (received < size) {
        struct iovec part = {bytes + received, size - received};
        union fd_control control;
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return EBPF_RPC_EXCEPTION;
        }
        keep_fd(&message, new_fd);
        received += (size_t)n;
    }
    return EBPF_SUCCESS;
}

// Reads the rest of a reply whose header has arrived.
static ebpf_result_t receive_body(int fd, const struct proto_header *header, void **reply, size_t *reply_size,
                                  int *new_fd)
{
    size_t size = 0;
    ebpf_result_t result;
    if (proto_frame_size(header, &size) != EBPF_SUCCESS) {
        return EBPF_RPC_EXCEPTION;
    }
    if (header->op == 0 && header->result != 0 && header->result < EBPF_RESULT_COUNT) {
        return (ebpf_result_t)header->result; // the daemon refuses the connection as such
    }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(bytes, header, sizeof(*header));
    TRY_OR(result, receive_bytes(fd, bytes + sizeof(*header), size - sizeof(*header), new_fd), undo_bytes);
    *reply = bytes;
    *reply_size = size;
    return EBPF_SUCCESS;

undo_bytes:
    free(bytes);
    return result;
}

static ebpf_result_t receive_reply(int fd, void **reply, size_t *reply_size, int *new_fd)
{
    struct proto_header header;
    int received = -1;
    ebpf_result_t result = receive_bytes(fd, &header, sizeof(header), &received);
    if (result == EBPF_SUCCESS) {
        result = receive_body(fd, &header, reply, reply_size, &received);
    }
    if (result == EBPF_SUCCESS) {
        *new_fd = received;
    } else if (received >= 0) {
        close(received);
    }
    return result;
}

// --- the transport -------------------------------------------------------------------------------

struct call {
    const void *request;
    size_t size;
    const int *fds;
    unsigned fd_count;
};

// One attempt. *again: an idle connection turned out to be dead before the request was taken.
static ebpf_result_t try_call(struct unix_transport *t, const struct call *c, void **reply,
                              size_t *reply_size, int *new_fd, bool *again)
{
    int fd = -1;
    bool reused = false;
    *again = false;
    TRY(take_connection(t, &fd, &reused));
    ebpf_result_t result = send_request(fd, c->request, c->size, c->fds, c->fd_count);
    if (result == EBPF_SUCCESS || (result == EBPF_RPC_EXCEPTION && !reused)) {
        // Also after a failed send: the daemon may have said why before it closed.
        result = receive_reply(fd, reply, reply_size, new_fd);
    } else {
        *again = result == EBPF_RPC_EXCEPTION;
    }
    if (result == EBPF_SUCCESS) {
        give_connection(t, fd);
    } else {
        close(fd);
    }
    return result;
}

static ebpf_result_t call_unix(struct transport *base, const void *request, size_t size, const int *fds,
                               unsigned fd_count, void **reply, size_t *reply_size, int *new_fd)
{
    struct unix_transport *t = (struct unix_transport *)base;
    struct call c = {request, size, fds, fd_count};
    bool again = true;
    ebpf_result_t result = EBPF_RPC_EXCEPTION;
    int saved = errno;
    if (fd_count > PROTO_MAX_OBJECTS) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; again && i <= MAX_IDLE; i++) {
        result = try_call(t, &c, reply, reply_size, new_fd, &again);
    }
    errno = saved;
    return result;
}

static ebpf_result_t dup_unix(struct transport *base, int fd, int *out)
{
    UNUSED(base);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return from_errno(errno);
    }
    *out = copy;
    return EBPF_SUCCESS;
}

static void close_unix(struct transport *base, int fd)
{
    UNUSED(base);
    close(fd);
}

// A view of the memory behind a descriptor that the daemon sent. The pages must really be there: touching a
// view beyond the end of its file is a signal.
static ebpf_result_t map_fd(int fd, size_t size, bool writable, void **address)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < size) {
        return EBPF_RPC_EXCEPTION;
    }
    void *view = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED) {
        return from_errno(errno);
    }
    *address = view;
    return EBPF_SUCCESS;
}

static ebpf_result_t map_memory_unix(struct transport *base, int fd, bool writable, void **address,
                                     size_t *size)
{
    struct transport_memory memory;
    TRY(transport_request_memory(base, fd, writable, &memory));
    if (memory.fd < 0) {
        return EBPF_RPC_EXCEPTION;
    }
    ebpf_result_t result = map_fd(memory.fd, memory.size, writable, address);
    close(memory.fd);
    if (result == EBPF_SUCCESS) {
        *size = memory.size;
    }
    return result;
}

static void destroy_unix(struct transport *base)
{
    struct unix_transport *t = (struct unix_transport *)base;
    while (t->idle_count != 0) {
        close(t->idle[--t->idle_count]);
    }
    plat_mutex_fini(&t->lock);
    free(t);
}

ebpf_result_t transport_open_unix(const char *path, struct transport **out)
{
    static const struct transport_ops ops = {.name = "unix",
                                             .call = call_unix,
                                             .dup_fd = dup_unix,
                                             .close_fd = close_unix,
                                             .map_memory = map_memory_unix,
                                             .close = destroy_unix};
    int fd = -1;
    ebpf_result_t result;
    struct unix_transport *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return EBPF_NO_MEMORY;
    }
    t->base.ops = &ops;
    if (!str_copy(t->path, sizeof(t->path), path)) {
        result = EBPF_INVALID_ARGUMENT;
        goto undo_transport;
    }
    TRY_OR(result, open_connection(t->path, &fd), undo_transport); // does anybody listen?
    plat_mutex_init(&t->lock);
    t->owner = getpid();
    t->idle[t->idle_count++] = fd;
    *out = &t->base;
    return EBPF_SUCCESS;

undo_transport:
    free(t);
    return result;
}

#else

ebpf_result_t transport_open_unix(const char *path, struct transport **out)
{
    UNUSED(path);
    UNUSED(out);
    return EBPF_OPERATION_NOT_SUPPORTED;
}
#endif
