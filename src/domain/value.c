// SPDX-License-Identifier: MIT
// value: constructors, invariants and the printer of abstract values.
#include "domain/value.h"

static void clear(struct value *v, enum value_kind kind)
{
    memset(v, 0, sizeof(*v));
    v->kind = (uint8_t)kind;
}

void value_set_scalar(struct value *v, const struct scalar *num)
{
    struct scalar copy = *num;
    clear(v, VALUE_SCALAR);
    v->num = copy;
}

void value_set_unknown(struct value *v, uint32_t bytes)
{
    clear(v, VALUE_SCALAR);
    if (bytes >= 8) {
        scalar_set_unknown(&v->num);
    } else {
        scalar_set_urange(&v->num, 0, ((uint64_t)1 << (8 * bytes)) - 1);
    }
}

void value_set_const(struct value *v, uint64_t number)
{
    clear(v, VALUE_SCALAR);
    scalar_set_const(&v->num, number);
}

void value_set_pointer(struct value *v, enum value_kind kind, int32_t off)
{
    clear(v, kind);
    v->off = off;
    scalar_set_const(&v->num, 0);
}

void value_add_const(struct value *v, int64_t number)
{
    if (v->kind != VALUE_SCALAR) {
        v->off = (int32_t)(v->off + number);
        return;
    }
    struct scalar k;
    scalar_set_const(&k, (uint64_t)number);
    scalar_alu(SEM_ADD, 64, &v->num, &k);
    if (v->id != VALUE_ID_NONE) {
        v->delta = (int64_t)((uint64_t)v->delta + (uint64_t)number);
    }
}

void value_normalize(struct value *v)
{
    if (!value_is_pointer(v) || v->maybe_null || !scalar_is_const(&v->num)) {
        return;
    }
    v->off = (int32_t)(v->off + v->num.smin);
    scalar_set_const(&v->num, 0);
    value_drop_id(v);
}

bool value_is_bounded(const struct scalar *num)
{
    return num->smin >= -VALUE_MAX_OFFSET && num->smax <= VALUE_MAX_OFFSET;
}

bool value_may_be_null(uint8_t kind)
{
    return kind == VALUE_MAP_VALUE || kind == VALUE_MAP_PTR || kind == VALUE_MEM || kind == VALUE_OBJECT ||
           kind == VALUE_KERNEL;
}

bool value_may_vary(uint8_t kind)
{
    return kind == VALUE_STACK || kind == VALUE_CTX || kind == VALUE_PACKET || kind == VALUE_PACKET_META ||
           kind == VALUE_MAP_VALUE || kind == VALUE_MEM || kind == VALUE_KERNEL;
}

static bool pointer_is_valid(const struct value *v)
{
    if (v->off < -2 * VALUE_MAX_OFFSET || v->off > 2 * VALUE_MAX_OFFSET || !value_is_bounded(&v->num)) {
        return false;
    }
    if (v->maybe_null) {
        return value_may_be_null(v->kind) && v->id >= VALUE_ID_FIRST && v->cf == 1 && v->delta == 0 &&
               v->off == 0 && value_is_fixed(v);
    }
    if ((v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_META) && v->id != VALUE_ID_NONE &&
        (v->cf != 1 || v->delta != 0)) {
        return false;
    }
    return (value_may_vary(v->kind) || value_is_fixed(v)) && v->id != VALUE_ID_LENGTH;
}

bool value_is_valid(const struct value *v)
{
    if (v->kind == VALUE_NOT_INIT) {
        return true;
    }
    if (v->kind >= VALUE_KIND_COUNT || !scalar_is_valid(&v->num) || v->frame >= INSN_MAX_FRAMES ||
        (v->id != VALUE_ID_NONE && v->cf == 0)) {
        return false;
    }
    return v->kind == VALUE_SCALAR ? !v->maybe_null && v->off == 0 && v->ref == 0 : pointer_is_valid(v);
}

static size_t print_number(const struct value *v, char *text, size_t size)
{
    const struct scalar *n = &v->num;
    if (scalar_is_const(n)) {
        return str_format(text, size, "the number %lld", (long long)n->smin);
    }
    if (n->umin == 0 && n->umax == UINT64_MAX) {
        return str_format(text, size, "an unknown number");
    }
    if (n->smin < 0) {
        return str_format(text, size, "a number in [%lld, %lld]", (long long)n->smin, (long long)n->smax);
    }
    return str_format(text, size, "a number in [%llu, %llu]", (unsigned long long)n->umin,
                      (unsigned long long)n->umax);
}

static const char *kind_text(const struct value *v)
{
    static const char *const texts[VALUE_KIND_COUNT] = {
        [VALUE_NOT_INIT] = "nothing that was written",
        [VALUE_SCALAR] = "a number",
        [VALUE_CTX] = "the context pointer",
        [VALUE_STACK] = "a stack pointer",
        [VALUE_PACKET] = "a packet pointer",
        [VALUE_PACKET_END] = "the pointer to the packet's end",
        [VALUE_PACKET_META] = "a pointer to the packet's metadata",
        [VALUE_MAP_VALUE] = "a pointer to a value",
        [VALUE_MAP_PTR] = "the map",
        [VALUE_CODE] = "the address of a function",
        [VALUE_MEM] = "a pointer to memory",
        [VALUE_OBJECT] = "a pointer to an object",
        [VALUE_KERNEL] = "a pointer to kernel memory",
        [VALUE_DYNPTR] = "a part of a dynptr",
        [VALUE_ITER] = "a part of an iterator",
        [VALUE_IRQ] = "saved interrupt flags",
        [VALUE_RELEASED] = "a pointer to something that was released",
    };
    return texts[v->kind];
}

size_t value_print(const struct value *v, const struct program *p, char *text, size_t size)
{
    if (v->kind == VALUE_SCALAR) {
        return print_number(v, text, size);
    }
    if (v->kind == VALUE_NOT_INIT || v->kind == VALUE_CODE || v->kind == VALUE_PACKET_END ||
        v->kind >= VALUE_DYNPTR) {
        return str_format(text, size, "%s", kind_text(v));
    }
    char map[SPEC_NAME_SIZE + 24] = "";
    if (v->kind == VALUE_MEM) {
        str_format(map, sizeof(map), " of %u bytes", v->size);
    }
    if (v->kind == VALUE_MAP_PTR || v->kind == VALUE_MAP_VALUE) {
        const char *of = v->kind == VALUE_MAP_PTR ? " " : " of map ";
        if (p != NULL && v->map < p->map_count) {
            str_format(map, sizeof(map), "%s'%s'", of, p->maps[v->map].name);
        } else {
            str_format(map, sizeof(map), "%s%u", of, v->map);
        }
    }
    const char *null = v->maybe_null ? " that may be null" : "";
    if (v->kind == VALUE_MAP_PTR || v->maybe_null) {
        return str_format(text, size, "%s%s%s", kind_text(v), map, null);
    }
    long long low = v->off + (long long)v->num.smin, high = v->off + (long long)v->num.smax;
    if (low == high) {
        return str_format(text, size, "%s%s at offset %lld", kind_text(v), map, low);
    }
    return str_format(text, size, "%s%s at an offset in [%lld, %lld]", kind_text(v), map, low, high);
}
