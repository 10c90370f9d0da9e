// SPDX-License-Identifier: MIT
// sources: the cases of tests/verify.
#include "tests/soundness/sources.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

struct reading {
    bool (*each)(void *user, const struct vt_case *c);
    void *user;
    unsigned count;
    bool ended;
};

static void read_file(const char *path, struct reading *r)
{
    enum { SIZE = 1 << 20 };
    static struct vt_case c;
    FILE *file = fopen(path, "rb");
    char *text = file != NULL ? calloc(1, SIZE) : NULL;
    const char *at = text, *error = NULL;
    size_t size = text != NULL ? fread(text, 1, SIZE - 1, file) : 0;
    while (size != 0 && !r->ended && case_read(&at, &c, &error)) {
        r->count++;
        r->ended = !r->each(r->user, &c);
    }
    if (size == 0 || error != NULL) {
        test_fail(__FILE__, __LINE__, "%s: %s", path, error != NULL ? error : "cannot be read");
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum { NAMES = 64, NAME = 300 };

static void read_folder(const char *folder, struct reading *r)
{
    static char names[NAMES][NAME];
    unsigned count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *e; directory != NULL && (e = readdir(directory)) != NULL;) {
        size_t length = strlen(e->d_name);
        if (length > 3 && strcmp(e->d_name + length - 3, ".vt") == 0 && count < NAMES) {
            str_format(names[count++], NAME, "%s/%s", folder, e->d_name);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    qsort(names, count, sizeof(names[0]), by_name); // the same order everywhere
    for (unsigned i = 0; i < count && !r->ended; i++) {
        read_file(names[i], r);
    }
}

unsigned source_each_case(bool (*each)(void *user, const struct vt_case *c), void *user)
{
    struct reading r = {each, user, 0, false};
    read_folder(TEST_SOURCE_DIR "/tests/verify", &r);
    if (!r.ended) {
        read_folder(TEST_SOURCE_DIR "/tests/verify/unsafe", &r);
    }
    return r.count;
}

void source_from_case(const struct vt_case *c, struct gen *out)
{
    memset(out, 0, sizeof(*out));
    out->seed = 88172645463325252u;
    for (const char *at = c->name; *at != '\0'; at++) {
        out->seed = out->seed * 31 + (uint8_t)*at;
    }
    out->program = c->program;
    out->count = c->program.insn_count;
    memcpy(out->insns, c->program.insns, c->program.insn_count * sizeof(out->insns[0]));
    memcpy(out->funcs, c->program.funcs, c->program.func_count * sizeof(out->funcs[0]));
    out->program.insns = out->insns;
    out->program.funcs = out->funcs;
}
