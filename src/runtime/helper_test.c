// SPDX-License-Identifier: MIT
// Tests of each helper function, called as the interpreter calls it.
#include "runtime/fixture.h"

#define ERRNO(n) ((uint64_t)-(int64_t)(n))

static struct fixture fixture;
static struct prog *program; // of the XDP type, Linux dialect
static struct run run;

#define REG(pointer)                 ((uint64_t)(uintptr_t)(pointer))
#define CALL(id, a1, a2, a3, a4, a5) helper_##id(a1, a2, a3, a4, a5, &run)

static void every_row_has_a_function(void)
{
    const struct spec_view *spec = spec_builtin();
    for (uint32_t id = 1; id < HELPER_COUNT; id++) {
        unsigned count = 0;
        for (uint32_t type = 1; type < PROG_TYPE_COUNT; type++) {
            bool may = id < HELPER_RUN_COUNT && spec_helper_allowed(spec, id, type, ATTACH_TYPE_NONE);
            CHECK_EQ(helper_function(spec, type, id) != NULL, may);
            count += may;
        }
        CHECK_EQ(count != 0, (spec->helpers[id].flags & HELPER_VERIFY_ONLY) == 0);
    }
    CHECK(helper_function(spec, PROG_TYPE_XDP, HELPER_NONE) == NULL);
    CHECK(helper_function(spec, PROG_TYPE_XDP, HELPER_COUNT) == NULL);
}

static void results_are_linux_errnos(void)
{
    CHECK_EQ(helper_result(EBPF_SUCCESS), 0);
    CHECK_EQ(helper_result(EBPF_KEY_NOT_FOUND), ERRNO(2));
    CHECK_EQ(helper_result(EBPF_KEY_ALREADY_EXISTS), ERRNO(17));
    CHECK_EQ(helper_result(EBPF_OUT_OF_SPACE), ERRNO(7));
    CHECK_EQ(helper_result(EBPF_NO_MEMORY), ERRNO(12));
    CHECK_EQ(helper_result(EBPF_INVALID_ARGUMENT), ERRNO(22));
}

static void map_helpers(void)
{
    struct map *m = fixture_map(&fixture, MAP_TYPE_HASH, 4, 8, 1);
    uint32_t key = 1, other = 2;
    uint64_t value = 77, found;
    REQUIRE(m != NULL);
    epoch_enter(fixture.rt);
    CHECK_EQ(CALL(MAP_LOOKUP_ELEM, REG(m), REG(&key), 0, 0, 0), 0);
    CHECK_EQ(CALL(MAP_UPDATE_ELEM, REG(m), REG(&key), REG(&value), 2, 0), ERRNO(2));
    CHECK_EQ(CALL(MAP_UPDATE_ELEM, REG(m), REG(&key), REG(&value), 1, 0), 0);
    CHECK_EQ(CALL(MAP_UPDATE_ELEM, REG(m), REG(&key), REG(&value), 1, 0), ERRNO(17));
    CHECK_EQ(CALL(MAP_UPDATE_ELEM, REG(m), REG(&key), REG(&value), 4, 0), ERRNO(22));
    CHECK_EQ(CALL(MAP_UPDATE_ELEM, REG(m), REG(&other), REG(&value), 0, 0), ERRNO(7));
    found = CALL(MAP_LOOKUP_ELEM, REG(m), REG(&key), 0, 0, 0);
    REQUIRE(found != 0);
    CHECK_EQ(*(uint64_t *)(uintptr_t)found, 77);
    CHECK_EQ(CALL(MAP_DELETE_ELEM, REG(m), REG(&key), 0, 0, 0), 0);
    CHECK_EQ(CALL(MAP_DELETE_ELEM, REG(m), REG(&key), 0, 0, 0), ERRNO(2));
    epoch_exit(fixture.rt);
    object_release(map_object(m));
}

// --- memory --------------------------------------------------------------------------------------

static void copies_or_zeroes(void)
{
    char to[8];
    memset(to, 'x', sizeof(to));
    CHECK_EQ(CALL(MEMCPY_S, REG(to), 8, REG("abc"), 3, 0), 0);
    CHECK_EQ(memcmp(to, "abcxxxxx", 8), 0);
    CHECK_EQ(CALL(MEMMOVE_S, REG(to + 1), 7, REG(to), 7, 0), 0);
    CHECK_EQ(memcmp(to, "aabcxxxx", 8), 0);
    CHECK_EQ(CALL(MEMCPY_S, REG(to), 4, REG("abcde"), 5, 0), ERRNO(22));
    CHECK_EQ(memcmp(to, "\0\0\0\0xxxx", 8), 0); // all of the destination, and no more
    CHECK_EQ(CALL(MEMMOVE_S, REG(to), 8, REG("abcdefghi"), 9, 0), ERRNO(22));
    CHECK_EQ(memcmp(to, "\0\0\0\0\0\0\0\0", 8), 0);
}

static void compares_and_sets(void)
{
    char to[4];
    CHECK_EQ(CALL(MEMCMP_S, REG("abc"), 3, REG("abc"), 3, 0), 0);
    CHECK_EQ(CALL(MEMCMP_S, REG("abc"), 3, REG("abd"), 3, 0), ERRNO(1));
    CHECK_EQ(CALL(MEMCMP_S, REG("b"), 1, REG("abd"), 3, 0), 1);
    CHECK_EQ(CALL(MEMCMP_S, REG("ab"), 2, REG("abd"), 3, 0), ERRNO(1));
    CHECK_EQ(CALL(MEMCMP_S, REG("abd"), 3, REG("ab"), 2, 0), 1);
    CHECK_EQ(CALL(MEMSET, REG(to), 3, 0x141, 0, 0), REG(to));
    CHECK_EQ(memcmp(to, "AAA", 3), 0);
}

static void bounded_strings(void)
{
    char to[6];
    memset(to, 'x', sizeof(to));
    CHECK_EQ(CALL(STRNCPY_S, REG(to), 6, REG("ab\0zz"), 5, 0), 0);
    CHECK_EQ(memcmp(to, "ab\0\0\0\0", 6), 0);
    CHECK_EQ(CALL(STRNCPY_S, REG(to), 6, REG("abcdefgh"), 3, 0), 0); // count bounds the source
    CHECK_STR(to, "abc");
    CHECK_EQ(CALL(STRNCPY_S, REG(to), 6, REG("abcdefgh"), 8, 0), ERRNO(22));
    CHECK_STR(to, "abcde");
    CHECK_EQ(CALL(STRNLEN_S, REG("abc"), 4, 0, 0, 0), 3);
    CHECK_EQ(CALL(STRNLEN_S, REG("abc"), 2, 0, 0, 0), 2);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

// Replacing words must move the folded checksum as recomputing it does.
static void checksum_difference(void)
{
    uint32_t old[2] = {0x12345678, 0xfffffffe}, new[2] = {0x9abcdef0, 0xffffffff};
    uint64_t before, after, diff;
    CHECK_EQ(CALL(CSUM_DIFF, 0, 0, REG(old), 3, 0), ERRNO(22));
    CHECK_EQ(CALL(CSUM_DIFF, REG(old), 2, REG(old), 4, 0), ERRNO(22));
    CHECK_EQ(CALL(CSUM_DIFF, 0, 0, 0, 0, 1234), 1234);
    before = CALL(CSUM_DIFF, 0, 0, REG(old), 8, 0);
    after = CALL(CSUM_DIFF, 0, 0, REG(new), 8, 0);
    CHECK(before <= UINT32_MAX && after <= UINT32_MAX);
    CHECK_EQ(fold(before), fold(0x1234 + 0x5678 + 0xffff + 0xfffeull));
    diff = CALL(CSUM_DIFF, REG(old), 8, REG(new), 8, before);
    CHECK_EQ(fold(diff), fold(after));
    diff = CALL(CSUM_DIFF, REG(old), 8, 0, 0, before);
    CHECK(fold(diff) == 0 || fold(diff) == 0xffff);
}

// --- system --------------------------------------------------------------------------------------

static void clocks_and_identity(void)
{
    uint64_t ns = CALL(KTIME_GET_NS, 0, 0, 0, 0, 0), ms = CALL(KTIME_GET_MS, 0, 0, 0, 0, 0);
    CHECK(ms >= ns / 1000000 && ms - ns / 1000000 < 10000);
    ns = CALL(KTIME_GET_BOOT_NS, 0, 0, 0, 0, 0);
    ms = CALL(KTIME_GET_BOOT_MS, 0, 0, 0, 0, 0);
    CHECK(ms >= ns / 1000000 && ms - ns / 1000000 < 10000);
    CHECK_EQ(CALL(GET_CURRENT_PID_TGID, 0, 0, 0, 0, 0), plat_pid_tgid());
    CHECK_EQ(CALL(GET_PRANDOM_U32, 0, 0, 0, 0, 0) >> 32, 0);
    run.jit.slot = 3;
    CHECK_EQ(CALL(GET_SMP_PROCESSOR_ID, 0, 0, 0, 0, 0), 3);
    run.jit.slot = 0;
}

static uint64_t trace(const char *format, uint64_t a, uint64_t b, uint64_t c)
{
    return CALL(TRACE_PRINTK, REG(format), str_len(format) + 1, a, b, c);
}

static void printk_formats_integers(void)
{
    CHECK_EQ(trace("hello\n", 0, 0, 0), 5);
    CHECK_STR(fixture.traced, "hello");
    trace("%d %u %x", (uint64_t)-5, 0x1ffffffff, 0xdeadbeef);
    CHECK_STR(fixture.traced, "-5 4294967295 deadbeef");
    trace("%lld|%llu|%lx", (uint64_t)-5, UINT64_MAX, 0x123456789abcdef0);
    CHECK_STR(fixture.traced, "-5|18446744073709551615|123456789abcdef0");
    trace("%ld %i %X", (uint64_t)INT64_MIN, 7, 0xab);
    CHECK_STR(fixture.traced, "-9223372036854775808 7 AB");
    trace("100%% %c%c", 'o', 'k', 0);
    CHECK_STR(fixture.traced, "100% ok");
    trace("[%5d][%-5d][%05d]", (uint64_t)-12, 34, (uint64_t)-56);
    CHECK_STR(fixture.traced, "[  -12][34   ][-0056]");
    trace("%02x:%02x", 5, 0x1b, 0);
    CHECK_STR(fixture.traced, "05:1b");
}

static void printk_refuses_the_rest(void)
{
    static const char *const bad[] = {"%s", "%p",  "%llld", "%f",   "%",        "%5",  "%lc",
                                      "%n", "%*d", "%123d", "\x01", "\xc3\xa4", "%5%", "%d %d %d %d"};
    unsigned count = fixture.trace_count;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(trace(bad[i], 0, 0, 0), ERRNO(22));
    }
    CHECK_EQ(CALL(TRACE_PRINTK, REG("abc"), 3, 0, 0, 0), ERRNO(22)); // not terminated
    CHECK_EQ(CALL(TRACE_PRINTK2, REG("%d"), 3, 0, 0, 0), ERRNO(22));
    CHECK_EQ(CALL(TRACE_PRINTK3, REG("%d%d"), 5, 0, 0, 0), ERRNO(22));
    CHECK_EQ(CALL(TRACE_PRINTK4, REG("%d%d%d"), 7, 0, 0, 0), ERRNO(22));
    CHECK_EQ(fixture.trace_count, count);
    CHECK_EQ(CALL(TRACE_PRINTK2, REG("x"), 2, 0, 0, 0), 1);
    CHECK_EQ(CALL(TRACE_PRINTK3, REG("%d"), 3, 1, 0, 0), 1);
    CHECK_EQ(CALL(TRACE_PRINTK4, REG("%d%d"), 5, 1, 2, 0), 2);
    CHECK_EQ(CALL(TRACE_PRINTK5, REG("%d%d%d"), 7, 1, 2, 3), 3);
    CHECK_STR(fixture.traced, "123");
}

static void printk_cuts_long_texts(void)
{
    char text[1001];
    memset(text, 'y', 1000);
    text[1000] = '\0';
    CHECK_EQ(trace(text, 0, 0, 0), 255);
    CHECK_EQ(str_len(fixture.traced), 255);
}

// --- xdp -----------------------------------------------------------------------------------------

#define FRAME 400
static uint8_t frame[FRAME];
static struct xdp_context xdp;

// Data at [100, 200).
static void reset_frame(void)
{
    memset(frame, 0xee, sizeof(frame));
    xdp = (struct xdp_context){
        .packet = {frame + 100, frame + 200, frame + 100}, .frame_start = frame, .frame_end = frame + FRAME};
}

static uint64_t adjust(uint64_t (*helper)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct run *),
                       int32_t by)
{
    return helper(REG(&xdp), (uint32_t)by, 0, 0, 0, &run);
}

static void adjust_head_keeps_limits(void)
{
    reset_frame();
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, -101), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, 87), ERRNO(22)); // 13 bytes would remain
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, INT32_MAX), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, INT32_MIN), ERRNO(22));
    CHECK(xdp.packet.data == frame + 100);
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, -100), 0);
    CHECK(xdp.packet.data == frame && xdp.packet.data_meta == frame);
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, 186), 0);
    CHECK(xdp.packet.data == frame + 186 && xdp.packet.data_end == frame + 200);
}

static void metadata_moves_with_the_head(void)
{
    reset_frame();
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, -36), ERRNO(13)); // more than 32 bytes
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, -6), ERRNO(13));  // not whole words
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, 4), ERRNO(22));   // behind the data
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, -101), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, -8), 0);
    CHECK(xdp.packet.data_meta == frame + 92 && xdp.packet.data == frame + 100);
    memcpy(frame + 92, "METADATA", 8);
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, -93), ERRNO(22)); // no room for the metadata
    CHECK_EQ(adjust(helper_XDP_ADJUST_HEAD, -92), 0);
    CHECK(xdp.packet.data_meta == frame && xdp.packet.data == frame + 8);
    CHECK_EQ(memcmp(frame, "METADATA", 8), 0);
    CHECK_EQ(adjust(helper_XDP_ADJUST_META, 8), 0);
    CHECK(xdp.packet.data_meta == xdp.packet.data);
}

static void adjust_tail_zeroes_growth(void)
{
    reset_frame();
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, 201), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, -87), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, INT32_MIN), ERRNO(22));
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, -86), 0);
    CHECK(xdp.packet.data_end == frame + 114);
    CHECK_EQ(frame[114], 0xee);
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, 10), 0);
    CHECK_EQ(frame[113], 0xee);
    CHECK_EQ(frame[114], 0);
    CHECK_EQ(frame[123], 0);
    CHECK_EQ(frame[124], 0xee);
    CHECK_EQ(adjust(helper_XDP_ADJUST_TAIL, FRAME - 124), 0);
    CHECK(xdp.packet.data_end == xdp.frame_end);
}

static void redirect_remembers_the_target(void)
{
    reset_frame();
    run.context = &xdp;
    CHECK_EQ(CALL(REDIRECT, 17, 0, 0, 0, 0), 4);
    CHECK_EQ(xdp.redirect_ifindex, 17);
    CHECK_EQ(CALL(REDIRECT, 18, 1, 0, 0, 0), 0); // XDP_ABORTED: no flags
    CHECK_EQ(xdp.redirect_ifindex, 17);
    run.context = NULL;
}

// --- sample --------------------------------------------------------------------------------------

static void sample_helpers(void)
{
    char text[8] = "abcabd";
    CHECK_EQ(CALL(SAMPLE_FUNCTION1, 0, 0, 0, 0, 0), 0);
    CHECK_EQ(CALL(SAMPLE_FIND, REG(text), 8, REG("abd"), 4, 0), 3);
    CHECK_EQ(CALL(SAMPLE_FIND, REG(text), 8, REG("abx"), 4, 0), (uint64_t)-1);
    CHECK_EQ(CALL(SAMPLE_FIND, REG(text), 5, REG("abd"), 4, 0), (uint64_t)-1); // not past its memory
    CHECK_EQ(CALL(SAMPLE_REPLACE, REG(text), 8, 3, REG("XYZW"), 5), 0);
    CHECK_EQ(memcmp(text, "abcXYZW", 8), 0); // the last byte stays
    CHECK_EQ(CALL(SAMPLE_REPLACE, REG(text), 8, 6, REG("12345"), 6), 0);
    CHECK_EQ(memcmp(text, "abcXYZ1", 8), 0);
    CHECK_EQ(CALL(SAMPLE_REPLACE, REG(text), 8, 8, REG("1"), 2), (uint64_t)-1);
    CHECK_EQ(CALL(SAMPLE_REPLACE, REG(text), 8, (uint64_t)-1, REG("1"), 2), (uint64_t)-1);
}

TEST_SUITE(helper)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0)};
    REQUIRE(fixture_open(&fixture));
    program = FIXTURE_PROG(&fixture, PROG_TYPE_XDP, DIALECT_LINUX, insns);
    REQUIRE(program != NULL);
    run = (struct run){.rt = fixture.rt, .prog = program};
    RUN(every_row_has_a_function);
    RUN(results_are_linux_errnos);
    RUN(map_helpers);
    RUN(copies_or_zeroes);
    RUN(compares_and_sets);
    RUN(bounded_strings);
    RUN(checksum_difference);
    RUN(clocks_and_identity);
    RUN(printk_formats_integers);
    RUN(printk_refuses_the_rest);
    RUN(printk_cuts_long_texts);
    RUN(adjust_head_keeps_limits);
    RUN(metadata_moves_with_the_head);
    RUN(adjust_tail_zeroes_growth);
    RUN(redirect_remembers_the_target);
    RUN(sample_helpers);
    object_release(prog_object(program));
    fixture_close(&fixture);
}
