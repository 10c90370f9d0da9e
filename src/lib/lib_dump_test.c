// SPDX-License-Identifier: MIT
// Tests of what is said about loaded programs.
#include "lib/lib_testing.h"

static void reply_piece(uint64_t total, const char *piece)
{
    const struct proto_prog_dump_reply fixed = {.total = total};
    fake_reply(PROTO_PROG_DUMP, EBPF_SUCCESS, &fixed, piece, str_len(piece));
}

static ebpf_result_t get_code(uint8_t *code, size_t *size)
{
    return ebpf_program_get_code(fake_new_fd(), code, size);
}

static void code_comes_in_pieces(void)
{
    uint8_t code[8];
    size_t size = sizeof(code);
    fake_reset();
    reply_piece(6, "abcd");
    reply_piece(6, "ef");
    REQUIRE_OK(get_code(code, &size));
    CHECK_EQ(size, 6);
    CHECK(memcmp(code, "abcdef", 6) == 0);
    const struct proto_prog_dump_request *second = (const void *)fake_sent(1)->fixed;
    CHECK_EQ(second->what, PROTO_DUMP_CODE);
    CHECK_EQ(second->offset, 4);
    CHECK(fake_script_is_done());
}

static void code_needs_room(void)
{
    uint8_t code[4];
    size_t size = sizeof(code);
    fake_reset();
    reply_piece(5, "abcde");
    CHECK_EQ(get_code(code, &size), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(size, 5);
    reply_piece(0, "");
    CHECK_EQ(get_code(code, &size), EBPF_OPERATION_NOT_SUPPORTED);
    fake_reply(PROTO_PROG_DUMP, EBPF_ACCESS_DENIED, NULL, NULL, 0);
    CHECK_EQ(get_code(code, &size), EBPF_ACCESS_DENIED);
}

// Peers that never come to an end, or change their minds.
static void strange_replies_are_errors(void)
{
    uint8_t code[16];
    size_t size = sizeof(code);
    fake_reset();
    reply_piece(6, "");
    CHECK_EQ(get_code(code, &size), EBPF_RPC_EXCEPTION);
    reply_piece(6, "abcd");
    reply_piece(9, "efghi");
    CHECK_EQ(get_code(code, &size), EBPF_RPC_EXCEPTION);
    reply_piece(3, "abcdefgh");
    size = sizeof(code);
    REQUIRE_OK(get_code(code, &size));
    CHECK_EQ(size, 3);
    reply_piece(UINT64_MAX, "abcd");
    CHECK(get_code(code, &size) != EBPF_SUCCESS);
    CHECK(fake_script_is_done());
}

// --- lists ---------------------------------------------------------------------------------------

struct listed {
    unsigned count;
    char text[512];
    uint8_t call[8], map[16];
    int64_t target;
};

static void note(void *user, const struct ebpf_listed_insn *in)
{
    struct listed *l = user;
    size_t used = str_len(l->text);
    str_format(l->text + used, sizeof(l->text) - used, "%s%s%u %s;", in->function != NULL ? in->function : "",
               in->function != NULL ? ": " : "", (unsigned)in->pc, in->text);
    if (in->bytes[0] == 0x85) {
        memcpy(l->call, in->bytes, sizeof(l->call));
    }
    if (in->size == 16) {
        memcpy(l->map, in->bytes, sizeof(l->map));
    }
    l->target = in->target >= 0 ? in->target : l->target;
    l->count++;
}

static ebpf_result_t list(const struct program *p, struct listed *out)
{
    static uint8_t bytes[8192];
    struct proto_object_info_reply info = {
        .kind = PROTO_KIND_PROGRAM, .id = 1, .map_count = 1, .map_ids = {42}};
    size_t size = proto_program_encode(p, bytes, sizeof(bytes));
    const struct proto_prog_dump_reply fixed = {.total = size};
    *out = (struct listed){.target = -1};
    fake_reset();
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
    fake_reply(PROTO_PROG_DUMP, EBPF_SUCCESS, &fixed, bytes, size);
    return ebpf_program_list(fake_new_fd(), note, out);
}

static void programs_are_listed(void)
{
    static const struct insn insns[] = {
        {.id = INSN_LDDW_MAP, .dst = 1},
        {.id = INSN_NONE},
        {.id = INSN_CALL, .imm = HELPER_MAP_LOOKUP_ELEM},
        {.id = INSN_JEQ64_IMM, .off = 1},
        {.id = INSN_MOV64_IMM},
        {.id = INSN_EXIT},
    };
    static const struct func func = {.end = ARRAY_SIZE(insns), .name = "main"};
    static const struct map_def map = {
        .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1, .name = "m"};
    struct program p = {.type = PROG_TYPE_XDP,
                        .attach_type = ATTACH_TYPE_XDP,
                        .insns = insns,
                        .insn_count = ARRAY_SIZE(insns),
                        .funcs = &func,
                        .func_count = 1,
                        .maps = &map,
                        .map_count = 1,
                        .name = "main"};
    struct listed l;
    REQUIRE_OK(list(&p, &l));
    CHECK_STR(l.text,
              "main: 0 r1 = map[id:42];2 call bpf_map_lookup_elem#1;3 if r0 == 0 goto +1;4 r0 = 0;5 exit;");
    CHECK_EQ(l.target, 5);
    CHECK(memcmp(l.call, "\x85\0\0\0\1\0\0\0", 8) == 0);
    CHECK(memcmp(l.map, "\x18\x11\0\0\x2a\0\0\0", 8) == 0);
    p.func_count = 0; // no canonical program
    CHECK(list(&p, &l) != EBPF_SUCCESS);
}

static void other_objects_are_no_programs(void)
{
    struct listed l = {0};
    fake_reset();
    fake_reply_map_info(4, 8);
    CHECK_EQ(ebpf_program_list(fake_new_fd(), note, &l), EBPF_INVALID_OBJECT);
    CHECK_EQ(l.count, 0);
}

TEST_SUITE(lib_dump)
{
    RUN(code_comes_in_pieces);
    RUN(code_needs_room);
    RUN(strange_replies_are_errors);
    RUN(programs_are_listed);
    RUN(other_objects_are_no_programs);
}
