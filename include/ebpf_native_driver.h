// SPDX-License-Identifier: MIT
// ebpf_native_driver: how a native module that is a Windows driver (`--target windows-driver`) and ebpfcore
// find each other: by the network module registrar (NMR, netio.sys), the module as client, ebpfcore as
// provider. The first half is for both; the second half, the driver's own code, follows EBPF_NATIVE_MODULE.
//
// Life of a module: its service starts it; DriverEntry reads the id that the service's key names and
// registers; ebpfcore's attach callback looks at the table and takes the module in, or refuses with a status,
// which then is DriverEntry's. Whoever created the service opens the module by that id. When the driver is
// stopped, ebpfcore's detach callback returns when nothing uses the image any more; then it unloads.
#pragma once

#include "ebpf_native.h"

#ifdef __cplusplus
extern "C" {
#endif

// The network programming interface, as initializer of a GUID: c7b04cc3-074f-410e-921e-c08681b7c92c.
#define EBPF_NATIVE_NPI {0xc7b04cc3, 0x074f, 0x410e, {0x92, 0x1e, 0xc0, 0x86, 0x81, 0xb7, 0xc9, 0x2c}}
// Key below the service's, and the value in it: REG_BINARY, the 16 bytes that MODULE_OPEN takes. They are
// the GUID of the client's module id (MIT_GUID), byte for byte.
#define EBPF_NATIVE_ID_KEY   "Parameters"
#define EBPF_NATIVE_ID_VALUE "NpiModuleId"
#define EBPF_NATIVE_ID_SIZE  16u

// --- the registrar -------------------------------------------------------------------------------

// What both sides need of it. Source: Microsoft, "Windows driver documentation" (netioddk.h, ntdef.h);
// layouts of x64 and arm64, which are the same.
typedef int32_t ebpf_native_status; // NTSTATUS

struct ebpf_nmr_guid {
    uint32_t data1;
    uint16_t data2, data3;
    uint8_t data4[8];
};
struct ebpf_nmr_string {       // UNICODE_STRING
    uint16_t length, capacity; // bytes
    uint16_t *text;
};
struct ebpf_nmr_module_id { // NPI_MODULEID
    uint16_t length, reserved;
    uint32_t type; // 1: MIT_GUID
    struct ebpf_nmr_guid guid;
};
struct ebpf_nmr_instance { // NPI_REGISTRATION_INSTANCE
    uint16_t version, size;
    const struct ebpf_nmr_guid *npi;
    const struct ebpf_nmr_module_id *id;
    uint32_t number;
    const void *specific; // of the module's: struct ebpf_native_registration
};
struct ebpf_nmr_client { // NPI_CLIENT_CHARACTERISTICS
    uint16_t version, length;
    ebpf_native_status (*attach)(void *binding, void *user, const struct ebpf_nmr_instance *provider);
    ebpf_native_status (*detach)(void *user);
    void (*cleanup)(void *user);
    struct ebpf_nmr_instance instance;
};
struct ebpf_nmr_provider { // NPI_PROVIDER_CHARACTERISTICS
    uint16_t version, length;
    ebpf_native_status (*attach)(void *binding, void *user, const struct ebpf_nmr_instance *client,
                                 void *client_user, const void *client_dispatch, void **provider_user,
                                 const void **provider_dispatch);
    ebpf_native_status (*detach)(void *user);
    void (*cleanup)(void *user);
    struct ebpf_nmr_instance instance;
};
#if UINTPTR_MAX > UINT32_MAX && !defined(__cplusplus)
_Static_assert(sizeof(struct ebpf_nmr_module_id) == 24 && sizeof(struct ebpf_nmr_instance) == 40 &&
                   sizeof(struct ebpf_nmr_client) == 72 && sizeof(struct ebpf_nmr_provider) == 72,
               "layouts of the registrar");
#endif

// NpiSpecificCharacteristics of the module's instance. Stays as long as the driver is loaded. Grows at its
// end.
struct ebpf_native_registration {
    uint32_t size;    // of this structure, as the module knows it
    uint32_t version; // EBPF_NATIVE_VERSION
    const struct ebpf_native_module *module;
    // The service's key, for ZwUnloadDriver: "\Registry\Machine\System\CurrentControlSet\Services\NAME".
    const struct ebpf_nmr_string *service;
};

// --- the driver ----------------------------------------------------------------------------------

#if defined(EBPF_NATIVE_MODULE)

// What else it needs of the kernel. Source: as above (ntddk.h).
#define EBPF_NATIVE_OK      ((ebpf_native_status)0)
#define EBPF_NATIVE_PENDING ((ebpf_native_status)0x00000103)
#define EBPF_NATIVE_NO_ID   ((ebpf_native_status)0xc0000034) // STATUS_OBJECT_NAME_NOT_FOUND

struct ebpf_native_attributes { // OBJECT_ATTRIBUTES
    uint32_t length;
    void *root;
    const struct ebpf_nmr_string *name;
    uint32_t flags;
    void *security, *quality;
};
struct ebpf_native_value { // KEY_VALUE_PARTIAL_INFORMATION
    uint32_t title, type, size;
    uint8_t data[EBPF_NATIVE_ID_SIZE];
};
struct ebpf_native_driver_object { // DRIVER_OBJECT, as far as it is needed
    uint8_t before[0x68];
    void (*unload)(struct ebpf_native_driver_object *driver);
};

#define EBPF_NATIVE_IMPORT __attribute__((dllimport)) extern
EBPF_NATIVE_IMPORT ebpf_native_status NmrRegisterClient(const struct ebpf_nmr_client *client, void *user,
                                                        void **handle);
EBPF_NATIVE_IMPORT ebpf_native_status NmrDeregisterClient(void *handle);
EBPF_NATIVE_IMPORT ebpf_native_status NmrWaitForClientDeregisterComplete(void *handle);
EBPF_NATIVE_IMPORT ebpf_native_status NmrClientAttachProvider(void *binding, void *user, const void *dispatch,
                                                              void **provider_user,
                                                              const void **provider_dispatch);
EBPF_NATIVE_IMPORT ebpf_native_status ZwOpenKey(void **key, uint32_t access,
                                                const struct ebpf_native_attributes *attributes);
EBPF_NATIVE_IMPORT ebpf_native_status ZwQueryValueKey(void *key, const struct ebpf_nmr_string *name,
                                                      uint32_t what, void *value, uint32_t size,
                                                      uint32_t *needed);
EBPF_NATIVE_IMPORT ebpf_native_status ZwClose(void *key);

enum { EBPF_NATIVE_PATH = 512 }; // UTF-16 units

EBPF_NATIVE_EXPORT extern const struct ebpf_native_module ebpf_native_module;
static uint16_t ebpf_native_path[EBPF_NATIVE_PATH];
static struct ebpf_nmr_string ebpf_native_service = {0, 0, ebpf_native_path};
static const struct ebpf_native_registration ebpf_native_self = {
    sizeof(ebpf_native_self), EBPF_NATIVE_VERSION, &ebpf_native_module, &ebpf_native_service};
static const struct ebpf_nmr_guid ebpf_native_npi = EBPF_NATIVE_NPI;
static struct ebpf_nmr_module_id ebpf_native_id = {sizeof(ebpf_native_id), 0, 1, {0, 0, 0, {0}}};
static void *ebpf_native_handle;               // of the registration
static ebpf_native_status ebpf_native_refused; // what the provider said, unless it took the module

// Neither side calls the other by the registrar's tables: all is in the module's own.
static ebpf_native_status ebpf_native_attach(void *binding, void *user,
                                             const struct ebpf_nmr_instance *provider)
{
    void *provider_user;
    const void *provider_dispatch;
    (void)user, (void)provider;
    ebpf_native_refused = NmrClientAttachProvider(binding, (void *)&ebpf_native_refused, &ebpf_native_self,
                                                  &provider_user, &provider_dispatch);
    return ebpf_native_refused;
}

// The provider's own callback waits for runs; nothing here calls it.
static ebpf_native_status ebpf_native_detach(void *user)
{
    (void)user;
    return EBPF_NATIVE_OK;
}

static void ebpf_native_cleanup(void *user)
{
    (void)user;
}

static const struct ebpf_nmr_client ebpf_native_client = {0,
                                                          sizeof(ebpf_native_client),
                                                          ebpf_native_attach,
                                                          ebpf_native_detach,
                                                          ebpf_native_cleanup,
                                                          {0, sizeof(struct ebpf_nmr_instance),
                                                           &ebpf_native_npi, &ebpf_native_id,
                                                           EBPF_NATIVE_VERSION, &ebpf_native_self}};

static uint32_t ebpf_native_append(uint16_t *to, uint32_t used, const char *text)
{
    for (; *text != '\0'; text++) {
        to[used++] = (uint8_t)*text;
    }
    return used;
}

// The service's path stays in ebpf_native_path; behind it, the rest of the key's.
static ebpf_native_status ebpf_native_open_key(const struct ebpf_nmr_string *service, void **key)
{
    const uint32_t key_read = 0x20019, case_insensitive = 0x40, kernel_handle = 0x200;
    uint32_t used = service->length / 2;
    if (used + sizeof(EBPF_NATIVE_ID_KEY) + 1 > EBPF_NATIVE_PATH) {
        return EBPF_NATIVE_NO_ID;
    }
    for (uint32_t i = 0; i < used; i++) {
        ebpf_native_path[i] = service->text[i];
    }
    ebpf_native_service.length = ebpf_native_service.capacity = service->length;
    used = ebpf_native_append(ebpf_native_path, used, "\\" EBPF_NATIVE_ID_KEY);
    struct ebpf_nmr_string name = {(uint16_t)(used * 2), (uint16_t)(used * 2), ebpf_native_path};
    const struct ebpf_native_attributes attributes = {
        sizeof(attributes), 0, &name, case_insensitive | kernel_handle, 0, 0};
    return ZwOpenKey(key, key_read, &attributes);
}

static ebpf_native_status ebpf_native_query_id(void *key)
{
    const uint32_t partial_information = 2, binary = 3;
    uint16_t text[sizeof(EBPF_NATIVE_ID_VALUE)];
    const uint32_t size = ebpf_native_append(text, 0, EBPF_NATIVE_ID_VALUE) * 2;
    const struct ebpf_nmr_string name = {(uint16_t)size, (uint16_t)size, text};
    struct ebpf_native_value value;
    uint32_t needed = 0;
    const ebpf_native_status status =
        ZwQueryValueKey(key, &name, partial_information, &value, sizeof(value), &needed);
    if (status != EBPF_NATIVE_OK) {
        return status;
    }
    if (value.type != binary || value.size != EBPF_NATIVE_ID_SIZE) {
        return EBPF_NATIVE_NO_ID;
    }
    for (uint32_t i = 0; i < EBPF_NATIVE_ID_SIZE; i++) {
        ((uint8_t *)&ebpf_native_id.guid)[i] = value.data[i];
    }
    return EBPF_NATIVE_OK;
}

static void ebpf_native_deregister(void)
{
    if (NmrDeregisterClient(ebpf_native_handle) == EBPF_NATIVE_PENDING) {
        (void)NmrWaitForClientDeregisterComplete(ebpf_native_handle);
    }
}

static void ebpf_native_unload(struct ebpf_native_driver_object *driver)
{
    (void)driver;
    ebpf_native_deregister();
}

// A driver that was refused does not stay. One that nobody has looked at yet waits for ebpfcore.
static ebpf_native_status ebpf_native_register(void)
{
    const ebpf_native_status status = NmrRegisterClient(&ebpf_native_client, 0, &ebpf_native_handle);
    if (status == EBPF_NATIVE_OK && ebpf_native_refused != EBPF_NATIVE_OK) {
        ebpf_native_deregister();
        return ebpf_native_refused;
    }
    return status;
}

ebpf_native_status DriverEntry(struct ebpf_native_driver_object *driver,
                               const struct ebpf_nmr_string *service);
ebpf_native_status DriverEntry(struct ebpf_native_driver_object *driver,
                               const struct ebpf_nmr_string *service)
{
    void *key;
    ebpf_native_status status = ebpf_native_open_key(service, &key);
    if (status == EBPF_NATIVE_OK) {
        status = ebpf_native_query_id(key);
        (void)ZwClose(key);
    }
    if (status == EBPF_NATIVE_OK) {
        status = ebpf_native_register();
    }
    if (status == EBPF_NATIVE_OK) {
        driver->unload = ebpf_native_unload;
    }
    return status;
}
#endif

#ifdef __cplusplus
}
#endif
