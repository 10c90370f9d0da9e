// SPDX-License-Identifier: MIT
// lib_file: object files into memory.
#include <errno.h>
#include <sys/stat.h>

#include "lib/lib_int.h"

// Size of an open file. A first byte is tried because systems that open directories give them a size.
static ebpf_result_t measure(FILE *file, size_t *size)
{
    long end;
    if (fgetc(file) == EOF && ferror(file)) {
        return EBPF_FILE_NOT_FOUND;
    }
    if (fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0) {
        return EBPF_FILE_NOT_FOUND;
    }
    if ((unsigned long)end > ELF_MAX_SIZE) {
        errno = EFBIG;
        return EBPF_INVALID_ARGUMENT;
    }
    *size = (size_t)end;
    return EBPF_SUCCESS;
}

static ebpf_result_t read_all(FILE *file, uint8_t **bytes, size_t *size)
{
    size_t length = 0;
    TRY(measure(file, &length));
    uint8_t *data = lib_alloc(length);
    if (data == NULL) {
        errno = ENOMEM;
        return EBPF_NO_MEMORY;
    }
    if (fread(data, 1, length, file) != length) {
        lib_free(data);
        errno = errno != 0 ? errno : EIO;
        return EBPF_FILE_NOT_FOUND;
    }
    *bytes = data;
    *size = length;
    return EBPF_SUCCESS;
}

ebpf_result_t lib_read_file(const char *path, uint8_t **bytes, size_t *size)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EISDIR; // systems that do not open directories say something else
        return EBPF_FILE_NOT_FOUND;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        errno = errno == EINVAL ? ENOENT : errno; // Windows, of a name that no file can have
        return EBPF_FILE_NOT_FOUND;
    }
    errno = 0;
    ebpf_result_t result = read_all(file, bytes, size);
    int saved = errno;
    fclose(file);
    errno = saved;
    return result;
}

const char *lib_base_name(const char *path)
{
    const char *base = path;
    for (const char *p = path; *p != '\0'; p++) {
        if ((*p == '/' || *p == '\\') && p[1] != '\0') {
            base = p + 1;
        }
    }
    return base;
}
