// SPDX-License-Identifier: MIT
// netio: a test double of Windows' network module registrar (NMR), which Wine 8.0 does not have. Written from
// Microsoft's documentation of netioddk.h alone; knows nothing of the project.
//
// Attaches in the thread that registers. Detaches in a thread of its own, later than the call that began it,
// as the documentation permits: a driver that does not wait for the end is unmapped too early and falls. A
// callback that breaks the rules ends the driver host.
//
// Wine loads this file because a driver imports from it, and never calls its DriverEntry: all state begins as
// zeroes.
#include <ntifs.h>
#include <stdbool.h>

// --- netioddk.h ----------------------------------------------------------------------------------

typedef struct {
    USHORT Length;
    ULONG Type;
    GUID Guid;
} NPI_MODULEID;
typedef struct {
    USHORT Version, Size;
    const GUID *NpiId;
    const NPI_MODULEID *ModuleId;
    ULONG Number;
    const void *NpiSpecificCharacteristics;
} NPI_REGISTRATION_INSTANCE;
typedef struct {
    USHORT Version, Length;
    NTSTATUS(NTAPI *AttachProvider)(HANDLE binding, void *context, const NPI_REGISTRATION_INSTANCE *provider);
    NTSTATUS(NTAPI *Detach)(void *binding_context);
    VOID(NTAPI *Cleanup)(void *binding_context);
    NPI_REGISTRATION_INSTANCE Instance;
} NPI_CLIENT_CHARACTERISTICS;
typedef struct {
    USHORT Version, Length;
    NTSTATUS(NTAPI *AttachClient)(HANDLE binding, void *context, const NPI_REGISTRATION_INSTANCE *client,
                                  void *client_context, const void *client_dispatch, void **binding_context,
                                  const void **dispatch);
    NTSTATUS(NTAPI *Detach)(void *binding_context);
    VOID(NTAPI *Cleanup)(void *binding_context);
    NPI_REGISTRATION_INSTANCE Instance;
} NPI_PROVIDER_CHARACTERISTICS;

#define NMR __declspec(dllexport)
NMR NTSTATUS NTAPI NmrRegisterClient(const NPI_CLIENT_CHARACTERISTICS *client, void *context, HANDLE *handle);
NMR NTSTATUS NTAPI NmrRegisterProvider(const NPI_PROVIDER_CHARACTERISTICS *provider, void *context,
                                       HANDLE *handle);
NMR NTSTATUS NTAPI NmrClientAttachProvider(HANDLE binding, void *client_context, const void *client_dispatch,
                                           void **provider_context, const void **provider_dispatch);
NMR NTSTATUS NTAPI NmrDeregisterClient(HANDLE handle);
NMR NTSTATUS NTAPI NmrDeregisterProvider(HANDLE handle);
NMR NTSTATUS NTAPI NmrWaitForClientDeregisterComplete(HANDLE handle);
NMR NTSTATUS NTAPI NmrWaitForProviderDeregisterComplete(HANDLE handle);
NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path);

// --- what there is -------------------------------------------------------------------------------

enum { MODULES = 64, BINDINGS = 128, SLOW_US = 3000 };
enum module_state { FREE, REGISTERED, LEAVING };
enum binding_state { UNBOUND, ATTACHING, ATTACHED, DETACHING };

struct module {
    enum module_state state;
    bool is_provider;
    const NPI_CLIENT_CHARACTERISTICS *client;
    const NPI_PROVIDER_CHARACTERISTICS *provider;
    void *context;
    HANDLE thread; // that detaches it
};
struct binding {
    enum binding_state state;
    bool asked; // the client has called NmrClientAttachProvider
    struct module *client, *provider;
    void *client_context, *provider_context;
};

static KSPIN_LOCK lock; // never held during a callback
static struct module modules[MODULES];
static struct binding bindings[BINDINGS];

static void require(bool condition, ULONG which)
{
    if (!condition) {
        KeBugCheckEx(0x4e4d52 /* "NMR" */, which, 0, 0, 0);
    }
}

static void sleep_us(ULONG us)
{
    LARGE_INTEGER time = {.QuadPart = -10 * (LONGLONG)us};
    (void)KeDelayExecutionThread(KernelMode, FALSE, &time);
}

static const NPI_REGISTRATION_INSTANCE *instance_of(const struct module *m)
{
    return m->is_provider ? &m->provider->Instance : &m->client->Instance;
}

// --- attaching -----------------------------------------------------------------------------------

static bool fit(const struct module *a, const struct module *b)
{
    return a->is_provider != b->is_provider &&
           memcmp(instance_of(a)->NpiId, instance_of(b)->NpiId, sizeof(GUID)) == 0;
}

static bool are_bound(const struct module *client, const struct module *provider)
{
    for (unsigned i = 0; i < BINDINGS; i++) {
        if (bindings[i].state != UNBOUND && bindings[i].client == client &&
            bindings[i].provider == provider) {
            return true;
        }
    }
    return false;
}

static struct binding *bind(struct module *client, struct module *provider)
{
    for (unsigned i = 0; i < BINDINGS; i++) {
        if (bindings[i].state == UNBOUND) {
            bindings[i] = (struct binding){.state = ATTACHING, .client = client, .provider = provider};
            return &bindings[i];
        }
    }
    require(false, 1);
    return NULL;
}

// A new binding of `m` and the next one from `*from` on that fits; NULL: there is none.
static struct binding *next_binding(struct module *m, unsigned *from)
{
    struct binding *b = NULL;
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    for (; b == NULL && *from < MODULES && m->state == REGISTERED; (*from)++) {
        struct module *other = &modules[*from], *client = m->is_provider ? other : m;
        struct module *provider = m->is_provider ? m : other;
        if (other->state == REGISTERED && fit(m, other) && !are_bound(client, provider)) {
            b = bind(client, provider);
        }
    }
    KeReleaseSpinLock(&lock, irql);
    return b;
}

static void attach_all(struct module *m)
{
    unsigned from = 0;
    struct binding *b;
    while ((b = next_binding(m, &from)) != NULL) {
        NTSTATUS status = b->client->client->AttachProvider(b, b->client->context, instance_of(b->provider));
        require(KeGetCurrentIrql() == PASSIVE_LEVEL && status != STATUS_PENDING, 2);
        require(!NT_SUCCESS(status) || b->asked, 3);
        KIRQL irql;
        KeAcquireSpinLock(&lock, &irql);
        b->state = NT_SUCCESS(status) ? ATTACHED : UNBOUND;
        KeReleaseSpinLock(&lock, irql);
    }
}

NTSTATUS NTAPI NmrClientAttachProvider(HANDLE binding, void *client_context, const void *client_dispatch,
                                       void **provider_context, const void **provider_dispatch)
{
    struct binding *b = binding;
    require(KeGetCurrentIrql() == PASSIVE_LEVEL && b->state == ATTACHING && !b->asked, 4);
    b->asked = true;
    b->client_context = client_context;
    NTSTATUS status =
        b->provider->provider->AttachClient(b, b->provider->context, instance_of(b->client), client_context,
                                            client_dispatch, &b->provider_context, provider_dispatch);
    require(KeGetCurrentIrql() == PASSIVE_LEVEL && status != STATUS_PENDING, 5);
    *provider_context = b->provider_context;
    return status;
}

static NTSTATUS add(const struct module *wanted, HANDLE *handle)
{
    struct module *m = NULL;
    const NPI_REGISTRATION_INSTANCE *instance = instance_of(wanted);
    KIRQL irql;
    require(KeGetCurrentIrql() == PASSIVE_LEVEL, 6);
    if (instance->Size < sizeof(*instance) || instance->NpiId == NULL || instance->ModuleId == NULL ||
        instance->ModuleId->Length < sizeof(NPI_MODULEID) || instance->ModuleId->Type != 1) {
        return STATUS_INVALID_PARAMETER;
    }
    KeAcquireSpinLock(&lock, &irql);
    for (unsigned i = 0; m == NULL && i < MODULES; i++) {
        m = modules[i].state == FREE ? &modules[i] : NULL;
    }
    require(m != NULL, 7);
    *m = *wanted;
    m->state = REGISTERED;
    KeReleaseSpinLock(&lock, irql);
    *handle = m;
    attach_all(m);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI NmrRegisterClient(const NPI_CLIENT_CHARACTERISTICS *client, void *context, HANDLE *handle)
{
    struct module m = {.client = client, .context = context};
    return client->Length >= sizeof(*client) ? add(&m, handle) : STATUS_INVALID_PARAMETER;
}

NTSTATUS NTAPI NmrRegisterProvider(const NPI_PROVIDER_CHARACTERISTICS *provider, void *context,
                                   HANDLE *handle)
{
    struct module m = {.is_provider = true, .provider = provider, .context = context};
    return provider->Length >= sizeof(*provider) ? add(&m, handle) : STATUS_INVALID_PARAMETER;
}

// --- detaching -----------------------------------------------------------------------------------

// A binding of `m` that this thread is to end. *busy: another one's is on its way, either way.
static struct binding *take_binding(const struct module *m, bool *busy)
{
    struct binding *taken = NULL;
    KIRQL irql;
    *busy = false;
    KeAcquireSpinLock(&lock, &irql);
    for (unsigned i = 0; taken == NULL && i < BINDINGS; i++) {
        struct binding *b = &bindings[i];
        if (b->client == m || b->provider == m) {
            *busy |= b->state == ATTACHING || b->state == DETACHING;
            taken = b->state == ATTACHED ? b : NULL;
        }
    }
    if (taken != NULL) {
        taken->state = DETACHING;
    }
    KeReleaseSpinLock(&lock, irql);
    return taken;
}

// Detaches that are told of later are permitted to drivers; the ones under test do without.
static void detach(struct binding *b)
{
    const NPI_CLIENT_CHARACTERISTICS *client = b->client->client;
    const NPI_PROVIDER_CHARACTERISTICS *provider = b->provider->provider;
    sleep_us(SLOW_US);
    require(client->Detach(b->client_context) == STATUS_SUCCESS, 8);
    require(provider->Detach(b->provider_context) == STATUS_SUCCESS, 9);
    sleep_us(SLOW_US);
    client->Cleanup(b->client_context);
    provider->Cleanup(b->provider_context);
    require(KeGetCurrentIrql() == PASSIVE_LEVEL, 10);
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    b->state = UNBOUND;
    KeReleaseSpinLock(&lock, irql);
}

static void NTAPI detach_all(void *user)
{
    struct module *m = user;
    bool busy = true;
    while (busy) {
        struct binding *b = take_binding(m, &busy);
        if (b != NULL) {
            detach(b);
            busy = true;
        } else if (busy) {
            sleep_us(SLOW_US);
        }
    }
    (void)PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS leave(struct module *m)
{
    OBJECT_ATTRIBUTES attributes;
    KIRQL irql;
    require(KeGetCurrentIrql() == PASSIVE_LEVEL, 11);
    KeAcquireSpinLock(&lock, &irql);
    require(m->state == REGISTERED, 12);
    m->state = LEAVING;
    KeReleaseSpinLock(&lock, irql);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    NTSTATUS status =
        PsCreateSystemThread(&m->thread, THREAD_ALL_ACCESS, &attributes, NULL, NULL, detach_all, m);
    require(NT_SUCCESS(status), 13);
    return STATUS_PENDING;
}

static NTSTATUS await(struct module *m)
{
    require(KeGetCurrentIrql() == PASSIVE_LEVEL && m->state == LEAVING, 14);
    (void)ZwWaitForSingleObject(m->thread, FALSE, NULL);
    ZwClose(m->thread);
    KIRQL irql;
    KeAcquireSpinLock(&lock, &irql);
    m->state = FREE;
    KeReleaseSpinLock(&lock, irql);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI NmrDeregisterClient(HANDLE handle)
{
    return leave(handle);
}

NTSTATUS NTAPI NmrDeregisterProvider(HANDLE handle)
{
    return leave(handle);
}

NTSTATUS NTAPI NmrWaitForClientDeregisterComplete(HANDLE handle)
{
    return await(handle);
}

NTSTATUS NTAPI NmrWaitForProviderDeregisterComplete(HANDLE handle)
{
    return await(handle);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    return STATUS_SUCCESS;
}
