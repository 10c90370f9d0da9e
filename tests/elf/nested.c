// SPDX-License-Identifier: MIT
// Maps of maps and of programs with initial values: parsed, though the runtime has no such types yet.
typedef unsigned int u32;
#define SEC(name)          __attribute__((section(name), used))
#define __uint(name, val)  int(*name)[val]
#define __type(name, val)  typeof(val) *name
#define __array(name, val) typeof(val) *name[]

struct inner {
    __uint(type, 2);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u32);
} inner_map SEC(".maps");

struct {
    __uint(type, 12); // array of maps on Linux
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __array(values, struct inner);
} outer SEC(".maps") = {.values = {&inner_map}};

static void *(*const lookup)(void *map, const void *key) = (void *)1;

SEC("raw_memory") int find(void *memory)
{
    u32 key = 0;
    void *map = lookup(&outer, &key);
    return map && lookup(map, &key) ? 1 : 0;
}
