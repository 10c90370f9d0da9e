// SPDX-License-Identifier: MIT
// unload: ZwUnloadDriver. Windows unloads in the kernel; Wine asks the service manager, which sends a host
// one control at a time, so that a driver which unloads another one while it is stopped itself would wait for
// ever. Here the request is made by a thread of the overlay's own: the driver goes a little later than on
// Windows.
#include "tests/wine/overlay/overlay.h"

struct request {
    UNICODE_STRING service;
    WCHAR text[];
};

static void unload(void *argument)
{
    struct request *r = argument;
    (void)ZwUnloadDriver(&r->service);
    overlay_free(r);
}

static bool exists(UNICODE_STRING *service)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;
    InitializeObjectAttributes(&attributes, service, OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes))) {
        return false;
    }
    ZwClose(key);
    return true;
}

NTSTATUS overlay_ZwUnloadDriver(UNICODE_STRING *service)
{
    overlay_require_irql(PASSIVE_LEVEL, "ZwUnloadDriver", CALLER);
    if (!exists(service)) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    struct request *r = overlay_alloc(sizeof(*r) + service->Length);
    if (r == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    r->service = (UNICODE_STRING){service->Length, service->Length, r->text};
    memcpy(r->text, service->Buffer, service->Length);
    if (!host_start_thread(unload, r)) {
        overlay_free(r);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}
