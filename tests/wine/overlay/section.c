// SPDX-License-Identifier: MIT
// section: sections as objects, which Wine cannot reference, and their views in the system's space, which is
// the space of the driver host.
#include "tests/wine/overlay/overlay.h"

struct section {
    LIST_ENTRY entry;
    HANDLE handle;
    LONG references;
};

static struct host_lock section_lock;
static LIST_ENTRY sections = {&sections, &sections};

// Takes a reference when the address is a section's; NULL: it is something else's.
static struct section *reference_section(const void *object)
{
    struct section *found = NULL;
    host_lock(&section_lock);
    for (LIST_ENTRY *entry = sections.Flink; entry != &sections && found == NULL; entry = entry->Flink) {
        struct section *section = CONTAINING_RECORD(entry, struct section, entry);
        found = section == object ? section : NULL;
    }
    if (found != NULL) {
        found->references++;
    }
    host_unlock(&section_lock);
    return found;
}

static void release_section(struct section *section, LONG count)
{
    host_lock(&section_lock);
    section->references -= count;
    bool last = section->references == 0;
    if (last) {
        RemoveEntryList(&section->entry);
    }
    host_unlock(&section_lock);
    if (last) {
        ZwClose(section->handle);
        overlay_free(section);
    }
}

static bool is_section(HANDLE handle)
{
    struct {
        UNICODE_STRING name;
        WCHAR text[256];
    } type;
    ULONG size;
    return NT_SUCCESS(ZwQueryObject(handle, (OBJECT_INFORMATION_CLASS)2 /* ObjectTypeInformation */, &type,
                                    sizeof(type), &size)) &&
           type.name.Length == sizeof(L"Section") - sizeof(WCHAR) &&
           memcmp(type.name.Buffer, L"Section", type.name.Length) == 0;
}

static NTSTATUS open_section(HANDLE handle, ACCESS_MASK access, PVOID *object)
{
    struct section *section = overlay_alloc(sizeof(*section));
    if (section == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status =
        ZwDuplicateObject(NtCurrentProcess(), handle, NtCurrentProcess(), &section->handle, access, 0, 0);
    if (!NT_SUCCESS(status)) {
        overlay_free(section);
        return status;
    }
    section->references = 1;
    host_lock(&section_lock);
    InsertTailList(&sections, &section->entry);
    host_unlock(&section_lock);
    *object = section;
    return STATUS_SUCCESS;
}

NTSTATUS overlay_ObReferenceObjectByHandle(HANDLE handle, ACCESS_MASK access, POBJECT_TYPE type,
                                           KPROCESSOR_MODE mode, PVOID *object,
                                           POBJECT_HANDLE_INFORMATION information)
{
    overlay_require_irql(PASSIVE_LEVEL, "ObReferenceObjectByHandle", CALLER);
    if (type == NULL && mode == KernelMode && information == NULL && is_section(handle)) {
        return open_section(handle, access, object);
    }
    return ObReferenceObjectByHandle(handle, access, type, mode, object, information);
}

LONG_PTR overlay_ObfReferenceObject(PVOID object)
{
    struct section *section = reference_section(object);
    return section != NULL ? section->references : ObfReferenceObject(object);
}

LONG_PTR overlay_ObfDereferenceObject(PVOID object)
{
    struct section *section = reference_section(object);
    overlay_require_irql(DISPATCH_LEVEL, "ObDereferenceObject", CALLER);
    if (section == NULL) {
        return ObfDereferenceObject(object);
    }
    LONG_PTR left = section->references - 2;
    release_section(section, 2);
    return left;
}

NTSTATUS overlay_MmMapViewInSystemSpace(PVOID object, PVOID *base, PSIZE_T size)
{
    overlay_require_irql(APC_LEVEL, "MmMapViewInSystemSpace", CALLER);
    struct section *section = reference_section(object);
    if (section == NULL) {
        overlay_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", CALLER,
                         "MmMapViewInSystemSpace of %p, no section", object);
    }
    PVOID view = NULL;
    NTSTATUS status = ZwMapViewOfSection(section->handle, NtCurrentProcess(), &view, 0, 0, NULL, size,
                                         ViewUnmap, 0, PAGE_READWRITE);
    release_section(section, 1);
    if (NT_SUCCESS(status)) {
        *base = view;
    }
    return status;
}

NTSTATUS overlay_MmUnmapViewInSystemSpace(PVOID base)
{
    overlay_require_irql(APC_LEVEL, "MmUnmapViewInSystemSpace", CALLER);
    NTSTATUS status = ZwUnmapViewOfSection(NtCurrentProcess(), base);
    if (!NT_SUCCESS(status)) {
        overlay_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", CALLER,
                         "MmUnmapViewInSystemSpace of %p, no view", base);
    }
    return status;
}
