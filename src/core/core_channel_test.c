// SPDX-License-Identifier: MIT
// Channels: what each control does in each state, and what it refuses.
#include "core/core_channel_fixture.h"

// Runs `body` on a fresh set of channels and checks that it leaves nothing behind.
#define WITH_DESK(name)                                                                                      \
    static void name##_body(struct desk *d);                                                                 \
    static void name(void)                                                                                   \
    {                                                                                                        \
        static struct desk d;                                                                                \
        uint64_t live = plat_sim_live_count();                                                               \
        REQUIRE_OK(desk_init(&d));                                                                           \
        name##_body(&d);                                                                                     \
        desk_fini(&d);                                                                                       \
        CHECK_EQ(plat_sim_live_count(), live);                                                               \
    }                                                                                                        \
    static void name##_body(struct desk *d)

// --- requests ------------------------------------------------------------------------------------

WITH_DESK(a_channel_becomes_an_object)
{
    struct channel *c = NULL;
    struct proto_version_request version = {PROTO_WIRE_VERSION};
    struct proto_empty empty = {0};
    struct proto_token token;
    REQUIRE_OK(desk_open(d, &c));
    CHECK_OK(desk_call(d, c, PROTO_VERSION, &version, 0));
    CHECK_EQ(desk_call(d, c, PROTO_MAP_FREEZE, &empty, 1), EBPF_INVALID_ARGUMENT); // it has no object
    CHECK_OK(desk_make_map(d, c));
    CHECK_EQ(d->b.header.objects, 1);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 1);
    CHECK_OK(desk_call(d, c, PROTO_OBJECT_INFO, &empty, 1));
    CHECK_OK(desk_call(d, c, PROTO_VERSION, &version, 0));
    CHECK_EQ(desk_make_map(d, c), EBPF_INVALID_STATE);
    CHECK_EQ(desk_offer(d, c, &token), EBPF_INVALID_STATE);
    CHECK_OK(desk_call(d, c, PROTO_MAP_FREEZE, &empty, 1));
    CHECK_EQ(desk_call(d, c, PROTO_LINK_DETACH, &empty, 1), EBPF_INVALID_OBJECT);
    CHECK_EQ(desk_call(d, c, PROTO_OBJECT_INFO, &empty, 2), EBPF_INVALID_ARGUMENT);
    channel_close(c);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
}

WITH_DESK(a_failed_request_leaves_the_channel_empty)
{
    struct channel *c = NULL;
    struct proto_map_create_request bad = {.def = {.type = MAP_TYPE_ARRAY, .key_size = 3}};
    struct proto_open_id_request none = {PROTO_KIND_MAP, 77};
    REQUIRE_OK(desk_open(d, &c));
    CHECK_EQ(desk_call(d, c, PROTO_MAP_CREATE, &bad, 0), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(desk_call(d, c, PROTO_OPEN_ID, &none, 0), EBPF_OBJECT_NOT_FOUND);
    CHECK_OK(desk_make_map(d, c));
    channel_close(c);
}

WITH_DESK(two_channels_may_hold_one_object)
{
    struct channel *a = NULL, *b = NULL;
    struct proto_empty empty = {0};
    REQUIRE_OK(desk_open(d, &a));
    REQUIRE_OK(desk_open(d, &b));
    REQUIRE_OK(desk_make_map(d, a));
    struct proto_next_id_request first = {PROTO_KIND_MAP, 0};
    struct proto_open_id_request open = {.kind = PROTO_KIND_MAP};
    REQUIRE_OK(desk_call(d, b, PROTO_NEXT_ID, &first, 0));
    memcpy(&open.id, d->b.fixed, sizeof(open.id));
    CHECK_OK(desk_call(d, b, PROTO_OPEN_ID, &open, 0));
    channel_close(a);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 1);
    CHECK_OK(desk_call(d, b, PROTO_OBJECT_INFO, &empty, 1));
    channel_close(b);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
}

WITH_DESK(an_old_client_reads_why)
{
    struct channel *c = NULL;
    struct proto_version_request version = {PROTO_WIRE_VERSION};
    struct proto_header header;
    REQUIRE_OK(desk_open(d, &c));
    bench_build(&d->b, PROTO_VERSION, &version, NULL, 0, 0);
    memcpy(&header, d->b.message, sizeof(header));
    header.version = PROTO_WIRE_VERSION + 1;
    memcpy(d->b.message, &header, sizeof(header));
    CHECK_EQ(desk_send(d, c, MESSAGE_ROOM), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(d->output_size, sizeof(header));
    CHECK_EQ(d->b.header.version, PROTO_WIRE_VERSION);
    CHECK_EQ(d->b.header.cookie, 99);
    channel_close(c);
}

// --- room for the output -------------------------------------------------------------------------

WITH_DESK(a_reply_that_does_not_fit_does_nothing)
{
    struct channel *c = NULL;
    struct proto_header header;
    uint32_t wanted = sizeof(header) + sizeof(struct proto_new_object);
    REQUIRE_OK(desk_open(d, &c));
    REQUIRE_OK(desk_make_map(d, c)); // builds the message
    channel_close(c);
    REQUIRE_OK(desk_open(d, &c));
    for (size_t capacity = 0; capacity < sizeof(header); capacity++) {
        (void)desk_control(d, c, PROTO_CONTROL_REQUEST, d->b.message, d->b.message_size, capacity);
        CHECK_EQ(d->control, EBPF_INSUFFICIENT_BUFFER);
    }
    for (size_t capacity = sizeof(header); capacity < wanted; capacity++) {
        CHECK_EQ(desk_send(d, c, capacity), EBPF_INSUFFICIENT_BUFFER);
        CHECK_EQ(d->b.header.size, wanted);
        CHECK_EQ(d->b.header.objects, 0);
        CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
    }
    CHECK_OK(desk_send(d, c, wanted));
    channel_close(c);
}

WITH_DESK(what_was_lent_stays_when_the_reply_does_not_fit)
{
    struct channel *prog = NULL, *link = NULL;
    struct proto_token token;
    struct proto_link_create_request fixed = {.attach_type = ATTACH_TYPE_XDP, .ifindex = TEST_IFINDEX};
    REQUIRE_OK(desk_open(d, &prog));
    REQUIRE_OK(desk_open(d, &link));
    REQUIRE_OK(desk_make_program(d, prog, prog, PROG_TYPE_XDP)); // a service may even judge for itself
    REQUIRE_OK(desk_offer(d, link, &token));
    REQUIRE_OK(desk_lend(d, prog, &token));
    bench_build(&d->b, PROTO_LINK_CREATE, &fixed, NULL, 0, 1);
    CHECK_EQ(desk_send(d, link, sizeof(struct proto_header)), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(desk_count(d, OBJECT_LINK), 0);
    CHECK_OK(desk_send(d, link, d->b.header.size));
    CHECK_EQ(desk_count(d, OBJECT_LINK), 1);
    channel_close(prog);
    channel_close(link);
    CHECK_EQ(desk_count(d, OBJECT_PROGRAM), 0);
}

// *prog waits for the verdict of its program, which is built and not sent.
static ebpf_result_t prepare_verdict(struct desk *d, struct channel **service, struct channel **prog)
{
    struct proto_token token;
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict accept = bench_accept();
    TRY(desk_open(d, service));
    TRY(desk_open(d, prog));
    TRY(desk_offer(d, *prog, &token));
    desk_build_verdict(d, &token, &p, 0, &accept);
    return EBPF_SUCCESS;
}

WITH_DESK(a_verdict_without_room_can_be_repeated)
{
    struct channel *service = NULL, *prog = NULL;
    REQUIRE_OK(prepare_verdict(d, &service, &prog));
    CHECK_EQ(desk_judge(d, service, 40), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(desk_count(d, OBJECT_PROGRAM), 0);
    CHECK_OK(desk_judge(d, service, d->b.header.size));
    channel_close(service);
    channel_close(prog);
}

// --- lending -------------------------------------------------------------------------------------

WITH_DESK(several_objects_meet_in_a_request)
{
    struct channel *service = NULL, *prog = NULL, *link = NULL, *errand = NULL;
    struct proto_token token;
    struct proto_link_create_request create = {.attach_type = ATTACH_TYPE_XDP, .ifindex = TEST_IFINDEX};
    struct proto_empty empty = {0};
    REQUIRE_OK(desk_open(d, &service));
    REQUIRE_OK(desk_open(d, &prog));
    REQUIRE_OK(desk_open(d, &link));
    REQUIRE_OK(desk_open(d, &errand));
    REQUIRE_OK(desk_make_program(d, service, prog, PROG_TYPE_XDP));
    REQUIRE_OK(desk_offer(d, link, &token));
    REQUIRE_OK(desk_lend(d, prog, &token));
    CHECK_OK(desk_call(d, link, PROTO_LINK_CREATE, &create, 1));
    CHECK_EQ(desk_lend(d, prog, &token), EBPF_INVALID_STATE); // the link is made
    REQUIRE_OK(desk_offer(d, errand, &token));
    CHECK_OK(desk_lend(d, link, &token));
    CHECK_OK(desk_lend(d, prog, &token));
    CHECK_OK(desk_call(d, errand, PROTO_LINK_UPDATE, &empty, 2));
    CHECK_EQ(desk_call(d, errand, PROTO_LINK_UPDATE, &empty, 2), EBPF_INVALID_ARGUMENT); // they were taken
    CHECK_OK(desk_lend(d, prog, &token));
    CHECK_OK(desk_lend(d, link, &token));
    CHECK_EQ(desk_call(d, errand, PROTO_LINK_UPDATE, &empty, 2), EBPF_INVALID_OBJECT); // in the wrong order
    channel_close(link);
    CHECK_EQ(desk_count(d, OBJECT_LINK), 0);
    channel_close(errand);
    channel_close(prog);
    channel_close(service);
}

WITH_DESK(lending_has_rules)
{
    struct channel *map = NULL, *fresh = NULL;
    struct proto_token token, wrong;
    REQUIRE_OK(desk_open(d, &map));
    REQUIRE_OK(desk_open(d, &fresh));
    REQUIRE_OK(desk_offer(d, map, &wrong)); // a token of its own, before it has its object
    REQUIRE_OK(desk_make_map(d, map));
    REQUIRE_OK(desk_offer(d, fresh, &token));
    CHECK_EQ(desk_lend(d, fresh, &token), EBPF_INVALID_OBJECT);
    CHECK_EQ(desk_lend(d, map, &wrong), EBPF_INVALID_STATE); // to itself
    for (unsigned bit = 0; bit < 8 * sizeof(token); bit++) {
        wrong = token;
        wrong.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_EQ(desk_lend(d, map, &wrong), EBPF_OBJECT_NOT_FOUND);
    }
    memset(&wrong, 0, sizeof(wrong));
    CHECK_EQ(desk_lend(d, map, &wrong), EBPF_OBJECT_NOT_FOUND);
    CHECK_OK(desk_lend(d, map, &token));
    CHECK_OK(desk_lend(d, map, &token)); // twice is two references
    channel_close(map);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 1);
    channel_close(fresh);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
}

WITH_DESK(no_more_than_the_table_permits_are_lent)
{
    struct channel *map = NULL, *fresh = NULL;
    struct proto_token token;
    struct proto_empty empty = {0};
    REQUIRE_OK(desk_open(d, &map));
    REQUIRE_OK(desk_open(d, &fresh));
    REQUIRE_OK(desk_make_map(d, map));
    REQUIRE_OK(desk_offer(d, fresh, &token));
    for (unsigned i = 0; i < PROTO_MAX_OBJECTS; i++) {
        CHECK_OK(desk_lend(d, map, &token));
    }
    CHECK_EQ(desk_lend(d, map, &token), EBPF_OUT_OF_SPACE);
    channel_close(map);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 1);
    CHECK_EQ(desk_call(d, fresh, PROTO_PROG_BIND_MAP, &empty, PROTO_MAX_OBJECTS), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
    channel_close(fresh);
}

WITH_DESK(a_token_stays_and_is_the_channels_alone)
{
    struct channel *a = NULL, *b = NULL;
    struct proto_token first, second, other;
    REQUIRE_OK(desk_open(d, &a));
    REQUIRE_OK(desk_open(d, &b));
    CHECK_OK(desk_offer(d, a, &first));
    CHECK_OK(desk_offer(d, a, &second));
    CHECK_OK(desk_offer(d, b, &other));
    CHECK(memcmp(&first, &second, sizeof(first)) == 0);
    CHECK(memcmp(&first, &other, sizeof(first)) != 0);
    channel_close(a);
    channel_close(b);
}

// --- verdicts ------------------------------------------------------------------------------------

WITH_DESK(a_program_is_loaded)
{
    static const struct map_def def = {MAP_TYPE_ARRAY, MAP_TYPE_ARRAY, 4, 8, 4, 0, "m"};
    struct channel *service = NULL, *map = NULL, *prog = NULL;
    struct proto_token token;
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict accept = bench_accept();
    struct proto_prog_test_run_request run = {.data_in_size = 0};
    struct proto_prog_test_run_reply answer;
    p.maps = &def;
    p.map_count = 1;
    REQUIRE_OK(desk_open(d, &service));
    REQUIRE_OK(desk_open(d, &map));
    REQUIRE_OK(desk_open(d, &prog));
    REQUIRE_OK(desk_make_map(d, map));
    REQUIRE_OK(desk_offer(d, prog, &token));
    REQUIRE_OK(desk_lend(d, map, &token));
    desk_build_verdict(d, &token, &p, 1, &accept);
    CHECK_OK(desk_judge(d, service, MESSAGE_ROOM));
    CHECK_EQ(d->b.header.objects, 1);
    channel_close(map);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 1); // the program's
    REQUIRE_OK(desk_call(d, prog, PROTO_PROG_TEST_RUN, &run, 1));
    memcpy(&answer, d->b.fixed, sizeof(answer));
    CHECK_EQ(answer.retval, 42);
    CHECK_EQ(desk_judge(d, service, MESSAGE_ROOM), EBPF_INVALID_STATE); // once
    channel_close(prog);
    CHECK_EQ(desk_judge(d, service, MESSAGE_ROOM), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
    channel_close(service);
}

WITH_DESK(a_refusal_travels_and_takes_what_was_lent)
{
    struct channel *service = NULL, *map = NULL, *prog = NULL;
    struct proto_token token;
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict refuse = {.result = EBPF_VERIFICATION_FAILED, .text = "no\n", .json = "[{}]"};
    REQUIRE_OK(desk_open(d, &service));
    REQUIRE_OK(desk_open(d, &map));
    REQUIRE_OK(desk_open(d, &prog));
    REQUIRE_OK(desk_make_map(d, map));
    REQUIRE_OK(desk_offer(d, prog, &token));
    REQUIRE_OK(desk_lend(d, map, &token));
    desk_build_verdict(d, &token, &p, 1, &refuse);
    CHECK_EQ(desk_judge(d, service, MESSAGE_ROOM), EBPF_VERIFICATION_FAILED);
    CHECK(d->b.tail_size == 4 + 5 && memcmp(d->b.tail, "no\n\0[{}]", 9) == 0);
    channel_close(map);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
    CHECK_OK(desk_make_program(d, service, prog, PROG_TYPE_RAW_MEMORY)); // and it may try again
    channel_close(prog);
    channel_close(service);
}

WITH_DESK(a_client_does_not_judge_itself)
{
    struct channel *client = NULL;
    struct proto_token token;
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict accept = bench_accept();
    REQUIRE_OK(channel_open(d->all, CHANNEL_REQUEST, 11, &client));
    REQUIRE_OK(desk_offer(d, client, &token));
    desk_build_verdict(d, &token, &p, 0, &accept);
    CHECK_EQ(desk_judge(d, client, MESSAGE_ROOM), EBPF_ACCESS_DENIED);
    CHECK_EQ(desk_send(d, client, MESSAGE_ROOM), EBPF_VERIFICATION_FAILED); // without any verdict
    CHECK_EQ(desk_count(d, OBJECT_PROGRAM), 0);
    channel_close(client);
}

WITH_DESK(a_service_makes_no_requests)
{
    struct channel *c = NULL;
    REQUIRE_OK(channel_open(d->all, CHANNEL_VERDICT, 11, &c));
    CHECK_EQ(desk_make_map(d, c), EBPF_ACCESS_DENIED);
    channel_close(c);
}

WITH_DESK(malformed_verdicts_are_refused)
{
    struct channel *service = NULL, *prog = NULL;
    REQUIRE_OK(prepare_verdict(d, &service, &prog));
    size_t whole = d->verdict_size;
    for (d->verdict_size = 0; d->verdict_size < whole; d->verdict_size++) {
        CHECK_EQ(desk_judge(d, service, MESSAGE_ROOM), EBPF_INVALID_ARGUMENT);
    }
    uint8_t *op = d->verdict + whole - d->b.message_size + offsetof(struct proto_header, op);
    *op = PROTO_MAP_CREATE;
    CHECK_EQ(desk_judge(d, service, MESSAGE_ROOM), EBPF_INVALID_ARGUMENT);
    *op = PROTO_PROG_LOAD;
    CHECK_OK(desk_judge(d, service, MESSAGE_ROOM)); // nothing of that used the token up
    channel_close(service);
    channel_close(prog);
}

// --- controls in general -------------------------------------------------------------------------

WITH_DESK(controls_have_sizes)
{
    static const uint8_t zeros[64];
    struct channel *c = NULL;
    REQUIRE_OK(desk_open(d, &c));
    CHECK_EQ(desk_control(d, c, 0, zeros, 64, 64), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(desk_control(d, c, UINT32_MAX, zeros, 64, 64), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_WITNESS, zeros, 64, 64), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_OFFER, NULL, 0, 15), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_LEND, zeros, 15, 0), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_LEND, zeros, 17, 0), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_REQUEST, zeros, 23, 64), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(desk_control(d, c, PROTO_CONTROL_VERDICT, zeros, 55, 64), EBPF_INVALID_ARGUMENT);
    channel_close(c);
}

static bool waits(uint32_t function, uint16_t op, size_t size)
{
    struct proto_header header = {.op = op};
    struct channel_call call = {.function = function, .input = &header, .input_size = size};
    return channel_call_waits(&call);
}

static void what_waits_is_known_from_the_input(void)
{
    CHECK(waits(PROTO_CONTROL_VERDICT, 0, 0));
    CHECK(waits(PROTO_CONTROL_SELFTEST, 0, 0));
    CHECK(waits(PROTO_CONTROL_REQUEST, PROTO_PROG_TEST_RUN, sizeof(struct proto_header)));
    CHECK(!waits(PROTO_CONTROL_REQUEST, PROTO_PROG_TEST_RUN, sizeof(struct proto_header) - 1));
    CHECK(!waits(PROTO_CONTROL_REQUEST, PROTO_MAP_LOOKUP, sizeof(struct proto_header)));
    CHECK(!waits(PROTO_CONTROL_REQUEST, UINT16_MAX, sizeof(struct proto_header)));
    CHECK(!waits(PROTO_CONTROL_OFFER, 0, 0));
    CHECK(!waits(12345, 0, 0));
}

// --- holders -------------------------------------------------------------------------------------

WITH_DESK(holders_are_counted)
{
    struct channel *asking = NULL, *map = NULL, *shut = NULL;
    struct proto_holder_next_request fixed = {0};
    struct proto_holder_next_reply reply;
    struct proto_witness witness = {0};
    REQUIRE_OK(channel_open(d->all, CHANNEL_REQUEST, 30, &asking));
    REQUIRE_OK(channel_open(d->all, CHANNEL_REQUEST, 20, &map));
    REQUIRE_OK(channel_open(d->all, CHANNEL_REQUEST, 40, &shut));
    REQUIRE_OK(desk_make_map(d, map));
    channel_shut(shut);
    REQUIRE_OK(desk_call(d, asking, PROTO_HOLDER_NEXT, &fixed, 0));
    memcpy(&reply, d->b.fixed, sizeof(reply));
    CHECK(reply.pid == 20 && reply.maps == 1 && reply.others == 0);
    fixed.after_pid = 20;
    REQUIRE_OK(desk_call(d, asking, PROTO_HOLDER_NEXT, &fixed, 0));
    memcpy(&reply, d->b.fixed, sizeof(reply));
    CHECK(reply.pid == 30 && reply.maps == 0 && reply.others == 1);
    fixed.after_pid = 30;
    CHECK_EQ(desk_call(d, asking, PROTO_HOLDER_NEXT, &fixed, 0), EBPF_NO_MORE_KEYS);
    channels_witness(d->all, &witness);
    CHECK(witness.channels == 3 && witness.objects[PROTO_KIND_MAP] == 1);
    channel_close(shut);
    channel_close(map);
    channel_close(asking);
    channels_witness(d->all, &witness);
    CHECK(witness.channels == 0 && witness.objects[PROTO_KIND_MAP] == 0);
}

// Whoever opens without end comes to one: lists of channels are walked with the lock held.
WITH_DESK(there_is_a_limit_to_channels)
{
    enum { LIMIT = 65536, WITH_TOKEN = 3000 };
    struct channel **channels = plat_alloc((LIMIT + 1) * sizeof(*channels), POOL_TAG_TEST);
    struct proto_token first, token;
    REQUIRE(channels != NULL);
    for (unsigned i = 0; i < LIMIT; i++) {
        REQUIRE_OK(channel_open(d->all, CHANNEL_REQUEST, 10, &channels[i]));
    }
    CHECK_EQ(channel_open(d->all, CHANNEL_REQUEST, 10, &channels[LIMIT]), EBPF_OUT_OF_SPACE);
    channel_close(channels[LIMIT - 1]);
    CHECK_OK(channel_open(d->all, CHANNEL_REQUEST, 10, &channels[LIMIT - 1]));
    REQUIRE_OK(desk_make_map(d, channels[0]));
    CHECK_OK(desk_offer(d, channels[1], &first));
    for (unsigned i = 2; i < WITH_TOKEN; i++) {
        CHECK_OK(desk_offer(d, channels[i], &token));
        CHECK_OK(desk_lend(d, channels[0], &token)); // finds its channel, however many have a token
    }
    CHECK_OK(desk_lend(d, channels[0], &first));
    channel_shut(channels[1]);
    CHECK_EQ(desk_lend(d, channels[0], &first), EBPF_OBJECT_NOT_FOUND);
    channels_shut_all(d->all);
    CHECK_EQ(desk_lend(d, channels[0], &token), EBPF_INVALID_STATE);
    CHECK_EQ(desk_count(d, OBJECT_MAP), 0);
    plat_free(channels);
}

static void holders_are_unknown_without_channels(void)
{
    static struct bench b;
    struct proto_holder_next_request fixed = {0};
    REQUIRE_OK(bench_init(&b));
    CHECK_EQ(bench_call(&b, PROTO_HOLDER_NEXT, &fixed, NULL, 0, NULL, 0), EBPF_OPERATION_NOT_SUPPORTED);
    bench_fini(&b);
}

TEST_SUITE(core_channel)
{
    RUN(a_channel_becomes_an_object);
    RUN(a_failed_request_leaves_the_channel_empty);
    RUN(two_channels_may_hold_one_object);
    RUN(an_old_client_reads_why);
    RUN(a_reply_that_does_not_fit_does_nothing);
    RUN(what_was_lent_stays_when_the_reply_does_not_fit);
    RUN(a_verdict_without_room_can_be_repeated);
    RUN(several_objects_meet_in_a_request);
    RUN(lending_has_rules);
    RUN(no_more_than_the_table_permits_are_lent);
    RUN(a_token_stays_and_is_the_channels_alone);
    RUN(a_program_is_loaded);
    RUN(a_refusal_travels_and_takes_what_was_lent);
    RUN(a_client_does_not_judge_itself);
    RUN(a_service_makes_no_requests);
    RUN(malformed_verdicts_are_refused);
    RUN(controls_have_sizes);
    RUN(what_waits_is_known_from_the_input);
    RUN(holders_are_counted);
    RUN(there_is_a_limit_to_channels);
    RUN(holders_are_unknown_without_channels);
}
