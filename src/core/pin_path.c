// SPDX-License-Identifier: MIT
// pin_path: canonical spelling of pin paths. Invariant while building: the text is a sequence of "/part", and
// never shorter than the root that the path may not leave.
#include "core/pin_path.h"

#include "spec/spec.h"

static const char *const roots[DIALECT_COUNT] = {
    [DIALECT_LINUX] = SPEC_PIN_ROOT_LINUX,
    [DIALECT_WINDOWS] = SPEC_PIN_ROOT_WINDOWS,
};

struct builder {
    char text[PIN_PATH_SIZE];
    size_t size;  // without NUL
    size_t floor; // ".." does not go below
};

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static ebpf_result_t push_part(struct builder *b, const char *part, size_t size)
{
    if (b->size + 1 + size >= sizeof(b->text)) {
        return EBPF_INVALID_ARGUMENT;
    }
    b->text[b->size] = '/';
    memcpy(b->text + b->size + 1, part, size);
    b->size += 1 + size;
    return EBPF_SUCCESS;
}

static ebpf_result_t pop_part(struct builder *b)
{
    if (b->size == b->floor) {
        return EBPF_INVALID_ARGUMENT;
    }
    do {
        b->size--;
    } while (b->text[b->size] != '/');
    return EBPF_SUCCESS;
}

static ebpf_result_t add_part(struct builder *b, const char *part, size_t size)
{
    if (size == 0 || (size == 1 && part[0] == '.')) {
        return EBPF_SUCCESS;
    }
    if (size == 2 && part[0] == '.' && part[1] == '.') {
        return pop_part(b);
    }
    return push_part(b, part, size);
}

// Length of the part that starts at `part`; EBPF_INVALID_ARGUMENT on a character that a terminal would obey.
static ebpf_result_t measure_part(const char *part, size_t *size)
{
    size_t n = 0;
    while (part[n] != 0 && !is_separator(part[n])) {
        if ((unsigned char)part[n] < ' ' || part[n] == 0x7f) {
            return EBPF_INVALID_ARGUMENT;
        }
        n++;
    }
    *size = n;
    return EBPF_SUCCESS;
}

static void start(struct builder *b, enum dialect platform, const char **path)
{
    bool rooted = str_starts_with(*path, "BPF:");
    memset(b, 0, sizeof(*b));
    *path += rooted ? 4 : 0;
    if (rooted || !is_separator((*path)[0])) {
        b->size = b->floor = str_len(roots[platform]);
        memcpy(b->text, roots[platform], b->size);
    }
}

ebpf_result_t pin_path_canonicalize(enum dialect platform, const char *path, char out[PIN_PATH_SIZE])
{
    struct builder b;
    size_t size = 0;
    start(&b, platform, &path);
    for (;; path += size + 1) {
        TRY(measure_part(path, &size));
        TRY(add_part(&b, path, size));
        if (path[size] == 0) {
            break;
        }
    }
    b.text[b.size] = 0;
    if (b.size == b.floor || str_equal(b.text, roots[platform])) {
        return EBPF_INVALID_ARGUMENT;
    }
    memcpy(out, b.text, b.size + 1);
    return EBPF_SUCCESS;
}
