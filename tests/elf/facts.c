// SPDX-License-Identifier: MIT
// What the verifier is told beyond instructions: inner maps, fields of map values, constant data, contracts
// of global functions, sleepable programs.
#define SEC(name)            __attribute__((section(name), used))
#define __uint(name, value)  int(*name)[value]
#define __type(name, value)  typeof(value) *name
#define __array(name, value) typeof(value) *name[]
#define __tag(text)          __attribute__((btf_decl_tag(text)))
#define __kptr               __attribute__((btf_type_tag("kptr")))
typedef unsigned int u32;
typedef unsigned long long u64;

struct bpf_spin_lock {
    u32 val;
};
struct bpf_timer {
    u64 opaque[2];
};
struct bpf_list_head {
    u64 opaque[2];
};
struct task;
struct part {
    u32 plain;
    struct bpf_timer timer;
};
struct value {
    u64 count;
    struct bpf_spin_lock lock;
    struct part parts[2];
    struct task __kptr *task;
    u32 plain[1000];
    struct bpf_list_head list;
};
struct crowd {
    struct task __kptr *tasks[20];
};

struct {
    __uint(type, 2);
    __uint(max_entries, 4);
    __type(key, u32);
    __type(value, struct value);
} special SEC(".maps");

struct {
    __uint(type, 2);
    __uint(max_entries, 4);
    __type(key, u32);
    __type(value, struct crowd);
} crowded SEC(".maps");

struct {
    __uint(type, 12);
    __uint(max_entries, 8);
    __type(key, u32);
    __array(
        values, struct {
            __uint(type, 1);
            __uint(max_entries, 16);
            __type(key, u64);
            __type(value, struct value);
        });
} outer SEC(".maps");

const volatile int limit = 7;
struct bpf_spin_lock shared SEC(".data.locks");

static void *(*lookup)(void *map, const void *key) = (void *)1;

struct __sk_buff {
    u32 len;
};
enum mode { ON, OFF };

__attribute__((noinline)) int judge(struct __sk_buff *skb, u64 number, enum mode mode, struct part *part,
                                    const struct value *value __tag("arg:nonnull"))
{
    return skb->len + number + mode + (part ? part->plain : 0) + value->count;
}

__attribute__((noinline)) int strange(void *anything, struct bpf_timer *timer __tag("arg:trusted"))
{
    return anything != timer;
}

__attribute__((noinline)) void silent(void *ctx __tag("arg:ctx"))
{
    asm volatile("" ::"r"(ctx));
}

SEC("socket") int uses_all(struct __sk_buff *skb)
{
    u32 key = 0;
    struct value *value = lookup(&special, &key);
    void *inner = lookup(&outer, &key);
    struct crowd *crowd = lookup(&crowded, &key);
    silent(skb);
    shared.val++;
    if (!value || !inner || !crowd) {
        return limit;
    }
    return judge(skb, 1, ON, 0, value) + strange(inner, 0);
}

SEC("lsm.s/file_open") int may_sleep(void *ctx)
{
    return 0;
}

// No code refers to it: an array of programs does, by hand.
SEC("socket") static __attribute__((used)) int tail(struct __sk_buff *skb)
{
    return 0;
}
