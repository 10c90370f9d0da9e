// SPDX-License-Identifier: MIT
// driver_device: the device of ebpfcore, its descriptor, and the life of its handles. The context of a file
// object is its channel.
#include "hosts/access_windows.h"
#include "hosts/driver.h"

#define DESCRIPTOR_SIDS 8 // room for ACCESS_SDDL
#define ACE_SIZE        (sizeof(ACCESS_ALLOWED_ACE) + sizeof(struct access_sid))

// --- the descriptor ------------------------------------------------------------------------------

// All of a file's rights, which is what GA means for a device.
static NTSTATUS fill_acl(ACL *acl)
{
    struct access_sid sid;
    ebpf_result_t result = EBPF_SUCCESS;
    for (unsigned i = 0; result == EBPF_SUCCESS; i++) {
        result = access_read_sddl(ACCESS_SDDL, i, &sid);
        if (result == EBPF_SUCCESS) {
            NTSTATUS status = RtlAddAccessAllowedAce(acl, ACL_REVISION, FILE_ALL_ACCESS, sid.bytes);
            if (!NT_SUCCESS(status)) {
                return status;
            }
        }
    }
    return result == EBPF_NO_MORE_KEYS ? STATUS_SUCCESS : driver_status(result);
}

static NTSTATUS apply_acl(DEVICE_OBJECT *device, ACL *acl)
{
    SECURITY_DESCRIPTOR descriptor;
    HANDLE handle = NULL;
    NTSTATUS status = RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    if (NT_SUCCESS(status)) {
        status = RtlSetDaclSecurityDescriptor(&descriptor, TRUE, acl, FALSE);
    }
    if (NT_SUCCESS(status)) {
        status = ObOpenObjectByPointer(device, OBJ_KERNEL_HANDLE, NULL, WRITE_DAC, NULL, KernelMode, &handle);
    }
    if (NT_SUCCESS(status)) {
        status = ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, &descriptor);
        ZwClose(handle);
    }
    return status;
}

// What IoCreateDeviceSecure does, whose library mingw-w64 lacks. Nobody can open the device meanwhile: the
// system lets nobody in before DriverEntry has returned, and the name for user mode is made last.
static NTSTATUS protect(DEVICE_OBJECT *device)
{
    size_t size = sizeof(ACL) + DESCRIPTOR_SIDS * ACE_SIZE;
    ACL *acl = plat_alloc(size, POOL_TAG_CORE);
    if (acl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = RtlCreateAcl(acl, (ULONG)size, ACL_REVISION);
    if (NT_SUCCESS(status)) {
        status = fill_acl(acl);
    }
    if (NT_SUCCESS(status)) {
        status = apply_acl(device, acl);
    }
    plat_free(acl);
    return status;
}

// --- the device ----------------------------------------------------------------------------------

NTSTATUS device_create(DRIVER_OBJECT *object, struct driver **out)
{
    UNICODE_STRING name;
    DEVICE_OBJECT *device = NULL;
    RtlInitUnicodeString(&name, L"" NAME_DEVICE);
    // FILE_DEVICE_NULL: what the C runtime takes as a descriptor (_open_osfhandle).
    NTSTATUS status = IoCreateDevice(object, sizeof(struct driver), &name, FILE_DEVICE_NULL,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = protect(device);
    if (!NT_SUCCESS(status)) { // better no device than one that anybody may open
        DRIVER_SAY("the device cannot be protected: 0x%08x", (unsigned)status);
        IoDeleteDevice(device);
        return status;
    }
    *out = driver_of(device);
    (*out)->device = device;
    return STATUS_SUCCESS;
}

void device_destroy(struct driver *d)
{
    IoDeleteDevice(d->device);
}

NTSTATUS device_publish(void)
{
    UNICODE_STRING link, name;
    RtlInitUnicodeString(&link, L"" NAME_DEVICE_LINK);
    RtlInitUnicodeString(&name, L"" NAME_DEVICE);
    return IoCreateSymbolicLink(&link, &name);
}

void device_unpublish(void)
{
    UNICODE_STRING link;
    RtlInitUnicodeString(&link, L"" NAME_DEVICE_LINK);
    (void)IoDeleteSymbolicLink(&link);
}

// --- handles -------------------------------------------------------------------------------------

static NTSTATUS open_channel(struct driver *d, FILE_OBJECT *file)
{
    struct channel *c = NULL;
    uint32_t rights = caller_rights(d);
    if (rights == 0) {
        return STATUS_ACCESS_DENIED;
    }
    if (file->FileName.Length != 0) {
        return STATUS_OBJECT_NAME_NOT_FOUND; // there is nothing inside the device
    }
    ebpf_result_t result = channel_open(d->channels, rights, (uint32_t)(plat_pid_tgid() >> 32), &c);
    file->FsContext = c;
    return driver_status(result);
}

NTSTATUS NTAPI device_open(DEVICE_OBJECT *device, IRP *irp)
{
    NTSTATUS status = STATUS_DELETE_PENDING;
    if (rundown_acquire()) {
        status = open_channel(driver_of(device), IoGetCurrentIrpStackLocation(irp)->FileObject);
        rundown_release();
    }
    return driver_complete(irp, status, 0);
}

// What the handle held goes, and what was pended for it; the channel itself stays until the close. Wine sends
// no cleanup, so that the close does the same again.
static void shut(struct driver *d, struct channel *c)
{
    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        queue_cancel(&d->queues[i], c);
    }
    channel_shut(c);
}

NTSTATUS NTAPI device_cleanup(DEVICE_OBJECT *device, IRP *irp)
{
    struct channel *c = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;
    if (rundown_acquire()) {
        if (c != NULL) {
            shut(driver_of(device), c);
        }
        rundown_release();
    }
    return driver_complete(irp, STATUS_SUCCESS, 0);
}

NTSTATUS NTAPI device_close(DEVICE_OBJECT *device, IRP *irp)
{
    FILE_OBJECT *file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    struct channel *c = file->FsContext;
    if (rundown_acquire()) { // otherwise the unload closes all channels
        if (c != NULL) {
            file->FsContext = NULL;
            shut(driver_of(device), c);
            channel_close(c);
        }
        rundown_release();
    }
    return driver_complete(irp, STATUS_SUCCESS, 0);
}

// --- what the C runtime asks ---------------------------------------------------------------------

NTSTATUS NTAPI device_volume(DEVICE_OBJECT *device, IRP *irp)
{
    const IO_STACK_LOCATION *at = IoGetCurrentIrpStackLocation(irp);
    FILE_FS_DEVICE_INFORMATION *info = irp->AssociatedIrp.SystemBuffer;
    if (at->Parameters.QueryVolume.FsInformationClass != FileFsDeviceInformation) {
        return driver_complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (at->Parameters.QueryVolume.Length < sizeof(*info)) {
        return driver_complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    UNUSED(device);
    *info = (FILE_FS_DEVICE_INFORMATION){.DeviceType = FILE_DEVICE_NULL,
                                         .Characteristics = FILE_DEVICE_SECURE_OPEN};
    return driver_complete(irp, STATUS_SUCCESS, sizeof(*info));
}
