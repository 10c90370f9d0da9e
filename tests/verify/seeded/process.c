// SPDX-License-Identifier: MIT
// process: tells user mode which files are opened by whom. A kprobe for Linux.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define NAME_SIZE 64

struct note {
    __u64 process;
    char command[16];
    char name[NAME_SIZE];
    __u32 size;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
} notes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u64);
    __type(value, __u64);
    __uint(max_entries, 1024);
} opened SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, struct note);
    __uint(max_entries, 1);
} scratch SEC(".maps");

SEC("kprobe/do_sys_openat2")
int opening(void *ctx)
{
    __u32 zero = 0;
    __u64 id = bpf_get_current_pid_tgid();
    __u64 one = 1;
    __u64 *count = bpf_map_lookup_elem(&opened, &id);
    if (count)
        *count += 1;
    else
        bpf_map_update_elem(&opened, &id, &one, BPF_ANY);
    struct note *note = bpf_map_lookup_elem(&scratch, &zero);
    if (!note)
        return 0;
    note->process = id;
    bpf_get_current_comm(note->command, sizeof(note->command));
    long size = bpf_probe_read_kernel_str(note->name, sizeof(note->name), (void *)id);
    if (size < 0)
        return 0;
    if (size > NAME_SIZE)
        return 0;
    note->size = size;
    bpf_perf_event_output(ctx, &notes, BPF_F_CURRENT_CPU, note, sizeof(*note));
    return 0;
}

SEC("kprobe/do_filp_open")
int copying(void *ctx)
{
    char text[32];
    struct {
        __u64 id;
        __u32 size;
        __u32 flags;
    } short_note;
    __u64 size = bpf_get_current_pid_tgid();
    short_note.id = size;
    short_note.size = 0;
    short_note.flags = 1;
    if (size < 1)
        return 0;
    if (size > sizeof(text))
        return 0;
    if (bpf_probe_read_kernel(text, size, (void *)short_note.id) != 0)
        return 0;
    bpf_perf_event_output(ctx, &notes, BPF_F_CURRENT_CPU, &short_note, sizeof(short_note));
    return text[0] == '/';
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
