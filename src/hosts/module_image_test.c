// SPDX-License-Identifier: MIT
// Images that come and go, each load one of its own, and files that are none. The sample is a shared object
// of this build (module_image_sample.c).
#define _GNU_SOURCE // unshare
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ebpf_native.h>

#include "hosts/module_image.h"
#include "plat/plat.h"
#include "tests/test.h"

struct attempt {
    ebpf_result_t result;
    const struct ebpf_native_module *table;
    void *image;
    char why[MODULE_IMAGE_WHY];
};

static struct attempt try_load(const char *path)
{
    struct core_module_loader loader;
    struct attempt a = {0};
    module_image_loader(&loader);
    a.result = loader.load(loader.user, path, &a.table, &a.image, a.why);
    CHECK(a.result == EBPF_SUCCESS || a.why[0] != '\0');
    return a;
}

static void unload(const struct attempt *a)
{
    struct core_module_loader loader;
    module_image_loader(&loader);
    loader.unload(loader.user, a->image);
}

static void check_refused(int line, struct attempt tried, ebpf_result_t wanted, const char *sentence)
{
    if (tried.result != wanted || strstr(tried.why, sentence) == NULL) {
        test_fail(__FILE__, line, "%s: \"%s\" does not say \"%s\"", result_row(tried.result)->name, tried.why,
                  sentence);
    }
}
#define CHECK_REFUSED(tried, wanted, sentence) check_refused(__LINE__, tried, wanted, sentence)

// --- files of the test's own ---------------------------------------------------------------------

static char file[600];

static uint8_t *read_sample(size_t *size)
{
    FILE *stream = fopen(MODULE_SAMPLE, "rb");
    uint8_t *bytes = NULL;
    if (stream != NULL && fseek(stream, 0, SEEK_END) == 0) {
        *size = (size_t)ftell(stream);
        rewind(stream);
        bytes = malloc(*size);
        if (bytes != NULL && fread(bytes, 1, *size, stream) != *size) {
            *size = 0;
        }
        fclose(stream);
    }
    return bytes;
}

static bool write_file(const void *bytes, size_t size)
{
    snprintf(file, sizeof(file), "%s-copy", MODULE_SAMPLE);
    remove(file);
    FILE *stream = fopen(file, "wb");
    bool good = stream != NULL && fwrite(bytes, 1, size, stream) == size;
    return stream != NULL && fclose(stream) == 0 && good;
}

// The sample up to `size`, with `width` bytes at `off` made `value`.
static struct attempt try_changed(size_t size, size_t off, size_t width, uint64_t value)
{
    size_t whole = 0;
    struct attempt a = {.result = EBPF_FAILED};
    uint8_t *bytes = read_sample(&whole);
    if (bytes != NULL && size <= whole && off + width <= whole) {
        memcpy(bytes + off, &value, width);
        if (write_file(bytes, size != 0 ? size : whole)) {
            a = try_load(file);
        }
        remove(file);
    }
    free(bytes);
    return a;
}

// --- cases ---------------------------------------------------------------------------------------

static void each_load_is_an_image(void)
{
    struct attempt a = try_load(MODULE_SAMPLE), b = try_load(MODULE_SAMPLE);
    CHECK_STR(a.why, "");
    REQUIRE(a.result == EBPF_SUCCESS && b.result == EBPF_SUCCESS);
    CHECK(a.table != b.table);
    CHECK_EQ(a.table->magic, EBPF_NATIVE_MAGIC);
    ((struct ebpf_native_module *)(uintptr_t)a.table)->version = 7; // in its writable data
    CHECK_EQ(b.table->version, 0);
    unload(&a);
    CHECK_EQ(b.table->magic, EBPF_NATIVE_MAGIC);
    a = try_load(MODULE_SAMPLE);
    REQUIRE_OK(a.result);
    CHECK(a.table != b.table);
    CHECK_EQ(a.table->version, 0);
    unload(&a);
    unload(&b);
    CHECK_EQ(plat_sim_live_count(), 0);
}

static void what_is_no_module_is_refused(void)
{
    CHECK_REFUSED(try_load(MODULE_SAMPLE ".none"), EBPF_FILE_NOT_FOUND, "cannot be opened");
    CHECK_REFUSED(try_load(TEST_SOURCE_DIR "/tests/elf/neutral.o"), EBPF_INVALID_OBJECT, "no image");
    CHECK_REFUSED(try_load(TEST_SOURCE_DIR "/README.md"), EBPF_INVALID_OBJECT, "no image");
    REQUIRE(write_file("", 0));
    CHECK_REFUSED(try_load(file), EBPF_INVALID_OBJECT, "bytes");
    REQUIRE(write_file("MZ", 2));
    CHECK_REFUSED(try_load(file), EBPF_INVALID_OBJECT, "too short");
    remove(file);
    CHECK_EQ(plat_sim_live_count(), 0);
}

static void truncated_files_are_refused(void)
{
    size_t size = 0;
    uint8_t *bytes = read_sample(&size);
    free(bytes);
    REQUIRE(size > 4096);
    CHECK_REFUSED(try_changed(size - 1, 0, 0, 0), EBPF_INVALID_OBJECT, "truncated");
    CHECK_REFUSED(try_changed(size / 2, 0, 0, 0), EBPF_INVALID_OBJECT, "truncated");
    CHECK_REFUSED(try_changed(100, 0, 0, 0), EBPF_INVALID_OBJECT, "truncated");
}

static void allocations_may_fail(void)
{
    struct attempt a = {.result = EBPF_NO_MEMORY};
    for (unsigned n = 1; a.result == EBPF_NO_MEMORY; n++) {
        plat_sim_fail_alloc(n);
        a = try_load(MODULE_SAMPLE);
        CHECK(n < 10);
    }
    plat_sim_fail_alloc(0);
    REQUIRE_OK(a.result);
    unload(&a);
    CHECK_EQ(plat_sim_live_count(), 0);
}

#if defined(_WIN32)
static void system_cases(void)
{
}
#else
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// --- Linux ---------------------------------------------------------------------------------------

static unsigned count_images(void)
{
    char line[512];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        count += strstr(line, "memfd:ebpf-module") != NULL;
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return count;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void nothing_is_left_of_an_image(void)
{
    unsigned before = count_descriptors();
    struct attempt a = try_load(MODULE_SAMPLE);
    REQUIRE_OK(a.result);
    CHECK(count_images() != 0);
    CHECK_EQ(count_descriptors(), before + 1);
    unload(&a);
    CHECK_EQ(count_images(), 0);
    CHECK_EQ(count_descriptors(), before);
    a = try_changed(0, 18, 2, 243);
    CHECK_EQ(a.result, EBPF_INVALID_OBJECT);
    CHECK_EQ(count_descriptors(), before);
}

// In a child with mounts of its own, which go with it: 0 when the image is refused as it should be.
static int try_noexec(const char *folder)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", MS_NOEXEC, NULL) != 0) {
        return 77;
    }
    size_t size = 0;
    uint8_t *bytes = read_sample(&size);
    snprintf(file, sizeof(file), "%s/module.so", folder);
    FILE *stream = fopen(file, "wb");
    bool written = bytes != NULL && stream != NULL && fwrite(bytes, 1, size, stream) == size;
    free(bytes);
    if (stream == NULL || fclose(stream) != 0 || !written || chmod(file, 0600) != 0) {
        return 1;
    }
    struct attempt a = try_load(file);
    return a.result == EBPF_BLOCKED_BY_POLICY && strstr(a.why, "noexec") != NULL ? 0 : 2;
}

static void code_of_noexec_mounts_is_refused(void)
{
    char folder[500];
    int status = -1;
    snprintf(folder, sizeof(folder), "%s-mount", MODULE_SAMPLE);
    REQUIRE(mkdir(folder, 0700) == 0 || errno == EEXIST);
    pid_t child = fork();
    if (child == 0) {
        _exit(try_noexec(folder));
    }
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    rmdir(folder);
    if (WEXITSTATUS(status) == 77) {
        SKIP("only root may mount");
    }
    CHECK_EQ(WEXITSTATUS(status), 0);
}

// What the dynamic linker keeps does not take the place of what is loaded later.
static void images_that_stay_are_nobody_elses(void)
{
    unsigned before = count_descriptors();
    struct attempt a = try_load(MODULE_STAYS);
    REQUIRE_OK(a.result);
    const struct ebpf_native_module *kept = a.table;
    ((struct ebpf_native_module *)(uintptr_t)kept)->version = 7;
    unload(&a);
    if (count_images() == 0) {
        SKIP("the dynamic linker keeps nothing");
    }
    CHECK_EQ(kept->version, 7);
    CHECK_EQ(count_descriptors(), before + 1); // its name
    a = try_load(MODULE_SAMPLE);
    REQUIRE_OK(a.result);
    CHECK(a.table != kept);
    CHECK_EQ(a.table->version, 0);
    unload(&a);
    CHECK_EQ(count_descriptors(), before + 1);
    CHECK_EQ(plat_sim_live_count(), 0);
}

// Sets bits in the flags of the sample's first program header of this type.
static struct attempt try_flags(uint32_t type, uint32_t bits)
{
    enum { HEADERS = 64, HEADER = 56 };
    size_t size = 0, at = HEADERS;
    uint32_t found[2] = {0};
    uint8_t *bytes = read_sample(&size);
    while (bytes != NULL && at + HEADER <= size && found[0] != type) {
        memcpy(found, bytes + at, sizeof(found));
        at += HEADER;
    }
    free(bytes);
    return try_changed(0, at - HEADER + 4, 4, found[1] | bits);
}

static void memory_is_written_or_run(void)
{
    enum { LOAD = 1, STACK = 0x6474e551, EXECUTE = 1, WRITE = 2 };
    struct attempt a = try_flags(STACK, 0);
    CHECK_STR(a.why, "");
    REQUIRE_OK(a.result);
    unload(&a);
    CHECK_REFUSED(try_flags(STACK, EXECUTE), EBPF_BLOCKED_BY_POLICY, "writable and executable");
    CHECK_REFUSED(try_flags(LOAD, EXECUTE | WRITE), EBPF_BLOCKED_BY_POLICY, "writable and executable");
}

static void images_of_others_are_refused(void)
{
    CHECK_REFUSED(try_changed(0, 18, 2, 243), EBPF_INVALID_OBJECT, "is for another machine; this machine is");
    CHECK_REFUSED(try_changed(0, 0, 2, 0x5a4d), EBPF_INVALID_OBJECT, "PE");
    snprintf(file, sizeof(file), "%s-link", MODULE_SAMPLE);
    remove(file);
    REQUIRE(symlink(MODULE_SAMPLE, file) == 0);
    CHECK_REFUSED(try_load(file), EBPF_FILE_NOT_FOUND, "symbolic link");
    remove(file);
    CHECK_REFUSED(try_load("/dev/null"), EBPF_INVALID_OBJECT, "no regular file");
    CHECK_REFUSED(try_load("/"), EBPF_INVALID_OBJECT, "no regular file");
    CHECK_REFUSED(try_load("module.so"), EBPF_INVALID_ARGUMENT, "not absolute");
    CHECK_REFUSED(try_load(""), EBPF_INVALID_ARGUMENT, "not absolute");
}

// Nor is it opened, which for a device may be all that it takes.
static void a_pipe_keeps_nobody_waiting(void)
{
    uint8_t event[512];
    snprintf(file, sizeof(file), "%s-pipe", MODULE_SAMPLE);
    remove(file);
    REQUIRE(mkfifo(file, 0600) == 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    REQUIRE(watch >= 0 && inotify_add_watch(watch, file, IN_OPEN) >= 0);
    CHECK_REFUSED(try_load(file), EBPF_INVALID_OBJECT, "no regular file");
    CHECK(read(watch, event, sizeof(event)) < 0 && errno == EAGAIN);
    close(watch);
    remove(file);
}

static void files_that_others_may_write_are_refused(void)
{
    size_t size = 0;
    uint8_t *bytes = read_sample(&size);
    bool written = bytes != NULL && write_file(bytes, size);
    free(bytes);
    REQUIRE(written);
    REQUIRE(chmod(file, 0664) == 0);
    CHECK_REFUSED(try_load(file), EBPF_BLOCKED_BY_POLICY,
                  "others than its owner may write to the file (mode 664)");
    REQUIRE(chmod(file, 0602) == 0);
    CHECK_REFUSED(try_load(file), EBPF_BLOCKED_BY_POLICY, "mode 602");
    REQUIRE(chmod(file, 0600) == 0);
    if (geteuid() == 0) { // who else could give a file away
        REQUIRE(chown(file, 4711, (gid_t)-1) == 0);
        CHECK_REFUSED(try_load(file), EBPF_BLOCKED_BY_POLICY, "belongs to user 4711");
    }
    remove(file);
}

static void system_cases(void)
{
    RUN(nothing_is_left_of_an_image);
    RUN(memory_is_written_or_run);
    RUN(images_of_others_are_refused);
    RUN(a_pipe_keeps_nobody_waiting);
    RUN(files_that_others_may_write_are_refused);
    RUN(code_of_noexec_mounts_is_refused);
    RUN(images_that_stay_are_nobody_elses); // behind those that count images
}
#endif

TEST_SUITE(module_image)
{
    if (plat_init() != EBPF_SUCCESS) {
        return;
    }
    RUN(each_load_is_an_image);
    RUN(what_is_no_module_is_refused);
    RUN(truncated_files_are_refused);
    RUN(allocations_may_fail);
    system_cases();
    plat_fini();
}
