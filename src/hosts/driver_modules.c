// SPDX-License-Identifier: MIT
// driver_modules: takes modules in when the registrar attaches them, and asks their drivers to go when nobody
// holds them any more.
//
// The registrar calls back when a driver comes (attach) and when it is being unloaded (detach, which waits
// for runs of its programs, then cleanup). Nothing is locked during a call to the registrar, to the core or
// of ZwUnloadDriver, each of which may come back by a callback. Who unloads a driver is the one worker, or
// whoever destroys all; both in the system process, so that the system unloads in their thread.
#include "hosts/driver_modules.h"

#include "ebpf_native_driver.h"
#include "hosts/driver.h"
#include "hosts/driver_parameters.h"

// Source: Microsoft's documentation of netioddk.h.
#define NMR_IMPORT __declspec(dllimport)
NMR_IMPORT NTSTATUS NTAPI NmrRegisterProvider(const struct ebpf_nmr_provider *provider, void *user,
                                              void **handle);
NMR_IMPORT NTSTATUS NTAPI NmrDeregisterProvider(void *handle);
NMR_IMPORT NTSTATUS NTAPI NmrWaitForProviderDeregisterComplete(void *handle);

#define MODULE_ID_IS_GUID 1u
#define PROBES            4u // during the grace of a module
#define MAX_FILE          320u
#define DELETIONS         50u // tries: a driver that somebody else unloads is still there at first
#define DELETION_NS       100000000u

struct driver_modules {
    struct core *core;
    struct plat_spinlock lock;
    struct list loaded; // of struct loaded_module
    struct list gone;   // the same: their drivers' images are to be deleted
    uint64_t grace_ns;
    KEVENT wanted; // the worker
    bool stopping;
    struct plat_thread *worker;
    void *provider; // the registration; NULL: not open
};

// One driver that is attached. Held by its attachment and by whoever unloads it.
struct loaded_module {
    struct list node;
    struct driver_modules *all;
    struct module *module;
    uint32_t holders;
    bool idle;         // nobody has it any more
    bool going;        // its driver is being unloaded
    uint64_t asked_ns; // when it came, was probed, or was asked to go
    uint8_t id[16];
    uint32_t tries;         // to delete the image that are left
    UNICODE_STRING service; // its registry path
    UNICODE_STRING image;   // file to be deleted after it; empty: none
    WCHAR file[MAX_FILE];   // the text of that
    WCHAR path[];           // of the service
};

static struct loaded_module *loaded_of(struct list *node)
{
    return CONTAINER_OF(node, struct loaded_module, node);
}

static void hold(struct loaded_module *m)
{
    __atomic_fetch_add(&m->holders, 1, __ATOMIC_RELAXED);
}

static void put(struct loaded_module *m)
{
    if (__atomic_sub_fetch(&m->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        plat_free(m);
    }
}

// --- modules that go -----------------------------------------------------------------------------

// Of module_source: neither a handle nor a program is left. Whoever opens it a second time after that finds
// it revoked. One that is not in the list is still coming.
static void say_idle(void *user, struct module *module)
{
    struct driver_modules *all = user;
    plat_spinlock_acquire(&all->lock);
    LIST_FOR_EACH (node, &all->loaded) {
        struct loaded_module *m = loaded_of(node);
        m->idle |= m->module == module && !m->going;
    }
    plat_spinlock_release(&all->lock);
    (void)KeSetEvent(&all->wanted, IO_NO_INCREMENT, FALSE);
}

// One that is idle (or `any`), held; NULL: there is none. Two at once are not asked to unload it.
static struct loaded_module *take_leaving(struct driver_modules *all, bool any)
{
    struct loaded_module *taken = NULL;
    plat_spinlock_acquire(&all->lock);
    LIST_FOR_EACH (node, &all->loaded) {
        struct loaded_module *m = loaded_of(node);
        if ((m->idle || any) && !m->going) {
            m->going = true;
            hold(m);
            taken = m;
            break;
        }
    }
    plat_spinlock_release(&all->lock);
    return taken;
}

// To be asked again after a grace.
static void stay(struct loaded_module *m, NTSTATUS status)
{
    DRIVER_SAY("a module's driver does not unload: %08lx: %wZ", (unsigned long)status, &m->service);
    plat_spinlock_acquire(&m->all->lock);
    m->idle = false;
    m->going = false;
    m->asked_ns = plat_time_ns();
    plat_spinlock_release(&m->all->lock);
}

static void unload_drivers(struct driver_modules *all, bool any)
{
    struct loaded_module *m;
    while ((m = take_leaving(all, any)) != NULL) {
        NTSTATUS status = ZwUnloadDriver(&m->service);
        if (!NT_SUCCESS(status) && !any) {
            stay(m, status);
        }
        put(m);
    }
}

// False: to be tried again.
static bool delete_image(struct loaded_module *m)
{
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &m->image, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    NTSTATUS status = ZwDeleteFile(&attributes);
    return NT_SUCCESS(status) || status == STATUS_OBJECT_NAME_NOT_FOUND || --m->tries == 0;
}

static struct loaded_module *take_gone(struct driver_modules *all, const struct loaded_module *last)
{
    struct loaded_module *taken = NULL;
    plat_spinlock_acquire(&all->lock);
    if (!list_is_empty(&all->gone) && loaded_of(all->gone.next) != last) {
        taken = loaded_of(all->gone.next);
        list_remove(&taken->node);
    }
    plat_spinlock_release(&all->lock);
    return taken;
}

// Those of drivers that are unloaded, as far as they are copies. Each is tried once, unless all are to be
// forgotten.
static void delete_images(struct driver_modules *all, bool forget_them)
{
    struct loaded_module *m, *again = NULL;
    while ((m = take_gone(all, again)) != NULL) {
        if (delete_image(m) || forget_them) {
            put(m);
            continue;
        }
        again = again != NULL ? again : m;
        plat_spinlock_acquire(&all->lock);
        list_push_back(&all->gone, &m->node);
        plat_spinlock_release(&all->lock);
    }
}

// One that nobody has asked about for the grace, held.
static struct loaded_module *take_old(struct driver_modules *all)
{
    struct loaded_module *taken = NULL;
    uint64_t now = plat_time_ns();
    plat_spinlock_acquire(&all->lock);
    LIST_FOR_EACH (node, &all->loaded) {
        struct loaded_module *m = loaded_of(node);
        if (!m->going && now - m->asked_ns >= all->grace_ns) {
            m->asked_ns = now;
            hold(m);
            taken = m;
            break;
        }
    }
    plat_spinlock_release(&all->lock);
    return taken;
}

// Opens and closes modules that have been there for a while: one that nobody else has becomes idle by that.
static void probe(struct driver_modules *all)
{
    struct loaded_module *m;
    while ((m = take_old(all)) != NULL) {
        struct module *module = NULL;
        if (module_by_id(core_runtime(all->core), m->id, &module) == EBPF_SUCCESS) {
            object_release(module_object(module));
        }
        put(m);
    }
}

// An image can be deleted a moment after its driver has said good-bye.
static LARGE_INTEGER choose_pause(struct driver_modules *all)
{
    plat_spinlock_acquire(&all->lock);
    uint64_t ns = list_is_empty(&all->gone) ? all->grace_ns / PROBES : DELETION_NS;
    plat_spinlock_release(&all->lock);
    return (LARGE_INTEGER){.QuadPart = -(LONGLONG)(ns / 100)};
}

static void work(void *user)
{
    struct driver_modules *all = user;
    while (!__atomic_load_n(&all->stopping, __ATOMIC_ACQUIRE)) {
        probe(all);
        unload_drivers(all, false);
        delete_images(all, false);
        LARGE_INTEGER pause = choose_pause(all);
        (void)KeWaitForSingleObject(&all->wanted, Executive, KernelMode, FALSE, &pause);
    }
}

// --- modules that come ---------------------------------------------------------------------------

static ebpf_result_t refuse(char why[160], const char *text)
{
    str_copy(why, 160, text);
    return EBPF_INVALID_OBJECT;
}

static ebpf_result_t check_client(const struct ebpf_nmr_instance *client, char why[160])
{
    const struct ebpf_native_registration *r = client->specific;
    if (client->id == NULL || client->id->type != MODULE_ID_IS_GUID || r == NULL || r->size < sizeof(*r) ||
        r->service == NULL || r->service->text == NULL) {
        return refuse(why, "the driver does not register as drivers of native modules do");
    }
    if (r->version != EBPF_NATIVE_VERSION || r->module == NULL) {
        return refuse(why, "the driver registers a module of another version than this ebpfcore takes");
    }
    return EBPF_SUCCESS;
}

static struct loaded_module *make_loaded(struct driver_modules *all, const struct ebpf_nmr_instance *client)
{
    const struct ebpf_native_registration *r = client->specific;
    const USHORT length = r->service->length;
    struct loaded_module *m = plat_alloc(sizeof(*m) + length, POOL_TAG_CORE);
    if (m != NULL) {
        m->all = all;
        m->holders = 1;
        m->tries = DELETIONS;
        m->asked_ns = plat_time_ns();
        memcpy(m->id, &client->id->guid, sizeof(m->id));
        memcpy(m->path, r->service->text, length);
        m->service = (UNICODE_STRING){length, length, m->path};
        m->image = (UNICODE_STRING){0, sizeof(m->file), m->file};
        parameters_read_text(&m->service, L"" NAME_MODULE_COPY, &m->image);
    }
    return m;
}

static ebpf_result_t take_in(struct driver_modules *all, const struct ebpf_nmr_instance *client,
                             char why[160], struct loaded_module **out)
{
    TRY(check_client(client, why));
    const struct ebpf_native_registration *r = client->specific;
    struct module_source source = {.table = r->module, .idle = say_idle, .user = all};
    struct loaded_module *m = make_loaded(all, client);
    if (m == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(source.id, m->id, sizeof(source.id));
    ebpf_result_t result = core_module_register(all->core, &source, why, &m->module);
    if (result != EBPF_SUCCESS) {
        plat_free(m);
        return result;
    }
    module_keep_registered(m->module);
    plat_spinlock_acquire(&all->lock);
    list_push_back(&all->loaded, &m->node);
    plat_spinlock_release(&all->lock);
    *out = m;
    return EBPF_SUCCESS;
}

// The sentence is left where whoever started the driver finds it.
static void say_refused(const struct ebpf_nmr_instance *client, ebpf_result_t result, const char *why)
{
    const struct ebpf_native_registration *r = client->specific;
    const char *text = why[0] != '\0' ? why : result_row(result)->sentence;
    DRIVER_SAY("a module was refused: %s", text);
    if (r != NULL && r->size >= sizeof(*r) && r->service != NULL && r->service->text != NULL) {
        UNICODE_STRING service = {
            .Length = r->service->length, .MaximumLength = r->service->length, .Buffer = r->service->text};
        parameters_write(&service, L"" NAME_MODULE_ERROR, text);
    }
}

static ebpf_native_status attach(void *binding, void *user, const struct ebpf_nmr_instance *client,
                                 void *client_user, const void *client_dispatch, void **provider_user,
                                 const void **provider_dispatch)
{
    static const uint32_t nothing_to_call;
    struct driver_modules *all = user;
    struct loaded_module *m = NULL;
    char why[160] = "";
    UNUSED(binding), UNUSED(client_user), UNUSED(client_dispatch);
    ebpf_result_t result = __atomic_load_n(&all->stopping, __ATOMIC_ACQUIRE) ? EBPF_INVALID_STATE
                                                                             : take_in(all, client, why, &m);
    if (result != EBPF_SUCCESS) {
        say_refused(client, result, why);
        return driver_status(result);
    }
    *provider_user = m;
    *provider_dispatch = &nothing_to_call;
    return STATUS_SUCCESS;
}

static ebpf_native_status detach(void *user)
{
    struct loaded_module *m = user;
    plat_spinlock_acquire(&m->all->lock);
    m->going = true;
    plat_spinlock_release(&m->all->lock);
    module_revoke(m->module);
    return STATUS_SUCCESS;
}

static void forget(void *user)
{
    struct loaded_module *m = user;
    struct driver_modules *all = m->all;
    bool copied = m->image.Length != 0;
    plat_spinlock_acquire(&all->lock);
    list_remove(&m->node);
    if (copied) {
        list_push_back(&all->gone, &m->node);
    }
    plat_spinlock_release(&all->lock);
    if (!copied) {
        put(m);
    }
    (void)KeSetEvent(&all->wanted, IO_NO_INCREMENT, FALSE);
}

// --- life ----------------------------------------------------------------------------------------

static const struct ebpf_nmr_guid interface_id = EBPF_NATIVE_NPI;
// {3F1C6B0E-52D5-4B7A-9E61-6C0F4D7A2B18}
static const struct ebpf_nmr_module_id provider_id = {
    sizeof(provider_id),
    0,
    MODULE_ID_IS_GUID,
    {0x3f1c6b0e, 0x52d5, 0x4b7a, {0x9e, 0x61, 0x6c, 0x0f, 0x4d, 0x7a, 0x2b, 0x18}}};
static const struct ebpf_nmr_provider provider = {
    .length = sizeof(provider),
    .attach = attach,
    .detach = detach,
    .cleanup = forget,
    .instance = {.size = sizeof(provider.instance), .npi = &interface_id, .id = &provider_id}};

static void end_worker(struct driver_modules *all)
{
    __atomic_store_n(&all->stopping, true, __ATOMIC_RELEASE);
    (void)KeSetEvent(&all->wanted, IO_NO_INCREMENT, FALSE);
    plat_thread_join(all->worker);
}

ebpf_result_t modules_create(struct core *core, uint32_t grace_ms, struct driver_modules **out)
{
    struct driver_modules *all = plat_alloc(sizeof(*all), POOL_TAG_CORE);
    if (all == NULL) {
        return EBPF_NO_MEMORY;
    }
    all->core = core;
    all->grace_ns = (uint64_t)grace_ms * 1000000u;
    plat_spinlock_init(&all->lock);
    list_init(&all->loaded);
    list_init(&all->gone);
    KeInitializeEvent(&all->wanted, SynchronizationEvent, FALSE);
    ebpf_result_t result = plat_thread_create(work, all, &all->worker);
    if (result != EBPF_SUCCESS) {
        plat_free(all);
        return result;
    }
    *out = all;
    return EBPF_SUCCESS;
}

ebpf_result_t modules_open(struct driver_modules *all)
{
    if (!NT_SUCCESS(NmrRegisterProvider(&provider, all, &all->provider))) {
        all->provider = NULL; // whatever the call has left there
        return EBPF_FAILED;
    }
    return EBPF_SUCCESS;
}

void modules_destroy(struct driver_modules *all)
{
    end_worker(all);
    unload_drivers(all, true);
    if (all->provider != NULL && NmrDeregisterProvider(all->provider) == STATUS_PENDING) {
        (void)NmrWaitForProviderDeregisterComplete(all->provider);
    }
    delete_images(all, true); // what is left, the next who loads a module deletes
    plat_free(all);
}
