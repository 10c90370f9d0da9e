// SPDX-License-Identifier: MIT
// dpc: a queue and a thread per processor. The thread claims its processor while it runs what is queued, so
// that a DPC never runs beside a thread at DISPATCH_LEVEL on the same processor, and goes before those that
// wait for one.
#include "tests/wine/overlay/overlay.h"

// KDPC.Number: 0 none chosen, else the processor + 32, as Windows numbers targets.
#define TARGETED 32

struct queue {
    LIST_ENTRY entries;
    void *wake;
    unsigned processor;
};

static struct host_lock dpc_lock;
static struct queue queues[64];
static unsigned queue_count;
static volatile LONG unfinished; // queued or running

// The next one, which may be queued again from now on; false: none.
static bool next_dpc(struct queue *queue, KDPC *copy, PKDPC *dpc)
{
    host_lock(&dpc_lock);
    bool any = !IsListEmpty(&queue->entries);
    if (any) {
        *dpc = CONTAINING_RECORD(RemoveHeadList(&queue->entries), KDPC, DpcListEntry);
        *copy = **dpc;
        (*dpc)->DpcData = NULL;
    }
    host_unlock(&dpc_lock);
    return any;
}

static void run_queue(struct queue *queue)
{
    KDPC copy;
    PKDPC dpc;
    overlay_enter_dpc(queue->processor);
    while (next_dpc(queue, &copy, &dpc)) {
        copy.DeferredRoutine(dpc, copy.DeferredContext, copy.SystemArgument1, copy.SystemArgument2);
        struct thread_state *state = overlay_thread();
        if (state->spin_locks != 0 || state->irql != DISPATCH_LEVEL) {
            overlay_bugcheck("IRQL_UNEXPECTED_VALUE", (const void *)(uintptr_t)copy.DeferredRoutine,
                             "a DPC returned at level %u, holding %u spin locks", state->irql,
                             state->spin_locks);
        }
        InterlockedDecrement(&unfinished);
    }
    overlay_leave_dpc();
}

static void serve(void *user)
{
    struct queue *queue = user;
    for (;;) {
        host_event_wait(queue->wake);
        run_queue(queue);
    }
}

void overlay_start_dpc(void)
{
    queue_count = host_processor_count();
    for (unsigned i = 0; i < queue_count; i++) {
        queues[i].processor = i;
        queues[i].wake = host_event_create();
        InitializeListHead(&queues[i].entries);
        if (queues[i].wake == NULL || !host_start_thread(serve, &queues[i])) {
            host_print("BUGCHECK: the overlay cannot start its DPC threads");
            host_terminate();
        }
    }
}

void overlay_KeInitializeDpc(PKDPC dpc, PKDEFERRED_ROUTINE routine, void *context)
{
    *dpc = (KDPC){.Importance = MediumImportance, .DeferredRoutine = routine, .DeferredContext = context};
}

void overlay_KeSetImportanceDpc(PKDPC dpc, KDPC_IMPORTANCE importance)
{
    dpc->Importance = (UCHAR)importance;
}

NTSTATUS overlay_KeSetTargetProcessorDpcEx(PKDPC dpc, PPROCESSOR_NUMBER number)
{
    if (number->Group != 0 || number->Number >= queue_count || number->Reserved != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    dpc->Number = (USHORT)(TARGETED + number->Number);
    return STATUS_SUCCESS;
}

void overlay_KeSetTargetProcessorDpc(PKDPC dpc, CCHAR number)
{
    dpc->Number = (USHORT)(TARGETED + number);
}

static struct queue *queue_of(const KDPC *dpc)
{
    unsigned target = dpc->Number >= TARGETED ? (unsigned)dpc->Number - TARGETED : overlay_processor();
    return &queues[target % queue_count];
}

BOOLEAN overlay_KeInsertQueueDpc(PKDPC dpc, void *argument1, void *argument2)
{
    struct queue *queue = queue_of(dpc);
    host_lock(&dpc_lock);
    bool fresh = dpc->DpcData == NULL;
    if (fresh) {
        dpc->DpcData = queue;
        dpc->SystemArgument1 = argument1;
        dpc->SystemArgument2 = argument2;
        if (dpc->Importance == HighImportance) {
            InsertHeadList(&queue->entries, &dpc->DpcListEntry);
        } else {
            InsertTailList(&queue->entries, &dpc->DpcListEntry);
        }
        InterlockedIncrement(&unfinished);
    }
    host_unlock(&dpc_lock);
    if (fresh) {
        host_event_set(queue->wake);
    }
    return fresh;
}

BOOLEAN overlay_KeRemoveQueueDpc(PKDPC dpc)
{
    host_lock(&dpc_lock);
    bool queued = dpc->DpcData != NULL;
    if (queued) {
        RemoveEntryList(&dpc->DpcListEntry);
        dpc->DpcData = NULL;
        InterlockedDecrement(&unfinished);
    }
    host_unlock(&dpc_lock);
    return queued;
}

void overlay_KeFlushQueuedDpcs(void)
{
    overlay_require_irql(PASSIVE_LEVEL, "KeFlushQueuedDpcs", CALLER);
    while (unfinished != 0) {
        host_sleep_ms(1);
    }
}

LOGICAL overlay_KeIsExecutingDpc(void)
{
    return overlay_thread()->runs_dpc;
}

// --- one DPC on every processor at once ---

struct generic {
    volatile LONG running;    // processors that have not said that they are done
    volatile LONG at_barrier; // processors that wait at the present barrier
    volatile LONG barriers;   // passed so far
    LONG count;
};

ULONG overlay_KeSignalCallDpcDone(struct generic *generic)
{
    return InterlockedDecrement(&generic->running);
}

// TRUE on one processor, the last one that comes.
LOGICAL overlay_KeSignalCallDpcSynchronize(struct generic *generic)
{
    LONG barrier = generic->barriers;
    if (InterlockedIncrement(&generic->at_barrier) == generic->count) {
        generic->at_barrier = 0;
        InterlockedIncrement(&generic->barriers);
        return TRUE;
    }
    while (generic->barriers == barrier) {
        host_yield();
    }
    return FALSE;
}

void overlay_KeGenericCallDpc(PKDEFERRED_ROUTINE routine, void *context)
{
    struct generic generic = {.running = (LONG)queue_count, .count = (LONG)queue_count};
    KDPC dpcs[64];
    overlay_require_irql(APC_LEVEL, "KeGenericCallDpc", CALLER);
    for (unsigned i = 0; i < queue_count; i++) {
        overlay_KeInitializeDpc(&dpcs[i], routine, context);
        dpcs[i].Number = (USHORT)(TARGETED + i);
        overlay_KeInsertQueueDpc(&dpcs[i], &generic, &generic);
    }
    while (generic.running != 0) {
        host_sleep_ms(1);
    }
}

// --- timers: Wine's own, whose DPC goes through the queue ---

// Wine calls a timer's DPC itself, at PASSIVE_LEVEL: it gets this one, which queues the driver's.
struct relay {
    KDPC dpc;
    PKDPC target;
    PKTIMER timer;
    struct relay *next;
};
static struct relay *relays; // one per timer that ever had a DPC; they stay

static void NTAPI queue_target(PKDPC dpc, void *context, void *argument1, void *argument2)
{
    UNREFERENCED_PARAMETER(dpc);
    struct relay *relay = context;
    overlay_KeInsertQueueDpc(relay->target, argument1, argument2);
}

static struct relay *relay_for(PKTIMER timer, PKDPC target)
{
    host_lock(&dpc_lock);
    struct relay *relay = relays;
    while (relay != NULL && relay->timer != timer) {
        relay = relay->next;
    }
    if (relay == NULL && (relay = overlay_alloc(sizeof(*relay))) != NULL) {
        *relay = (struct relay){.timer = timer, .next = relays};
        overlay_KeInitializeDpc(&relay->dpc, queue_target, relay);
        relays = relay;
    }
    if (relay != NULL) {
        relay->target = target;
    }
    host_unlock(&dpc_lock);
    return relay;
}

BOOLEAN overlay_KeSetTimerEx(PKTIMER timer, LARGE_INTEGER due, LONG period, PKDPC dpc)
{
    struct relay *relay = dpc != NULL ? relay_for(timer, dpc) : NULL;
    overlay_require_irql(DISPATCH_LEVEL, "KeSetTimerEx", CALLER);
    return KeSetTimerEx(timer, due, period, relay != NULL ? &relay->dpc : NULL);
}

BOOLEAN overlay_KeSetTimer(PKTIMER timer, LARGE_INTEGER due, PKDPC dpc)
{
    return overlay_KeSetTimerEx(timer, due, 0, dpc);
}

BOOLEAN overlay_KeSetCoalescableTimer(PKTIMER timer, LARGE_INTEGER due, ULONG period, ULONG delay, PKDPC dpc)
{
    UNREFERENCED_PARAMETER(delay);
    return overlay_KeSetTimerEx(timer, due, (LONG)period, dpc);
}
