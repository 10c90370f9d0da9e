// SPDX-License-Identifier: MIT
// wire: framing on a stream socket. Invariant: every descriptor that arrives is either in the message or
// closed at once, wherever in the stream the peer attached it.
#include "hosts/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/plat.h"

#define FIRST_ROOM     ((size_t)64 * 1024) // larger messages get more as they arrive
#define KERNEL_MAX_FDS 253                 // most that Linux passes at once (SCM_MAX_FD)

// --- waiting -------------------------------------------------------------------------------------

static uint64_t deadline_after(uint32_t ms)
{
    return ms == 0 ? UINT64_MAX : plat_time_ns() + (uint64_t)ms * 1000000;
}

static int ms_until(uint64_t deadline)
{
    uint64_t now = plat_time_ns();
    if (deadline == UINT64_MAX) {
        return -1;
    }
    return now >= deadline ? 0 : (int)min_u64((deadline - now) / 1000000 + 1, INT_MAX);
}

static ebpf_result_t wait_for(const struct wire *w, short events, uint64_t deadline)
{
    for (;;) {
        struct pollfd fds[2] = {{w->fd, events, 0}, {w->stop_fd, POLLIN, 0}};
        int n = poll(fds, 2, ms_until(deadline));
        if (n < 0 && errno != EINTR) {
            return EBPF_FAILED;
        }
        if (n > 0 && fds[1].revents != 0) {
            return EBPF_CANCELED;
        }
        if (n > 0) {
            return EBPF_SUCCESS; // ready, or hung up: the call that follows tells
        }
        if (n == 0 && ms_until(deadline) == 0) {
            return EBPF_TIMEOUT;
        }
    }
}

// --- receiving -----------------------------------------------------------------------------------

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * KERNEL_MAX_FDS)];
};

static void keep_fds(struct wire_message *m, const struct cmsghdr *head)
{
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
        if (m->fd_count < PROTO_MAX_OBJECTS) {
            m->fds[m->fd_count++] = fd;
        } else {
            close(fd);
            m->surplus_fds = true;
        }
    }
}

static void take_control(struct wire_message *m, struct msghdr *message)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            keep_fds(m, head);
        }
    }
    m->lost_fds |= (message->msg_flags & MSG_CTRUNC) != 0;
}

// Appends what is there, up to `size` bytes in total.
static ebpf_result_t receive_some(const struct wire *w, struct wire_message *m, size_t size,
                                  uint64_t deadline)
{
    union fd_control control;
    struct iovec part = {m->bytes + m->size, size - m->size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    TRY(wait_for(w, POLLIN, deadline));
    ssize_t n = recvmsg(w->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN ? EBPF_SUCCESS : EBPF_RPC_EXCEPTION;
    }
    take_control(m, &message);
    m->size += (size_t)n;
    if (n == 0) {
        return m->size == 0 ? EBPF_CANCELED : EBPF_RPC_EXCEPTION;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t receive_until(const struct wire *w, struct wire_message *m, size_t size,
                                   uint64_t deadline)
{
    while (m->size < size) {
        TRY(receive_some(w, m, size, deadline));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t grow(struct wire_message *m, size_t room)
{
    uint8_t *bytes = realloc(m->bytes, room);
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    m->bytes = bytes;
    return EBPF_SUCCESS;
}

static ebpf_result_t receive_rest(const struct wire *w, struct wire_message *m)
{
    uint64_t deadline = deadline_after(w->message_ms);
    size_t size = 0;
    TRY(receive_until(w, m, sizeof(struct proto_header), deadline));
    TRY(proto_frame_size(m->bytes, &size));
    for (size_t room = FIRST_ROOM; m->size < size; room *= 2) {
        room = room < size ? room : size;
        TRY(grow(m, room));
        TRY(receive_until(w, m, room, deadline));
    }
    return EBPF_SUCCESS;
}

ebpf_result_t wire_receive(const struct wire *w, struct wire_message *out)
{
    struct wire_message m = {0};
    ebpf_result_t result;
    TRY_OR(result, grow(&m, sizeof(struct proto_header)), undo_message);
    TRY_OR(result, receive_until(w, &m, 1, deadline_after(w->idle_ms)), undo_message);
    TRY_OR(result, receive_rest(w, &m), undo_message);
    *out = m;
    return EBPF_SUCCESS;

undo_message:
    wire_message_fini(&m);
    return result;
}

void wire_message_close_fds(struct wire_message *m)
{
    while (m->fd_count != 0) {
        close(m->fds[--m->fd_count]);
    }
}

void wire_message_fini(struct wire_message *m)
{
    wire_message_close_fds(m);
    free(m->bytes);
    m->bytes = NULL;
}

// --- sending -------------------------------------------------------------------------------------

static ssize_t send_some(int to, const uint8_t *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        struct cmsghdr *head;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof(int));
    }
    return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ebpf_result_t wire_send(const struct wire *w, const void *bytes, size_t size, int fd)
{
    uint64_t deadline = deadline_after(w->message_ms);
    const uint8_t *at = bytes;
    size_t sent = 0;
    while (sent < size) {
        ssize_t n = send_some(w->fd, at + sent, size - sent, sent == 0 ? fd : -1);
        if (n < 0 && errno == ETOOMANYREFS) {
            return EBPF_OUT_OF_SPACE;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return EBPF_RPC_EXCEPTION;
        }
        if (n < 0) {
            TRY(wait_for(w, POLLOUT, deadline));
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    return EBPF_SUCCESS;
}

void wire_refuse(int fd, ebpf_result_t result)
{
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .size = sizeof(header), .result = result};
    if (send_some(fd, (const uint8_t *)&header, sizeof(header), -1) < 0) {
        return; // the peer learns it from the closed connection
    }
}
