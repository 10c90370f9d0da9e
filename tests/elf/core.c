// SPDX-License-Identifier: MIT
// CO-RE: types as a program believes them to be; core_target.c has them as they are. Each function is about
// one kind of relocation.
#define SEC(name)                __attribute__((section(name), used))
#define RELOCATED                __attribute__((preserve_access_index))
#define FIELD(kind, field)       __builtin_preserve_field_info(field, kind)
#define TYPE(kind, type)         __builtin_preserve_type_info(*(type *)0, kind)
#define VALUE(kind, type, value) __builtin_preserve_enum_value(*(type *)value, kind)
enum { OFFSET, SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };

struct inner {
    int first, second;
} RELOCATED;
struct outer {
    int a;
    struct inner inner;
    struct inner array[4];
    unsigned char small;
    short negative;
    unsigned flag : 1, level : 4;
    void *pointer;
    int gone;
} RELOCATED;
struct outer___flavour {
    long b;
    struct {
        int deep;
    };
} RELOCATED;
struct absent {
    int x;
} RELOCATED;
typedef struct {
    int counter;
} counter_t;
typedef int absent_t;
enum colour { RED, GREEN = 7, BLUE___local = 8, MAUVE };
enum big { BIG = 0x100000001 };

SEC("raw_memory") long offsets(struct outer *o)
{
    return o->a + o->inner.second + o->array[2].first + o->small + o->negative;
}

SEC("raw_memory") long flavours(struct outer___flavour *o)
{
    return o->b + o->deep;
}

SEC("raw_memory") long resized(struct outer *o)
{
    o->small = 1;
    return (long)o->pointer;
}

SEC("raw_memory") long fields(struct outer *o)
{
    return FIELD(EXISTS, o->a) + 2 * FIELD(EXISTS, o->gone) + 4 * FIELD(SIZE, o->small) +
           100 * FIELD(SIGNED, o->negative) + 200 * FIELD(SIGNED, o->small);
}

SEC("raw_memory") long bits(struct outer *o)
{
    return FIELD(OFFSET, o->level) + 100 * FIELD(SIZE, o->level) + 10000 * FIELD(LSHIFT, o->level) +
           1000000 * FIELD(RSHIFT, o->level);
}

SEC("raw_memory") long types(void)
{
    return TYPE(0, struct inner) + 10 * TYPE(0, struct absent) + 100 * TYPE(1, struct outer) +
           100000 * TYPE(0, counter_t) + 1000000 * TYPE(0, absent_t);
}

SEC("raw_memory") long matches(void)
{
    return TYPE(2, struct inner) + 10 * TYPE(2, struct outer) + 100 * TYPE(2, enum colour);
}

SEC("raw_memory") long ids(void)
{
    return __builtin_btf_type_id(*(struct inner *)0, 0) +
           1000 * (__builtin_btf_type_id(*(struct inner *)0, 1) != 0) +
           2000 * (__builtin_btf_type_id(*(struct absent *)0, 1) != 0);
}

SEC("raw_memory") long enumerators(void)
{
    return VALUE(0, enum colour, GREEN) + 10 * VALUE(0, enum colour, MAUVE) +
           100 * VALUE(1, enum colour, GREEN) + VALUE(1, enum big, BIG) + VALUE(1, enum colour, BLUE___local);
}

SEC("raw_memory") long poisoned(struct outer *o, struct absent *absent)
{
    return o->a == 1 ? absent->x : o->a == 2 ? o->gone : o->a == 3 ? VALUE(1, enum colour, MAUVE) : 0;
}
