// SPDX-License-Identifier: MIT
// tap: TAP devices in pairs, one thread, up to BATCH frames of a device a wake-up through hook_xdp.
//
// Invariants: after create only the bridge's thread touches devices and frames; memory is fixed at creation;
// a device that disappears while running is retired and the rest goes on. Counters are relaxed atomics that
// anybody may read.
#include "hosts/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "plat/plat.h"

#define BATCH       64u
#define MAX_DEVICES 64u
// The largest frame that a TAP device can carry (MTU up to 65521 and its header), so that no read is ever
// cut.
#define FRAME_MAX   65552u
#define BUFFER_SIZE (HOOK_XDP_HEADROOM + FRAME_MAX + HOOK_XDP_TAILROOM)

struct tap_device {
    int fd; // -1: retired
    uint32_t ifindex;
    unsigned peer; // index of the other end of the wire
    struct hook_xdp_device *point;
    char name[IFNAMSIZ];
};

struct tap_counts {
    _Atomic uint64_t received, written, dropped, write_failed, no_target, wakeups;
};

struct tap_bridge {
    struct runtime *rt;
    struct hooks *hooks;
    struct plat_thread *thread;
    int stop_fd; // eventfd: readable when the thread has to end
    unsigned device_count;
    struct tap_device devices[MAX_DEVICES];
    struct pollfd polled[MAX_DEVICES + 1]; // the last one is stop_fd
    struct hook_xdp_frame frames[BATCH];
    uint8_t *buffers; // BATCH of BUFFER_SIZE
    struct tap_counts counts;
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

// --- frames --------------------------------------------------------------------------------------

static void retire_device(struct tap_bridge *bridge, struct tap_device *device)
{
    fprintf(stderr, "ebpfd: tap device %s is gone\n", device->name);
    hook_xdp_device_remove(device->point);
    device->point = NULL;
    close(device->fd);
    device->fd = -1;
    bridge->polled[device - bridge->devices].fd = -1;
}

// Frames into the kernel's receive path of `device`. A full queue, a device that is down or gone: the frame
// is lost and counted, as it would be on a wire.
static void write_frame(struct tap_bridge *bridge, struct tap_device *device,
                        const struct hook_xdp_frame *frame)
{
    if (device->fd >= 0 &&
        write(device->fd, frame->buffer + frame->off, frame->size) == (ssize_t)frame->size) {
        add(&bridge->counts.written, 1);
    } else {
        add(&bridge->counts.write_failed, 1);
    }
}

static void redirect_frame(struct tap_bridge *bridge, const struct hook_xdp_frame *frame)
{
    for (unsigned i = 0; i < bridge->device_count; i++) {
        struct tap_device *device = &bridge->devices[i];
        if (device->fd >= 0 && device->ifindex == frame->target_ifindex) {
            write_frame(bridge, &bridge->devices[device->peer], frame);
            return;
        }
    }
    add(&bridge->counts.no_target, 1);
}

// `frame` has arrived at `device`, whose program has decided.
static void carry_out(struct tap_bridge *bridge, struct tap_device *device,
                      const struct hook_xdp_frame *frame)
{
    switch (frame->verdict) {
    case VERDICT_XDP_PASS: write_frame(bridge, device, frame); break;
    case VERDICT_XDP_TX: write_frame(bridge, &bridge->devices[device->peer], frame); break;
    case VERDICT_XDP_REDIRECT: redirect_frame(bridge, frame); break;
    default: add(&bridge->counts.dropped, 1); break;
    }
}

// Reads what `device` has, at most a batch. Retires it when it no longer exists.
static unsigned read_frames(struct tap_bridge *bridge, struct tap_device *device)
{
    unsigned n = 0;
    while (n < BATCH) {
        uint8_t *buffer = bridge->buffers + (size_t)n * BUFFER_SIZE;
        ssize_t size = read(device->fd, buffer + HOOK_XDP_HEADROOM, FRAME_MAX);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            if (size < 0 && (errno == EBADFD || errno == ENODEV || errno == ENXIO)) {
                retire_device(bridge, device);
            }
            break;
        }
        bridge->frames[n++] = (struct hook_xdp_frame){
            .buffer = buffer, .capacity = BUFFER_SIZE, .off = HOOK_XDP_HEADROOM, .size = (uint32_t)size};
    }
    return n;
}

// What `sender` put on the wire arrives at its peer.
static void serve_device(struct tap_bridge *bridge, struct tap_device *sender)
{
    struct tap_device *receiver = &bridge->devices[sender->peer];
    unsigned n = read_frames(bridge, sender);
    if (n == 0) {
        return;
    }
    add(&bridge->counts.received, n);
    add(&bridge->counts.wakeups, 1);
    if (receiver->point == NULL) { // nobody at the other end
        add(&bridge->counts.write_failed, n);
        return;
    }
    hook_xdp_run(receiver->point, bridge->frames, n);
    for (unsigned i = 0; i < n; i++) {
        carry_out(bridge, receiver, &bridge->frames[i]);
    }
}

static void serve_ready(struct tap_bridge *bridge)
{
    for (unsigned i = 0; i < bridge->device_count; i++) {
        struct tap_device *device = &bridge->devices[i];
        short events = bridge->polled[i].revents;
        if (device->fd >= 0 && (events & POLLIN)) {
            serve_device(bridge, device);
        }
        // A TAP device reports an error only when its interface was deleted; asking again would spin.
        if (device->fd >= 0 && (events & (POLLERR | POLLHUP | POLLNVAL))) {
            retire_device(bridge, device);
        }
    }
}

static void run_bridge(void *user)
{
    struct tap_bridge *bridge = user;
    struct pollfd *stop = &bridge->polled[bridge->device_count];
    for (;;) {
        int ready = poll(bridge->polled, bridge->device_count + 1, -1);
        if (ready < 0 && errno != EINTR) {
            fprintf(stderr, "ebpfd: the tap bridge stops: %s\n", strerror(errno));
            return;
        }
        if (ready > 0 && stop->revents != 0) {
            return;
        }
        if (ready > 0) {
            serve_ready(bridge);
        }
    }
}

// --- bring-up ------------------------------------------------------------------------------------

static ebpf_result_t check_names(const char *const *names, unsigned n)
{
    if (n % 2 != 0 || n > MAX_DEVICES) {
        fprintf(stderr,
                "ebpfd: --tap takes pairs of devices, %u at most; %u given: the last one has no other end\n",
                MAX_DEVICES, n);
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        bool is_taken = false;
        for (unsigned j = 0; j < i; j++) {
            is_taken = is_taken || strcmp(names[i], names[j]) == 0;
        }
        if (length == 0 || length >= IFNAMSIZ || is_taken || strpbrk(names[i], "/ %:") != NULL) {
            fprintf(stderr, "ebpfd: \"%s\" is no name for a tap device (1 to %d letters, each once)\n",
                    names[i], IFNAMSIZ - 1);
            return EBPF_INVALID_ARGUMENT;
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t refuse_device(const char *name, const char *what)
{
    int error = errno;
    fprintf(stderr, "ebpfd: tap device %s: %s: %s\n", name, what, strerror(error));
    return error == EPERM || error == EACCES                      ? EBPF_ACCESS_DENIED
           : error == ENOENT || error == ENODEV || error == ENXIO ? EBPF_OBJECT_NOT_FOUND
           : error == EBUSY                                       ? EBPF_OBJECT_ALREADY_EXISTS
                                                                  : EBPF_FAILED;
}

static ebpf_result_t open_tap(const char *name, int *fd, uint32_t *ifindex)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int opened = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0) {
        return refuse_device(name, "/dev/net/tun");
    }
    memcpy(request.ifr_name, name, strlen(name));
    unsigned index = 0;
    if (ioctl(opened, TUNSETIFF, &request) == 0) {
        index = if_nametoindex(name);
    }
    if (index == 0) {
        ebpf_result_t result = refuse_device(name, "cannot be created");
        close(opened);
        return result;
    }
    *fd = opened;
    *ifindex = index;
    return EBPF_SUCCESS;
}

static ebpf_result_t open_device(struct tap_bridge *bridge, const char *name)
{
    unsigned i = bridge->device_count;
    struct tap_device *device = &bridge->devices[i];
    TRY(open_tap(name, &device->fd, &device->ifindex));
    ebpf_result_t result =
        hook_xdp_device_add(hooks_xdp(bridge->hooks), device->ifindex, name, &device->point);
    if (result != EBPF_SUCCESS) {
        close(device->fd);
        return result;
    }
    memcpy(device->name, name, strlen(name) + 1);
    device->peer = i ^ 1u;
    bridge->polled[i] = (struct pollfd){.fd = device->fd, .events = POLLIN};
    bridge->device_count++;
    return EBPF_SUCCESS;
}

static void close_devices(struct tap_bridge *bridge)
{
    while (bridge->device_count > 0) {
        struct tap_device *device = &bridge->devices[--bridge->device_count];
        if (device->fd >= 0) {
            hook_xdp_device_remove(device->point);
            close(device->fd);
        }
    }
}

static ebpf_result_t open_devices(struct tap_bridge *bridge, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ebpf_result_t result = open_device(bridge, names[i]);
        if (result != EBPF_SUCCESS) {
            close_devices(bridge);
            return result;
        }
    }
    return EBPF_SUCCESS;
}

// The thread with what only it needs.
static ebpf_result_t start_thread(struct tap_bridge *bridge)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    bridge->buffers = malloc((size_t)BATCH * BUFFER_SIZE);
    if (bridge->buffers == NULL) {
        return result;
    }
    bridge->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (bridge->stop_fd < 0) {
        goto undo_buffers;
    }
    bridge->polled[bridge->device_count] = (struct pollfd){.fd = bridge->stop_fd, .events = POLLIN};
    TRY_OR(result, plat_thread_create(run_bridge, bridge, &bridge->thread), undo_stop_fd);
    return EBPF_SUCCESS;

undo_stop_fd:
    close(bridge->stop_fd);
undo_buffers:
    free(bridge->buffers);
    return result;
}

static void stop_thread(struct tap_bridge *bridge)
{
    uint64_t one = 1;
    if (write(bridge->stop_fd, &one, sizeof(one)) != sizeof(one)) {
        abort(); // an eventfd at 0 takes a 1
    }
    plat_thread_join(bridge->thread);
    close(bridge->stop_fd);
    free(bridge->buffers);
}

ebpf_result_t tap_bridge_create(struct core *core, const char *const *names, unsigned count,
                                struct tap_bridge **out)
{
    ebpf_result_t result;
    TRY(check_names(names, count));
    struct tap_bridge *bridge = calloc(1, sizeof(*bridge));
    if (bridge == NULL) {
        return EBPF_NO_MEMORY;
    }
    bridge->rt = core_runtime(core);
    TRY_OR(result, hooks_create(bridge->rt, &bridge->hooks), undo_bridge);
    TRY_OR(result, open_devices(bridge, names, count), undo_hooks);
    if (count > 0) {
        TRY_OR(result, start_thread(bridge), undo_devices);
    }
    *out = bridge;
    return EBPF_SUCCESS;

undo_devices:
    close_devices(bridge);
undo_hooks:
    hooks_destroy(bridge->hooks);
undo_bridge:
    free(bridge);
    return result;
}

void tap_bridge_destroy(struct tap_bridge *bridge)
{
    if (bridge == NULL) {
        return;
    }
    if (bridge->thread != NULL) {
        stop_thread(bridge);
    }
    close_devices(bridge);
    hooks_destroy(bridge->hooks);
    free(bridge);
}

// --- queries -------------------------------------------------------------------------------------

static uint32_t program_of_link(struct runtime *rt, uint32_t id)
{
    struct object *object = NULL;
    if (id == 0 || object_by_id(rt, OBJECT_LINK, id, &object) != EBPF_SUCCESS) {
        return 0;
    }
    struct link_info info;
    link_info(link_from_object(object), &info);
    object_release(object);
    return info.prog_id;
}

ebpf_result_t tap_bridge_hook_next(void *user, const struct proto_hook_next_request *request,
                                   struct proto_hook_next_reply *reply)
{
    struct tap_bridge *bridge = user;
    if (bridge == NULL) {
        return EBPF_NO_MORE_KEYS;
    }
    TRY(hooks_next(bridge->hooks, request, reply));
    reply->prog_id = program_of_link(bridge->rt, reply->link_id);
    return EBPF_SUCCESS;
}

void tap_bridge_counters(const struct tap_bridge *bridge, struct tap_counters *out)
{
    const struct tap_counts *c = &bridge->counts;
    *out = (struct tap_counters){
        .received = atomic_load_explicit(&c->received, memory_order_relaxed),
        .written = atomic_load_explicit(&c->written, memory_order_relaxed),
        .dropped = atomic_load_explicit(&c->dropped, memory_order_relaxed),
        .write_failed = atomic_load_explicit(&c->write_failed, memory_order_relaxed),
        .no_target = atomic_load_explicit(&c->no_target, memory_order_relaxed),
        .wakeups = atomic_load_explicit(&c->wakeups, memory_order_relaxed),
    };
}
