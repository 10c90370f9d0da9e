// SPDX-License-Identifier: MIT
// link: symbolic links of devices. Wine keeps them when the driver host ends, where Windows has to be started
// again and has none: the link of a driver whose host crashed would keep it from starting in the next one.
#include "tests/wine/overlay/overlay.h"

#define TARGET_MAX 256

// Whether `name` is a link to `target` already.
static bool links_to(PUNICODE_STRING name, PUNICODE_STRING target)
{
    WCHAR room[TARGET_MAX];
    UNICODE_STRING found = {0, sizeof(room), room};
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    InitializeObjectAttributes(&attributes, name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE | OBJ_OPENLINK,
                               NULL, NULL);
    if (!NT_SUCCESS(ZwOpenSymbolicLinkObject(&handle, SYMBOLIC_LINK_QUERY, &attributes))) {
        return false;
    }
    NTSTATUS status = ZwQuerySymbolicLinkObject(handle, &found, NULL);
    ZwClose(handle);
    return NT_SUCCESS(status) && RtlEqualUnicodeString(&found, target, TRUE);
}

// Who makes a link has made the device before, so that no living driver has one of the same name: the link is
// a left-over.
NTSTATUS overlay_IoCreateSymbolicLink(PUNICODE_STRING name, PUNICODE_STRING target)
{
    overlay_require_irql(PASSIVE_LEVEL, "IoCreateSymbolicLink", CALLER);
    NTSTATUS status = IoCreateSymbolicLink(name, target);
    // Wine looks through the old link and finds the device behind it: another type.
    bool exists = status == STATUS_OBJECT_NAME_COLLISION || status == STATUS_OBJECT_TYPE_MISMATCH;
    if (exists && links_to(name, target) && NT_SUCCESS(IoDeleteSymbolicLink(name))) {
        status = IoCreateSymbolicLink(name, target);
    }
    return status;
}
