// SPDX-License-Identifier: MIT
// Requests and replies against the table: every operation's smallest valid message passes, and each way to be
// wrong is refused.
#include "proto/proto.h"
#include "tests/test.h"

enum { TAIL = 8, ROOM = 1024 };

static const uint16_t ops[] = {
#define OP(id, number, ...) number,
#include "proto/ops.def"
#undef OP
};

struct message {
    uint8_t bytes[ROOM];
    size_t size;
    uint8_t kinds[PROTO_MAX_OBJECTS + 1];
    unsigned objects;
};

static void put_header(struct message *m, const struct proto_header *header)
{
    memcpy(m->bytes, header, sizeof(*header));
}

static struct proto_header get_header(const struct message *m)
{
    struct proto_header header;
    memcpy(&header, m->bytes, sizeof(header));
    return header;
}

static uint8_t first_kind(uint8_t mask)
{
    uint8_t kind = 0;
    while (mask != 0 && (mask >> kind & 1) == 0) {
        kind++;
    }
    return kind;
}

// The smallest request of `row`: zeros, with as many objects as it needs.
static void make_request(struct message *m, const struct proto_op_row *row)
{
    memset(m, 0, sizeof(*m));
    m->size = sizeof(struct proto_header) + row->request_size;
    m->objects = row->objects < 0 ? 2 : (unsigned)row->objects;
    for (unsigned i = 0; i < m->objects; i++) {
        m->kinds[i] = first_kind(row->kinds[i]);
    }
    put_header(m, &(struct proto_header){.magic = PROTO_MAGIC,
                                         .version = PROTO_WIRE_VERSION,
                                         .op = row->number,
                                         .size = (uint32_t)m->size,
                                         .cookie = 7,
                                         .objects = m->objects});
}

static ebpf_result_t check(const struct message *m)
{
    struct proto_request request;
    return proto_request_check(m->bytes, m->size, m->kinds, m->objects, &request);
}

static void set_size(struct message *m, size_t size)
{
    struct proto_header header = get_header(m);
    m->size = size;
    header.size = (uint32_t)size;
    put_header(m, &header);
}

static void every_operation_has_a_row(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        REQUIRE(proto_op_row(ops[i]) != NULL);
        CHECK_EQ(proto_op_row(ops[i])->number, ops[i]);
        CHECK(sizeof(struct proto_header) + proto_op_row(ops[i])->request_size + TAIL <= ROOM);
    }
    CHECK(proto_op_row(0) == NULL);
    CHECK(proto_op_row(0xffff) == NULL);
}

static void smallest_requests_pass(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct message m;
        struct proto_request request;
        const struct proto_op_row *row = proto_op_row(ops[i]);
        make_request(&m, row);
        CHECK_OK(proto_request_check(m.bytes, m.size, m.kinds, m.objects, &request));
        CHECK(request.row == row);
        CHECK_EQ(request.header.cookie, 7);
        CHECK(request.fixed == m.bytes + sizeof(struct proto_header));
        CHECK_EQ(request.tail_size, 0);
    }
}

static void tails_pass_where_the_row_allows_one(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct message m;
        const struct proto_op_row *row = proto_op_row(ops[i]);
        make_request(&m, row);
        set_size(&m, m.size + TAIL);
        CHECK_EQ(check(&m), row->request_tail ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
    }
}

static void every_cut_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct message m;
        make_request(&m, proto_op_row(ops[i]));
        size_t whole = m.size;
        for (size_t size = 0; size < whole; size++) {
            m.size = size; // the header still says `whole`
            CHECK_EQ(check(&m), EBPF_INVALID_ARGUMENT);
        }
        for (size_t size = sizeof(struct proto_header); size < whole; size++) {
            set_size(&m, size);
            CHECK_EQ(check(&m), EBPF_INVALID_ARGUMENT);
        }
    }
}

static void bad_headers_are_refused(void)
{
    static const struct {
        uint32_t magic;
        uint16_t version, op;
        uint32_t size_more, result, objects;
        ebpf_result_t expected;
    } cases[] = {
        {PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_VERSION, 0, 0, 0, EBPF_SUCCESS},
        {PROTO_MAGIC ^ 1, PROTO_WIRE_VERSION, PROTO_VERSION, 0, 0, 0, EBPF_INVALID_ARGUMENT},
        {PROTO_MAGIC, PROTO_WIRE_VERSION + 1, PROTO_VERSION, 0, 0, 0, EBPF_OPERATION_NOT_SUPPORTED},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, 0, 0, 0, 0, EBPF_OPERATION_NOT_SUPPORTED},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, 999, 0, 0, 0, EBPF_OPERATION_NOT_SUPPORTED},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_VERSION, 1, 0, 0, EBPF_INVALID_ARGUMENT},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_VERSION, PROTO_MAX_SIZE, 0, 0, EBPF_INVALID_ARGUMENT},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_VERSION, 0, 1, 0, EBPF_INVALID_ARGUMENT},
        {PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_VERSION, 0, 0, 1, EBPF_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct message m;
        make_request(&m, proto_op_row(1));
        put_header(&m, &(struct proto_header){cases[i].magic, cases[i].version, cases[i].op,
                                              (uint32_t)m.size + cases[i].size_more, 0, cases[i].result,
                                              cases[i].objects});
        CHECK_EQ(check(&m), cases[i].expected);
    }
}

static void object_counts_must_fit(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct message m;
        const struct proto_op_row *row = proto_op_row(ops[i]);
        struct proto_header header;
        make_request(&m, row);
        header = get_header(&m);
        header.objects = ++m.objects;
        m.kinds[m.objects - 1] = PROTO_KIND_MAP;
        put_header(&m, &header);
        CHECK_EQ(check(&m), row->objects < 0 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
    }
}

static void too_many_objects_are_refused(void)
{
    struct message m;
    struct proto_header header;
    make_request(&m, proto_op_row(PROTO_PROG_LOAD));
    memset(m.kinds, PROTO_KIND_MAP, sizeof(m.kinds));
    header = get_header(&m);
    header.objects = m.objects = PROTO_MAX_OBJECTS;
    put_header(&m, &header);
    CHECK_OK(check(&m));
    header.objects = m.objects = PROTO_MAX_OBJECTS + 1;
    put_header(&m, &header);
    CHECK_EQ(check(&m), EBPF_INVALID_ARGUMENT);
}

static void object_kinds_must_fit(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        const struct proto_op_row *row = proto_op_row(ops[i]);
        for (int slot = 0; slot < row->objects; slot++) {
            for (unsigned kind = 0; kind < 256; kind++) {
                struct message m;
                bool permitted = kind <= PROTO_KIND_MODULE && (row->kinds[slot] >> kind & 1) != 0;
                make_request(&m, row);
                m.kinds[slot] = (uint8_t)kind;
                CHECK_EQ(check(&m), permitted ? EBPF_SUCCESS : EBPF_INVALID_OBJECT);
            }
        }
    }
}

static void reserved_fields_must_be_zero(void)
{
    static const struct {
        uint16_t op, off; // of the fixed structure
    } cases[] = {
        {PROTO_MAP_LOOKUP, 4},       {PROTO_MAP_UPDATE, 12},       {PROTO_MAP_DELETE, 0},
        {PROTO_MAP_DELETE, 7},       {PROTO_MAP_NEXT_KEY, 3},      {PROTO_MAP_NEXT_KEY, 4},
        {PROTO_MAP_FREEZE, 0},       {PROTO_MODULE_PROGRAM, 4},    {PROTO_PROG_TEST_RUN, 4},
        {PROTO_LINK_CREATE, 12},     {PROTO_LINK_UPDATE, 1},       {PROTO_LINK_REPLACE, 2},
        {PROTO_LINK_DETACH, 3},      {PROTO_OBJECT_INFO, 0},       {PROTO_PROG_BIND_MAP, 0},
        {PROTO_MAP_LOOKUP_BATCH, 8}, {PROTO_MAP_UPDATE_BATCH, 12}, {PROTO_MAP_DELETE_BATCH, 12},
        {PROTO_MAP_MEMORY, 4},       {PROTO_HOLDER_NEXT, 4},       {PROTO_PROG_DUMP, 12},
        {PROTO_MODULE_LOAD, 0},      {PROTO_MODULE_LOAD, 7},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct message m;
        make_request(&m, proto_op_row(cases[i].op));
        m.bytes[sizeof(struct proto_header) + cases[i].off] = 1;
        CHECK_EQ(check(&m), EBPF_INVALID_ARGUMENT);
    }
}

static void texts_must_be_terminated(void)
{
    static const struct {
        uint16_t op, off, size;
    } cases[] = {
        {PROTO_OBJECT_PIN, 0, PROTO_PATH_SIZE},   {PROTO_OBJECT_GET, 0, PROTO_PATH_SIZE},
        {PROTO_OBJECT_UNPIN, 0, PROTO_PATH_SIZE}, {PROTO_PIN_NEXT, 0, PROTO_PATH_SIZE},
        {PROTO_MAP_CREATE, 24, SPEC_NAME_SIZE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct message m;
        uint8_t *text;
        make_request(&m, proto_op_row(cases[i].op));
        text = m.bytes + sizeof(struct proto_header) + cases[i].off;
        memset(text, 'a', cases[i].size);
        CHECK_EQ(check(&m), EBPF_INVALID_ARGUMENT);
        text[cases[i].size - 1] = 0;
        CHECK_OK(check(&m));
    }
}

// --- replies -------------------------------------------------------------------------------------

static ebpf_result_t check_reply(uint16_t op, const struct message *m, const void **fixed, size_t *tail_size)
{
    struct proto_header header;
    const uint8_t *tail;
    return proto_reply_check(op, m->bytes, m->size, &header, fixed, &tail, tail_size);
}

static void make_reply(struct message *m, const struct proto_op_row *row, size_t body, uint32_t result)
{
    memset(m, 0, sizeof(*m));
    m->size = sizeof(struct proto_header) + body;
    put_header(m, &(struct proto_header){.magic = PROTO_MAGIC,
                                         .version = PROTO_WIRE_VERSION,
                                         .op = row->number,
                                         .size = (uint32_t)m->size,
                                         .result = result,
                                         .objects = row->new_object && result == EBPF_SUCCESS});
}

static void replies_are_checked(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        const struct proto_op_row *row = proto_op_row(ops[i]);
        struct message m;
        const void *fixed = NULL;
        size_t tail_size = 99;
        make_reply(&m, row, row->reply_size, EBPF_SUCCESS);
        CHECK_OK(check_reply(row->number, &m, &fixed, &tail_size));
        CHECK(fixed != NULL && tail_size == 0);
        make_reply(&m, row, row->reply_size + TAIL, EBPF_SUCCESS);
        CHECK_EQ(check_reply(row->number, &m, &fixed, &tail_size),
                 row->reply_tail ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
        make_reply(&m, row, 0, EBPF_NO_MEMORY);
        CHECK_OK(check_reply(row->number, &m, &fixed, &tail_size));
        CHECK(fixed == NULL && tail_size == 0);
    }
}

static void bad_replies_are_refused(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        const struct proto_op_row *row = proto_op_row(ops[i]);
        struct message m;
        struct proto_header header;
        const void *fixed;
        size_t tail_size;
        make_reply(&m, row, 0, EBPF_SUCCESS); // success without its structure
        CHECK_EQ(check_reply(row->number, &m, &fixed, &tail_size), EBPF_INVALID_ARGUMENT);
        make_reply(&m, row, 1, EBPF_FAILED);
        CHECK_EQ(check_reply(row->number, &m, &fixed, &tail_size), EBPF_INVALID_ARGUMENT);
        make_reply(&m, row, 0, EBPF_RESULT_COUNT);
        CHECK_EQ(check_reply(row->number, &m, &fixed, &tail_size), EBPF_INVALID_ARGUMENT);
        make_reply(&m, row, row->reply_size, EBPF_SUCCESS);
        CHECK_EQ(check_reply((uint16_t)(row->number + 1), &m, &fixed, &tail_size), EBPF_INVALID_ARGUMENT);
        header = get_header(&m);
        header.objects ^= 1;
        put_header(&m, &header);
        CHECK_EQ(check_reply(row->number, &m, &fixed, &tail_size), EBPF_INVALID_ARGUMENT);
    }
}

TEST_SUITE(proto_check)
{
    RUN(every_operation_has_a_row);
    RUN(smallest_requests_pass);
    RUN(tails_pass_where_the_row_allows_one);
    RUN(every_cut_is_refused);
    RUN(bad_headers_are_refused);
    RUN(object_counts_must_fit);
    RUN(too_many_objects_are_refused);
    RUN(object_kinds_must_fit);
    RUN(reserved_fields_must_be_zero);
    RUN(texts_must_be_terminated);
    RUN(replies_are_checked);
    RUN(bad_replies_are_refused);
}
