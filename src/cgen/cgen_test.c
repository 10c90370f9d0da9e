// SPDX-License-Identifier: MIT
#include "cgen/cgen.h"
#include "proto/proto.h"
#include "tests/sameness.h"
#include "tests/test.h"

static struct {
    char text[1 << 16];
    size_t size;
} out;

static void put(void *user, const char *text, size_t size)
{
    UNUSED(user);
    size_t room = sizeof(out.text) - 1 - out.size, taken = size < room ? size : room;
    memcpy(out.text + out.size, text, taken);
    out.size += taken;
    out.text[out.size] = '\0';
}

static bool contains(const char *piece)
{
    for (const char *at = out.text; *at != '\0'; at++) {
        if (str_starts_with(at, piece)) {
            return true;
        }
    }
    return false;
}

static const struct proto_hasher hasher = {sameness, NULL};

// --- a program -----------------------------------------------------------------------------------

#define SLOTS 64
static struct insn insns[SLOTS];
static struct func funcs[2];
static struct map_def maps[] = {{.type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 12, .max_entries = 3}};
static struct cgen_map module_maps[1];
static const uint32_t map_of[] = {0};
static struct program program;
static struct cgen_error error;
static const struct proto_hasher *current_hasher = &hasher;
static const uint8_t *current_object;
static bool is_driver;
enum { OBJECT_SIZE = 14 };

static void assemble(const char *text)
{
    uint32_t count = 0, bad_line = 0;
    program = (struct program){.type = PROG_TYPE_RAW_MEMORY,
                               .insns = insns,
                               .funcs = funcs,
                               .func_count = 1,
                               .maps = maps,
                               .map_count = 1,
                               .strings = "",
                               .strings_size = 1,
                               .name = "test"};
    CHECK_OK(isa_assemble(text, insns, SLOTS, &count, &bad_line));
    program.insn_count = funcs[0].end = count;
    module_maps[0].def = maps[0];
}

static ebpf_result_t write_with(const uint8_t *evidence, size_t size, struct arena *arena)
{
    const struct cgen_program p = {&program, {evidence, size}, map_of};
    const struct cgen_input input = {.spec = spec_builtin(),
                                     .hasher = current_hasher,
                                     .name = "object.o",
                                     .version = "test",
                                     .programs = &p,
                                     .program_count = 1,
                                     .maps = module_maps,
                                     .map_count = 1,
                                     .object = current_object,
                                     .object_size = OBJECT_SIZE,
                                     .btf_off = 3,
                                     .btf_size = 5,
                                     .driver = is_driver};
    const struct cgen_sink sink = {put, NULL};
    out.size = 0;
    out.text[0] = '\0';
    return cgen_write(&input, &sink, arena, &error);
}

static ebpf_result_t write_text(const char *text)
{
    struct arena arena;
    assemble(text);
    arena_init(&arena, test_mem_source(), 0);
    ebpf_result_t result = write_with(NULL, 0, &arena);
    arena_fini(&arena);
    return result;
}

// --- cases ---------------------------------------------------------------------------------------

static bool fails(void *user, const void *bytes, size_t size, uint8_t digest[32])
{
    UNUSED(user), UNUSED(bytes), UNUSED(size), UNUSED(digest);
    return false;
}

static void no_digest_no_module(void)
{
    static const struct proto_hasher none = {fails, NULL};
    current_hasher = &none;
    CHECK_EQ(write_text("r0 = 0\nexit"), EBPF_FAILED);
    current_hasher = &hasher;
}

static void constants_decide_conditions(void)
{
    REQUIRE_OK(write_text("r0 = 8\nr1 = 3\nr0 /= 5\nr0 %= 0\nr0 s/= -1\nw0 <<= 33\nr0 += -1\nexit"));
    CHECK(contains("r0 = r0 / 5;"));
    CHECK(contains("r0 = r0;"));
    CHECK(contains("r0 = 0 - r0;"));
    CHECK(contains("r0 = (uint32_t)r0 << 1;"));
    CHECK(contains("r0 = r0 + (uint64_t)-1;"));
}

static void array_lookups_are_in_line(void)
{
    REQUIRE_OK(write_text("r2 = r10\nr2 += -4\n*(u32 *)(r2 + 0) = 1\nr1 = map 0 ll\ncall 1\n"
                          "if r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)\nexit"));
    CHECK(contains("STACK(32, -4) = (uint32_t)1;"));
    CHECK(contains("r0 = ARRAY_LOOKUP(&map_bindings[0], STACK(32, -4), 3u, 16u);"));
    CHECK(contains("r0 = SHARED(64, r0);"));
    CHECK(contains(".stride = 16, .uses = 3"));
}

// What is known on one way is not known where another one joins.
static void joins_forget(void)
{
    REQUIRE_OK(write_text("r2 = r10\nr1 = map 0 ll\nif r10 == 0 goto +1\nr2 += -4\ncall 1\nr0 = 0\nexit"));
    CHECK(!contains("ARRAY_LOOKUP"));
    CHECK(contains("r0 = helper_bindings[0](r1, r2, 0, 0, 0, run);"));
}

static void names_mean_nothing_in_c(void)
{
    static const char strings[] = "\0a \\\0x\"\\?\?/ *"
                                  "/\0";
    const struct line line = {.pc = 0, .file_off = 1, .text_off = 5, .line = 7};
    struct arena arena;
    assemble("r0 = 0\nexit");
    program.lines = &line;
    program.line_count = 1;
    program.strings = strings;
    program.strings_size = sizeof(strings);
    str_copy(program.name, sizeof(program.name), "a(){}\n\"\\?\?/");
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(write_with(NULL, 0, &arena));
    arena_fini(&arena);
    CHECK(contains("    // a \\.:7: x\"\\?\?/ */.\n"));
    CHECK(contains("p0_a__________("));
    CHECK(contains(".name = \"a(){}\\012\\042\\134\\077\\077/\","));
}

// A digit behind a number would belong to it; question marks make trigraphs.
static void object_goes_in(void)
{
    static const uint8_t object[] = "a\0"
                                    "7\n8\377\"\\?\?>\1"
                                    "89";
    char text[200];
    current_object = object;
    REQUIRE_OK(write_text("r0 = 0\nexit"));
    current_object = NULL;
    str_format(text, sizeof(text), "EBPF_NATIVE_OBJECT(%u) object = {EBPF_NATIVE_OBJECT_MAGIC, %uu,\n    \"",
               OBJECT_SIZE, OBJECT_SIZE);
    CHECK(contains(text));
    CHECK(contains("\"a\\0007\\0128\\377\\42\\134\\77\\77>\\00189\""));
    CHECK(contains("    .btf = object.bytes + 3,\n    .btf_size = 5,\n"));
    REQUIRE_OK(write_text("r0 = 0\nexit"));
    CHECK(!contains("EBPF_NATIVE_OBJECT") && !contains(".btf"));
}

static void drivers_include_more(void)
{
    is_driver = true;
    REQUIRE_OK(write_text("r0 = 0\nexit"));
    is_driver = false;
    CHECK(contains("#include <ebpf_native.h>\n#include <ebpf_native_driver.h>\n"));
}

static void functions_may_tail_call(void)
{
    assemble("r6 = r1\ncall local +2\nr0 += 1\nexit\ncall 5\nr0 = 7\nexit");
    funcs[0].end = 4;
    funcs[1] = (struct func){.start = 4, .end = 7, .name = "below"};
    program.func_count = 2;
    insns[4].imm = HELPER_TAIL_CALL_LINUX;
    struct arena arena;
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(write_with(NULL, 0, &arena));
    arena_fini(&arena);
    CHECK(contains("    r0 = p0f1_below(r1, r2, r3, r4, r5, run, frame_top);\n"));
    CHECK(contains("__attribute__((noinline)) EBPF_NATIVE_FUNCTION p0f1b_below("));
    CHECK(contains("    run->number = 0; return r0;\n"));
    CHECK(contains("    return next(r0, 0, run, frame_top);\n"));
    CHECK(contains("EBPF_NATIVE_FUNCTION p0_test(uint64_t r1, uint64_t r2, struct ebpf_native_run *run,"));
}

static void untranslatable_is_said(void)
{
    CHECK_EQ(write_text("r1 = 0\nr2 = code +1 ll\nexit"), EBPF_OPERATION_NOT_SUPPORTED);
    assemble("r1 = 0\nr0 = 0\nexit");
    insns[1] = (struct insn){.id = INSN_CALL_BTF, .imm = 1};
    struct arena arena;
    arena_init(&arena, test_mem_source(), 0);
    CHECK_EQ(write_with(NULL, 0, &arena), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(error.pc, 1);
    CHECK_STR(error.why, "functions of the kernel are not there");
    arena_fini(&arena);
}

static void foreign_evidence_is_refused(void)
{
    static const uint32_t rows[][4] = {
        {EVIDENCE_MAGIC + 1, EVIDENCE_FORMAT, 2, 0},
        {EVIDENCE_MAGIC, EVIDENCE_FORMAT + 1, 2, 0},
        {EVIDENCE_MAGIC, EVIDENCE_FORMAT, 3, 0},
        {EVIDENCE_MAGIC, EVIDENCE_FORMAT, 2, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena arena;
        assemble("r0 = 0\nexit");
        arena_init(&arena, test_mem_source(), 0);
        CHECK_EQ(write_with((const uint8_t *)rows[i], sizeof(rows[i]), &arena), EBPF_INVALID_ARGUMENT);
        arena_fini(&arena);
    }
}

static void memory_may_run_out(void)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (unsigned long nth = 1; nth < 100 && result == EBPF_NO_MEMORY; nth++) {
        test_mem_fail(nth);
        result = write_text("r0 = 0\nexit");
    }
    test_mem_fail(0);
    CHECK_OK(result);
    CHECK_EQ(test_mem_live(), 0);
}

TEST_SUITE(cgen)
{
    RUN(no_digest_no_module);
    RUN(constants_decide_conditions);
    RUN(array_lookups_are_in_line);
    RUN(joins_forget);
    RUN(names_mean_nothing_in_c);
    RUN(object_goes_in);
    RUN(drivers_include_more);
    RUN(functions_may_tail_call);
    RUN(untranslatable_is_said);
    RUN(foreign_evidence_is_refused);
    RUN(memory_may_run_out);
}
