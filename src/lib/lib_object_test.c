// SPDX-License-Identifier: MIT
// Tests of objects over a scripted context: the order of the requests of a load, and what is undone when one
// fails. The script of tests/elf/rich.o is its maps in order; only what the real context would refuse is left
// out.
#include <errno.h>

#include "lib/lib_testing.h"
#include "plat/plat.h"

#define OBJECT(name) TEST_SOURCE_DIR "/tests/elf/" name

static struct bpf_object *open_rich(void)
{
    struct bpf_object *obj = bpf_object__open_file(OBJECT("rich.o"), NULL);
    if (obj != NULL) {
        bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "strange"), false);
    }
    return obj;
}

static void queue_global(bool frozen)
{
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    if (frozen) {
        fake_reply(PROTO_MAP_FREEZE, EBPF_SUCCESS, NULL, NULL, 0);
    }
    // The initial value stays a copy.
    fake_reply(PROTO_MAP_MEMORY, EBPF_OPERATION_NOT_SUPPORTED, NULL, NULL, 0);
}

static void queue_maps(void)
{
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);          // counts
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0); // flows, pinned by name
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_SUCCESS, NULL, NULL, 0);
    queue_global(true);  // .rodata
    queue_global(false); // .data
    queue_global(false); // .data.extra
    queue_global(false); // .bss
    queue_global(true);  // .rodata.str1.1
}

static void queue_program(ebpf_result_t result)
{
    struct proto_prog_load_reply reply = {.text_size = 1, .json_size = 3};
    fake_reply(PROTO_PROG_LOAD, result, &reply, "\0[]", 4);
}

// Two programs: count and callback.
static struct bpf_object *load_rich(void)
{
    struct bpf_object *obj = open_rich();
    queue_maps();
    queue_program(EBPF_SUCCESS);
    queue_program(EBPF_SUCCESS);
    if (obj != NULL && bpf_object__load(obj) != 0) {
        bpf_object__close(obj);
        return NULL;
    }
    return obj;
}

static void maps_come_before_programs(void)
{
    unsigned long live = lib_alloc_live();
    fake_reset();
    struct bpf_object *obj = load_rich();
    REQUIRE(obj != NULL);
    CHECK(fake_script_is_done());
    CHECK(bpf_program__fd(bpf_object__find_program_by_name(obj, "callback")) >= 0);
    CHECK_EQ(bpf_object__find_map_fd_by_name(obj, "strange"), -1ULL);
    bpf_object__close(obj);
    CHECK_EQ(fake_open_fds(), 0);
    CHECK_EQ(lib_alloc_live(), live);
}

// A view of `size` bytes, as the transport would give it.
static void *queue_memory(struct plat_shared *memory, bool writable, uint64_t size)
{
    void *view = NULL;
    CHECK_OK(plat_shared_map(memory, writable, &view));
    struct proto_map_memory_reply reply = {.address = (uintptr_t)view, .size = size};
    fake_reply(PROTO_MAP_MEMORY, EBPF_SUCCESS, &reply, NULL, 0);
    return view;
}

static void skip_other_maps(struct bpf_object *obj, const char *wanted)
{
    struct bpf_map *map;
    bpf_object__for_each_map(map, obj)
    {
        bpf_map__set_autocreate(map, str_equal(bpf_map__name(map), wanted));
    }
}

// The initial value becomes the live one, at the address that the execution context gives.
static void global_data_is_mapped(void)
{
    struct plat_shared *memory = NULL;
    struct proto_map_memory_request sent;
    size_t size = 0;
    fake_reset();
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    REQUIRE_OK(plat_shared_create(4096, POOL_TAG_TEST, &memory));
    struct bpf_map *map = bpf_object__find_map_by_name(obj, ".bss");
    REQUIRE(map != NULL);
    CHECK_EQ(bpf_map__map_flags(map), BPF_F_MMAPABLE);
    CHECK_EQ(bpf_map__map_flags(bpf_object__find_map_by_name(obj, ".rodata")), BPF_F_MMAPABLE | 1 << 7);
    skip_other_maps(obj, bpf_map__name(map));
    bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "count"), false);
    bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "callback"), false);
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    void *view = queue_memory(memory, true, 4096);
    CHECK_EQ(bpf_object__load(obj), 0);
    REQUIRE(fake_sent_count() == 3);
    memcpy(&sent, fake_sent(2)->fixed, sizeof(sent));
    CHECK_EQ(sent.writable, 1);
    CHECK(bpf_map__initial_value(map, &size) == view);
    CHECK_EQ(size, bpf_map__value_size(map));
    bpf_object__close(obj); // unmaps
    plat_shared_destroy(memory);
    CHECK_EQ(fake_open_fds(), 0);
}

// Less memory than the value has, or none: the load fails and nothing is left.
static void memory_that_is_too_small_is_refused(void)
{
    struct plat_shared *memory = NULL;
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    REQUIRE_OK(plat_shared_create(4096, POOL_TAG_TEST, &memory));
    for (int broken = 0; broken < 2; broken++) {
        fake_reset();
        struct bpf_object *obj = open_rich();
        REQUIRE(obj != NULL);
        struct bpf_map *map = bpf_object__find_map_by_name(obj, ".bss");
        skip_other_maps(obj, bpf_map__name(map));
        fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
        fake_reply(PROTO_MAP_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
        if (broken) {
            fake_reply(PROTO_MAP_MEMORY, EBPF_NO_MEMORY, NULL, NULL, 0);
        } else {
            queue_memory(memory, true, bpf_map__value_size(map) - 1);
        }
        CHECK_EQ(bpf_object__load(obj), (unsigned long long)(broken ? -ENOMEM : -EIO));
        CHECK_EQ(fake_open_fds(), 0);
        bpf_object__close(obj);
    }
    plat_shared_destroy(memory);
    libbpf_set_print(former);
}

static void iterates_both_ways(void)
{
    struct bpf_program *prog, *last = NULL;
    struct bpf_map *map, *end = NULL;
    unsigned programs = 0, maps = 0;
    fake_reset();
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    bpf_object__for_each_program(prog, obj)
    {
        programs++;
        last = prog;
    }
    bpf_object__for_each_map(map, obj)
    {
        maps++;
        end = map;
    }
    CHECK_EQ(programs, 3);
    CHECK_EQ(maps, 8);
    CHECK(bpf_object__prev_program(obj, NULL) == last);
    CHECK(bpf_object__prev_map(obj, NULL) == end);
    CHECK(bpf_object__prev_program(obj, bpf_object__next_program(obj, NULL)) == NULL);
    CHECK(bpf_object__prev_map(obj, bpf_object__next_map(obj, NULL)) == NULL);
    CHECK(bpf_object__find_program_by_name(obj, "nobody") == NULL);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(bpf_object__find_map_fd_by_name(obj, "nobody"), (unsigned long long)-ENOENT);
    bpf_object__close(obj);
}

// The second program is refused: the first is unloaded, the pin undone, every map closed.
static void a_refused_program_undoes_the_load(void)
{
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    fake_reset();
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    queue_maps();
    queue_program(EBPF_SUCCESS);
    queue_program(EBPF_VERIFICATION_FAILED);
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-EACCES);
    CHECK(fake_script_is_done());
    CHECK_EQ(fake_open_fds(), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
}

// Somebody pins a map of the name between our look and our pin: theirs is taken.
static void a_lost_race_takes_the_others_map(void)
{
    struct proto_object_info_reply other = {.kind = PROTO_KIND_MAP,
                                            .type = MAP_TYPE_HASH,
                                            .key_size = 8,
                                            .value_size = 16,
                                            .max_entries = 1024,
                                            .map_flags = 1,
                                            .id = 77};
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    fake_reset();
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0); // counts
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_OBJECT_ALREADY_EXISTS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_GET, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &other, NULL, 0);
    fake_fail(PROTO_MAP_CREATE, EBPF_NO_MEMORY); // enough seen; theirs stays pinned
    CHECK_EQ(bpf_object__load(obj), (unsigned long long)-ENOMEM);
    CHECK(fake_script_is_done());
    CHECK_EQ(fake_open_fds(), 0);
    bpf_object__close(obj);
    libbpf_set_print(former);
}

static void pinning_programs_is_all_or_nothing(void)
{
    fake_reset();
    struct bpf_object *obj = load_rich();
    REQUIRE(obj != NULL);
    fake_reply(PROTO_OBJECT_PIN, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_OBJECT_ALREADY_EXISTS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_object__pin_programs(obj, "/dir"), (unsigned long long)-EEXIST);
    CHECK(fake_script_is_done());
    CHECK_STR((const char *)fake_sent(fake_sent_count() - 1)->fixed, "/dir/count");
    bpf_object__close(obj);
}

static void pinning_maps_is_all_or_nothing(void)
{
    fake_reset();
    struct bpf_object *obj = load_rich();
    REQUIRE(obj != NULL);
    fake_reply(PROTO_OBJECT_PIN, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_NO_MEMORY, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_object__pin_maps(obj, "/dir"), (unsigned long long)-ENOMEM);
    CHECK(fake_script_is_done());
    CHECK_STR((const char *)fake_sent(fake_sent_count() - 1)->fixed, "/dir/counts");
    bpf_object__close(obj);
}

static void types_can_be_set_until_the_load(void)
{
    fake_reset();
    struct bpf_object *obj = open_rich();
    REQUIRE(obj != NULL);
    struct bpf_program *prog = bpf_object__find_program_by_name(obj, "count");
    CHECK_EQ(bpf_program__type(prog), BPF_PROG_TYPE_XDP);
    CHECK_EQ(bpf_program__expected_attach_type(prog), BPF_XDP);
    CHECK_EQ(bpf_program__set_type(prog, (enum bpf_prog_type)lib_prog_type_number(PROG_TYPE_BIND)), 0);
    CHECK_EQ(bpf_program__expected_attach_type(prog), lib_attach_type_number(ATTACH_TYPE_BIND)); // follows
    CHECK_EQ(bpf_program__set_type(prog, (enum bpf_prog_type)4321), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)4321),
             (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_program__set_log_buf(prog, NULL, 5), (unsigned long long)-EINVAL);
    CHECK(!bpf_program__autoload(bpf_object__find_program_by_name(obj, "by_hand"))); // "?section"
    bpf_object__close(obj);
    obj = load_rich();
    REQUIRE(obj != NULL);
    prog = bpf_object__find_program_by_name(obj, "count");
    CHECK_EQ(bpf_program__set_type(prog, BPF_PROG_TYPE_XDP), (unsigned long long)-EBUSY);
    bpf_object__close(obj);
}

TEST_SUITE(lib_object)
{
    RUN(maps_come_before_programs);
    RUN(global_data_is_mapped);
    RUN(memory_that_is_too_small_is_refused);
    RUN(iterates_both_ways);
    RUN(a_refused_program_undoes_the_load);
    RUN(a_lost_race_takes_the_others_map);
    RUN(pinning_programs_is_all_or_nothing);
    RUN(pinning_maps_is_all_or_nothing);
    RUN(types_can_be_set_until_the_load);
}
