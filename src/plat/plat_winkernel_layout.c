// SPDX-License-Identifier: MIT
// plat_winkernel_layout: nothing at run time. Compares the structures of the kernel headers we compile with
// (those of mingw-w64, not Microsoft's) with the layouts of Windows on x64, for all that drivers share with
// the system. Those of arm64 are the same: no field of them depends on the machine. Source of the numbers:
// wdm.h of the WDK, and the public symbols of ntoskrnl.exe of Windows 10 1809. The tail of DEVICE_OBJECT
// differs (its size is 0x150 in Windows); only the system allocates one.
#include "plat/plat_winkernel.h"

#define SIZE(type, number) _Static_assert(sizeof(type) == (number), "size of " #type)
#define FIELD(type, field, number)                                                                           \
    _Static_assert(offsetof(type, field) == (number), "offset of " #type "." #field)
#define VALUE(constant, number)      _Static_assert((constant) == (number), "value of " #constant)
#define STACK(field, number)         FIELD(IO_STACK_LOCATION, field, number)
#define STACK_CONTROL(field, number) STACK(Parameters.DeviceIoControl.field, number)

// --- requests ------------------------------------------------------------------------------------

SIZE(IRP, 0xd0);
FIELD(IRP, MdlAddress, 0x08);
FIELD(IRP, AssociatedIrp, 0x18);
FIELD(IRP, IoStatus, 0x30);
FIELD(IRP, RequestorMode, 0x40);
FIELD(IRP, PendingReturned, 0x41);
FIELD(IRP, CurrentLocation, 0x43);
FIELD(IRP, Cancel, 0x44);
FIELD(IRP, CancelIrql, 0x45);
FIELD(IRP, CancelRoutine, 0x68);
FIELD(IRP, UserBuffer, 0x70);
FIELD(IRP, Tail.Overlay.DriverContext, 0x78);
FIELD(IRP, Tail.Overlay.ListEntry, 0xa8);
FIELD(IRP, Tail.Overlay.CurrentStackLocation, 0xb8);

SIZE(IO_STACK_LOCATION, 0x48);
STACK(MajorFunction, 0x00);
STACK(Control, 0x03);
STACK(Parameters.Create.SecurityContext, 0x08);
STACK_CONTROL(OutputBufferLength, 0x08);
STACK_CONTROL(InputBufferLength, 0x10);
STACK_CONTROL(IoControlCode, 0x18);
STACK_CONTROL(Type3InputBuffer, 0x20);
STACK(Parameters.QueryVolume.Length, 0x08);
STACK(Parameters.QueryVolume.FsInformationClass, 0x10);
STACK(DeviceObject, 0x28);
STACK(FileObject, 0x30);

SIZE(IO_STATUS_BLOCK, 0x10);
FIELD(IO_STATUS_BLOCK, Information, 0x08);

// --- objects -------------------------------------------------------------------------------------

FIELD(DEVICE_OBJECT, DriverObject, 0x08);
FIELD(DEVICE_OBJECT, Flags, 0x30);
FIELD(DEVICE_OBJECT, Characteristics, 0x34);
FIELD(DEVICE_OBJECT, DeviceExtension, 0x40);
FIELD(DEVICE_OBJECT, DeviceType, 0x48);

SIZE(DRIVER_OBJECT, 0x150);
FIELD(DRIVER_OBJECT, DeviceObject, 0x08);
FIELD(DRIVER_OBJECT, FastIoDispatch, 0x50);
FIELD(DRIVER_OBJECT, DriverUnload, 0x68);
FIELD(DRIVER_OBJECT, MajorFunction, 0x70);

SIZE(FILE_OBJECT, 0xd8);
FIELD(FILE_OBJECT, FsContext, 0x18);
FIELD(FILE_OBJECT, FsContext2, 0x20);

SIZE(MDL, 0x30);
FIELD(MDL, MdlFlags, 0x0a);
FIELD(MDL, MappedSystemVa, 0x18);
FIELD(MDL, ByteCount, 0x28);
FIELD(MDL, ByteOffset, 0x2c);

SIZE(KEVENT, 0x18);
SIZE(KSEMAPHORE, 0x20);
SIZE(KSPIN_LOCK, 0x08);
SIZE(UNICODE_STRING, 0x10);
SIZE(CLIENT_ID, 0x10);
SIZE(OBJECT_ATTRIBUTES, 0x30);
FIELD(OBJECT_ATTRIBUTES, ObjectName, 0x10);
FIELD(OBJECT_ATTRIBUTES, Attributes, 0x18);
FIELD(OBJECT_ATTRIBUTES, SecurityDescriptor, 0x20);

SIZE(SECURITY_SUBJECT_CONTEXT, 0x20);
FIELD(SECURITY_SUBJECT_CONTEXT, ClientToken, 0x00);
FIELD(SECURITY_SUBJECT_CONTEXT, PrimaryToken, 0x10);
SIZE(SID_AND_ATTRIBUTES, 0x10);
FIELD(TOKEN_GROUPS, Groups, 0x08);
SIZE(KEY_VALUE_PARTIAL_INFORMATION, 0x10);
FIELD(KEY_VALUE_PARTIAL_INFORMATION, Data, 0x0c);

// --- numbers -------------------------------------------------------------------------------------

VALUE(KernelMode, 0);
VALUE(IoWriteAccess, 1);
VALUE(NonPagedPoolNx, 0x200);
VALUE(SynchronizationEvent, 1);
VALUE(Executive, 0);
VALUE(ViewUnmap, 2);
VALUE(OBJ_KERNEL_HANDLE, 0x200);
VALUE(NormalPagePriority, 16);
VALUE(DISPATCH_LEVEL, 2);
VALUE(TokenUser, 1);
VALUE(TokenGroups, 2);
VALUE(IRP_MJ_CREATE, 0x00);
VALUE(IRP_MJ_CLOSE, 0x02);
VALUE(IRP_MJ_DEVICE_CONTROL, 0x0e);
VALUE(IRP_MJ_CLEANUP, 0x12);
VALUE(IRP_MJ_QUERY_VOLUME_INFORMATION, 0x0a);
