// SPDX-License-Identifier: MIT
// Tests of native modules over a scripted context: which requests a load makes, what happens when the module
// is not what its object says, and what is undone then. The image is made here around an object of
// tests/elf; nothing runs it.
#include <errno.h>
#include <stdlib.h>

#include "lib/lib_testing.h"

#define IMAGE "lib_module_test.image" // in the working directory: paths have to become absolute

enum { NAMES = 64 + 56, SECTIONS = NAMES + 16, OBJECT = SECTIONS + 3 * 64, HEADER = 16 };

// --- images --------------------------------------------------------------------------------------

static void put(uint8_t *bytes, size_t off, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        bytes[off + i] = (uint8_t)(value >> 8 * i);
    }
}

static void put_section(uint8_t *f, unsigned index, uint32_t name, uint64_t off, uint64_t size)
{
    put(f, SECTIONS + 64 * index, 4, name);
    put(f, SECTIONS + 64 * index + 4, 4, 1);
    put(f, SECTIONS + 64 * index + 24, 8, off);
    put(f, SECTIONS + 64 * index + 32, 8, size);
}

// A shared object without code around tests/elf/`name`. The caller frees it.
static uint8_t *make_image(const char *name, size_t *size)
{
    char path[600];
    uint8_t *object = NULL;
    size_t object_size = 0;
    str_format(path, sizeof(path), "%s/tests/elf/%s", TEST_SOURCE_DIR, name);
    if (lib_read_file(path, &object, &object_size) != EBPF_SUCCESS) {
        return NULL;
    }
    *size = OBJECT + HEADER + object_size;
    uint8_t *f = calloc(1, *size);
    memcpy(f,
           "\x7f"
           "ELF\2\1\1",
           7);
    put(f, 16, 2, 3);
    put(f, 18, 2, 62);
    put(f, 32, 8, 64);
    put(f, 40, 8, SECTIONS);
    put(f, 54, 2, 56);
    put(f, 56, 2, 1);
    put(f, 58, 2, 64);
    put(f, 60, 2, 3);
    put(f, 62, 2, 1);
    memcpy(f + NAMES, "\0.ebpfobj", 10);
    put_section(f, 1, 0, NAMES, 10);
    put_section(f, 2, 1, OBJECT, HEADER + object_size);
    memcpy(f + OBJECT, ELF_MODULE_MAGIC, 8);
    put(f, OBJECT + 8, 8, object_size);
    memcpy(f + OBJECT + HEADER, object, object_size);
    lib_free(object);
    return f;
}

static struct bpf_object *open_image(const char *name)
{
    size_t size = 0;
    uint8_t *image = make_image(name, &size);
    FILE *file = fopen(IMAGE, "wb");
    bool written = image != NULL && file != NULL && fwrite(image, 1, size, file) == size;
    written = file != NULL && fclose(file) == 0 && written;
    free(image);
    struct bpf_object *obj = written ? bpf_object__open(IMAGE) : NULL;
    remove(IMAGE); // the context has it by then
    return obj;
}

// --- what the context answers --------------------------------------------------------------------

static void queue_module(ebpf_result_t result, const char *why)
{
    struct proto_module_load_reply reply = {.text_size = (uint32_t)str_len(why) + 1};
    fake_reply(PROTO_MODULE_LOAD, result, &reply, why, reply.text_size);
}

// A row: a canonical program of the type, and rows of maps.
static void queue_row(const char *name, uint32_t type, uint32_t attach_type, const uint32_t *maps,
                      uint32_t count)
{
    static const struct insn insns[] = {{.id = INSN_MOV64_IMM}, {.id = INSN_EXIT}};
    static const struct func funcs[] = {{0, 2, 0, "main"}};
    struct program p = {.type = type, .attach_type = attach_type, .insns = insns, .insn_count = 2};
    struct proto_module_program_reply reply = {.map_count = count};
    uint8_t tail[1024];
    p.funcs = funcs;
    p.func_count = 1;
    p.strings = "";
    p.strings_size = 1;
    str_copy(reply.name, sizeof(reply.name), name);
    reply.canonical_size = (uint32_t)proto_program_encode(&p, tail, sizeof(tail));
    if (count != 0) {
        memcpy(tail + reply.canonical_size, maps, count * sizeof(*maps));
    }
    fake_reply(PROTO_MODULE_PROGRAM, EBPF_SUCCESS, &reply, tail,
               reply.canonical_size + count * sizeof(*maps));
}

static void queue_one(void)
{
    queue_row("one", PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY, NULL, 0);
}

static void queue_load(ebpf_result_t result, const char *text)
{
    struct proto_prog_load_reply reply = {.text_size = (uint32_t)str_len(text) + 1};
    fake_reply(PROTO_PROG_LOAD, result, &reply, text, reply.text_size);
}

static char said[4096];

static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
    size_t used = str_len(said);
    UNUSED(level);
    return vsnprintf(said + used, sizeof(said) - used, format, args);
}

// Loads tiny_one.o's module over the script that is queued, which is to end in `result` and say `sentence`;
// nothing may be left.
static void load_badly(struct bpf_object *obj, int wanted, const char *sentence)
{
    libbpf_print_fn_t former = libbpf_set_print(keep);
    said[0] = '\0';
    REQUIRE(obj != NULL);
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-wanted);
    if (strstr(said, sentence) == NULL) {
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", said, sentence);
    }
    CHECK(fake_script_is_done());
    CHECK_EQ(fake_open_fds(), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
}

// --- cases ---------------------------------------------------------------------------------------

static bool is_absolute(const char *path)
{
    return path[0] == '/' || (path[0] != '\0' && path[1] == ':');
}

static void a_module_is_loaded_by_its_path(void)
{
    unsigned long live = lib_alloc_live();
    struct proto_prog_load_request sent;
    fake_reset();
    struct bpf_object *obj = open_image("tiny_one.o");
    REQUIRE(obj != NULL);
    CHECK_STR(bpf_object__name(obj), "lib_module_test");
    queue_module(EBPF_SUCCESS, "");
    queue_one();
    queue_load(EBPF_SUCCESS, "");
    CHECK_EQ(bpf_object__load(obj), 0);
    CHECK(fake_script_is_done());
    const char *path = (const char *)fake_sent(0)->tail;
    CHECK(is_absolute(path) && strstr(path, IMAGE) != NULL);
    CHECK_EQ(fake_sent(0)->tail_size, str_len(path) + 1);
    memcpy(&sent, fake_sent(2)->fixed, sizeof(sent));
    CHECK_EQ(sent.native, 1);
    CHECK_EQ(fake_sent(2)->header.objects, 1);
    CHECK_EQ(fake_sent(2)->fds[0], fake_sent(1)->fds[0]); // the module
    CHECK(bpf_program__fd(bpf_object__find_program_by_name(obj, "one")) >= 0);
    CHECK_EQ(fake_open_fds(), 1); // the program, which holds the module
    bpf_object__close(obj);
    CHECK_EQ(fake_open_fds(), 0);
    CHECK_EQ(lib_alloc_live(), live);
}

static void programs_are_found_by_name(void)
{
    struct proto_prog_load_request sent;
    struct proto_module_program_request row;
    fake_reset();
    struct bpf_object *obj = open_image("tiny_one.o");
    REQUIRE(obj != NULL);
    queue_module(EBPF_SUCCESS, "");
    queue_row("other", PROG_TYPE_XDP, ATTACH_TYPE_XDP, NULL, 0);
    queue_row("other", PROG_TYPE_XDP, ATTACH_TYPE_XDP, NULL, 0); // once more, from the start
    queue_one();
    queue_load(EBPF_SUCCESS, "");
    CHECK_EQ(bpf_object__load(obj), 0);
    memcpy(&row, fake_sent(3)->fixed, sizeof(row));
    CHECK_EQ(row.index, 1);
    memcpy(&sent, fake_sent(4)->fixed, sizeof(sent));
    CHECK_EQ(sent.native, 2);
    bpf_object__close(obj);
    CHECK_EQ(fake_open_fds(), 0);
}

static void maps_are_those_of_the_rows(void)
{
    static const uint32_t maps[] = {2, 0}; // .rodata, counts
    fake_reset();
    struct bpf_object *obj = open_image("rich_native.o");
    struct bpf_map *map;
    REQUIRE(obj != NULL);
    bpf_object__for_each_map(map, obj)
    {
        bpf_map__set_autocreate(map, map == bpf_object__find_map_by_name(obj, "counts") ||
                                         map == bpf_object__find_map_by_name(obj, ".rodata"));
    }
    bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "callback"), false);
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_FREEZE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_MEMORY, EBPF_OPERATION_NOT_SUPPORTED, NULL, NULL, 0);
    queue_module(EBPF_SUCCESS, "");
    queue_row("count", PROG_TYPE_XDP, ATTACH_TYPE_XDP, maps, 2);
    queue_load(EBPF_SUCCESS, "");
    CHECK_EQ(bpf_object__load(obj), 0);
    const struct fake_sent *sent = fake_sent(fake_sent_count() - 1);
    CHECK_EQ(sent->header.objects, 3);
    CHECK_EQ(sent->fds[0], bpf_object__find_map_fd_by_name(obj, ".rodata"));
    CHECK_EQ(sent->fds[1], bpf_object__find_map_fd_by_name(obj, "counts"));
    bpf_object__close(obj);
    CHECK_EQ(fake_open_fds(), 0);
}

static void a_map_that_is_not_there_is_named(void)
{
    static const uint32_t flows = 1, none = 77;
    for (int i = 0; i < 2; i++) {
        fake_reset();
        struct bpf_object *obj = open_image("rich_native.o");
        struct bpf_map *map;
        REQUIRE(obj != NULL);
        bpf_object__for_each_map(map, obj)
        {
            bpf_map__set_autocreate(map, false);
        }
        queue_module(EBPF_SUCCESS, "");
        queue_row("count", PROG_TYPE_XDP, ATTACH_TYPE_XDP, i == 0 ? &flows : &none, 1);
        load_badly(obj, i == 0 ? EINVAL : ebpf_result_errno(EBPF_OPERATION_NOT_SUPPORTED),
                   i == 0 ? "uses map 'flows', which is not to be created" : "map of maps");
    }
}

static void a_refused_module_says_why(void)
{
    fake_reset();
    queue_module(EBPF_BLOCKED_BY_POLICY, "the file belongs to user 7");
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_BLOCKED_BY_POLICY), IMAGE "'");
    CHECK(strstr(said, ": the file belongs to user 7") != NULL);
    fake_reset();
    fake_reply(PROTO_MODULE_LOAD, EBPF_NO_MEMORY, NULL, NULL, 0);
    load_badly(open_image("tiny_one.o"), ENOMEM, ebpf_result_text(EBPF_NO_MEMORY));
    fake_reset();
    struct proto_module_load_reply lie = {.text_size = 100};
    fake_reply(PROTO_MODULE_LOAD, EBPF_INVALID_OBJECT, &lie, "short", 6);
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_INVALID_OBJECT), "failed to load object");
    fake_reset();
    fake_fail(PROTO_MODULE_LOAD, EBPF_RPC_EXCEPTION);
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_RPC_EXCEPTION), "failed to load object");
}

static void a_refused_program_says_why(void)
{
    fake_reset();
    queue_module(EBPF_SUCCESS, "");
    queue_one();
    queue_load(EBPF_PROGRAM_LOAD_FAILED, "the digest is wrong\n");
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_PROGRAM_LOAD_FAILED), "the digest is wrong");
}

static void a_module_of_another_object_is_refused(void)
{
    fake_reset();
    queue_module(EBPF_SUCCESS, "");
    queue_row("other", PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY, NULL, 0);
    queue_row("other", PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY, NULL, 0);
    fake_reply(PROTO_MODULE_PROGRAM, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_INVALID_OBJECT),
               "the module has no code of it");
    fake_reset();
    queue_module(EBPF_SUCCESS, "");
    fake_reply(PROTO_MODULE_PROGRAM, EBPF_NO_MORE_KEYS, NULL, NULL, 0); // a module without programs
    fake_reply(PROTO_MODULE_PROGRAM, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_INVALID_OBJECT),
               "the module has no code of it");
}

static void rows_that_are_none_are_refused(void)
{
    static const struct proto_module_program_reply lies[] = {
        {.name = "one", .canonical_size = 100},
        {.name = "one", .canonical_size = 4, .map_count = 1},
        {.name = "one", .canonical_size = UINT32_MAX, .map_count = 1},
        {.name = "one", .map_count = 1 << 30},
        {.name = "one", .map_count = SPEC_MAX_MAPS + 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        fake_reset();
        queue_module(EBPF_SUCCESS, "");
        fake_reply(PROTO_MODULE_PROGRAM, EBPF_SUCCESS, &lies[i], "1234", 4);
        load_badly(open_image("tiny_one.o"), ebpf_result_errno(EBPF_RPC_EXCEPTION),
                   "the module has no code of it");
    }
    fake_reset();
    const struct proto_module_program_reply junk = {.name = "one", .canonical_size = 4};
    queue_module(EBPF_SUCCESS, "");
    fake_reply(PROTO_MODULE_PROGRAM, EBPF_SUCCESS, &junk, "1234", 4);
    libbpf_print_fn_t former = libbpf_set_print(keep);
    struct bpf_object *obj = open_image("tiny_one.o");
    REQUIRE(obj != NULL);
    said[0] = '\0';
    CHECK(bpf_object__load(obj) < 0);
    CHECK(strstr(said, "what the module has of it is no program") != NULL);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK_EQ(fake_open_fds(), 0);
}

static void the_type_is_the_codes(void)
{
    fake_reset();
    queue_module(EBPF_SUCCESS, "");
    queue_one();
    struct bpf_object *obj = open_image("tiny_one.o");
    REQUIRE(obj != NULL);
    CHECK_EQ(bpf_program__set_type(bpf_object__next_program(obj, NULL), BPF_PROG_TYPE_XDP), 0);
    load_badly(obj, EINVAL,
               "is for type raw_memory, attached as raw_memory, and cannot be loaded as xdp, xdp");
}

static void without_programs_there_is_no_module(void)
{
    fake_reset();
    struct bpf_object *obj = open_image("tiny_one.o");
    REQUIRE(obj != NULL);
    CHECK_EQ(bpf_program__set_autoload(bpf_object__next_program(obj, NULL), false), 0);
    CHECK_EQ(bpf_object__load(obj), 0);
    CHECK_EQ(fake_sent_count(), 0);
    bpf_object__close(obj);
}

static void a_module_from_memory_has_no_file(void)
{
    size_t size = 0;
    uint8_t *image = make_image("tiny_one.o", &size);
    REQUIRE(image != NULL);
    fake_reset();
    load_badly(bpf_object__open_mem(image, size, NULL), EINVAL, "open it by its path");
    libbpf_print_fn_t former = libbpf_set_print(keep);
    said[0] = '\0';
    CHECK(bpf_object__open_mem(image, size - 1, NULL) == NULL);
    CHECK_EQ(errno, LIBBPF_ERRNO__FORMAT);
    CHECK(strstr(said, "truncated") != NULL);
    libbpf_set_print(former);
    free(image);
}

// Opens and loads with the n-th allocation failing; true once nothing failed.
static bool survives(unsigned long n)
{
    fake_reset();
    lib_alloc_fail(n);
    struct bpf_object *obj = open_image("tiny_one.o");
    queue_module(EBPF_SUCCESS, "");
    queue_one();
    queue_load(EBPF_SUCCESS, "");
    bool loaded = obj != NULL && bpf_object__load(obj) == 0;
    lib_alloc_fail(0);
    if (obj != NULL && !loaded) {
        CHECK(bpf_program__fd(bpf_object__next_program(obj, NULL)) < 0);
    }
    bpf_object__close(obj);
    return loaded;
}

static void every_allocation_may_fail(void)
{
    unsigned long live = lib_alloc_live(), n = 1, failed = 0;
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    // An arena recovers from some failures: several loads in a row end the walk.
    for (unsigned in_a_row = 0; in_a_row < 4 && n < 500; n++) {
        bool loaded = survives(n);
        in_a_row = loaded ? in_a_row + 1 : 0;
        failed += !loaded;
        CHECK_EQ(lib_alloc_live(), live);
    }
    libbpf_set_print(former);
    CHECK(failed > 5 && n < 500);
}

TEST_SUITE(lib_module)
{
    RUN(a_module_is_loaded_by_its_path);
    RUN(programs_are_found_by_name);
    RUN(maps_are_those_of_the_rows);
    RUN(a_map_that_is_not_there_is_named);
    RUN(a_refused_module_says_why);
    RUN(a_refused_program_says_why);
    RUN(a_module_of_another_object_is_refused);
    RUN(rows_that_are_none_are_refused);
    RUN(the_type_is_the_codes);
    RUN(without_programs_there_is_no_module);
    RUN(a_module_from_memory_has_no_file);
    RUN(every_allocation_may_fail);
}
