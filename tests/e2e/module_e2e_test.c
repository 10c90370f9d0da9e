// SPDX-License-Identifier: MIT
// Native modules as objects: who holds an image, and what is no module. In the runs that have modules
// (EBPF_TEST_MODULES).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plat/plat.h"
#include "tests/e2e/fixture.h"

static const struct proto_module_load_request load_request;
static const struct proto_module_program_request first_row;

static const char *path_of(const char *name)
{
    static char path[1024];
    str_format(path, sizeof(path), "%s/%s.so", getenv("EBPF_TEST_MODULES"), name);
    return path;
}

// The first program of the module.
static ebpf_result_t load_prog(struct transport *t, int module, int *fd)
{
    const struct proto_prog_load_request fixed = {.native = 1};
    struct proto_module_program_reply row;
    struct e2e_reply program, reply = {.fd = -1};
    TRY(e2e_call(t, PROTO_MODULE_PROGRAM, &first_row, NULL, 0, &module, 1, &program));
    memcpy(&row, program.fixed, sizeof(row));
    ebpf_result_t result =
        e2e_call(t, PROTO_PROG_LOAD, &fixed, program.text, row.canonical_size, &module, 1, &reply);
    *fd = reply.fd;
    return result;
}

static void check_runs(struct transport *t, int prog)
{
    uint64_t r0 = 0;
    CHECK_OK(e2e_run(t, prog, 1, &r0));
    CHECK_EQ(r0, 1);
}

IN_PLACE(a_program_holds_its_module)
{
    int module = -1, one = -1, two = -1;
    REQUIRE_OK(e2e_open_module(t, "one", &module));
    REQUIRE_OK(load_prog(t, module, &one));
    REQUIRE_OK(load_prog(t, module, &two)); // the same program once more
    t->ops->close_fd(t, module);
    check_runs(t, one);
    t->ops->close_fd(t, one);
    check_runs(t, two);
    t->ops->close_fd(t, two);
}

IN_PLACE(a_module_twice_is_two)
{
    int modules[2] = {-1, -1}, progs[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(e2e_open_module(t, "one", &modules[i]));
        REQUIRE_OK(load_prog(t, modules[i], &progs[i]));
    }
    t->ops->close_fd(t, modules[0]);
    t->ops->close_fd(t, progs[0]);
    check_runs(t, progs[1]);
    t->ops->close_fd(t, progs[1]);
    t->ops->close_fd(t, modules[1]);
}

IN_PLACE(a_link_holds_the_module_of_its_program)
{
    int prog = -1, link = -1;
    REQUIRE_OK(e2e_load_bind(t, &prog));
    REQUIRE_OK(e2e_attach_bind(t, prog, &link));
    t->ops->close_fd(t, prog);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 1);
    t->ops->close_fd(t, link);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
}

static bool copy_file(const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t size = in != NULL ? fread(bytes, 1, sizeof(bytes), in) : 0;
    bool good = size != 0 && size < sizeof(bytes) && out != NULL && fwrite(bytes, 1, size, out) == size;
    if (in != NULL) {
        fclose(in);
    }
    return out != NULL && fclose(out) == 0 && good;
}

IN_PLACE(the_file_may_change_afterwards)
{
    char path[1024], name[32];
    int module = -1, prog = -1;
    str_format(name, sizeof(name), "of_process_%u", (unsigned)(plat_pid_tgid() >> 32)); // others run beside
    str_copy(path, sizeof(path), path_of(name));
    REQUIRE(copy_file(path_of("one"), path));
    REQUIRE_OK(e2e_load_module(t, path, &module, NULL));
    FILE *file = fopen(path, "wb"); // in place, not by another file
    REQUIRE(file != NULL);
    fputs("no code", file);
    fclose(file);
    REQUIRE_OK(load_prog(t, module, &prog));
    check_runs(t, prog);
    remove(path);
    check_runs(t, prog);
    t->ops->close_fd(t, prog);
    t->ops->close_fd(t, module);
}

static void check_refused(struct transport *t, const char *path)
{
    char text[512] = "";
    int fd = -1;
    CHECK(e2e_load_module(t, path, &fd, text) != EBPF_SUCCESS);
    CHECK(text[0] != '\0' && fd == -1);
}

IN_PLACE(what_is_no_module_is_refused_by_a_sentence)
{
    if (e2e_install_module != NULL) {
        SKIP("this execution context takes no paths of modules");
    }
    check_refused(t, path_of("no such file"));
    check_refused(t, getenv("EBPF_TEST_MODULES"));
    check_refused(t, "one.so");
    check_refused(t, "");
    check_refused(t, TEST_SOURCE_DIR "/tests/elf/tiny_one.o");
    char path[1200];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    check_refused(t, path);
    // Without its end, and with something behind it.
    CHECK(e2e_call(t, PROTO_MODULE_LOAD, &load_request, "/x", 2, NULL, 0, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_MODULE_LOAD, &load_request, "/x\0y", 5, NULL, 0, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_MODULE_LOAD, &load_request, NULL, 0, NULL, 0, NULL) != EBPF_SUCCESS);
}

IN_PLACE(rows_and_programs_have_to_fit)
{
    const struct proto_module_program_request far = {.index = 1}, farthest = {.index = UINT32_MAX};
    const struct proto_prog_load_request second = {.native = 2}, last = {.native = UINT32_MAX},
                                         first = {.native = 1};
    struct e2e_reply program;
    int module = -1, other = -1;
    REQUIRE_OK(e2e_open_module(t, "one", &module));
    REQUIRE_OK(e2e_open_module(t, "permit", &other));
    CHECK_EQ(e2e_call(t, PROTO_MODULE_PROGRAM, &far, NULL, 0, &module, 1, NULL), EBPF_NO_MORE_KEYS);
    CHECK_EQ(e2e_call(t, PROTO_MODULE_PROGRAM, &farthest, NULL, 0, &module, 1, NULL), EBPF_NO_MORE_KEYS);
    REQUIRE_OK(e2e_call(t, PROTO_MODULE_PROGRAM, &first_row, NULL, 0, &module, 1, &program));
    struct proto_module_program_reply row;
    memcpy(&row, program.fixed, sizeof(row));
    size_t size = row.canonical_size;
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &second, program.text, size, &module, 1, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &last, program.text, size, &module, 1, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &first, program.text, size, &other, 1, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &first, program.text, size, NULL, 0, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &first, program.text, size - 1, &module, 1, NULL) != EBPF_SUCCESS);
    const int both[] = {module, module};
    CHECK(e2e_call(t, PROTO_PROG_LOAD, &first, program.text, size, both, 2, NULL) != EBPF_SUCCESS);
    t->ops->close_fd(t, module);
    t->ops->close_fd(t, other);
}

// A module has neither pins nor information nor an id that one could open.
IN_PLACE(modules_are_no_other_objects)
{
    const struct proto_next_id_request next = {.kind = PROTO_KIND_MODULE};
    const struct proto_open_id_request open = {.kind = PROTO_KIND_MODULE, .id = 1};
    struct proto_object_info_reply info;
    int module = -1;
    REQUIRE_OK(e2e_open_module(t, "one", &module));
    CHECK(e2e_path(t, PROTO_OBJECT_PIN, "module", module, NULL) != EBPF_SUCCESS);
    CHECK(e2e_info(t, module, &info) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_NEXT_ID, &next, NULL, 0, NULL, 0, NULL) != EBPF_SUCCESS);
    CHECK(e2e_call(t, PROTO_OPEN_ID, &open, NULL, 0, NULL, 0, NULL) != EBPF_SUCCESS);
    t->ops->close_fd(t, module);
}

TEST_SUITE(module_e2e)
{
    if (getenv("EBPF_TEST_MODULES") == NULL || !fixture_begin()) {
        return;
    }
    RUN(a_program_holds_its_module);
    RUN(a_module_twice_is_two);
    RUN(a_link_holds_the_module_of_its_program);
    RUN(the_file_may_change_afterwards);
    RUN(what_is_no_module_is_refused_by_a_sentence);
    RUN(rows_and_programs_have_to_fit);
    RUN(modules_are_no_other_objects);
    fixture_end();
}
