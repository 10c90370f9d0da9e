// SPDX-License-Identifier: MIT
// Helpers as typed constants: calling a function pointer whose value is the helper's number compiles to a
// call instruction with that number. Included by bpf_helpers.h. (clang only: gcc 12 does not turn such a call
// into one.)
#pragma once

#include "ebpf_structs.h"

// A map's value for a key, or NULL. The pointer is valid until the program ends.
EBPF_HELPER(void *, bpf_map_lookup_elem, (void *map, const void *key));
#define bpf_map_lookup_elem ((bpf_map_lookup_elem_t)BPF_FUNC_map_lookup_elem)

// Writes a value; flags BPF_ANY, BPF_NOEXIST, BPF_EXIST. 0 or a negative errno.
EBPF_HELPER(int64_t, bpf_map_update_elem, (void *map, const void *key, const void *value, uint64_t flags));
#define bpf_map_update_elem ((bpf_map_update_elem_t)BPF_FUNC_map_update_elem)

// Removes a key. 0 or a negative errno.
EBPF_HELPER(int64_t, bpf_map_delete_elem, (void *map, const void *key));
#define bpf_map_delete_elem ((bpf_map_delete_elem_t)BPF_FUNC_map_delete_elem)

// Takes a key's value out of the map, or NULL.
EBPF_HELPER(void *, bpf_map_lookup_and_delete_elem, (void *map, const void *key));
#define bpf_map_lookup_and_delete_elem ((bpf_map_lookup_and_delete_elem_t)BPF_FUNC_map_lookup_and_delete_elem)

// Continues with program `index` of a program array; returns only on failure.
EBPF_HELPER(int64_t, bpf_tail_call, (const void *ctx, const void *prog_array_map, uint32_t index));
#define bpf_tail_call ((bpf_tail_call_t)BPF_FUNC_tail_call)

// A pseudo-random number; not for secrets.
EBPF_HELPER(uint32_t, bpf_get_prandom_u32, (void));
#define bpf_get_prandom_u32 ((bpf_get_prandom_u32_t)BPF_FUNC_get_prandom_u32)

// Nanoseconds since boot, with suspended time.
EBPF_HELPER(uint64_t, bpf_ktime_get_boot_ns, (void));
#define bpf_ktime_get_boot_ns ((bpf_ktime_get_boot_ns_t)BPF_FUNC_ktime_get_boot_ns)

// Number of the CPU that runs the program.
EBPF_HELPER(uint64_t, bpf_get_smp_processor_id, (void));
#define bpf_get_smp_processor_id ((bpf_get_smp_processor_id_t)BPF_FUNC_get_smp_processor_id)

// Nanoseconds since boot, without suspended time.
EBPF_HELPER(uint64_t, bpf_ktime_get_ns, (void));
#define bpf_ktime_get_ns ((bpf_ktime_get_ns_t)BPF_FUNC_ktime_get_ns)

// Difference of the Internet checksums of two blocks, sizes multiples of 4, added to `seed`.
EBPF_HELPER(int, bpf_csum_diff, (const void *from, int from_size, const void *to, int to_size, int seed));
#define bpf_csum_diff ((bpf_csum_diff_t)BPF_FUNC_csum_diff)

// Copies `size` bytes into a ring buffer. 0 or a negative errno.
EBPF_HELPER(int, bpf_ringbuf_output, (void *ring_buffer, const void *data, uint64_t size, uint64_t flags));
#define bpf_ringbuf_output ((bpf_ringbuf_output_t)BPF_FUNC_ringbuf_output)

// Writes a trace line; bpf_printk is the convenient form.
EBPF_HELPER(long, bpf_trace_printk2, (const char *fmt, uint32_t fmt_size));
#define bpf_trace_printk2 ((bpf_trace_printk2_t)BPF_FUNC_trace_printk2)

EBPF_HELPER(long, bpf_trace_printk3, (const char *fmt, uint32_t fmt_size, uint64_t arg3));
#define bpf_trace_printk3 ((bpf_trace_printk3_t)BPF_FUNC_trace_printk3)

EBPF_HELPER(long, bpf_trace_printk4, (const char *fmt, uint32_t fmt_size, uint64_t arg3, uint64_t arg4));
#define bpf_trace_printk4 ((bpf_trace_printk4_t)BPF_FUNC_trace_printk4)

EBPF_HELPER(long, bpf_trace_printk5,
            (const char *fmt, uint32_t fmt_size, uint64_t arg3, uint64_t arg4, uint64_t arg5));
#define bpf_trace_printk5 ((bpf_trace_printk5_t)BPF_FUNC_trace_printk5)

// Queue and stack maps.
EBPF_HELPER(int64_t, bpf_map_push_elem, (void *map, const void *value, uint64_t flags));
#define bpf_map_push_elem ((bpf_map_push_elem_t)BPF_FUNC_map_push_elem)

EBPF_HELPER(int64_t, bpf_map_pop_elem, (void *map, void *value));
#define bpf_map_pop_elem ((bpf_map_pop_elem_t)BPF_FUNC_map_pop_elem)

EBPF_HELPER(int64_t, bpf_map_peek_elem, (void *map, void *value));
#define bpf_map_peek_elem ((bpf_map_peek_elem_t)BPF_FUNC_map_peek_elem)

// (process id << 32) | thread id.
EBPF_HELPER(uint64_t, bpf_get_current_pid_tgid, (void));
#define bpf_get_current_pid_tgid ((bpf_get_current_pid_tgid_t)BPF_FUNC_get_current_pid_tgid)

// Logon session of the subject, and whether it is an administrator.
EBPF_HELPER(uint64_t, bpf_get_current_logon_id, (const void *ctx));
#define bpf_get_current_logon_id ((bpf_get_current_logon_id_t)BPF_FUNC_get_current_logon_id)

EBPF_HELPER(int32_t, bpf_is_current_admin, (const void *ctx));
#define bpf_is_current_admin ((bpf_is_current_admin_t)BPF_FUNC_is_current_admin)

// Copies source_size bytes; when they do not fit, zeroes the destination and returns an error.
EBPF_HELPER(long, bpf_memcpy_s,
            (void *destination, size_t destination_size, const void *source, size_t source_size));
#define bpf_memcpy_s ((bpf_memcpy_s_t)BPF_FUNC_memcpy_s)

// Compares the common length, then the sizes: negative, 0, positive.
EBPF_HELPER(int, bpf_memcmp_s,
            (const void *memory1, size_t memory1_size, const void *memory2, size_t memory2_size));
#define bpf_memcmp_s ((bpf_memcmp_s_t)BPF_FUNC_memcmp_s)

// Fills memory with a byte.
EBPF_HELPER(long, bpf_memset, (void *memory, size_t size, int value));
#define bpf_memset ((bpf_memset_t)BPF_FUNC_memset)

// As bpf_memcpy_s, for ranges that overlap.
EBPF_HELPER(long, bpf_memmove_s,
            (void *destination, size_t destination_size, const void *source, size_t source_size));
#define bpf_memmove_s ((bpf_memmove_s_t)BPF_FUNC_memmove_s)

// A number that identifies the socket as long as it lives.
EBPF_HELPER(int64_t, bpf_get_socket_cookie, (const void *ctx));
#define bpf_get_socket_cookie ((bpf_get_socket_cookie_t)BPF_FUNC_get_socket_cookie)

// Bounded strings.
EBPF_HELPER(int, bpf_strncpy_s, (char *dest, size_t dest_size, const char *src, size_t count));
#define bpf_strncpy_s ((bpf_strncpy_s_t)BPF_FUNC_strncpy_s)

EBPF_HELPER(int, bpf_strncat_s, (char *dest, size_t dest_size, const char *src, size_t count));
#define bpf_strncat_s ((bpf_strncat_s_t)BPF_FUNC_strncat_s)

EBPF_HELPER(size_t, bpf_strnlen_s, (const char *str, size_t str_size));
#define bpf_strnlen_s ((bpf_strnlen_s_t)BPF_FUNC_strnlen_s)

// Milliseconds since boot, with and without suspended time.
EBPF_HELPER(uint64_t, bpf_ktime_get_boot_ms, (void));
#define bpf_ktime_get_boot_ms ((bpf_ktime_get_boot_ms_t)BPF_FUNC_ktime_get_boot_ms)

EBPF_HELPER(uint64_t, bpf_ktime_get_ms, (void));
#define bpf_ktime_get_ms ((bpf_ktime_get_ms_t)BPF_FUNC_ktime_get_ms)

// Sends `size` bytes to the reader of a perf event array. 0 or a negative errno.
EBPF_HELPER(int, bpf_perf_event_output, (void *ctx, void *map, uint64_t flags, void *data, uint64_t size));
#define bpf_perf_event_output ((bpf_perf_event_output_t)BPF_FUNC_perf_event_output)

// Start key of the current process, creation time of the current thread.
EBPF_HELPER(uint64_t, bpf_get_current_process_start_key, (void));
#define bpf_get_current_process_start_key                                                                    \
    ((bpf_get_current_process_start_key_t)BPF_FUNC_get_current_process_start_key)

EBPF_HELPER(int64_t, bpf_get_current_thread_create_time, (void));
#define bpf_get_current_thread_create_time                                                                   \
    ((bpf_get_current_thread_create_time_t)BPF_FUNC_get_current_thread_create_time)

// Sends the packet to the entry `key` of a map; the lower bits of `flags` are returned when there is none.
EBPF_HELPER(intptr_t, bpf_redirect_map, (void *map, uint64_t key, uint64_t flags));
#define bpf_redirect_map ((bpf_redirect_map_t)BPF_FUNC_redirect_map)

// bpf_trace_printk with the Linux signature: picks the helper by the number of values, three at most.
#define EBPF_PRINTK_PICK(fmt, size, a, b, c, name, ...) name
#define bpf_trace_printk(...)                                                                                \
    EBPF_PRINTK_PICK(__VA_ARGS__, bpf_trace_printk5, bpf_trace_printk4, bpf_trace_printk3,                   \
                     bpf_trace_printk2, 0)                                                                   \
    (__VA_ARGS__)
// Formats with %d %i %u %x, also with l and ll.
#define bpf_printk(fmt, ...)                                                                                 \
    ({                                                                                                       \
        char printk_fmt_[] = fmt;                                                                            \
        bpf_trace_printk(printk_fmt_, sizeof(printk_fmt_), ##__VA_ARGS__);                                   \
    })

#ifdef EBPF_TARGET
// Blocks of memory whose size only the helper can handle; constant small sizes are better served by
// __builtin_memcpy.
#define memcpy(dest, src, size)  bpf_memcpy_s(dest, size, src, size)
#define memmove(dest, src, size) bpf_memmove_s(dest, size, src, size)
#define memcmp(a, b, size)       bpf_memcmp_s(a, size, b, size)
#define memset(mem, value, size) bpf_memset(mem, size, value)
#define memcpy_s                 bpf_memcpy_s
#define memmove_s                bpf_memmove_s
#endif
