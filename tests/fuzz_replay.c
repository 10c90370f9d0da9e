// SPDX-License-Identifier: MIT
// Replays a fuzzer's corpus as an ordinary test: every file under the folders and files named, then a fixed
// number of pseudo-random mutations of each. Usage: FUZZER [PATH ...]
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 200 };
static unsigned inputs;
static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void run_one(const uint8_t *data, size_t size)
{
    // Exact size, so that a sanitizer sees reads past the end.
    uint8_t *copy = calloc(1, size != 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    LLVMFuzzerTestOneInput(size == 0 ? copy : memcpy(copy, data, size), size);
    inputs++;
    for (int i = 0; i < MUTATIONS && size != 0; i++) {
        memcpy(copy, data, size);
        for (uint64_t n = 1 + next_random() % 4; n != 0; n--) {
            copy[next_random() % size] = (uint8_t)next_random();
        }
        size_t length = next_random() % 4 == 0 ? next_random() % (size + 1) : size;
        uint8_t *exact = calloc(1, length != 0 ? length : 1);
        if (exact == NULL) {
            abort();
        }
        LLVMFuzzerTestOneInput(memcpy(exact, copy, length), length);
        free(exact);
    }
    free(copy);
}

static void run_file(const char *path, long size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc((size_t)size + 1);
    if (file == NULL || data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    run_one(data, (size_t)size);
    free(data);
}

static void run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(1);
    }
    if (!S_ISDIR(st.st_mode)) {
        run_file(path, (long)st.st_size);
        return;
    }
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char child[1024];
        if (entry->d_name[0] != '.' &&
            snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) < (int)sizeof(child)) {
            run_path(child);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

int main(int argc, char **argv)
{
    run_one(NULL, 0);
    for (int i = 1; i < argc; i++) {
        run_path(argv[i]);
    }
    printf("%u inputs replayed\n1 passed, 0 failed\n", inputs);
    return 0;
}
