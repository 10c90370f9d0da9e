// SPDX-License-Identifier: MIT
// The table of controls, and verdicts that are whole, cut, stretched, or lie about their parts.
#include "proto/proto.h"
#include "tests/test.h"

enum { EVIDENCE = 3, TEXT = 6, JSON = 3, REQUEST = 5, WHOLE = sizeof(struct proto_verdict) + 17 };

static void make_verdict(uint8_t bytes[WHOLE], const struct proto_verdict *change)
{
    struct proto_verdict head = {
        .evidence_size = EVIDENCE, .text_size = TEXT, .json_size = JSON, .request_size = REQUEST};
    head = change != NULL ? *change : head;
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), "eviwrong\0[]\0reques", 17);
}

static void every_control_has_a_row(void)
{
#define CONTROL(id, function, ...) CHECK_STR(proto_control_row(function)->name, #id);
#include "proto/controls.def"
#undef CONTROL
    CHECK(proto_control_row(0) == NULL);
    CHECK(proto_control_row(0x8ff) == NULL);
    CHECK(proto_control_row(0xfff) == NULL);
    CHECK_EQ(PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST), 0x0015e400);
}

static void a_verdict_has_its_parts(void)
{
    uint8_t bytes[WHOLE];
    struct proto_verdict_parts v;
    make_verdict(bytes, NULL);
    REQUIRE_OK(proto_verdict_check(bytes, sizeof(bytes), &v));
    CHECK(memcmp(v.evidence, "evi", EVIDENCE) == 0);
    CHECK_STR(v.text, "wrong");
    CHECK_STR(v.json, "[]");
    CHECK(memcmp(v.request, "reque", REQUEST) == 0);
}

static void parts_make_the_verdict(void)
{
    uint8_t bytes[WHOLE], again[WHOLE] = {0};
    struct proto_verdict_parts v;
    make_verdict(bytes, NULL);
    REQUIRE_OK(proto_verdict_check(bytes, sizeof(bytes), &v));
    CHECK_EQ(proto_verdict_encode(&v, NULL, 0), WHOLE);
    CHECK_EQ(proto_verdict_encode(&v, again, WHOLE - 1), WHOLE);
    CHECK_EQ(again[sizeof(v.head)], 0); // does not fit: nothing was written
    CHECK_EQ(proto_verdict_encode(&v, again, WHOLE), WHOLE);
    CHECK(memcmp(again, bytes, WHOLE) == 0);
}

static void cut_and_stretched_verdicts_are_refused(void)
{
    uint8_t bytes[WHOLE + 1] = {0};
    struct proto_verdict_parts v;
    make_verdict(bytes, NULL);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        CHECK_EQ(proto_verdict_check(bytes, size, &v), size == WHOLE ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
    }
}

static void lies_about_parts_are_refused(void)
{
    static const struct proto_verdict cases[] = {
        {.evidence_size = 3, .text_size = 5, .json_size = 4, .request_size = 5}, // no NUL at the end
        {.evidence_size = 3, .text_size = 7, .json_size = 2, .request_size = 5}, // one NUL too early
        {.evidence_size = 3, .text_size = 0, .json_size = 9, .request_size = 5}, // no text at all
        {.evidence_size = 3, .text_size = 9, .json_size = 0, .request_size = 5}, // two texts in one
        {.evidence_size = UINT32_MAX, .text_size = 6, .json_size = 3, .request_size = 9},
        {.evidence_size = 3, .text_size = 6, .json_size = 3, .request_size = UINT32_MAX},
        {.evidence_size = 3, .text_size = 6, .json_size = 3, .request_size = 5, .reserved = 1},
        {.evidence_size = 3, .text_size = 6, .json_size = 3, .request_size = 5, .result = EBPF_RESULT_COUNT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t bytes[WHOLE];
        struct proto_verdict_parts v;
        make_verdict(bytes, &cases[i]);
        CHECK_EQ(proto_verdict_check(bytes, sizeof(bytes), &v), EBPF_INVALID_ARGUMENT);
    }
}

TEST_SUITE(proto_control)
{
    RUN(every_control_has_a_row);
    RUN(a_verdict_has_its_parts);
    RUN(parts_make_the_verdict);
    RUN(cut_and_stretched_verdicts_are_refused);
    RUN(lies_about_parts_are_refused);
}
