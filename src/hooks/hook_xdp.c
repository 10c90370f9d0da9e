// SPDX-License-Identifier: MIT
// hook_xdp: devices as attachment points, batches of frames in, verdicts out.
//
// Invariants: the device list and reference counts change under `lock` only, at PASSIVE; the frame path takes
// no lock: it reads the device's point and adds to its counters, once a batch each. A device lives while the
// host or a link holds it.
#include "hooks/hooks.h"
#include "hooks/context.h"
#include "hooks/point.h"
#include "plat/plat.h"

#define NAME_SIZE            32u // of a device, with NUL
#define ETHERNET_HEADER_SIZE 14u

// Frames of a device by outcome: indexed by enum verdict, VERDICT_NONE standing for "nothing attached".
struct xdp_counts {
    _Atomic uint64_t frames[VERDICT_COUNT];
    _Atomic uint64_t run_time_ns;
};

struct hook_xdp {
    struct runtime *rt;
    struct hook_provider provider;
    struct plat_mutex lock;
    struct list devices;
};

struct hook_xdp_device {
    struct list node; // self-linked once removed
    struct hook_xdp *hook;
    uint32_t ifindex;
    uint32_t references; // the host's and the attached link's
    char name[NAME_SIZE];
    struct point point;
    struct xdp_counts counts;
};

// --- attachment ----------------------------------------------------------------------------------

static struct hook_xdp_device *find_device(struct hook_xdp *hook, uint32_t ifindex)
{
    LIST_FOR_EACH (pos, &hook->devices) {
        struct hook_xdp_device *device = CONTAINER_OF(pos, struct hook_xdp_device, node);
        if (device->ifindex == ifindex) {
            return device;
        }
    }
    return NULL;
}

// With the lock held.
static void drop_device(struct hook_xdp_device *device)
{
    if (--device->references == 0) {
        plat_free(device);
    }
}

static ebpf_result_t attach_device(struct hook_xdp *hook, struct link *link, uint32_t ifindex,
                                   struct hook_xdp_device **out)
{
    struct hook_xdp_device *device = find_device(hook, ifindex);
    if (device == NULL) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    TRY(point_attach(&device->point, link));
    device->references++;
    *out = device;
    return EBPF_SUCCESS;
}

static ebpf_result_t attach(void *provider_context, struct link *link, const struct attach_params *params,
                            void **hook_context)
{
    struct hook_xdp *hook = provider_context;
    if (params->flags & XDP_FLAG_HW_MODE) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (params->ifindex == 0 || (params->flags & ~(uint32_t)XDP_FLAG_ALL) != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct hook_xdp_device *device = NULL;
    plat_mutex_acquire(&hook->lock);
    ebpf_result_t result = attach_device(hook, link, params->ifindex, &device);
    plat_mutex_release(&hook->lock);
    if (result == EBPF_SUCCESS) {
        *hook_context = device;
    }
    return result;
}

static void detach(void *provider_context, void *hook_context)
{
    struct hook_xdp *hook = provider_context;
    struct hook_xdp_device *device = hook_context;
    plat_mutex_acquire(&hook->lock);
    point_detach(&device->point);
    drop_device(device);
    plat_mutex_release(&hook->lock);
}

// --- test runs -----------------------------------------------------------------------------------

// Linux lets a client describe metadata before the packet by `data` > 0, and an egress device for devmap
// programs; this hook offers neither. `data_end` may be the packet's size.
static ebpf_result_t check_linux_view(const void *ctx_in, size_t data_size)
{
    uint32_t view[6]; // data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    memcpy(view, ctx_in, sizeof(view));
    if (view[0] != 0 || view[2] != 0 || view[5] != 0) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    return view[1] == 0 || view[1] == data_size ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

// The size of the client's structure says in which dialect it is.
static ebpf_result_t create_context(void *provider_context, uint8_t *buffer, size_t headroom, size_t size,
                                    size_t capacity, const void *ctx_in, size_t ctx_in_size, void **context)
{
    UNUSED(provider_context);
    uint32_t layout = LAYOUT_XDP_WINDOWS;
    if (ctx_in_size == spec_builtin()->layouts[LAYOUT_XDP_LINUX].size) {
        layout = LAYOUT_XDP_LINUX;
        TRY(check_linux_view(ctx_in, size));
    }
    if (size < ETHERNET_HEADER_SIZE) {
        return EBPF_INVALID_ARGUMENT; // no frame is shorter; Linux refuses it too
    }
    struct context_buffer in = {buffer, headroom, size, capacity};
    struct test_context *made = NULL;
    TRY(context_create(&in, layout, ctx_in, ctx_in_size, &made));
    made->native.xdp.frame_start = buffer;
    made->native.xdp.frame_end = buffer + capacity;
    *context = made;
    return EBPF_SUCCESS;
}

// --- bring-up ------------------------------------------------------------------------------------

ebpf_result_t hook_xdp_create(struct runtime *rt, struct hook_xdp **out)
{
    ebpf_result_t result;
    struct hook_xdp *hook = plat_alloc(sizeof(*hook), POOL_TAG_HOOK);
    if (hook == NULL) {
        return EBPF_NO_MEMORY;
    }
    hook->rt = rt;
    list_init(&hook->devices);
    plat_mutex_init(&hook->lock);
    hook->provider = (struct hook_provider){
        .name = "xdp",
        .attach_type = ATTACH_TYPE_XDP,
        .max_links = 1,
        .attach = attach,
        .detach = detach,
        .context_create = create_context,
        .context_destroy = context_destroy,
        .provider_context = hook,
    };
    TRY_OR(result, provider_register(rt, &hook->provider), undo_hook);
    *out = hook;
    return EBPF_SUCCESS;

undo_hook:
    plat_mutex_fini(&hook->lock);
    plat_free(hook);
    return result;
}

void hook_xdp_destroy(struct hook_xdp *hook)
{
    if (hook == NULL) {
        return;
    }
    provider_unregister(hook->rt, &hook->provider);
    plat_mutex_fini(&hook->lock);
    plat_free(hook);
}

static struct hook_xdp_device *make_device(struct hook_xdp *hook, uint32_t ifindex, const char *name)
{
    struct hook_xdp_device *device = plat_alloc(sizeof(*device), POOL_TAG_HOOK);
    if (device != NULL) {
        device->hook = hook;
        device->ifindex = ifindex;
        device->references = 1;
        str_copy(device->name, sizeof(device->name), name);
    }
    return device;
}

ebpf_result_t hook_xdp_device_add(struct hook_xdp *hook, uint32_t ifindex, const char *name,
                                  struct hook_xdp_device **out)
{
    if (ifindex == 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct hook_xdp_device *device = make_device(hook, ifindex, name);
    if (device == NULL) {
        return EBPF_NO_MEMORY;
    }
    plat_mutex_acquire(&hook->lock);
    bool is_taken = find_device(hook, ifindex) != NULL;
    if (!is_taken) {
        list_push_back(&hook->devices, &device->node);
    }
    plat_mutex_release(&hook->lock);
    if (is_taken) {
        plat_free(device);
        return EBPF_OBJECT_ALREADY_EXISTS;
    }
    *out = device;
    return EBPF_SUCCESS;
}

void hook_xdp_device_remove(struct hook_xdp_device *device)
{
    struct hook_xdp *hook = device->hook;
    plat_mutex_acquire(&hook->lock);
    list_remove(&device->node);
    drop_device(device);
    plat_mutex_release(&hook->lock);
}

// --- frames --------------------------------------------------------------------------------------

// Verdict of what the program returned for a frame; anything that says nothing clear aborts it. VERDICT_NONE:
// the link was detached meanwhile. (A link's dialect never changes, whatever program replaces another.)
static uint32_t judge(struct link *link, struct xdp_context *context)
{
    uint64_t value = 0;
    ebpf_result_t result = link_batch_invoke(link, context, &value);
    if (result != EBPF_SUCCESS) {
        return result == EBPF_INVALID_STATE ? VERDICT_NONE : VERDICT_XDP_ABORTED;
    }
    uint32_t verdict = spec_verdict(PROG_TYPE_XDP, link_dialect(link), (uint32_t)value);
    if (verdict == VERDICT_NONE || (verdict == VERDICT_XDP_REDIRECT && context->redirect_ifindex == 0)) {
        return VERDICT_XDP_ABORTED;
    }
    return verdict;
}

static uint32_t run_frame(struct link *link, const struct hook_xdp_device *device,
                          struct hook_xdp_frame *frame)
{
    uint8_t *data = frame->buffer + frame->off;
    struct xdp_context context = {
        .packet = {.data = data, .data_end = data + frame->size, .data_meta = data},
        .frame_start = frame->buffer,
        .frame_end = frame->buffer + frame->capacity,
        .ingress_ifindex = device->ifindex,
        .rx_queue_index = frame->rx_queue,
    };
    uint32_t verdict = judge(link, &context);
    frame->off = (uint32_t)(context.packet.data - frame->buffer);
    frame->size = (uint32_t)(context.packet.data_end - context.packet.data);
    frame->verdict = verdict == VERDICT_NONE ? VERDICT_XDP_PASS : verdict;
    frame->target_ifindex = verdict == VERDICT_XDP_REDIRECT ? context.redirect_ifindex : 0;
    return verdict;
}

static void pass_frame(struct hook_xdp_frame *frame)
{
    frame->verdict = VERDICT_XDP_PASS;
    frame->target_ifindex = 0;
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    if (value != 0) {
        atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
    }
}

void hook_xdp_run(struct hook_xdp_device *device, struct hook_xdp_frame *frames, unsigned count)
{
    uint64_t seen[VERDICT_COUNT] = {0}; // [VERDICT_NONE]: no program
    struct runtime *rt = device->hook->rt;
    link_batch_begin(rt);
    struct link *link = point_link(&device->point);
    uint64_t start = plat_time_ns();
    for (unsigned i = 0; i < count; i++) {
        uint32_t verdict = VERDICT_NONE;
        if (link != NULL) {
            verdict = run_frame(link, device, &frames[i]);
        } else {
            pass_frame(&frames[i]);
        }
        seen[verdict]++;
    }
    uint64_t elapsed = plat_time_ns() - start;
    link_batch_end(rt);
    for (unsigned i = 0; i < VERDICT_COUNT; i++) {
        add(&device->counts.frames[i], seen[i]);
    }
    add(&device->counts.run_time_ns, link != NULL ? elapsed : 0);
}

// --- queries -------------------------------------------------------------------------------------

static uint64_t frames_of(const struct hook_xdp_device *device, uint32_t verdict)
{
    return atomic_load_explicit(&device->counts.frames[verdict], memory_order_relaxed);
}

void hook_xdp_counters(const struct hook_xdp_device *device, struct hook_xdp_counters *out)
{
    out->aborted = frames_of(device, VERDICT_XDP_ABORTED);
    out->drop = frames_of(device, VERDICT_XDP_DROP);
    out->pass = frames_of(device, VERDICT_XDP_PASS);
    out->tx = frames_of(device, VERDICT_XDP_TX);
    out->redirect = frames_of(device, VERDICT_XDP_REDIRECT);
    out->unattached = frames_of(device, VERDICT_NONE);
    out->run_time_ns = atomic_load_explicit(&device->counts.run_time_ns, memory_order_relaxed);
}

static struct hook_xdp_device *next_device(struct hook_xdp *hook, uint32_t after)
{
    struct hook_xdp_device *best = NULL;
    LIST_FOR_EACH (pos, &hook->devices) {
        struct hook_xdp_device *device = CONTAINER_OF(pos, struct hook_xdp_device, node);
        if (device->ifindex > after && (best == NULL || device->ifindex < best->ifindex)) {
            best = device;
        }
    }
    return best;
}

static void put_counter(struct proto_hook_next_reply *reply, const char *name, uint64_t packets)
{
    uint32_t i = reply->counter_count++;
    str_copy(reply->counters[i].name, sizeof(reply->counters[i].name), name);
    reply->counters[i].packets = packets;
}

// With the lock held, so that the link cannot be detached meanwhile.
static void describe(struct hook_xdp_device *device, struct proto_hook_next_reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    reply->ifindex = device->ifindex;
    str_copy(reply->name, sizeof(reply->name), device->name);
    struct link *link = point_link(&device->point);
    reply->link_id = link != NULL ? link_id(link) : 0;
    for (uint32_t verdict = 1; verdict < VERDICT_COUNT; verdict++) {
        const struct verdict_row *row = spec_verdict_row(verdict);
        if (row->prog_type == PROG_TYPE_XDP) {
            put_counter(reply, row->name, frames_of(device, verdict));
            reply->packets += frames_of(device, verdict);
        }
    }
    put_counter(reply, "unattached", frames_of(device, VERDICT_NONE));
    reply->run_time_ns = atomic_load_explicit(&device->counts.run_time_ns, memory_order_relaxed);
}

ebpf_result_t hook_xdp_next(struct hook_xdp *hook, const struct proto_hook_next_request *request,
                            struct proto_hook_next_reply *reply)
{
    plat_mutex_acquire(&hook->lock);
    struct hook_xdp_device *device = next_device(hook, request->after_ifindex);
    if (device != NULL) {
        describe(device, reply);
    }
    plat_mutex_release(&hook->lock);
    return device != NULL ? EBPF_SUCCESS : EBPF_NO_MORE_KEYS;
}
