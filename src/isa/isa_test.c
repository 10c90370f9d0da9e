// SPDX-License-Identifier: MIT
// Decoder and encoder: every row with boundary operands, every reserved field of every form, and bytes that
// another assembler made.
#include <stdlib.h>

#include "isa/isa.h"
#include "tests/test.h"

// Operands of a form, restated: d, s registers that are read, D, S written, o offset, i immediate of 32 bits,
// I of 64.
static const char *const uses[FORM_COUNT] = {
    [FORM_ALU_IMM] = "Di",    [FORM_ALU_REG] = "Ds", [FORM_ALU_UNARY] = "D", [FORM_JMP_IMM] = "doi",
    [FORM_JMP_REG] = "dso",   [FORM_JA16] = "o",     [FORM_JA32] = "i",      [FORM_CALL] = "i",
    [FORM_CALLX] = "d",       [FORM_EXIT] = "",      [FORM_LOAD] = "Dso",    [FORM_STORE_IMM] = "doi",
    [FORM_STORE_REG] = "dso", [FORM_LDDW] = "DI",    [FORM_LDABS] = "i",     [FORM_LDIND] = "si",
    [FORM_ATOMIC] = "dso",    [FORM_MAY_GOTO] = "o",
};

static bool has_use(unsigned id, char use)
{
    for (const char *c = uses[insn_info(id)->form]; *c != 0; c++) {
        if (*c == use) {
            return true;
        }
    }
    return false;
}

static bool fetches(unsigned id)
{
    unsigned sem = insn_info(id)->sem;
    return sem == SEM_ATOMIC_FETCH_ADD || sem == SEM_ATOMIC_FETCH_OR || sem == SEM_ATOMIC_FETCH_AND ||
           sem == SEM_ATOMIC_FETCH_XOR || sem == SEM_ATOMIC_XCHG;
}

enum { VARIANTS = 6 };
static const int16_t offs[VARIANTS] = {0, 1, -1, INT16_MIN, INT16_MAX, 0x1234};
static const int32_t imms[VARIANTS] = {0, 1, -1, INT32_MIN, INT32_MAX, 0x12345678};
static const int64_t imms64[VARIANTS] = {0, 1, -1, INT64_MIN, INT64_MAX, 0x123456789abcdef0};

static int64_t sample_imm64(unsigned id, unsigned variant)
{
    switch (insn_info(id)->sem) {
    case SEM_LDDW:
    case SEM_LDDW_MAP_VALUE_FD:
    case SEM_LDDW_MAP_VALUE: return imms64[variant];
    case SEM_LDDW_CODE: return imms[variant];
    default: return (int64_t)(uint32_t)imms[variant];
    }
}

// Two entries of row `id` with the operands of one variant.
static void make_sample(unsigned id, unsigned variant, struct insn out[2])
{
    static const uint8_t written[VARIANTS] = {0, 9, 5, 1, 2, 3}, read[VARIANTS] = {10, 0, 9, 7, 10, 3};
    struct insn in = {.id = (uint16_t)id};
    in.dst = has_use(id, 'D') ? written[variant] : has_use(id, 'd') ? read[variant] : 0;
    in.src = !has_use(id, 's') ? 0 : fetches(id) ? written[variant] : read[VARIANTS - 1 - variant];
    in.off = has_use(id, 'o') ? offs[variant] : 0;
    in.imm = has_use(id, 'i') ? imms[variant] : has_use(id, 'I') ? sample_imm64(id, variant) : 0;
    out[0] = in;
    out[1] = (struct insn){0};
}

static bool same_insn(const struct insn *a, const struct insn *b)
{
    return a->id == b->id && a->dst == b->dst && a->src == b->src && a->off == b->off && a->imm == b->imm &&
           a->reserved == b->reserved;
}

static enum insn_error decode(const uint8_t *bytes, unsigned slots)
{
    struct insn out[4];
    uint32_t bad_pc;
    return insn_decode(bytes, slots * INSN_SLOT_SIZE, out, &bad_pc);
}

static void every_row_survives_a_round_trip(void)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        for (unsigned variant = 0; variant < VARIANTS; variant++) {
            struct insn in[2], decoded[2], parsed[2];
            uint8_t bytes[16], again[16];
            char text[96];
            uint32_t bad_pc;
            unsigned slots;
            make_sample(id, variant, in);
            unsigned size = insn_slots(in) * INSN_SLOT_SIZE;
            REQUIRE(insn_encode(in, insn_slots(in), bytes, &bad_pc) == INSN_OK);
            REQUIRE(insn_decode(bytes, size, decoded, &bad_pc) == INSN_OK);
            CHECK(same_insn(in, decoded));
            CHECK(insn_slots(in) == 1 || same_insn(&in[1], &decoded[1]));
            REQUIRE(insn_print(decoded, text, sizeof(text)) < sizeof(text));
            if (insn_parse(text, parsed, &slots) != EBPF_SUCCESS) {
                test_fail(__FILE__, __LINE__, "\"%s\" does not parse", text);
                return;
            }
            CHECK_EQ(slots, insn_slots(in));
            REQUIRE(insn_encode(parsed, slots, again, &bad_pc) == INSN_OK);
            if (memcmp(bytes, again, size) != 0) {
                test_fail(__FILE__, __LINE__, "\"%s\" is row %u, parses as row %u", text, id, parsed[0].id);
            }
        }
    }
}

static void rows_are_complete(void)
{
    CHECK_EQ(INSN_ID_COUNT - 1, 172);
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        CHECK(info->form != FORM_NONE && info->form < FORM_COUNT && info->sem != SEM_NONE &&
              info->sem < SEM_COUNT);
        CHECK(info->width == 8 || info->width == 16 || info->width == 32 || info->width == 64);
        CHECK(info->mnemonic != NULL && info->group < GROUP_COUNT && uses[info->form] != NULL);
    }
    CHECK_STR(insn_info(INSN_NONE)->mnemonic, "?");
    CHECK_STR(insn_info(INSN_ID_COUNT)->mnemonic, "?");
    CHECK_STR(insn_info(UINT32_MAX)->mnemonic, "?");
}

// Every byte of the first slot that the row does not use, and what each error is.
static void unused_fields_are_refused(void)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        struct insn in[2];
        uint8_t good[16], bad[16];
        uint32_t bad_pc;
        make_sample(id, 1, in);
        unsigned slots = insn_slots(in);
        REQUIRE(insn_encode(in, slots, good, &bad_pc) == INSN_OK);
        if (!has_use(id, 'D') && !has_use(id, 'd')) {
            memcpy(bad, good, sizeof(bad));
            bad[1] |= 0x03;
            CHECK_EQ(decode(bad, slots), INSN_ERR_RESERVED);
        }
        if (!has_use(id, 's') && info->selector != SELECT_SRC) {
            memcpy(bad, good, sizeof(bad));
            bad[1] |= 0x30;
            CHECK_EQ(decode(bad, slots), INSN_ERR_RESERVED);
        }
        if (!has_use(id, 'o')) { // a selecting offset of 0x0100 selects nothing
            memcpy(bad, good, sizeof(bad));
            bad[3] = 1;
            CHECK_EQ(decode(bad, slots), info->selector == SELECT_OFF ? INSN_ERR_OPCODE : INSN_ERR_RESERVED);
        }
        if (!has_use(id, 'i') && !has_use(id, 'I') && id != INSN_CALLX) {
            memcpy(bad, good, sizeof(bad));
            bad[7] = 0x80;
            CHECK_EQ(decode(bad, slots), info->selector == SELECT_IMM ? INSN_ERR_OPCODE : INSN_ERR_RESERVED);
        }
    }
}

static void bad_registers_are_refused(void)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        struct insn in[2];
        uint8_t good[16], bad[16];
        uint32_t bad_pc;
        make_sample(id, 1, in);
        REQUIRE(insn_encode(in, insn_slots(in), good, &bad_pc) == INSN_OK);
        for (unsigned reg = 10; reg < 16; reg++) {
            memcpy(bad, good, sizeof(bad));
            bad[1] = (uint8_t)((good[1] & 0xf0) | reg);
            if (has_use(id, 'D') || (has_use(id, 'd') && reg > 10)) {
                CHECK_EQ(decode(bad, insn_slots(in)), INSN_ERR_REGISTER);
            }
            bad[1] = (uint8_t)((good[1] & 0x0f) | reg << 4);
            if (has_use(id, 's') && (reg > 10 || fetches(id))) {
                CHECK_EQ(decode(bad, insn_slots(in)), INSN_ERR_REGISTER);
            }
        }
    }
}

static void second_slots_are_whole(void)
{
    for (unsigned id = INSN_LDDW; id <= INSN_LDDW_MAP_VALUE; id++) {
        struct insn in[2];
        uint8_t good[16], bad[16];
        uint32_t bad_pc;
        make_sample(id, 1, in);
        REQUIRE(insn_encode(in, 2, good, &bad_pc) == INSN_OK);
        CHECK_EQ(decode(good, 1), INSN_ERR_TRUNCATED);
        for (unsigned byte = 8; byte < 12; byte++) {
            memcpy(bad, good, sizeof(bad));
            bad[byte] = 1;
            CHECK_EQ(decode(bad, 2), INSN_ERR_TRUNCATED);
        }
        memcpy(bad, good, sizeof(bad));
        bad[12] = 7;
        bool has_second = id == INSN_LDDW || id == INSN_LDDW_MAP_VALUE || id == INSN_LDDW_MAP_VALUE_FD;
        CHECK_EQ(decode(bad, 2), has_second ? INSN_OK : INSN_ERR_TRUNCATED);
    }
}

static void unknown_opcodes_are_refused(void)
{
    bool known[256] = {false};
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        known[insn_info(id)->opcode] = true;
    }
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        uint8_t bytes[16] = {(uint8_t)opcode};
        if (!known[opcode]) {
            CHECK_EQ(decode(bytes, 2), INSN_ERR_OPCODE);
        }
    }
}

static void selectors_split_shared_opcodes(void)
{
    static const struct {
        uint8_t bytes[8];
        unsigned id; // 0: refused
    } cases[] = {
        {{0x37, 1, 0, 0, 2}, INSN_DIV64_IMM},
        {{0x37, 1, 1, 0, 2}, INSN_SDIV64_IMM},
        {{0x37, 1, 2, 0, 2}, INSN_NONE},
        {{0xbf, 1, 8, 0}, INSN_MOVSX64_8},
        {{0xbf, 1, 32, 0}, INSN_MOVSX64_32},
        {{0xbf, 1, 64, 0}, INSN_NONE},
        {{0xbc, 1, 32, 0}, INSN_NONE},
        {{0xb7, 1, 8, 0}, INSN_NONE},
        {{0xd4, 1, 0, 0, 16}, INSN_LE16},
        {{0xdc, 1, 0, 0, 64}, INSN_BE64},
        {{0xd7, 1, 0, 0, 32}, INSN_BSWAP32},
        {{0xd7, 1, 0, 0, 8}, INSN_NONE},
        {{0xdf, 1, 0, 0, 32}, INSN_NONE},
        {{0x85, 0x10, 0, 0, 1}, INSN_CALL_LOCAL},
        {{0x85, 0x20, 0, 0, 1}, INSN_CALL_BTF},
        {{0x85, 0x30, 0, 0, 1}, INSN_NONE},
        {{0xdb, 0x21, 0, 0, 0xf1}, INSN_ATOMIC_CMPXCHG64},
        {{0xdb, 0x21, 0, 0, 0xf0}, INSN_NONE},
        {{0xc3, 0x21, 0, 0, 0xe1}, INSN_ATOMIC_XCHG32},
        {{0xc3, 0x21, 0, 0, 0x01, 1}, INSN_NONE},
        {{0x18, 0x71, 0, 0, 1}, INSN_NONE},
        {{0xe5, 0, 5, 0}, INSN_MAY_GOTO},
        {{0xe5, 0x10, 5, 0}, INSN_NONE}, // no such condition
        {{0xe5, 0x01, 5, 0}, INSN_NONE},
        {{0xe5, 0, 5, 0, 1}, INSN_NONE},
        {{0xed, 0, 5, 0}, INSN_NONE},
        {{0xe6, 0, 5, 0}, INSN_NONE}, // there is none of 32 bits
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct insn out[1] = {{0}};
        uint32_t bad_pc;
        enum insn_error error = insn_decode(cases[i].bytes, 8, out, &bad_pc);
        CHECK_EQ(out[0].id, cases[i].id);
        CHECK_EQ(error == INSN_OK, cases[i].id != INSN_NONE);
        if (error == INSN_OK && insn_info(out[0].id)->selector == SELECT_IMM) {
            CHECK_EQ(out[0].imm, 0);
        }
    }
}

static void callx_has_two_encodings(void)
{
    static const uint8_t in_dst[8] = {0x8d, 3}, in_imm[8] = {0x8d, 0, 0, 0, 3}, both[8] = {0x8d, 3, 0, 0, 3},
                         high[8] = {0x8d, 0, 0, 0, 11}, negative[8] = {0x8d, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
                         in_src[8] = {0x8d, 0x30};
    struct insn out[1];
    uint8_t bytes[8];
    uint32_t bad_pc;
    REQUIRE(insn_decode(in_imm, 8, out, &bad_pc) == INSN_OK);
    CHECK_EQ(out[0].id, INSN_CALLX);
    CHECK_EQ(out[0].dst, 3);
    CHECK_EQ(out[0].imm, 0);
    REQUIRE(insn_encode(out, 1, bytes, &bad_pc) == INSN_OK);
    CHECK_EQ(memcmp(bytes, in_dst, 8), 0);
    CHECK_EQ(decode(both, 1), INSN_ERR_RESERVED);
    CHECK_EQ(decode(high, 1), INSN_ERR_REGISTER);
    CHECK_EQ(decode(negative, 1), INSN_ERR_REGISTER);
    CHECK_EQ(decode(in_src, 1), INSN_ERR_RESERVED);
}

static void lengths_are_checked(void)
{
    static const uint8_t code[16] = {0xb7, 0, 0, 0, 0, 0, 0, 0, 0xff};
    struct insn out[2];
    uint32_t bad_pc = 99;
    CHECK_EQ(insn_decode(code, 0, out, &bad_pc), INSN_ERR_LENGTH);
    CHECK_EQ(insn_decode(code, 7, out, &bad_pc), INSN_ERR_LENGTH);
    CHECK_EQ(insn_decode(code, 9, out, &bad_pc), INSN_ERR_LENGTH);
    CHECK_EQ(insn_decode(code, (size_t)INSN_SLOT_SIZE * (INSN_MAX_SLOTS + 1), out, &bad_pc), INSN_ERR_LENGTH);
    CHECK_EQ(bad_pc, 0);
    CHECK_EQ(insn_decode(code, 16, out, &bad_pc), INSN_ERR_OPCODE);
    CHECK_EQ(bad_pc, 1);
    CHECK_EQ(insn_encode(out, 0, NULL, &bad_pc), INSN_ERR_LENGTH);
}

static void the_largest_program_decodes(void)
{
    uint8_t *bytes = malloc((size_t)INSN_MAX_SLOTS * INSN_SLOT_SIZE);
    struct insn *out = malloc((size_t)INSN_MAX_SLOTS * sizeof *out);
    uint32_t bad_pc;
    if (bytes != NULL && out != NULL) {
        for (size_t pc = 0; pc < INSN_MAX_SLOTS; pc++) {
            memcpy(bytes + pc * INSN_SLOT_SIZE, (const uint8_t[INSN_SLOT_SIZE]){0x95}, INSN_SLOT_SIZE);
        }
        CHECK_EQ(insn_decode(bytes, (size_t)INSN_MAX_SLOTS * INSN_SLOT_SIZE, out, &bad_pc), INSN_OK);
        CHECK_EQ(out[INSN_MAX_SLOTS - 1].id, INSN_EXIT);
        CHECK_EQ(insn_encode(out, INSN_MAX_SLOTS, bytes, &bad_pc), INSN_OK);
        CHECK_EQ(insn_encode(out, (size_t)INSN_MAX_SLOTS + 1, bytes, &bad_pc), INSN_ERR_LENGTH);
    }
    CHECK(bytes != NULL && out != NULL);
    free(bytes);
    free(out);
}

static void bad_entries_do_not_encode(void)
{
    uint8_t bytes[16];
    uint32_t bad_pc;
    static const struct {
        struct insn in[2];
        unsigned count;
        enum insn_error error;
    } cases[] = {
        {{{.id = INSN_NONE}}, 1, INSN_ERR_OPCODE},
        {{{.id = INSN_ID_COUNT}}, 1, INSN_ERR_OPCODE},
        {{{.id = INSN_MOV64_IMM, .dst = 10}}, 1, INSN_ERR_REGISTER},
        {{{.id = INSN_MOV64_IMM, .src = 1}}, 1, INSN_ERR_RESERVED},
        {{{.id = INSN_MOV64_IMM, .reserved = 1}}, 1, INSN_ERR_RESERVED},
        {{{.id = INSN_MOV64_IMM, .imm = INT64_C(1) << 31}}, 1, INSN_ERR_RESERVED},
        {{{.id = INSN_MOV64_REG, .imm = 1}}, 1, INSN_ERR_RESERVED},
        {{{.id = INSN_SDIV64_REG, .off = 1}}, 1, INSN_ERR_RESERVED},
        {{{.id = INSN_LDDW}}, 1, INSN_ERR_TRUNCATED},
        {{{.id = INSN_LDDW}, {.id = INSN_EXIT}}, 2, INSN_ERR_TRUNCATED},
        {{{.id = INSN_LDDW}, {.imm = 1}}, 2, INSN_ERR_TRUNCATED},
        {{{.id = INSN_LDDW_MAP, .imm = -1}, {0}}, 2, INSN_ERR_RESERVED},
        {{{.id = INSN_LDDW_CODE, .imm = INT64_C(1) << 31}, {0}}, 2, INSN_ERR_RESERVED},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(insn_encode(cases[i].in, cases[i].count, bytes, &bad_pc), cases[i].error);
    }
}

static void targets_are_relative_to_the_next_slot(void)
{
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_JA, .off = -1}, 5), 5);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_JEQ64_IMM, .off = 3, .imm = 77}, 5), 9);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_JSLE32_REG, .off = INT16_MIN}, 0), -32767);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_JA32, .imm = 100000}, 5), 100006);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_MAY_GOTO, .off = -4}, 5), 2);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_CALL_LOCAL, .imm = -6}, 5), 0);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_LDDW_CODE, .imm = 2}, 5), 8);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_CALL, .imm = 2}, 5), -1);
    CHECK_EQ(insn_target(&(struct insn){.id = INSN_EXIT}, 5), -1);
}

static void errors_have_texts(void)
{
    for (unsigned e = INSN_OK; e <= INSN_ERR_LENGTH; e++) {
        CHECK(str_len(insn_error_text((enum insn_error)e)) > 5);
    }
    CHECK_STR(insn_error_text((enum insn_error)99), "unknown error");
}

TEST_SUITE(isa)
{
    RUN(rows_are_complete);
    RUN(every_row_survives_a_round_trip);
    RUN(unused_fields_are_refused);
    RUN(bad_registers_are_refused);
    RUN(second_slots_are_whole);
    RUN(unknown_opcodes_are_refused);
    RUN(selectors_split_shared_opcodes);
    RUN(callx_has_two_encodings);
    RUN(lengths_are_checked);
    RUN(the_largest_program_decodes);
    RUN(bad_entries_do_not_encode);
    RUN(targets_are_relative_to_the_next_slot);
    RUN(errors_have_texts);
}
