// SPDX-License-Identifier: MIT
#include "lib/lib_testing.h"

#define OBJECT(name) TEST_SOURCE_DIR "/tests/elf/" name

static void fails_with(const char *file, const char *section, const char *program, const char *message)
{
    const char *text = NULL, *error = NULL;
    CHECK(ebpf_api_elf_disassemble_program(file, section, program, &text, &error) != EBPF_SUCCESS);
    CHECK(text == NULL);
    REQUIRE(error != NULL);
    CHECK_STR(error, message);
    ebpf_free_string(error);
}

static void instructions_with_their_source(void)
{
    const char *text = NULL, *error = NULL;
    CHECK_OK(ebpf_api_elf_disassemble_program(OBJECT("rich.o"), NULL, "count", &text, &error));
    CHECK(error == NULL);
    REQUIRE(text != NULL);
    CHECK(strstr(text, "       0:\t") != NULL);
    CHECK(strstr(text, "rich.c:") != NULL);
    CHECK(strstr(text, "call 1\t; bpf_map_lookup_elem\n") != NULL);
    CHECK(strstr(text, "exit\n") != NULL);
    ebpf_free_string(text);
}

static void says_what_is_not_there(void)
{
    fails_with(OBJECT("neutral.o"), "nosuchsection", NULL, "error: Section not found");
    fails_with(OBJECT("neutral.o"), "xdp", "nobody", "error: Program not found");
    fails_with("nosuchfile.o", NULL, NULL, "error: No such file or directory opening nosuchfile.o");
}

static void malformed_objects_are_refused(void)
{
    const char *text = NULL, *error = NULL;
    CHECK_EQ(ebpf_api_elf_disassemble_program(OBJECT("rich.txt"), NULL, NULL, &text, &error),
             EBPF_ELF_PARSING_FAILED);
    CHECK(text == NULL && error != NULL);
    ebpf_free_string(error);
    CHECK_EQ(ebpf_api_elf_disassemble_program(NULL, NULL, NULL, &text, &error), EBPF_INVALID_ARGUMENT);
}

static void every_allocation_may_fail(void)
{
    unsigned long live = lib_alloc_live();
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (unsigned long nth = 1; result != EBPF_SUCCESS && nth < 1000; nth++) {
        const char *text = NULL, *error = NULL;
        lib_alloc_fail(nth);
        result = ebpf_api_elf_disassemble_program(OBJECT("rich.o"), NULL, NULL, &text, &error);
        lib_alloc_fail(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        ebpf_free_string(text);
        ebpf_free_string(error);
        CHECK_EQ(lib_alloc_live(), live);
    }
    CHECK_OK(result);
}

TEST_SUITE(lib_disassemble)
{
    RUN(instructions_with_their_source);
    RUN(says_what_is_not_there);
    RUN(malformed_objects_are_refused);
    RUN(every_allocation_may_fail);
}
