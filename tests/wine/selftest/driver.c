// SPDX-License-Identifier: MIT
// driver: device and requests of the overlay's test driver. The device has the service's name, so that the
// driver can be there twice, in two hosts.
#include "tests/wine/selftest/driver.h"

#define NAME_MAX 128

__declspec(dllimport) ULONG keeper_started(void);

typedef const char *(*case_function)(void);
typedef void (*violate_function)(void);
static const case_function cases[] = {
#define CASE(name) case_##name,
#define VIOLATION(name, code, when)
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION
};
static const violate_function violations[] = {
#define CASE(name)
#define VIOLATION(name, code, when) violate_##name,
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION
};

// --- requests ---

static NTSTATUS answer_text(char *out, ULONG size, const char *text, ULONG_PTR *used)
{
    if (size < SELFTEST_TEXT_SIZE) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    ULONG i = 0;
    for (; text != NULL && text[i] != '\0' && i < SELFTEST_TEXT_SIZE - 1; i++) {
        out[i] = text[i];
    }
    out[i] = '\0';
    *used = i + 1;
    return STATUS_SUCCESS;
}

static PMDL user_pages; // lives until the driver is unloaded: the caller looks at it

static void *map_for_caller(void)
{
    user_pages = make_pages(PAGE_SIZE);
    if (user_pages == NULL) {
        return NULL;
    }
    ULONG *view =
        MmMapLockedPagesSpecifyCache(user_pages, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    if (view == NULL) {
        return NULL;
    }
    *view = SELFTEST_MAGIC;
    return MmMapLockedPagesSpecifyCache(user_pages, UserMode, MmCached, NULL, FALSE, NormalPagePriority);
}

static void read_token(struct selftest_facts *facts)
{
    SECURITY_SUBJECT_CONTEXT context;
    TOKEN_USER *user;
    SeCaptureSubjectContext(&context);
    PACCESS_TOKEN token = SeQuerySubjectContextToken(&context);
    facts->is_administrator = SeTokenIsAdmin(token);
    if (NT_SUCCESS(SeQueryInformationToken(token, TokenUser, (PVOID *)&user))) {
        memcpy(facts->sid, user->User.Sid, min(RtlLengthSid(user->User.Sid), SELFTEST_SID_SIZE));
        ExFreePool(user);
    }
    SeReleaseSubjectContext(&context);
}

static NTSTATUS answer_facts(struct selftest_facts *out, ULONG size, ULONG_PTR *used)
{
    if (size < sizeof(*out)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlZeroMemory(out, sizeof(*out));
    out->keeper_started = keeper_started();
    out->view = (ULONG_PTR)(user_pages == NULL ? map_for_caller() : NULL);
    read_token(out);
    *used = sizeof(*out);
    return STATUS_SUCCESS;
}

static NTSTATUS control(PIO_STACK_LOCATION location, void *buffer, ULONG_PTR *used)
{
    ULONG in = location->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = location->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG code = location->Parameters.DeviceIoControl.IoControlCode;
    ULONG number = in >= sizeof(ULONG) ? *(ULONG *)buffer : MAXULONG;
    if (code == SELFTEST_FACTS) {
        return answer_facts(buffer, out, used);
    }
    if (code == SELFTEST_CASE && number < RTL_NUMBER_OF(cases)) {
        return answer_text(buffer, out, cases[number](), used);
    }
    if (code == SELFTEST_VIOLATE && number < RTL_NUMBER_OF(violations)) {
        violations[number]();
        return STATUS_SUCCESS;
    }
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS NTAPI dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    ULONG_PTR used = 0;
    NTSTATUS status = STATUS_SUCCESS;
    UNREFERENCED_PARAMETER(device);
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL) {
        status = control(location, irp->AssociatedIrp.SystemBuffer, &used);
    }
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = NT_SUCCESS(status) ? used : 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

// --- the device ---

static WCHAR link_name[NAME_MAX];

// \Device\NAME and \DosDevices\NAME of a service key ...\NAME.
static void make_name(PUNICODE_STRING out, WCHAR *room, const WCHAR *folder, PCUNICODE_STRING path)
{
    USHORT at = path->Length / sizeof(WCHAR);
    while (at > 0 && path->Buffer[at - 1] != L'\\') {
        at--;
    }
    UNICODE_STRING name = {path->Length - at * sizeof(WCHAR), name.Length, path->Buffer + at};
    *out = (UNICODE_STRING){0, NAME_MAX * sizeof(WCHAR), room};
    RtlAppendUnicodeToString(out, folder);
    RtlAppendUnicodeStringToString(out, &name);
}

static VOID NTAPI unload(PDRIVER_OBJECT driver)
{
    UNICODE_STRING link;
    RtlInitUnicodeString(&link, link_name);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
    if (user_pages != NULL) {
        free_pages(user_pages);
    }
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    WCHAR device_name[NAME_MAX];
    UNICODE_STRING name, link;
    PDEVICE_OBJECT device;
    make_name(&name, device_name, L"\\Device\\", path);
    make_name(&link, link_name, L"\\DosDevices\\", path);
    NTSTATUS status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++) {
        driver->MajorFunction[i] = dispatch;
    }
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}
