// SPDX-License-Identifier: MIT
// elf_index: errors and the sorted arrays with which everything is found by name or place.
#include "elf/elf_int.h"

static const struct hash_key name_hash_key = {0x656c662d6e616d65u, 0x2d6b65792d303031u};

// Names come from the object: nothing in a message may move a terminal's cursor or break its line.
void elf_make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if ((uint8_t)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

static void set_error(struct elf_error *error, const char *section, const char *fmt, va_list args)
{
    str_copy(error->section, sizeof(error->section), section);
    str_vformat(error->message, sizeof(error->message), fmt, args);
    elf_make_printable(error->section);
    elf_make_printable(error->message);
}

void elf_error_set(struct elf_error *error, const char *section, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_error(error, section, fmt, args);
    va_end(args);
}

ebpf_result_t elf_fail(struct elf_loader *l, const struct elf_section *section, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_error(l->error, section != NULL ? section->name : "", fmt, args);
    va_end(args);
    return EBPF_ELF_PARSING_FAILED;
}

ebpf_result_t elf_refuse(struct elf_loader *l, const struct elf_section *section, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_error(l->error, section != NULL ? section->name : "", fmt, args);
    va_end(args);
    return EBPF_OPERATION_NOT_SUPPORTED;
}

ebpf_result_t elf_no_memory(struct elf_loader *l)
{
    elf_error_set(l->error, "", "there is not enough memory to read the object");
    return EBPF_NO_MEMORY;
}

static bool is_less(const struct elf_pair *a, const struct elf_pair *b)
{
    return a->key != b->key ? a->key < b->key : a->value < b->value;
}

// Lets items[root] sink to its place in the heap items[0..count).
static void sift(struct elf_pair *items, uint32_t root, uint32_t count)
{
    struct elf_pair moving = items[root];
    for (uint64_t child; (child = 2 * (uint64_t)root + 1) < count; root = (uint32_t)child) {
        if (child + 1 < count && is_less(&items[child], &items[child + 1])) {
            child++;
        }
        if (!is_less(&moving, &items[child])) {
            break;
        }
        items[root] = items[child];
    }
    items[root] = moving;
}

void elf_pairs_sort(struct elf_pairs *pairs)
{
    struct elf_pair *items = pairs->items;
    for (uint32_t root = pairs->count / 2; root-- > 0;) {
        sift(items, root, pairs->count);
    }
    for (uint32_t count = pairs->count; count > 1; count--) {
        struct elf_pair largest = items[0];
        items[0] = items[count - 1];
        items[count - 1] = largest;
        sift(items, 0, count - 1);
    }
}

void elf_pairs_unique(struct elf_pairs *pairs)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (i + 1 == pairs->count || pairs->items[i].key != pairs->items[i + 1].key) {
            pairs->items[kept++] = pairs->items[i];
        }
    }
    pairs->count = kept;
}

uint32_t elf_pairs_from(const struct elf_pairs *pairs, uint64_t key)
{
    uint32_t low = 0, high = pairs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pairs->items[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t elf_pairs_find(const struct elf_pairs *pairs, uint64_t key)
{
    uint32_t at = elf_pairs_from(pairs, key);
    return at < pairs->count && pairs->items[at].key == key ? pairs->items[at].value : ELF_NO_INDEX;
}

uint32_t elf_name_length(const char *name)
{
    uint32_t length = 0;
    while (length <= ELF_MAX_NAME && name[length] != '\0') {
        length++;
    }
    return length;
}

uint64_t elf_bytes_key(const char *name, uint32_t length)
{
    return hash_bytes(&name_hash_key, name, length);
}

uint64_t elf_name_key(const char *name, uint32_t scope)
{
    return hash_bytes(&name_hash_key, name, elf_name_length(name)) ^ scope * 0x9e3779b97f4a7c15u;
}

// Different names may share a key, if only by an attacker's luck: the first pair whose name is right, among a
// few.
enum { MAX_PROBES = 8 };

uint32_t elf_find_section(const struct elf_loader *l, const char *name)
{
    const struct elf_pairs *pairs = &l->section_names;
    uint64_t key = elf_name_key(name, 0);
    uint32_t from = elf_pairs_from(pairs, key);
    for (uint32_t i = from; i < pairs->count && i < from + MAX_PROBES && pairs->items[i].key == key; i++) {
        if (str_equal(l->sections[pairs->items[i].value].name, name)) {
            return pairs->items[i].value;
        }
    }
    return ELF_NO_INDEX;
}

uint32_t elf_find_symbol(const struct elf_loader *l, const char *name, uint32_t section)
{
    const struct elf_pairs *pairs = &l->symbol_names;
    uint64_t key = elf_name_key(name, section);
    uint32_t from = elf_pairs_from(pairs, key);
    for (uint32_t i = from; i < pairs->count && i < from + MAX_PROBES && pairs->items[i].key == key; i++) {
        const struct elf_symbol *s = &l->symbols[pairs->items[i].value];
        if (s->section == section && str_equal(s->name, name)) {
            return pairs->items[i].value;
        }
    }
    return ELF_NO_INDEX;
}

uint32_t elf_find_func(const struct elf_loader *l, uint32_t section, uint32_t slot)
{
    uint32_t low = 0, high = l->func_count;
    uint64_t key = elf_place(section, slot);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (elf_place(l->funcs[middle].section, l->funcs[middle].start) < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < l->func_count && elf_place(l->funcs[low].section, l->funcs[low].start) == key;
    return found ? low : ELF_NO_INDEX;
}
