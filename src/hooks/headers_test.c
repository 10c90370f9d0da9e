// SPDX-License-Identifier: MIT
// The headers that eBPF programs include against the platform's tables: every helper, map type, program type,
// attach type, verdict and context field that a table has for Windows programs must be in a header, with the
// same number and place.
#include "base/base.h"
#include "spec/spec.h"
#include "tests/test.h"

#include <ebpf_prog/bpf_helpers.h>

#include <ebpf_prog/bpf_endian.h>
#include <ebpf_prog/net/if_ether.h>
#include <ebpf_prog/net/ip.h>
#include <ebpf_prog/net/tcp.h>
#include <ebpf_prog/net/udp.h>
#include <ebpf_prog/sample_ext_helpers.h>
#include <ebpf_prog/xdp_hooks.h>

struct named_number {
    const char *name;
    uint64_t number;
};

static const struct named_number *find(const struct named_number *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static void check_number(const struct named_number *rows, size_t count, const char *name, uint64_t number)
{
    const struct named_number *row = find(rows, count, name);
    if (row == NULL) {
        test_fail(__FILE__, __LINE__, "no header declares %s", name);
    } else if (row->number != number) {
        test_fail(__FILE__, __LINE__, "%s is %llu in the headers, %llu in the table", name,
                  (unsigned long long)row->number, (unsigned long long)number);
    }
}

// Calling the constant is what makes a program's call instruction, so the constant's value is what counts.
#define CALL_ROW(helper) {#helper, (uint64_t)(uintptr_t)helper}
static const struct named_number helpers[] = {
    CALL_ROW(bpf_map_lookup_elem),
    CALL_ROW(bpf_map_update_elem),
    CALL_ROW(bpf_map_delete_elem),
    CALL_ROW(bpf_map_lookup_and_delete_elem),
    CALL_ROW(bpf_tail_call),
    CALL_ROW(bpf_get_prandom_u32),
    CALL_ROW(bpf_ktime_get_boot_ns),
    CALL_ROW(bpf_get_smp_processor_id),
    CALL_ROW(bpf_ktime_get_ns),
    CALL_ROW(bpf_csum_diff),
    CALL_ROW(bpf_ringbuf_output),
    CALL_ROW(bpf_trace_printk2),
    CALL_ROW(bpf_trace_printk3),
    CALL_ROW(bpf_trace_printk4),
    CALL_ROW(bpf_trace_printk5),
    CALL_ROW(bpf_map_push_elem),
    CALL_ROW(bpf_map_pop_elem),
    CALL_ROW(bpf_map_peek_elem),
    CALL_ROW(bpf_get_current_pid_tgid),
    CALL_ROW(bpf_get_current_logon_id),
    CALL_ROW(bpf_is_current_admin),
    CALL_ROW(bpf_memcpy_s),
    CALL_ROW(bpf_memcmp_s),
    CALL_ROW(bpf_memset),
    CALL_ROW(bpf_memmove_s),
    CALL_ROW(bpf_get_socket_cookie),
    CALL_ROW(bpf_strncpy_s),
    CALL_ROW(bpf_strncat_s),
    CALL_ROW(bpf_strnlen_s),
    CALL_ROW(bpf_ktime_get_boot_ms),
    CALL_ROW(bpf_ktime_get_ms),
    CALL_ROW(bpf_perf_event_output),
    CALL_ROW(bpf_get_current_process_start_key),
    CALL_ROW(bpf_get_current_thread_create_time),
    CALL_ROW(bpf_redirect_map),
    CALL_ROW(bpf_xdp_adjust_head),
    CALL_ROW(sample_ebpf_extension_helper_function1),
    CALL_ROW(sample_ebpf_extension_find),
    CALL_ROW(sample_ebpf_extension_replace),
};

static void helpers_agree(void)
{
    const struct spec_view *v = spec_builtin();
    unsigned checked = 0;
    for (uint32_t i = 1; i < v->helper_count; i++) {
        uint32_t number = v->helpers[i].number[DIALECT_WINDOWS];
        if (number != 0 &&
            (i < HELPER_RUN_COUNT || number < 0x10000)) { // hooks to come bring their own headers
            check_number(helpers, ARRAY_SIZE(helpers), v->helpers[i].name,
                         v->helpers[i].number[DIALECT_WINDOWS]);
            checked++;
        }
    }
    CHECK(checked > 20);
    for (size_t i = 0; i < 35; i++) { // the general helpers are numbered without gaps
        CHECK_EQ(helpers[i].number, i + 1);
    }
}

static void map_types_agree(void)
{
    static const struct named_number rows[] = {
        {"hash", BPF_MAP_TYPE_HASH},
        {"array", BPF_MAP_TYPE_ARRAY},
        {"prog_array", BPF_MAP_TYPE_PROG_ARRAY},
        {"percpu_hash", BPF_MAP_TYPE_PERCPU_HASH},
        {"percpu_array", BPF_MAP_TYPE_PERCPU_ARRAY},
        {"hash_of_maps", BPF_MAP_TYPE_HASH_OF_MAPS},
        {"array_of_maps", BPF_MAP_TYPE_ARRAY_OF_MAPS},
        {"lru_hash", BPF_MAP_TYPE_LRU_HASH},
        {"lpm_trie", BPF_MAP_TYPE_LPM_TRIE},
        {"queue", BPF_MAP_TYPE_QUEUE},
        {"lru_percpu_hash", BPF_MAP_TYPE_LRU_PERCPU_HASH},
        {"stack", BPF_MAP_TYPE_STACK},
        {"ringbuf", BPF_MAP_TYPE_RINGBUF},
        {"sample_hash_map", BPF_MAP_TYPE_SAMPLE_HASH_MAP},
        {"perf_event_array", BPF_MAP_TYPE_PERF_EVENT_ARRAY},
        {"xskmap", BPF_MAP_TYPE_XSKMAP},
    };
    const struct spec_view *v = spec_builtin();
    for (uint32_t i = 1; i < v->map_type_count; i++) {
        uint32_t number = v->map_types[i].number[DIALECT_WINDOWS];
        if (number != 0) {
            check_number(rows, ARRAY_SIZE(rows), v->map_types[i].name, number);
        }
    }
}

static void types_agree(void)
{
    // RAW_MEMORY is ours alone, for tests: no header has it.
    static const struct named_number prog_types[] = {
        {"xdp", BPF_PROG_TYPE_XDP},
        {"bind", BPF_PROG_TYPE_BIND},
        {"sample", BPF_PROG_TYPE_SAMPLE},
        {"raw_memory", 0x52415701},
    };
    static const struct named_number attach_types[] = {
        {"xdp", BPF_XDP},
        {"bind", BPF_ATTACH_TYPE_BIND},
        {"sample", BPF_ATTACH_TYPE_SAMPLE},
        {"raw_memory", 0x52415701},
    };
    const struct spec_view *v = spec_builtin();
    for (uint32_t i = 1; i < PROG_TYPE_RUN_COUNT; i++) {
        check_number(prog_types, ARRAY_SIZE(prog_types), v->prog_types[i].name,
                     v->prog_types[i].number[DIALECT_WINDOWS]);
    }
    for (uint32_t i = 1; i < v->attach_type_count; i++) {
        uint32_t number = v->attach_types[i].number[DIALECT_WINDOWS];
        if (v->attach_types[i].prog_type < PROG_TYPE_RUN_COUNT && number != 0) {
            check_number(attach_types, ARRAY_SIZE(attach_types), v->attach_types[i].name, number);
        }
    }
}

static void verdicts_agree(void)
{
    static const struct named_number rows[] = {
        {"pass", XDP_PASS},           {"drop", XDP_DROP},  {"tx", XDP_TX},
        {"permit", BIND_PERMIT_SOFT}, {"deny", BIND_DENY}, {"permit_hard", BIND_PERMIT_HARD},
    };
    for (unsigned i = 1; i < VERDICT_COUNT; i++) {
        const struct verdict_row *row = spec_verdict_row(i);
        if (row->prog_type < PROG_TYPE_RUN_COUNT && row->value[DIALECT_WINDOWS] >= 0 &&
            !str_equal(row->name, "redirect")) {
            check_number(rows, ARRAY_SIZE(rows), row->name, (uint64_t)row->value[DIALECT_WINDOWS]);
        }
    }
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_WINDOWS, XDP_REDIRECT), VERDICT_XDP_REDIRECT);
    CHECK_EQ(spec_verdict(PROG_TYPE_BIND, DIALECT_WINDOWS, BIND_REDIRECT), VERDICT_BIND_REDIRECT);
    CHECK_EQ(spec_verdict(PROG_TYPE_BIND, DIALECT_WINDOWS, BIND_PERMIT), VERDICT_BIND_PERMIT_SOFT);
}

struct named_field {
    const char *name;
    size_t off, size;
};
#define FIELD_ROW(type, member) {#member, offsetof(type, member), sizeof(((type *)NULL)->member)}

static void check_layout(uint32_t layout, size_t size, const struct named_field *rows, size_t count)
{
    const struct layout_row *row = &spec_builtin()->layouts[layout];
    CHECK_EQ(row->size, size);
    CHECK_EQ(row->field_count, count);
    for (uint32_t i = 0; i < row->field_count && i < count; i++) {
        CHECK_STR(row->fields[i].name, rows[i].name);
        CHECK_EQ(row->fields[i].off, rows[i].off);
        CHECK_EQ(row->fields[i].size, rows[i].size);
    }
}

static void contexts_agree(void)
{
    static const struct named_field xdp[] = {
        FIELD_ROW(xdp_md_t, data),
        FIELD_ROW(xdp_md_t, data_end),
        FIELD_ROW(xdp_md_t, data_meta),
        FIELD_ROW(xdp_md_t, ingress_ifindex),
    };
    static const struct named_field bind[] = {
        FIELD_ROW(bind_md_t, app_id_start),
        FIELD_ROW(bind_md_t, app_id_end),
        FIELD_ROW(bind_md_t, process_id),
        FIELD_ROW(bind_md_t, socket_address),
        FIELD_ROW(bind_md_t, socket_address_length),
        FIELD_ROW(bind_md_t, operation),
        FIELD_ROW(bind_md_t, protocol),
    };
    static const struct named_field sample[] = {
        FIELD_ROW(sample_program_context_t, data_start),
        FIELD_ROW(sample_program_context_t, data_end),
        FIELD_ROW(sample_program_context_t, uint32_data),
        FIELD_ROW(sample_program_context_t, uint16_data),
        FIELD_ROW(sample_program_context_t, helper_data_1),
        FIELD_ROW(sample_program_context_t, helper_data_2),
    };
    check_layout(LAYOUT_XDP_WINDOWS, sizeof(xdp_md_t), xdp, ARRAY_SIZE(xdp));
    check_layout(LAYOUT_BIND, sizeof(bind_md_t), bind, ARRAY_SIZE(bind));
    check_layout(LAYOUT_SAMPLE, sizeof(sample_program_context_t), sample, ARRAY_SIZE(sample));
}

// Sizes and places on the wire: RFC 791, 8200, 768, 9293, IEEE 802.3.
static void wire_headers_agree(void)
{
    CHECK_EQ(sizeof(ETHERNET_HEADER), 14);
    CHECK_EQ(offsetof(ETHERNET_HEADER, Type), 12);
    CHECK_EQ(sizeof(IPV4_HEADER), 20);
    CHECK_EQ(offsetof(IPV4_HEADER, FlagsAndOffset), 6);
    CHECK_EQ(offsetof(IPV4_HEADER, Protocol), 9);
    CHECK_EQ(offsetof(IPV4_HEADER, DestinationAddress), 16);
    CHECK_EQ(sizeof(IPV6_HEADER), 40);
    CHECK_EQ(offsetof(IPV6_HEADER, SourceAddress), 8);
    CHECK_EQ(sizeof(UDP_HEADER), 8);
    CHECK_EQ(offsetof(UDP_HEADER, length), 4);
    CHECK_EQ(sizeof(struct tcphdr), 20);
    CHECK_EQ(offsetof(struct tcphdr, window), 14);
    const uint8_t wire[] = {0x46, 0, 0, 0, 0, 0, 0x40, 0}; // version 4, 6 words, don't fragment
    IPV4_HEADER ip = {0};
    memcpy(&ip, wire, sizeof(wire));
    CHECK_EQ(ip.HeaderLength, 6);
    CHECK_EQ(ip.version, 4);
    CHECK_EQ(ip.DontFragment, 1);
    CHECK_EQ(ip.MoreFragments, 0);
    const uint8_t flags[] = {0x50, 0x12}; // 5 words, SYN and ACK
    struct tcphdr tcp = {0};
    memcpy((uint8_t *)&tcp + 12, flags, sizeof(flags));
    CHECK_EQ(tcp.doff, 5);
    CHECK_EQ(tcp.syn, 1);
    CHECK_EQ(tcp.ack, 1);
    CHECK_EQ(tcp.fin, 0);
    CHECK_EQ(bpf_htons(0x0800), 0x0008);
    CHECK_EQ(bpf_ntohl(0x01020304), 0x04030201);
    CHECK_EQ(bpf_cpu_to_be64(1), 1ull << 56);
}

TEST_SUITE(headers)
{
    RUN(helpers_agree);
    RUN(map_types_agree);
    RUN(types_agree);
    RUN(verdicts_agree);
    RUN(contexts_agree);
    RUN(wire_headers_agree);
}
