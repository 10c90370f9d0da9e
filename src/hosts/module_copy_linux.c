// SPDX-License-Identifier: MIT
// module_copy_linux: the file is read once, into a memory file that is sealed before anybody looks at it.
#define _GNU_SOURCE // memfd_create, F_ADD_SEALS, O_PATH, ST_NOEXEC
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "hosts/module_copy.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // since Linux 6.3, where a system may forbid memory files to be executable without
#endif
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

PRINTF_LIKE(3, 4)
static ebpf_result_t fail(ebpf_result_t result, char why[MODULE_COPY_WHY], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    str_vformat(why, MODULE_COPY_WHY, format, args);
    va_end(args);
    return result;
}

static ebpf_result_t cannot_open(char why[MODULE_COPY_WHY])
{
    ebpf_result_t result = errno == EACCES ? EBPF_ACCESS_DENIED : EBPF_FILE_NOT_FOUND;
    return fail(result, why, "the file cannot be opened: %s", strerror(errno));
}

static ebpf_result_t check_kind(int place, char why[MODULE_COPY_WHY])
{
    struct stat st;
    struct statvfs mount;
    if (fstat(place, &st) != 0 || S_ISLNK(st.st_mode)) {
        return fail(EBPF_FILE_NOT_FOUND, why, "the path ends in a symbolic link, which is not followed");
    }
    if (!S_ISREG(st.st_mode)) {
        return fail(EBPF_INVALID_OBJECT, why, "it is no regular file");
    }
    if (fstatvfs(place, &mount) != 0 || (mount.f_flag & ST_NOEXEC) != 0) {
        return fail(EBPF_BLOCKED_BY_POLICY, why,
                    "its file system is mounted noexec: no code comes from there");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t check_file(int fd, size_t *size, char why[MODULE_COPY_WHY])
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fail(EBPF_FAILED, why, "nothing is known of the file: %s", strerror(errno));
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return fail(EBPF_BLOCKED_BY_POLICY, why,
                    "the file belongs to user %u; a module has to belong to root or to the user of "
                    "this execution context (%u)",
                    (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return fail(EBPF_BLOCKED_BY_POLICY, why,
                    "others than its owner may write to the file (mode %u%u%u): chmod go-w",
                    (unsigned)(st.st_mode >> 6 & 7), (unsigned)(st.st_mode >> 3 & 7),
                    (unsigned)(st.st_mode & 7));
    }
    if (st.st_size <= 0 || st.st_size > (off_t)MODULE_COPY_MAX) {
        return fail(EBPF_INVALID_OBJECT, why, "the file has %llu bytes, of 1 to %u",
                    (unsigned long long)st.st_size, MODULE_COPY_MAX);
    }
    *size = (size_t)st.st_size;
    return EBPF_SUCCESS;
}

static ebpf_result_t copy_bytes(int from, int to, size_t size, char why[MODULE_COPY_WHY])
{
    char buffer[16384];
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(from, buffer, size - done < sizeof(buffer) ? size - done : sizeof(buffer));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail(EBPF_INVALID_OBJECT, why, "the file cannot be read: %s",
                        n < 0 ? strerror(errno) : "it becomes shorter");
        }
        if (write(to, buffer, (size_t)n) != n) {
            return fail(EBPF_NO_MEMORY, why, "there is no memory for a copy of the file");
        }
        done += (size_t)n;
    }
    return EBPF_SUCCESS;
}

static int create_memory(void)
{
    int fd = memfd_create("ebpf-module", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    return fd < 0 && errno == EINVAL ? memfd_create("ebpf-module", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

static ebpf_result_t copy_file(int from, int *copy, size_t *size, char why[MODULE_COPY_WHY])
{
    TRY(check_file(from, size, why));
    int to = create_memory();
    if (to < 0) {
        return fail(EBPF_NO_MEMORY, why, "no memory file can be made: %s", strerror(errno));
    }
    ebpf_result_t result = copy_bytes(from, to, *size, why);
    if (result == EBPF_SUCCESS && fcntl(to, F_ADD_SEALS, SEALS) != 0) {
        result = fail(EBPF_FAILED, why, "the copy cannot be sealed: %s", strerror(errno));
    }
    if (result != EBPF_SUCCESS) {
        close(to);
        return result;
    }
    *copy = to;
    return EBPF_SUCCESS;
}

static ebpf_result_t read_place(int place, int *copy, size_t *size, char why[MODULE_COPY_WHY])
{
    char name[40];
    TRY(check_kind(place, why));
    snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return cannot_open(why);
    }
    ebpf_result_t result = copy_file(fd, copy, size, why);
    close(fd);
    return result;
}

// Found before it is opened: to open a device may be all that it takes.
static ebpf_result_t read_file(const char *path, int *copy, size_t *size, char why[MODULE_COPY_WHY])
{
    if (path[0] != '/') {
        return fail(EBPF_INVALID_ARGUMENT, why, "the path is not absolute");
    }
    int place = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (place < 0) {
        return cannot_open(why);
    }
    ebpf_result_t result = read_place(place, copy, size, why);
    close(place);
    return result;
}

ebpf_result_t module_copy_make(const char *path, struct module_copy *out, char why[MODULE_COPY_WHY])
{
    struct module_copy copy;
    TRY(read_file(path, &copy.fd, &copy.size, why));
    void *bytes = mmap(NULL, copy.size, PROT_READ, MAP_PRIVATE, copy.fd, 0);
    if (bytes == MAP_FAILED) {
        close(copy.fd);
        return fail(EBPF_NO_MEMORY, why, "there is no memory to look at the file");
    }
    copy.bytes = bytes;
    *out = copy;
    return EBPF_SUCCESS;
}

void module_copy_forget_bytes(struct module_copy *copy)
{
    if (copy->bytes != NULL) {
        munmap((void *)(uintptr_t)copy->bytes, copy->size);
        copy->bytes = NULL;
    }
}

void module_copy_close(struct module_copy *copy)
{
    module_copy_forget_bytes(copy);
    if (copy->fd >= 0) {
        close(copy->fd);
    }
}
