// SPDX-License-Identifier: MIT
// End to end: the public API over one of the transports (peer.h), with the real reader, verifier, runtime and
// hooks. Every case ends with no object, no pin and no allocation of the library left.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "lib/lib_int.h"
#include "plat/plat.h"
#include "tests/lib/peer.h"
#include "tests/test.h"

#define OBJECT(name) TEST_SOURCE_DIR "/tests/elf/" name

// The C libraries have different numbers for it, and Windows' has two.
static int not_supported(void)
{
    return ebpf_result_errno(EBPF_OPERATION_NOT_SUPPORTED);
}

static unsigned count_objects(ebpf_object_kind_t kind)
{
    uint32_t id = 0;
    unsigned count = 0;
    while (ebpf_object_get_next_id(kind, id, &id) == EBPF_SUCCESS) {
        count++;
    }
    return count;
}

static unsigned count_pins(void)
{
    char path[EBPF_PATH_SIZE] = "";
    ebpf_object_kind_t kind = EBPF_OBJECT_KIND_ANY;
    unsigned count = 0;
    while (ebpf_get_next_pinned_object_path(path, path, sizeof(path), &kind) == EBPF_SUCCESS) {
        kind = EBPF_OBJECT_KIND_ANY;
        count++;
    }
    return count;
}

static bool nothing_is_left(void)
{
    return count_objects(EBPF_OBJECT_KIND_MAP) == 0 && count_objects(EBPF_OBJECT_KIND_PROGRAM) == 0 &&
           count_objects(EBPF_OBJECT_KIND_LINK) == 0 && count_pins() == 0 && lib_alloc_live() == 0;
}

bool lib_e2e_is_native(void)
{
    return getenv("EBPF_TEST_MODULES") != NULL;
}

// rich.o goes without what this system does not know: a map of no known type, a helper of no known number.
// Its native module does not have them.
static void leave_out_unknown(struct bpf_object *obj)
{
    struct bpf_map *map;
    struct bpf_program *prog;
    bpf_object__for_each_map(map, obj)
    {
        bpf_map__set_autocreate(map, !str_equal(bpf_map__name(map), "strange"));
    }
    bpf_object__for_each_program(prog, obj)
    {
        bpf_program__set_autoload(prog, bpf_program__autoload(prog) &&
                                            !str_equal(bpf_program__name(prog), "callback"));
    }
}

struct bpf_object *lib_e2e_open(const char *name)
{
    const char *folder = getenv("EBPF_TEST_MODULES");
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name);
    char path[1024];
    str_format(path, sizeof(path), "%s/%s%s", folder != NULL ? folder : TEST_SOURCE_DIR "/tests/elf", name,
               folder != NULL ? ".so" : ".o");
    struct bpf_object *obj = bpf_object__open_file(path, &opts);
    if (obj != NULL) {
        leave_out_unknown(obj);
    }
    return obj;
}

static struct bpf_object *open_rich(void)
{
    return lib_e2e_open("rich");
}

static uint32_t run(int prog_fd)
{
    uint8_t frame[64] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
    return bpf_prog_test_run_opts(prog_fd, &opts) == 0 ? opts.retval : UINT32_MAX;
}

// --- load ----------------------------------------------------------------------------------------

static void loads_and_runs(void)
{
    struct bpf_object *obj = open_rich();
    struct bpf_program *prog;
    struct bpf_map *counts;
    uint32_t key = 0;
    uint64_t value = 1;
    REQUIRE(obj != NULL);
    CHECK_STR(bpf_object__name(obj), "rich");
    CHECK_EQ(bpf_object__kversion(obj), 0x50607);
    prog = bpf_object__find_program_by_name(obj, "count");
    counts = bpf_object__find_map_by_name(obj, "counts");
    REQUIRE(prog != NULL && counts != NULL);
    CHECK_EQ(bpf_program__fd(prog), (unsigned long long)-ENOENT);
    CHECK_EQ(bpf_object__load(obj), 0);
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-EINVAL); // once only
    CHECK(bpf_program__fd(prog) >= 0);
    CHECK_EQ(run(bpf_program__fd(prog)), 3); // `config`
    CHECK_EQ(bpf_map__lookup_elem(counts, &key, 4, &value, 8, 0), 0);
    CHECK_EQ(bpf_map__lookup_elem(counts, &key, 4, &value, 4, 0), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map__lookup_elem(counts, &key, 2, &value, 8, 0), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map__set_max_entries(counts, 9), (unsigned long long)-EBUSY);
    CHECK_EQ(bpf_program__set_autoload(prog, false), (unsigned long long)-EINVAL);
    CHECK(bpf_program__fd(bpf_object__find_program_by_name(obj, "by_hand")) < 0);
    bpf_object__close(obj);
    CHECK_OK(ebpf_object_unpin("flows")); // pinned by name
    CHECK(nothing_is_left());
}

static unsigned warnings;
static char last_log[512];

static int keep_log(enum libbpf_print_level level, const char *format, va_list args)
{
    char text[512];
    int size = vsnprintf(text, sizeof(text), format, args);
    warnings += level == LIBBPF_WARN;
    if (strstr(text, "BEGIN PROG LOAD LOG") != NULL) {
        memcpy(last_log, text, sizeof(last_log));
    }
    return size;
}

static void load_with_other_rodata(struct bpf_object *obj)
{
    libbpf_print_fn_t former = libbpf_set_print(keep_log);
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-EINVAL);
    CHECK(strstr(last_log, "a map does not hold for ever what the program says that it holds") != NULL);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

static void global_data_has_its_initial_value(void)
{
    struct bpf_object *obj = open_rich();
    struct bpf_map *rodata, *bss;
    const void *initial;
    uint32_t words[3], key = 0;
    size_t size = 0;
    uint64_t zeros[5];
    REQUIRE(obj != NULL);
    rodata = bpf_object__find_map_by_name(obj, ".rodata");
    bss = bpf_object__find_map_by_name(obj, ".bss");
    REQUIRE(rodata != NULL && bss != NULL);
    CHECK(bpf_map__is_internal(rodata));
    initial = bpf_map__initial_value(rodata, &size);
    REQUIRE(initial != NULL && size == sizeof(words));
    memcpy(words, initial, sizeof(words));
    words[0] = 44; // `config`
    CHECK_EQ(bpf_map__set_initial_value(rodata, words, 4), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map__set_initial_value(rodata, words, sizeof(words)), 0);
    CHECK_EQ(bpf_map__set_value_size(rodata, 64), (unsigned long long)-not_supported());
    if (lib_e2e_is_native()) { // and frozen data is part of what its code was made of
        load_with_other_rodata(obj);
        return;
    }
    REQUIRE(bpf_object__load(obj) == 0);
    CHECK_EQ(run(bpf_program__fd(bpf_object__find_program_by_name(obj, "count"))), 44);
    CHECK_EQ(bpf_map__update_elem(rodata, &key, 4, words, sizeof(words), 0),
             (unsigned long long)-ebpf_result_errno(EBPF_ACCESS_DENIED)); // frozen
    CHECK_EQ(bpf_map__lookup_elem(bss, &key, 4, zeros, sizeof(zeros), 0), 0);
    CHECK_EQ(zeros[4], 0);
    CHECK_EQ(bpf_map__set_initial_value(rodata, words, sizeof(words)), (unsigned long long)-EBUSY);
    bpf_object__close(obj);
    CHECK_OK(ebpf_object_unpin("flows"));
    CHECK(nothing_is_left());
}

// A program that calls a function which nobody defines.
static struct bpf_object *open_refused(void)
{
    return bpf_object__open(TEST_SOURCE_DIR "/tests/elf/extern_weak.o");
}

static void a_refused_program_leaves_nothing(void)
{
    libbpf_print_fn_t former = libbpf_set_print(keep_log);
    struct bpf_object *obj = open_refused();
    char buffer[1024] = "";
    REQUIRE(obj != NULL);
    last_log[0] = 0;
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-EACCES);
    CHECK_EQ(errno, EACCES);
    CHECK(strstr(last_log, "unresolved-relocation") != NULL);
    CHECK_EQ(count_objects(EBPF_OBJECT_KIND_MAP), 0); // though the object is still open
    CHECK_EQ(count_objects(EBPF_OBJECT_KIND_PROGRAM), 0);
    CHECK_EQ(count_pins(), 0);
    bpf_object__close(obj);
    obj = open_refused();
    REQUIRE(obj != NULL);
    CHECK_EQ(bpf_program__set_log_buf(bpf_object__find_program_by_name(obj, "prog"), buffer, sizeof(buffer)),
             0);
    last_log[0] = 0;
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-EACCES);
    CHECK(strstr(buffer, "unresolved-relocation") != NULL);
    CHECK_STR(last_log, ""); // the caller's buffer takes the place of the callback
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

// What can be verified here and not run is refused at the end of the load, and leaves nothing either.
static void a_program_that_cannot_run_here_is_refused(void)
{
    if (lib_e2e_is_native()) {
        SKIP("no module is made of such a program");
    }
    libbpf_print_fn_t former = libbpf_set_print(keep_log);
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "callback"), true);
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-not_supported());
    CHECK_EQ(count_objects(EBPF_OBJECT_KIND_PROGRAM), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

// Values of .kconfig come from the options; what is neither there nor weak keeps the object from being
// loaded.
static void kconfig_comes_from_the_options(void)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .kconfig = "CONFIG_HZ=250");
    libbpf_print_fn_t former = libbpf_set_print(keep_log);
    const char *path = TEST_SOURCE_DIR "/tests/elf/extern.o";
    struct bpf_object *obj = bpf_object__open(path);
    REQUIRE(obj != NULL);
    CHECK(bpf_object__load(obj) < 0);
    bpf_object__close(obj);
    obj = bpf_object__open_file(path, &opts);
    REQUIRE(obj != NULL);
    CHECK_EQ(bpf_object__load(obj), 0);
    CHECK_EQ(run(bpf_program__fd(bpf_object__find_program_by_name(obj, "prog"))), 250);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

static void an_unknown_map_type_is_refused(void)
{
    if (lib_e2e_is_native()) {
        SKIP("no module is made of such an object");
    }
    libbpf_print_fn_t former = libbpf_set_print(keep_log);
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "strange"), true);
    CHECK(bpf_object__load(obj) < 0);
    CHECK(nothing_is_left() || lib_alloc_live() != 0);
    CHECK_EQ(count_objects(EBPF_OBJECT_KIND_MAP), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

static void objects_that_are_none(void)
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    CHECK(bpf_object__open_file(OBJECT("no such file"), NULL) == NULL);
    CHECK_EQ(errno, ENOENT);
    CHECK(bpf_object__open_file(OBJECT("big_endian.o"), NULL) == NULL);
    CHECK_EQ(errno, not_supported());
    CHECK(bpf_object__open_mem("junk", 4, NULL) == NULL);
    CHECK_EQ(errno, LIBBPF_ERRNO__FORMAT);
    CHECK(bpf_object__open_mem(NULL, 4, NULL) == NULL);
    CHECK_EQ(errno, EINVAL);
    CHECK(bpf_object__open_file(NULL, NULL) == NULL);
    CHECK_EQ(errno, EINVAL);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

// --- pins ----------------------------------------------------------------------------------------

static uint32_t id_of(int fd)
{
    struct ebpf_object_info info;
    return ebpf_object_get_info(fd, &info) == EBPF_SUCCESS ? info.id : 0;
}

static void maps_pinned_by_name_are_shared(void)
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    struct bpf_object *first = open_rich(), *second = open_rich(), *other = open_rich();
    REQUIRE(first != NULL && second != NULL && other != NULL);
    CHECK_EQ(bpf_object__load(first), 0);
    CHECK_EQ(bpf_object__load(second), 0);
    CHECK(bpf_map__is_pinned(bpf_object__find_map_by_name(second, "flows")));
    CHECK_EQ(id_of(bpf_object__find_map_fd_by_name(first, "flows")),
             id_of(bpf_object__find_map_fd_by_name(second, "flows")));
    CHECK(id_of(bpf_object__find_map_fd_by_name(first, "counts")) !=
          id_of(bpf_object__find_map_fd_by_name(second, "counts")));
    bpf_map__set_max_entries(bpf_object__find_map_by_name(other, "flows"), 3);
    CHECK_EQ(bpf_object__load(other), (unsigned long long)-EINVAL); // another definition
    bpf_object__close(other);
    bpf_object__close(second);
    bpf_object__close(first);
    CHECK_EQ(count_pins(), 1); // what others made is not undone by a load that failed
    CHECK_EQ(count_objects(EBPF_OBJECT_KIND_MAP), 1);
    CHECK_OK(ebpf_object_unpin("flows"));
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

static void objects_are_pinned_whole_or_not(void)
{
    struct bpf_object *obj = open_rich();
    int fd;
    REQUIRE(obj != NULL);
    REQUIRE(bpf_object__load(obj) == 0);
    CHECK_EQ(bpf_object__pin(obj, "all"), 0);
    CHECK(count_pins() > 3);
    fd = bpf_obj_get("all/counts");
    CHECK_EQ(id_of(fd), id_of(bpf_object__find_map_fd_by_name(obj, "counts")));
    CHECK_OK(ebpf_close_fd(fd));
    CHECK_EQ(bpf_object__pin(obj, "all"), (unsigned long long)-EEXIST);
    CHECK_EQ(bpf_object__unpin(obj, "all"), 0);
    CHECK_EQ(count_pins(), 1);
    CHECK_EQ(bpf_obj_pin(bpf_object__find_map_fd_by_name(obj, "counts"), "half/count"),
             0); // in a program's place
    CHECK_EQ(bpf_object__pin(obj, "half"), (unsigned long long)-EEXIST);
    CHECK_EQ(count_pins(), 2); // its maps are not pinned any more
    CHECK_OK(ebpf_object_unpin("half/count"));
    CHECK_OK(ebpf_object_unpin("flows"));
    bpf_object__close(obj);
    CHECK(nothing_is_left());
}

static void another_map_in_its_place(void)
{
    struct bpf_object *obj = open_rich();
    struct bpf_map *counts;
    uint32_t key = 0;
    uint64_t value = 0;
    int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mine", 4, 8, 4, NULL);
    REQUIRE(obj != NULL && fd >= 0);
    counts = bpf_object__find_map_by_name(obj, "counts");
    bpf_map__set_pin_path(bpf_object__find_map_by_name(obj, "flows"), NULL);
    CHECK_EQ(bpf_map__reuse_fd(counts, fd), 0);
    REQUIRE(bpf_object__load(obj) == 0);
    CHECK_EQ(id_of(bpf_map__fd(counts)), id_of(fd));
    CHECK(bpf_map__fd(counts) != fd); // a descriptor of its own
    run(bpf_program__fd(bpf_object__find_program_by_name(obj, "count")));
    bpf_object__close(obj);
    CHECK_EQ(bpf_map_lookup_elem(fd, &key, &value), 0); // still ours
    CHECK_OK(ebpf_close_fd(fd));
    CHECK(nothing_is_left());
}

// --- links ---------------------------------------------------------------------------------------

static void links_attach_and_detach(void)
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    struct bpf_object *obj = lib_e2e_open("windows_section");
    struct bpf_program *prog;
    struct bpf_link *link;
    struct ebpf_object_info info;
    REQUIRE(obj != NULL);
    prog = bpf_object__next_program(obj, NULL);
    CHECK(bpf_program__attach(prog) == NULL); // not loaded
    REQUIRE(bpf_object__load(obj) == 0);
    link = bpf_program__attach(prog);
    REQUIRE(link != NULL);
    CHECK_OK(ebpf_object_get_info(bpf_link__fd(link), &info));
    CHECK_STR(info.type, "bind");
    CHECK(info.attached);
    CHECK(bpf_program__attach(prog) == NULL); // the point is taken
    CHECK_EQ(errno, EBUSY);
    CHECK_EQ(bpf_link__update_program(link, prog), 0);
    CHECK_EQ(bpf_link__detach(link), 0);
    CHECK_OK(ebpf_object_get_info(bpf_link__fd(link), &info));
    CHECK(!info.attached);
    CHECK_EQ(bpf_link__destroy(link), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

static void xdp_needs_an_interface(void)
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    struct bpf_object *obj = open_rich();
    struct bpf_program *prog;
    REQUIRE(obj != NULL);
    bpf_map__set_pin_path(bpf_object__find_map_by_name(obj, "flows"), NULL);
    REQUIRE(bpf_object__load(obj) == 0);
    prog = bpf_object__find_program_by_name(obj, "count");
    CHECK(bpf_program__attach(prog) == NULL);
    CHECK_EQ(errno, not_supported());
    CHECK(bpf_program__attach_xdp(prog, 0) == NULL);
    CHECK(bpf_program__attach_xdp(prog, 12345) == NULL);
    CHECK(bpf_xdp_attach(12345, bpf_program__fd(prog), 0, NULL) < 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
    CHECK(nothing_is_left());
}

// --- threads ---------------------------------------------------------------------------------------

enum { THREADS = 4, ROUNDS = 50 };

struct worker {
    int shared;
    uint32_t key;
    unsigned failures;
};

// Uses the shared descriptor, copies of it, and objects of its own.
static void work(void *user)
{
    struct worker *w = user;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t value = 0;
        int own = bpf_map_create(BPF_MAP_TYPE_HASH, "own", 4, 8, 4, NULL), copy = -1;
        w->failures += own < 0 || bpf_map_update_elem(own, &w->key, &round, BPF_ANY) != 0;
        w->failures += bpf_map_update_elem(w->shared, &w->key, &round, BPF_ANY) != 0;
        w->failures += ebpf_duplicate_fd(w->shared, &copy) != EBPF_SUCCESS ||
                       bpf_map_lookup_elem(copy, &w->key, &value) != 0 || value != round;
        ebpf_close_fd(copy);
        ebpf_close_fd(own);
    }
}

// Goes to element 0 of the array; returns 1 when nothing is there.
static int load_jumper(int array)
{
    const struct bpf_insn insns[] = {
        {.code = 0x18, .dst_reg = 2, .src_reg = 1, .imm = array},
        {0},                                                            // r2 = the map
        {.code = 0xb7, .dst_reg = 3},                                   // r3 = 0
        {.code = 0x85, .imm = LIB_DIALECT == DIALECT_WINDOWS ? 5 : 12}, // bpf_tail_call
        {.code = 0xb7, .imm = 1},
        {.code = 0x95},
    };
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "jumper", "MIT", insns, sizeof(insns) / sizeof(*insns), NULL);
}

static void a_prog_array_takes_descriptors(void)
{
    const struct bpf_insn two[] = {{.code = 0xb7, .imm = 2}, {.code = 0x95}};
    uint32_t key = 0, id = 0;
    int array = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 2, NULL);
    int target = bpf_prog_load(BPF_PROG_TYPE_XDP, "two", "MIT", two, 2, NULL);
    int jumper = load_jumper(array);
    struct bpf_prog_info info = {0};
    uint32_t length = sizeof(info);
    REQUIRE(array >= 0 && target >= 0 && jumper >= 0);
    CHECK_EQ(run(jumper), 1);
    CHECK_EQ(bpf_map_update_elem(array, &key, &target, BPF_ANY), 0);
    CHECK_EQ(run(jumper), 2);
    CHECK_EQ(bpf_obj_get_info_by_fd(target, &info, &length), 0);
    CHECK_EQ(bpf_map_lookup_elem(array, &key, &id), 0);
    CHECK_EQ(id, info.id);
    CHECK(bpf_map_update_elem(array, &key, &array, BPF_ANY) < 0); // no program
    CHECK_EQ(bpf_map_delete_elem(array, &key), 0);
    CHECK_EQ(run(jumper), 1);
    ebpf_close_fd(jumper);
    ebpf_close_fd(target);
    ebpf_close_fd(array);
    CHECK(nothing_is_left());
}

static void threads_share_a_descriptor(void)
{
    struct worker workers[THREADS];
    struct plat_thread *threads[THREADS];
    int shared = bpf_map_create(BPF_MAP_TYPE_ARRAY, "shared", 4, 8, THREADS, NULL);
    REQUIRE(shared >= 0);
    REQUIRE_OK(plat_init());
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){shared, i, 0};
        REQUIRE_OK(plat_thread_create(work, &workers[i], &threads[i]));
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        plat_thread_join(threads[i]);
        CHECK_EQ(workers[i].failures, 0);
    }
    plat_fini();
    CHECK_OK(ebpf_close_fd(shared));
    CHECK(nothing_is_left());
}

// --- failures ------------------------------------------------------------------------------------

// Opens and loads with the n-th allocation failing; true once nothing failed.
static bool load_with_failure(void (*fail)(unsigned long), unsigned long n)
{
    struct bpf_object *obj;
    bool loaded;
    fail(n);
    obj = open_rich();
    loaded = obj != NULL && bpf_object__load(obj) == 0;
    fail(0);
    if (!loaded) {
        CHECK_EQ(count_objects(EBPF_OBJECT_KIND_MAP), 0);
        CHECK_EQ(count_objects(EBPF_OBJECT_KIND_PROGRAM), 0);
        CHECK_EQ(count_pins(), 0);
    } else {
        CHECK_OK(ebpf_object_unpin("flows"));
    }
    bpf_object__close(obj);
    CHECK(nothing_is_left());
    return loaded;
}

static void fail_library(unsigned long n)
{
    lib_alloc_fail(n);
}

void lib_e2e_loads_survive(void (*fail)(unsigned long n))
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    unsigned long n = 1, failed = 0;
    bool loaded = false;
    // A failure that the context recovers from does not end the walk: several loads in a row do.
    for (unsigned in_a_row = 0; in_a_row < 3 && n < 5000; n++) {
        loaded = load_with_failure(fail, n);
        in_a_row = loaded ? in_a_row + 1 : 0;
        failed += !loaded;
    }
    libbpf_set_print(former);
    CHECK(loaded);
    CHECK(failed > 10);
}

static void library_allocations_fail(void)
{
    lib_e2e_loads_survive(fail_library);
}

// The peer is part of every run, whatever the filter: no case of its own.
static bool say(bool good, const char *what)
{
    if (!good) {
        printf("FAILED %s\n", what);
        test_state.failed++;
    }
    return good;
}

TEST_SUITE(lib_e2e)
{
    if (!say(peer_start(), "the execution context under test does not come up")) {
        return;
    }
    RUN(loads_and_runs);
    RUN(global_data_has_its_initial_value);
    RUN(a_refused_program_leaves_nothing);
    RUN(a_program_that_cannot_run_here_is_refused);
    RUN(kconfig_comes_from_the_options);
    RUN(an_unknown_map_type_is_refused);
    RUN(objects_that_are_none);
    RUN(maps_pinned_by_name_are_shared);
    RUN(objects_are_pinned_whole_or_not);
    RUN(another_map_in_its_place);
    RUN(links_attach_and_detach);
    RUN(xdp_needs_an_interface);
    RUN(a_prog_array_takes_descriptors);
    RUN(threads_share_a_descriptor);
    RUN(library_allocations_fail);
    elements_cases();
    peer_cases();
    say(peer_stop(), "the execution context under test ends badly, or something was left in it");
}
