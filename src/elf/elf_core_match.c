// SPDX-License-Identifier: MIT
// elf_core_match: from a local type, and a part of it, to the target's. Nothing here recurses; chains of
// types and nests of unnamed members have limits, and all loops over members pay from one budget.
#include "elf/elf_core.h"

enum { MAX_NEST = 16, MAX_PAIRS = 256 };

static bool spend(struct core_work *work)
{
    if (work->left == 0) {
        return false;
    }
    work->left--;
    return true;
}

bool core_same_name(const char *a, const char *b)
{
    uint32_t length = btf_name_length(a);
    return length == btf_name_length(b) && memcmp(a, b, length) == 0;
}

static uint32_t member_bit_off(const struct btf_type *type, const struct btf_item *item)
{
    return type->flag ? item->off & 0xffffff : item->off;
}

// --- the local path ------------------------------------------------------------------------------

// Reads one number of an access string and the ':' behind it.
static bool read_index(const char **access, uint32_t *out)
{
    uint64_t value = 0;
    const char *at = *access;
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > INT32_MAX) {
            return false;
        }
    }
    if (*at == ':' && at[1] != '\0') {
        at++;
    } else if (*at != '\0') {
        return false;
    }
    *access = at;
    *out = (uint32_t)value;
    return true;
}

static bool add_step(struct core_path *path, const char *name, uint32_t type, uint32_t index)
{
    if (path->count == CORE_MAX_STEPS) {
        return false;
    }
    path->steps[path->count++] = (struct core_step){name, type, index};
    return true;
}

// Goes to element `index` of elements of type `id`.
static bool enter_element(const struct btf *btf, uint32_t id, uint32_t index, struct core_path *path)
{
    uint32_t size = 0;
    if (index != 0 && !btf_size(btf, id, &size)) {
        return false;
    }
    path->bit_off += (uint64_t)index * size * 8;
    return add_step(path, NULL, id, index);
}

// One number of the access string: a member of *id, or an element.
static bool follow(const struct btf *btf, uint32_t *id, uint32_t index, struct core_path *path)
{
    uint32_t resolved;
    if (!btf_resolve(btf, *id, &resolved)) {
        return false;
    }
    struct btf_type type = btf_type(btf, resolved);
    if (type.kind == BTF_ARRAY) {
        struct btf_item array = btf_item(btf, &type, 0);
        *id = array.type;
        return enter_element(btf, array.type, index, path);
    }
    if (!core_is_composite(type.kind) || index >= type.vlen) {
        return false;
    }
    struct btf_item item = btf_item(btf, &type, index);
    const char *name = btf_string(btf, item.name_off);
    path->bit_off += member_bit_off(&type, &item);
    *id = item.type;
    return name[0] == '\0' || add_step(path, name, resolved, index);
}

static bool enumerator_path(const struct btf *btf, const char *access, struct core_path *path)
{
    uint32_t index;
    struct btf_type type = btf_type(btf, path->root);
    if (!core_is_enum(type.kind) || !read_index(&access, &index) || *access != '\0' || index >= type.vlen) {
        return false;
    }
    struct btf_item item = btf_item(btf, &type, index);
    return add_step(path, btf_string(btf, item.name_off), path->root, index);
}

bool core_local_path(const struct btf *btf, uint32_t id, const char *access, uint32_t kind,
                     struct core_path *out)
{
    struct core_path path = {0};
    uint32_t index;
    if (!btf_resolve(btf, id, &path.root)) {
        return false;
    }
    if (kind == CORE_ENUM_EXISTS || kind == CORE_ENUM_VALUE) {
        bool ok = enumerator_path(btf, access, &path);
        *out = path;
        return ok;
    }
    if (!core_is_field_kind(kind)) { // about the type as a whole, named as it is written
        path.root = id;
        *out = path;
        return str_equal(access, "0");
    }
    uint32_t at = path.root;
    if (!read_index(&access, &index) || !enter_element(btf, path.root, index, &path)) {
        return false;
    }
    while (*access != '\0') {
        if (!read_index(&access, &index) || !follow(btf, &at, index, &path)) {
            return false;
        }
    }
    *out = path;
    return path.bit_off <= UINT32_MAX;
}

// --- compatible types ----------------------------------------------------------------------------

static bool same_kind(uint32_t a, uint32_t b)
{
    return a == b || (core_is_enum(a) && core_is_enum(b));
}

// Whether a field of the local type may become one of the target's: sizes of numbers may differ.
static bool fields_fit(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b)
{
    for (int step = 0; step <= BTF_MAX_CHAIN; step++) {
        if (!btf_resolve(local, a, &a) || !btf_resolve(target, b, &b)) {
            return false;
        }
        struct btf_type x = btf_type(local, a), y = btf_type(target, b);
        if (core_is_composite(x.kind) && core_is_composite(y.kind)) {
            return true;
        }
        if (!same_kind(x.kind, y.kind)) {
            return false;
        }
        if (core_is_enum(x.kind) || x.kind == BTF_FWD) {
            const char *m = btf_string(local, x.name_off), *n = btf_string(target, y.name_off);
            return m[0] == '\0' || n[0] == '\0' || core_same_name(m, n);
        }
        if (x.kind != BTF_ARRAY) {
            return x.kind == BTF_PTR || x.kind == BTF_INT || x.kind == BTF_FLOAT;
        }
        a = btf_item(local, &x, 0).type;
        b = btf_item(target, &y, 0).type;
    }
    return false;
}

// Pairs of types that still have to be compared.
struct pairs {
    uint32_t a[MAX_PAIRS], b[MAX_PAIRS];
    uint32_t count;
};

static bool push(struct pairs *pairs, uint32_t a, uint32_t b)
{
    if (pairs->count == MAX_PAIRS) {
        return false;
    }
    pairs->a[pairs->count] = a;
    pairs->b[pairs->count++] = b;
    return true;
}

static bool push_prototype(const struct btf *local, const struct btf_type *x, const struct btf *target,
                           const struct btf_type *y, struct pairs *pairs)
{
    bool ok = x->vlen == y->vlen && push(pairs, x->value, y->value);
    for (uint32_t i = 0; ok && i < x->vlen; i++) {
        ok = push(pairs, btf_item(local, x, i).type, btf_item(target, y, i).type);
    }
    return ok;
}

// One pair is alike; pushes the pairs that have to be as well.
typedef bool (*compare_pair)(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b,
                             struct core_work *work, struct pairs *pairs);

static bool compare_types(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b,
                          struct core_work *work, compare_pair compare)
{
    struct pairs pairs = {.count = 0};
    bool ok = push(&pairs, a, b);
    while (ok && pairs.count != 0) {
        uint32_t m, n;
        pairs.count--;
        ok = spend(work) && btf_resolve(local, pairs.a[pairs.count], &m) &&
             btf_resolve(target, pairs.b[pairs.count], &n) && compare(local, m, target, n, work, &pairs);
    }
    return ok;
}

// Whether the types are of the same kind all along pointers, arrays and prototypes; names and members do not
// count.
static bool pair_fits(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b,
                      struct core_work *work, struct pairs *pairs)
{
    UNUSED(work);
    struct btf_type x = btf_type(local, a), y = btf_type(target, b);
    if (!same_kind(x.kind, y.kind)) {
        return false;
    }
    switch (x.kind) {
    case BTF_PTR: return push(pairs, x.value, y.value);
    case BTF_ARRAY: return push(pairs, btf_item(local, &x, 0).type, btf_item(target, &y, 0).type);
    case BTF_FUNC_PROTO: return push_prototype(local, &x, target, &y, pairs);
    default: return true;
    }
}

// --- members by name -----------------------------------------------------------------------------

// A structure or union whose members are looked through.
struct nest {
    uint32_t type;
    uint64_t bit_off;
    uint32_t next;
};

// Finds the member `name` of the composite type `id`, in unnamed members too, whose type fits the local one.
static bool find_member(const struct btf *target, uint32_t id, const char *name, struct core_work *work,
                        struct core_step *step, uint64_t *bit_off)
{
    struct nest nests[MAX_NEST] = {{.type = id}};
    uint32_t depth = 1;
    while (depth != 0) {
        struct nest *nest = &nests[depth - 1];
        struct btf_type type = btf_type(target, nest->type);
        if (!core_is_composite(type.kind) || nest->next >= type.vlen) {
            depth--;
            continue;
        }
        uint32_t index = nest->next++, inner;
        struct btf_item item = btf_item(target, &type, index);
        const char *found = btf_string(target, item.name_off);
        uint64_t off = nest->bit_off + member_bit_off(&type, &item);
        if (!spend(work)) {
            return false;
        }
        if (found[0] == '\0' && depth < MAX_NEST && btf_resolve(target, item.type, &inner)) {
            nests[depth++] = (struct nest){inner, off, 0};
        } else if (str_equal(found, name)) {
            *step = (struct core_step){name, nest->type, index};
            *bit_off += off;
            return true;
        }
    }
    return false;
}

// Bits of a flexible array, or of one whose end the index passes: only the last member of a structure may be
// read past.
static bool index_fits(const struct btf *target, const struct core_path *path, const struct btf_type *array,
                       uint32_t index)
{
    uint32_t elements = btf_item(target, array, 0).size;
    if (index < elements) {
        return true;
    }
    const struct core_step *last = path->count != 0 ? &path->steps[path->count - 1] : NULL;
    struct btf_type owner = btf_type(target, last != NULL ? last->type : 0);
    return elements == 0 && last != NULL && last->name != NULL && last->index + 1 == owner.vlen;
}

static uint32_t member_type(const struct btf *btf, const struct core_step *step)
{
    struct btf_type type = btf_type(btf, step->type);
    return step->name != NULL && core_is_composite(type.kind) ? btf_item(btf, &type, step->index).type
                                                              : step->type;
}

// One step of the local path, done in the target from *id.
static bool repeat_step(const struct btf *local, const struct core_step *step, const struct btf *target,
                        uint32_t *id, struct core_work *work, struct core_path *out)
{
    uint32_t resolved;
    if (!btf_resolve(target, *id, &resolved)) {
        return false;
    }
    struct btf_type type = btf_type(target, resolved);
    if (step->name == NULL) {
        if (type.kind != BTF_ARRAY || !index_fits(target, out, &type, step->index)) {
            return false;
        }
        *id = btf_item(target, &type, 0).type;
        return enter_element(target, *id, step->index, out);
    }
    struct core_step found;
    if (!core_is_composite(type.kind) ||
        !find_member(target, resolved, step->name, work, &found, &out->bit_off) ||
        !add_step(out, found.name, found.type, found.index)) {
        return false;
    }
    *id = member_type(target, &found);
    return fields_fit(local, member_type(local, step), target, *id);
}

static bool find_enumerator(const struct btf *target, uint32_t id, const char *name, struct core_work *work,
                            struct core_path *out)
{
    struct btf_type type = btf_type(target, id);
    for (uint32_t i = 0; core_is_enum(type.kind) && i < type.vlen && spend(work); i++) {
        struct btf_item item = btf_item(target, &type, i);
        if (core_same_name(btf_string(target, item.name_off), name)) {
            return add_step(out, name, id, i);
        }
    }
    return false;
}

// --- matching types ------------------------------------------------------------------------------

// Whether every enumerator of the local type is in the target's.
static bool enums_match(const struct btf *local, const struct btf_type *x, const struct btf *target,
                        uint32_t b, struct core_work *work)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < x->vlen; i++) {
        struct core_path unused = {0};
        ok = find_enumerator(target, b, btf_string(local, btf_item(local, x, i).name_off), work, &unused);
    }
    return ok;
}

// Whether every member of the local type is in the target's; their types have to match in turn.
static bool members_match(const struct btf *local, const struct btf_type *x, const struct btf *target,
                          uint32_t b, struct core_work *work, struct pairs *pairs)
{
    for (uint32_t i = 0; i < x->vlen; i++) {
        struct btf_item item = btf_item(local, x, i);
        const char *name = btf_string(local, item.name_off);
        struct core_step step;
        uint64_t bit_off = 0;
        if (name[0] == '\0') { // its members are looked for in the whole target
            if (!push(pairs, item.type, b)) {
                return false;
            }
        } else if (!find_member(target, b, name, work, &step, &bit_off) ||
                   !push(pairs, item.type, member_type(target, &step))) {
            return false;
        }
    }
    return true;
}

// A pointer is followed as long as names do not answer: a named structure behind one matches by name.
static bool pointers_match(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b,
                           struct pairs *pairs)
{
    uint32_t m, n;
    if (!btf_resolve(local, a, &m) || !btf_resolve(target, b, &n)) {
        return false;
    }
    struct btf_type x = btf_type(local, m), y = btf_type(target, n);
    bool is_named = core_is_composite(x.kind) || x.kind == BTF_FWD;
    if (is_named && (core_is_composite(y.kind) || y.kind == BTF_FWD)) {
        return core_same_name(btf_string(local, x.name_off), btf_string(target, y.name_off));
    }
    return push(pairs, m, n);
}

static bool pair_matches(const struct btf *local, uint32_t a, const struct btf *target, uint32_t b,
                         struct core_work *work, struct pairs *pairs)
{
    struct btf_type x = btf_type(local, a), y = btf_type(target, b);
    const char *m = btf_string(local, x.name_off), *n = btf_string(target, y.name_off);
    bool unnamed = core_is_composite(x.kind) && m[0] == '\0';
    if (!same_kind(x.kind, y.kind) && !(unnamed && core_is_composite(y.kind))) {
        return false;
    }
    if (!unnamed && m[0] != '\0' && !core_same_name(m, n)) {
        return false;
    }
    switch (x.kind) {
    case BTF_STRUCT:
    case BTF_UNION: return members_match(local, &x, target, b, work, pairs);
    case BTF_ENUM:
    case BTF_ENUM64: return enums_match(local, &x, target, b, work);
    case BTF_INT: return x.value == y.value && btf_item(local, &x, 0).off == btf_item(target, &y, 0).off;
    case BTF_PTR: return pointers_match(local, x.value, target, y.value, pairs);
    case BTF_ARRAY: {
        struct btf_item c = btf_item(local, &x, 0), d = btf_item(target, &y, 0);
        return c.size == d.size && push(pairs, c.type, d.type);
    }
    case BTF_FUNC_PROTO: return push_prototype(local, &x, target, &y, pairs);
    default: return true;
    }
}

// --- the door ------------------------------------------------------------------------------------

bool core_target_path(const struct btf *local, const struct core_path *path, uint32_t kind,
                      const struct btf *target, uint32_t id, struct core_work *work, struct core_path *out)
{
    struct core_path found = {.root = id};
    uint32_t at = id;
    bool ok = true;
    if (kind == CORE_TYPE_MATCHES) {
        ok = compare_types(local, path->root, target, id, work, pair_matches);
    } else if (kind == CORE_ENUM_EXISTS || kind == CORE_ENUM_VALUE) {
        ok = btf_resolve(target, id, &at) && find_enumerator(target, at, path->steps[0].name, work, &found);
    } else if (!core_is_field_kind(kind)) {
        ok = compare_types(local, path->root, target, id, work, pair_fits);
    } else {
        ok = path->count != 0 && enter_element(target, id, path->steps[0].index, &found);
        for (uint32_t i = 1; ok && i < path->count; i++) {
            ok = repeat_step(local, &path->steps[i], target, &at, work, &found);
        }
    }
    *out = found;
    return ok && found.bit_off <= UINT32_MAX;
}
