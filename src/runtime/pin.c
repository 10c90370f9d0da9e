// SPDX-License-Identifier: MIT
// pin: references by path. The list is sorted by path, in byte order; nothing here knows what a path means.
#include "runtime/runtime_int.h"

struct pin {
    struct list node;
    struct object *object; // referenced
    char path[PIN_PATH_SIZE];
};

static struct pin *pin_at(struct list *node)
{
    return CONTAINER_OF(node, struct pin, node);
}

// Sign of the order of two terminated texts.
static int compare(const char *a, const char *b)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    return (*x > *y) - (*x < *y);
}

// First pin whose path is not below `path` (with `above`: that is above it), or the list's head. With
// pin_mutex held.
static struct list *find(struct runtime *rt, const char *path, bool above)
{
    LIST_FOR_EACH (node, &rt->pins) {
        int order = compare(pin_at(node)->path, path);
        if (order > 0 || (order == 0 && !above)) {
            return node;
        }
    }
    return &rt->pins;
}

static struct pin *find_exact(struct runtime *rt, const char *path)
{
    struct list *at = find(rt, path, false);
    return at != &rt->pins && str_equal(pin_at(at)->path, path) ? pin_at(at) : NULL;
}

static ebpf_result_t insert(struct runtime *rt, struct pin *pin)
{
    if (find_exact(rt, pin->path) != NULL) {
        return EBPF_OBJECT_ALREADY_EXISTS;
    }
    list_push_back(find(rt, pin->path, false), &pin->node); // before the first that is above
    object_acquire(pin->object);
    return EBPF_SUCCESS;
}

ebpf_result_t pin_add(struct runtime *rt, const char *path, struct object *o)
{
    if (*path == '\0') {
        return EBPF_INVALID_ARGUMENT;
    }
    struct pin *pin = plat_alloc(sizeof(*pin), POOL_TAG_OBJECT);
    if (pin == NULL) {
        return EBPF_NO_MEMORY;
    }
    pin->object = o;
    if (!str_copy(pin->path, sizeof(pin->path), path)) {
        plat_free(pin);
        return EBPF_INVALID_ARGUMENT;
    }
    plat_mutex_acquire(&rt->pin_mutex);
    ebpf_result_t result = insert(rt, pin);
    plat_mutex_release(&rt->pin_mutex);
    if (result != EBPF_SUCCESS) {
        plat_free(pin);
    }
    return result;
}

ebpf_result_t pin_get(struct runtime *rt, const char *path, struct object **out)
{
    ebpf_result_t result = EBPF_OBJECT_NOT_FOUND;
    plat_mutex_acquire(&rt->pin_mutex);
    struct pin *pin = find_exact(rt, path);
    if (pin != NULL) {
        object_acquire(pin->object);
        *out = pin->object;
        result = EBPF_SUCCESS;
    }
    plat_mutex_release(&rt->pin_mutex);
    return result;
}

static void free_pin(struct pin *pin)
{
    object_release(pin->object);
    plat_free(pin);
}

ebpf_result_t pin_remove(struct runtime *rt, const char *path)
{
    plat_mutex_acquire(&rt->pin_mutex);
    struct pin *pin = find_exact(rt, path);
    if (pin != NULL) {
        list_remove(&pin->node);
    }
    plat_mutex_release(&rt->pin_mutex);
    if (pin == NULL) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    free_pin(pin); // outside the mutex: the last reference may detach a link
    return EBPF_SUCCESS;
}

ebpf_result_t pin_next(struct runtime *rt, const char *start, char next[PIN_PATH_SIZE], struct object **out)
{
    ebpf_result_t result = EBPF_NO_MORE_KEYS;
    plat_mutex_acquire(&rt->pin_mutex);
    struct list *at = find(rt, start, true);
    if (at != &rt->pins) {
        object_acquire(pin_at(at)->object);
        memcpy(next, pin_at(at)->path, PIN_PATH_SIZE);
        *out = pin_at(at)->object;
        result = EBPF_SUCCESS;
    }
    plat_mutex_release(&rt->pin_mutex);
    return result;
}

uint32_t pin_count(struct runtime *rt, const struct object *o)
{
    uint32_t count = 0;
    plat_mutex_acquire(&rt->pin_mutex);
    LIST_FOR_EACH (node, &rt->pins) {
        count += pin_at(node)->object == o;
    }
    plat_mutex_release(&rt->pin_mutex);
    return count;
}

static struct pin *take_first(struct runtime *rt)
{
    struct pin *pin = NULL;
    plat_mutex_acquire(&rt->pin_mutex);
    if (!list_is_empty(&rt->pins)) {
        pin = pin_at(rt->pins.next);
        list_remove(&pin->node);
    }
    plat_mutex_release(&rt->pin_mutex);
    return pin;
}

void pin_remove_all(struct runtime *rt)
{
    for (struct pin *pin = take_first(rt); pin != NULL; pin = take_first(rt)) {
        free_pin(pin);
    }
}
