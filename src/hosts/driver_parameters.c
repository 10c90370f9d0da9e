// SPDX-License-Identifier: MIT
// driver_parameters: values in the key Parameters of a driver's service.
#include "hosts/driver_parameters.h"

#include "plat/plat.h"

#define PARAMETERS L"\\Parameters"
enum { MAX_TEXT = 256 }; // of a REG_SZ, with its NUL

static NTSTATUS open_parameters(const UNICODE_STRING *service_key, ACCESS_MASK access, HANDLE *out)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING path = {.MaximumLength = (USHORT)(service_key->Length + sizeof(PARAMETERS))};
    path.Buffer = plat_alloc(path.MaximumLength, POOL_TAG_CORE);
    if (path.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyUnicodeString(&path, service_key);
    NTSTATUS status = RtlAppendUnicodeToString(&path, PARAMETERS);
    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(status)) {
        status = ZwOpenKey(out, access, &attributes);
    }
    plat_free(path.Buffer);
    return status;
}

// Bytes of a value of this type, at most `room`; 0: it is not there.
static uint32_t read_value(const UNICODE_STRING *service_key, const wchar_t *name, ULONG type, void *out,
                           uint32_t room)
{
    const ULONG size = (ULONG)FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data) + room;
    KEY_VALUE_PARTIAL_INFORMATION *value = plat_alloc(size + sizeof(uint32_t), POOL_TAG_CORE);
    HANDLE key = NULL;
    UNICODE_STRING text;
    ULONG needed = 0;
    uint32_t got = 0;
    if (value == NULL || !NT_SUCCESS(open_parameters(service_key, KEY_READ, &key))) {
        plat_free(value);
        return 0;
    }
    RtlInitUnicodeString(&text, name);
    NTSTATUS status = ZwQueryValueKey(key, &text, KeyValuePartialInformation, value, size, &needed);
    if (NT_SUCCESS(status) && value->Type == type && value->DataLength <= room) {
        got = value->DataLength;
        memcpy(out, value->Data, got);
    }
    ZwClose(key);
    plat_free(value);
    return got;
}

uint32_t parameters_read(const UNICODE_STRING *service_key, const wchar_t *name)
{
    uint32_t number = 0;
    uint32_t size = read_value(service_key, name, REG_DWORD, &number, sizeof(number));
    return size == sizeof(number) ? number : 0;
}

void parameters_read_text(const UNICODE_STRING *service_key, const wchar_t *name, UNICODE_STRING *out)
{
    uint32_t size = read_value(service_key, name, REG_SZ, out->Buffer, out->MaximumLength);
    out->Length = (USHORT)(size & ~1u);
    while (out->Length != 0 && out->Buffer[out->Length / sizeof(WCHAR) - 1] == 0) {
        out->Length -= sizeof(WCHAR);
    }
}

void parameters_write(const UNICODE_STRING *service_key, const wchar_t *name, const char *text)
{
    WCHAR wide[MAX_TEXT] = {0};
    HANDLE key = NULL;
    UNICODE_STRING value;
    ULONG count = 0;
    if (!NT_SUCCESS(open_parameters(service_key, KEY_SET_VALUE, &key))) {
        return;
    }
    while (count < MAX_TEXT - 1 && text[count] != '\0') {
        wide[count] = (uint8_t)text[count];
        count++;
    }
    RtlInitUnicodeString(&value, name);
    (void)ZwSetValueKey(key, &value, 0, REG_SZ, wide, (count + 1) * (ULONG)sizeof(*wide));
    ZwClose(key);
}
