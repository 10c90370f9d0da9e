// SPDX-License-Identifier: MIT
// The samples as compiled in this build: each opens in the dialect that it was written for, and the
// verifier's verdict is the one that its first lines promise.
#include <stdio.h>
#include <stdlib.h>

#include "elf/elf.h"
#include "plat/plat.h"
#include "tests/test.h"
#include "verifier/verifier.h"

struct sample {
    const char *file, *program;
    enum dialect dialect;
    uint32_t map_count;
    unsigned rule; // that refuses it; RULE_NONE: it is accepted
};

static uint8_t *read_object(const char *name, size_t *size)
{
    char path[1024];
    str_format(path, sizeof(path), "%s/%s", SAMPLES_DIR, name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? malloc(1 << 20) : NULL;
    if (bytes != NULL) {
        *size = fread(bytes, 1, 1 << 20, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void check_verdict(const struct program *program, unsigned rule, struct arena *arena)
{
    struct verify_options options = {.spec = spec_builtin()};
    struct verify_report report = {0};
    REQUIRE_OK(verify_program(program, &options, arena, &report));
    CHECK_EQ(report.accepted, rule == RULE_NONE);
    if (rule == RULE_NONE && !report.accepted) {
        test_fail(__FILE__, __LINE__, "%s: pc %u: %s", program->name, (unsigned)report.findings[0].pc,
                  report.findings[0].message);
    }
    if (rule != RULE_NONE && !report.accepted) {
        CHECK_STR(rule_row(report.findings[0].rule)->name, rule_row(rule)->name);
        CHECK(program_line(program, report.findings[0].pc) != NULL); // the finding can name its source line
    }
}

static void check_object(const struct sample *sample, const uint8_t *bytes, size_t size, struct arena *arena)
{
    // The other platform's default, so that the object alone must say what it is.
    struct elf_options options = {.spec = spec_builtin(),
                                  .platform_default =
                                      sample->dialect == DIALECT_LINUX ? DIALECT_WINDOWS : DIALECT_LINUX};
    struct elf_object object;
    struct elf_error error;
    struct program program;
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE_OK(elf_open(bytes, size, &options, arena, &object, &error));
    CHECK_EQ(object.dialect, sample->dialect);
    CHECK_EQ(object.map_count, sample->map_count);
    REQUIRE(object.program_count == 1);
    CHECK_STR(object.programs[0].name, sample->program);
    CHECK_EQ(object.programs[0].attach_type, ATTACH_TYPE_XDP);
    REQUIRE_OK(elf_program_canonical(&object, 0, spec_builtin(), PROG_TYPE_XDP, ATTACH_TYPE_XDP, arena,
                                     &program, map_of, &error));
    check_verdict(&program, sample->rule, arena);
}

static void check_sample(const struct sample *sample)
{
    struct arena arena;
    size_t size = 0;
    uint8_t *bytes = read_object(sample->file, &size);
    REQUIRE(bytes != NULL);
    arena_init(&arena, plat_mem_source(), 0);
    check_object(sample, bytes, size, &arena);
    arena_fini(&arena);
    free(bytes);
}

static const struct sample samples[] = {
    {"droppacket.o", "DropPacket", DIALECT_WINDOWS, 1, RULE_NONE},
    {"counter.o", "CountPackets", DIALECT_WINDOWS, 2, RULE_NONE},
#ifdef SAMPLES_LINUX
    {"linux_xdp.o", "guard", DIALECT_LINUX, 2, RULE_NONE},
#endif
    {"bad/no_bounds_check.o", "DropPacketTrusting", DIALECT_WINDOWS, 0, RULE_PACKET_BOUNDS},
};

TEST_SUITE(samples)
{
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        RUN_WITH(samples[i].file, check_sample, &samples[i]);
    }
}
