// SPDX-License-Identifier: MIT
// module_image_windows: DLLs, for execution contexts in process: the code is that of the process's own user,
// as any that it loads. The system takes a second load of one file for the first, so that each load has a
// copy.
#include <windows.h>

#include "elf/elf.h"
#include "hosts/module_image.h"
#include "plat/plat.h"

struct module_image {
    HMODULE handle;
    wchar_t copy[MAX_PATH + 1]; // of the file; deleted with the image
};

// --- the file ------------------------------------------------------------------------------------

static HANDLE open_file(const char *path)
{
    wchar_t wide[4096];
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, ARRAY_SIZE(wide)) == 0) {
        return INVALID_HANDLE_VALUE;
    }
    return CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
}

static ebpf_result_t read_open(HANDLE file, uint8_t **bytes, DWORD *size, char why[MODULE_IMAGE_WHY])
{
    LARGE_INTEGER whole;
    DWORD done = 0;
    if (!GetFileSizeEx(file, &whole) || whole.QuadPart <= 0 || whole.QuadPart > ELF_MAX_SIZE) {
        return module_image_fail(EBPF_INVALID_OBJECT, why, "it is no file of 1 to %u bytes", ELF_MAX_SIZE);
    }
    *size = (DWORD)whole.QuadPart;
    *bytes = plat_alloc(*size, POOL_TAG_CORE);
    if (*bytes == NULL) {
        return module_image_fail(EBPF_NO_MEMORY, why, "there is no memory for a copy of the file");
    }
    if (!ReadFile(file, *bytes, *size, &done, NULL) || done != *size) {
        plat_free(*bytes);
        return module_image_fail(EBPF_INVALID_OBJECT, why, "the file cannot be read: error %lu",
                                 (unsigned long)GetLastError());
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_file(const char *path, uint8_t **bytes, DWORD *size, char why[MODULE_IMAGE_WHY])
{
    HANDLE file = open_file(path);
    if (file == INVALID_HANDLE_VALUE) {
        return module_image_fail(EBPF_FILE_NOT_FOUND, why, "the file cannot be opened: error %lu",
                                 (unsigned long)GetLastError());
    }
    ebpf_result_t result = read_open(file, bytes, size, why);
    CloseHandle(file);
    return result;
}

// --- the copy ------------------------------------------------------------------------------------

static bool write_copy(struct module_image *image, const uint8_t *bytes, DWORD size)
{
    wchar_t folder[MAX_PATH + 1];
    DWORD done = 0;
    if (GetTempPathW(ARRAY_SIZE(folder), folder) == 0 ||
        GetTempFileNameW(folder, L"ebm", 0, image->copy) == 0) {
        return false;
    }
    HANDLE file =
        CreateFileW(image->copy, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_TEMPORARY, NULL);
    bool written = file != INVALID_HANDLE_VALUE && WriteFile(file, bytes, size, &done, NULL) && done == size;
    if (file != INVALID_HANDLE_VALUE) {
        CloseHandle(file);
    }
    if (!written) {
        DeleteFileW(image->copy);
    }
    return written;
}

static ebpf_result_t link_image(struct module_image *image, const struct ebpf_native_module **table,
                                char why[MODULE_IMAGE_WHY])
{
    image->handle = LoadLibraryExW(image->copy, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (image->handle == NULL) {
        return module_image_fail(EBPF_INVALID_OBJECT, why, "the system does not load it: error %lu",
                                 (unsigned long)GetLastError());
    }
    *table = (const void *)(uintptr_t)GetProcAddress(image->handle, EBPF_NATIVE_SYMBOL);
    if (*table == NULL) {
        FreeLibrary(image->handle);
        return module_image_fail(EBPF_INVALID_OBJECT, why, "it does not export " EBPF_NATIVE_SYMBOL);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t load_bytes(struct module_image *image, const uint8_t *bytes, DWORD size,
                                const struct ebpf_native_module **table, char why[MODULE_IMAGE_WHY])
{
    TRY(module_image_check(bytes, size, why));
    if (!write_copy(image, bytes, size)) {
        return module_image_fail(EBPF_OUT_OF_SPACE, why, "no copy of it can be written: error %lu",
                                 (unsigned long)GetLastError());
    }
    ebpf_result_t result = link_image(image, table, why);
    if (result != EBPF_SUCCESS) {
        DeleteFileW(image->copy);
    }
    return result;
}

// --- the loader ----------------------------------------------------------------------------------

static ebpf_result_t load(void *user, const char *path, const struct ebpf_native_module **table, void **image,
                          char why[MODULE_IMAGE_WHY])
{
    uint8_t *bytes = NULL;
    DWORD size = 0;
    ebpf_result_t result;
    UNUSED(user);
    struct module_image *new = plat_alloc(sizeof(*new), POOL_TAG_CORE);
    if (new == NULL) {
        return module_image_fail(EBPF_NO_MEMORY, why, "there is no memory for it");
    }
    TRY_OR(result, read_file(path, &bytes, &size, why), undo_image);
    result = load_bytes(new, bytes, size, table, why);
    plat_free(bytes);
    if (result == EBPF_SUCCESS) {
        *image = new;
        return EBPF_SUCCESS;
    }
undo_image:
    plat_free(new);
    return result;
}

static void unload(void *user, void *image)
{
    struct module_image *old = image;
    UNUSED(user);
    FreeLibrary(old->handle);
    DeleteFileW(old->copy);
    plat_free(old);
}

void module_image_loader(struct core_module_loader *out)
{
    *out = (struct core_module_loader){.load = load, .unload = unload};
}
