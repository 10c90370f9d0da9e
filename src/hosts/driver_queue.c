// SPDX-License-Identifier: MIT
// driver_queue: queues of pended IRPs and the threads that work them off. The pattern of cancel-safe queues
// (Microsoft's documentation, "Cancel-Safe IRP Queues"): whoever takes the cancel routine off an IRP may
// complete it, and nobody else; a cancel routine that the system has called already finds its request out of
// the queue, or takes it out itself.
#include "hosts/driver.h"

#define DRAIN_STEP_US 1000u
#define MAX_REQUESTS  1024u // of a queue; each holds a system buffer

struct driver_request {
    struct list node;
    struct queue *queue;
    IRP *irp;
    struct channel *channel; // held
    bool given_up;           // its handle was closed
};

static struct driver_request *request_of(struct list *node)
{
    return CONTAINER_OF(node, struct driver_request, node);
}

// Where an IRP remembers its request; the driver's own while it has the IRP.
static struct driver_request **request_slot(IRP *irp)
{
    return (struct driver_request **)&irp->Tail.Overlay.DriverContext[0];
}

static void free_request(struct driver_request *r)
{
    struct queue *q = r->queue;
    channel_release(r->channel);
    plat_free(r);
    __atomic_fetch_sub(&q->driver->pending, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&q->requests, 1, __ATOMIC_SEQ_CST); // the last that is done with a queue
}

// --- cancelling ----------------------------------------------------------------------------------

// The request goes first, so that a client that has its answer finds nothing of it left.
static void complete_cancelled(struct driver_request *r)
{
    IRP *irp = r->irp;
    free_request(r);
    (void)driver_complete(irp, STATUS_CANCELLED, 0);
}

// Called by the system with its cancel lock held.
static void NTAPI cancel(DEVICE_OBJECT *device, IRP *irp)
{
    struct driver_request *r = *request_slot(irp);
    UNUSED(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    plat_spinlock_acquire(&r->queue->lock);
    list_remove(&r->node);
    plat_spinlock_release(&r->queue->lock);
    complete_cancelled(r);
}

// Whether the IRP is the caller's from now on; otherwise a call of `cancel` is under way. The queue is
// locked.
static bool claim_locked(struct driver_request *r)
{
    list_remove(&r->node);
    return IoSetCancelRoutine(r->irp, NULL) != NULL;
}

// Moves the requests about `c` (NULL: all) that wait to `out`, and asks those that run to give up.
static void collect(struct queue *q, const struct channel *c, struct list *out)
{
    list_init(out);
    plat_spinlock_acquire(&q->lock);
    LIST_FOR_EACH (node, &q->running) {
        if (c == NULL || request_of(node)->channel == c) {
            __atomic_store_n(&request_of(node)->given_up, true, __ATOMIC_RELAXED);
        }
    }
    for (struct list *node = q->queued.next, *next; node != &q->queued; node = next) {
        next = node->next;
        if ((c == NULL || request_of(node)->channel == c) && claim_locked(request_of(node))) {
            list_push_back(out, node);
        }
    }
    plat_spinlock_release(&q->lock);
}

static void cancel_collected(struct list *collected)
{
    while (!list_is_empty(collected)) {
        struct driver_request *r = request_of(collected->next);
        list_remove(&r->node);
        complete_cancelled(r);
    }
}

void queue_cancel(struct queue *q, struct channel *c)
{
    struct list collected;
    collect(q, c, &collected);
    cancel_collected(&collected);
}

// --- workers -------------------------------------------------------------------------------------

static struct driver_request *take(struct queue *q)
{
    struct driver_request *taken = NULL;
    plat_spinlock_acquire(&q->lock);
    q->calls -= q->calls != 0; // it is none at the end
    while (taken == NULL && !list_is_empty(&q->queued)) {
        struct driver_request *r = request_of(q->queued.next);
        if (claim_locked(r)) {
            taken = r;
            list_push_back(&q->running, &r->node);
        }
    }
    plat_spinlock_release(&q->lock);
    return taken;
}

static bool is_abandoned(void *user)
{
    const struct driver_request *r = user;
    return *(volatile BOOLEAN *)&r->irp->Cancel || __atomic_load_n(&r->given_up, __ATOMIC_RELAXED) ||
           __atomic_load_n(&r->queue->stopping, __ATOMIC_RELAXED);
}

static void run(struct queue *q, struct driver_request *r)
{
    IRP *irp = r->irp;
    size_t information = 0;
    NTSTATUS status = control_execute(q->driver, irp, r->channel, is_abandoned, r, &information);
    plat_spinlock_acquire(&q->lock);
    list_remove(&r->node);
    plat_spinlock_release(&q->lock);
    free_request(r);
    (void)driver_complete(irp, status, information);
}

static void work(void *user)
{
    struct queue *q = user;
    for (;;) {
        (void)KeWaitForSingleObject(&q->ready, Executive, KernelMode, FALSE, NULL);
        struct driver_request *r = take(q);
        if (r != NULL) {
            run(q, r);
        } else if (__atomic_load_n(&q->stopping, __ATOMIC_ACQUIRE)) {
            return;
        }
    }
}

// --- life ----------------------------------------------------------------------------------------

ebpf_result_t queue_create(struct queue *q, struct driver *driver, unsigned workers)
{
    ebpf_result_t result = EBPF_SUCCESS;
    q->driver = driver;
    plat_spinlock_init(&q->lock);
    list_init(&q->queued);
    list_init(&q->running);
    KeInitializeSemaphore(&q->ready, 0, MAXLONG);
    while (q->worker_count < workers && result == EBPF_SUCCESS) {
        result = plat_thread_create(work, q, &q->workers[q->worker_count]);
        q->worker_count += result == EBPF_SUCCESS;
    }
    if (result != EBPF_SUCCESS) {
        queue_destroy(q);
    }
    return result;
}

void queue_destroy(struct queue *q)
{
    __atomic_store_n(&q->stopping, true, __ATOMIC_RELEASE);
    queue_cancel(q, NULL);
    if (q->worker_count != 0) {
        (void)KeReleaseSemaphore(&q->ready, IO_NO_INCREMENT, (LONG)q->worker_count, FALSE);
    }
    while (q->worker_count != 0) {
        plat_thread_join(q->workers[--q->worker_count]);
    }
    while (__atomic_load_n(&q->requests, __ATOMIC_SEQ_CST) != 0) { // a cancel routine is on its way
        plat_sleep_us(DRAIN_STEP_US);
    }
}

// --- queueing ------------------------------------------------------------------------------------

// Each queue has a limit of its own: whoever fills that of the runs does not keep verdicts out.
static bool take_place(struct queue *q)
{
    if (__atomic_add_fetch(&q->requests, 1, __ATOMIC_SEQ_CST) <= MAX_REQUESTS) {
        return true;
    }
    __atomic_fetch_sub(&q->requests, 1, __ATOMIC_SEQ_CST);
    return false;
}

static struct driver_request *make_request(struct queue *q, IRP *irp, struct channel *c)
{
    struct driver *d = q->driver;
    if (!take_place(q)) {
        return NULL;
    }
    struct driver_request *r = plat_alloc(sizeof(*r), POOL_TAG_CORE);
    if (r == NULL) {
        __atomic_fetch_sub(&q->requests, 1, __ATOMIC_SEQ_CST);
        return NULL;
    }
    *r = (struct driver_request){.queue = q, .irp = irp, .channel = c};
    *request_slot(irp) = r;
    channel_acquire(c);
    __atomic_fetch_add(&d->pending, 1, __ATOMIC_SEQ_CST);
    return r;
}

// A call for each request, but never so many that the semaphore overflows when requests are cancelled faster
// than workers come: as many as there may be requests are enough. The queue is locked.
static bool count_call(struct queue *q)
{
    bool wanted = q->calls < MAX_REQUESTS;
    q->calls += wanted;
    return wanted;
}

NTSTATUS queue_insert(struct queue *q, IRP *irp, struct channel *c)
{
    struct driver_request *r = make_request(q, irp, c);
    if (r == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoMarkIrpPending(irp);
    plat_spinlock_acquire(&q->lock);
    list_push_back(&q->queued, &r->node);
    (void)IoSetCancelRoutine(irp, cancel);
    bool late = *(volatile BOOLEAN *)&irp->Cancel && claim_locked(r); // cancelled before it had a routine
    bool call = !late && count_call(q);
    plat_spinlock_release(&q->lock);
    if (late) {
        complete_cancelled(r);
    }
    if (call) {
        (void)KeReleaseSemaphore(&q->ready, IO_NO_INCREMENT, 1, FALSE);
    }
    return STATUS_PENDING;
}
