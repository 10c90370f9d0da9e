// SPDX-License-Identifier: MIT
// elf_contract: what a global function promises and demands, from the prototype that BTF has of it and from
// the tags of its parameters. Source: Linux Documentation/bpf/libbpf (__arg_ctx, __arg_nonnull) and the
// kernel's rules for global functions: numbers, the context by its name, pointers to memory of known size
// that may be null.
#include "elf/elf_int.h"

// What a parameter's decl tags say.
struct tags {
    bool is_ctx, is_nonnull, is_unknown;
};

static struct tags find_tags(const struct elf_tags *all, uint32_t func, uint32_t param)
{
    struct tags found = {0};
    for (uint32_t i = elf_pairs_from(&all->pairs, (uint64_t)func << 32 | param);
         i < all->pairs.count && all->pairs.items[i].key == ((uint64_t)func << 32 | param); i++) {
        struct btf_type tag = btf_type(all->btf, all->pairs.items[i].value);
        const char *name = btf_string(all->btf, tag.name_off);
        if (str_equal(name, "arg:ctx")) {
            found.is_ctx = true;
        } else if (str_equal(name, "arg:nonnull")) {
            found.is_nonnull = true;
        } else if (str_starts_with(name, "arg:")) {
            found.is_unknown |= !str_equal(name, "arg:nullable");
        }
    }
    return found;
}

// Whether the type `id` is named after the context, itself or by a typedef on the way.
static bool is_context(const struct btf *btf, uint32_t id, const char *context)
{
    for (int step = 0; step <= BTF_MAX_CHAIN && id != 0; step++) {
        struct btf_type type = btf_type(btf, id);
        bool is_named = type.kind == BTF_STRUCT || type.kind == BTF_FWD || type.kind == BTF_TYPEDEF;
        if (is_named && context[0] != '\0' && str_equal(btf_string(btf, type.name_off), context)) {
            return true;
        }
        bool goes_on = type.kind == BTF_TYPEDEF || type.kind == BTF_CONST || type.kind == BTF_VOLATILE ||
                       type.kind == BTF_RESTRICT || type.kind == BTF_TYPE_TAG;
        id = goes_on ? type.value : 0;
    }
    return false;
}

static bool is_number(uint32_t kind)
{
    return kind == BTF_INT || kind == BTF_ENUM || kind == BTF_ENUM64;
}

static struct func_arg read_argument(const struct btf *btf, uint32_t type_id, struct tags tags,
                                     const char *context)
{
    uint32_t id = 0, size = 0;
    if (tags.is_unknown || !btf_resolve(btf, type_id, &id)) {
        return (struct func_arg){FUNC_ARG_UNKNOWN, 0};
    }
    struct btf_type type = btf_type(btf, id);
    if (is_number(type.kind)) {
        return (struct func_arg){type.value <= 8 ? FUNC_ARG_SCALAR : FUNC_ARG_UNKNOWN, 0};
    }
    if (type.kind != BTF_PTR) {
        return (struct func_arg){FUNC_ARG_UNKNOWN, 0};
    }
    if (tags.is_ctx || is_context(btf, type.value, context)) {
        return (struct func_arg){FUNC_ARG_CTX, 0};
    }
    if (!btf_size(btf, type.value, &size) || size == 0 || size > INT16_MAX) {
        return (struct func_arg){FUNC_ARG_UNKNOWN, 0};
    }
    return (struct func_arg){tags.is_nonnull ? FUNC_ARG_MEM_NONNULL : FUNC_ARG_MEM, size};
}

static void read_contract(const struct elf_tags *tags, uint32_t func, const char *context,
                          struct func_contract *out)
{
    const struct btf *btf = tags->btf;
    struct btf_type proto = btf_type(btf, btf_type(btf, func).value);
    uint32_t result = 0;
    if (proto.kind != BTF_FUNC_PROTO || proto.vlen > ARRAY_SIZE(out->args) ||
        !btf_resolve(btf, proto.value, &result)) {
        return;
    }
    out->returns_void = btf_type(btf, result).kind == BTF_VOID;
    out->known = out->returns_void || is_number(btf_type(btf, result).kind);
    for (uint32_t i = 0; i < proto.vlen; i++) {
        out->args[i] = read_argument(btf, btf_item(btf, &proto, i).type, find_tags(tags, func, i), context);
    }
}

ebpf_result_t elf_collect_tags(const struct btf *btf, struct arena *arena, struct elf_tags **out)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id <= btf->count; id++) {
        count += btf_type(btf, id).kind == BTF_DECL_TAG;
    }
    struct elf_tags *tags = arena_alloc(arena, sizeof(*tags));
    struct elf_pair *items = arena_array(arena, count, sizeof(*items));
    if (tags == NULL || items == NULL) {
        return EBPF_NO_MEMORY;
    }
    *tags = (struct elf_tags){.btf = btf, .pairs.items = items};
    for (uint32_t id = 1; id <= btf->count; id++) {
        struct btf_type type = btf_type(btf, id);
        if (type.kind == BTF_DECL_TAG) {
            uint64_t key = (uint64_t)type.value << 32 | btf_item(btf, &type, 0).off;
            items[tags->pairs.count++] = (struct elf_pair){key, id};
        }
    }
    elf_pairs_sort(&tags->pairs);
    *out = tags;
    return EBPF_SUCCESS;
}

ebpf_result_t elf_make_contracts(const struct elf_object *object, const struct elf_program *p,
                                 const char *context, struct arena *arena, const struct func_contract **out)
{
    bool has_global = false;
    for (uint32_t i = 0; i < p->func_count; i++) {
        has_global = has_global || p->funcs[i].global != 0;
    }
    *out = NULL;
    if (!has_global || object->tags == NULL) {
        return EBPF_SUCCESS;
    }
    struct func_contract *contracts = arena_array(arena, p->func_count, sizeof(*contracts));
    if (contracts == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < p->func_count; i++) {
        if (p->funcs[i].global != 0 && p->func_types[i] != 0) {
            read_contract(object->tags, p->func_types[i], context, &contracts[i]);
        }
    }
    *out = contracts;
    return EBPF_SUCCESS;
}
