// SPDX-License-Identifier: MIT
// Tests of where machine code lies: the mappings of this process, as the system shows them, while programs
// are loaded and released. Linux only: /proc/self/maps. Source: proc_pid_maps(5).
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fixture.h"

static const struct insn return_2[] = {I(MOV64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0)};

struct mapping {
    uint64_t start, end;
    char rights[5];
};

static bool next_mapping(FILE *maps, struct mapping *out)
{
    char line[512], *at;
    if (fgets(line, sizeof(line), maps) == NULL) {
        return false;
    }
    out->start = strtoull(line, &at, 16);
    out->end = strtoull(at + 1, &at, 16);
    memcpy(out->rights, at + 1, 4);
    out->rights[4] = '\0';
    return true;
}

// Whether nothing can be both written and run now.
static bool is_clean(void)
{
    struct mapping m;
    bool clean = true;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && next_mapping(maps, &m)) {
        clean = clean && !(m.rights[1] == 'w' && m.rights[2] == 'x');
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return maps != NULL && clean;
}

// The rights of what holds `address`; "" when there is nothing.
static struct mapping mapping_of(uint64_t address)
{
    struct mapping m, found = {.rights = ""};
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && next_mapping(maps, &m)) {
        found = m.start <= address && address < m.end ? m : found;
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

// --- published code ------------------------------------------------------------------------------

static void code_is_read_and_run_only(void)
{
    struct fixture f;
    uint32_t size = 0;
    REQUIRE(fixture_open(&f));
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    REQUIRE(g != NULL);
    uint64_t address = (uintptr_t)prog_machine_code(g, &size);
    struct mapping m = mapping_of(address);
    CHECK(size > 0);
    CHECK_STR(m.rights, "r-xp");
    CHECK_STR(mapping_of(m.start - 1).rights, "---p");
    CHECK_STR(mapping_of(m.end).rights, "---p");
    object_release(prog_object(g));
    CHECK(!str_equal(mapping_of(address).rights, "r-xp")); // it went with the program
    fixture_close(&f);
}

// --- while programs are loaded -------------------------------------------------------------------

struct loader {
    struct fixture *f;
    uint32_t loaded, stop;
};

static void load_for_ever(void *user)
{
    struct loader *l = user;
    while (__atomic_load_n(&l->stop, __ATOMIC_RELAXED) == 0) {
        struct fixture_program p;
        struct prog *g = NULL;
        fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, return_2, ARRAY_SIZE(return_2));
        if (fixture_load(l->f, &p, NULL, 0, &g) == EBPF_SUCCESS) {
            __atomic_fetch_add(&l->loaded, 1, __ATOMIC_RELAXED);
            object_release(prog_object(g));
        }
    }
}

static void nothing_is_ever_writable_and_executable(void)
{
    struct fixture f;
    struct loader l = {.f = &f};
    struct plat_thread *thread = NULL;
    REQUIRE(fixture_open(&f));
    REQUIRE_OK(plat_thread_create(load_for_ever, &l, &thread));
    unsigned dirty = 0;
    while (__atomic_load_n(&l.loaded, __ATOMIC_RELAXED) < 200) {
        dirty += !is_clean();
    }
    __atomic_store_n(&l.stop, 1, __ATOMIC_RELAXED);
    plat_thread_join(thread);
    CHECK_EQ(dirty, 0);
    fixture_close(&f);
}

// --- where the system makes nothing executable ---------------------------------------------------

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 // Linux 6.3: what is not executable never becomes it
#endif
#define REFUSE_EXEC_GAIN 1u
#define NOT_THERE        250

static int load_where_it_is_forbidden(void)
{
    struct fixture f;
    struct fixture_program p;
    struct prog *g = NULL;
    if (!fixture_open(&f)) {
        return 100;
    }
    if (prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0) {
        return NOT_THERE;
    }
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, return_2, ARRAY_SIZE(return_2));
    uint64_t live = plat_sim_live_count();
    ebpf_result_t result = fixture_load(&f, &p, NULL, 0, &g);
    return g != NULL || plat_sim_live_count() != live ? 101 : (int)result;
}

// In a child, as it cannot be taken back.
static void a_policy_is_called_a_policy(void)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(load_where_it_is_forbidden());
    }
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) != NOT_THERE) {
        CHECK_EQ(WEXITSTATUS(status), EBPF_BLOCKED_BY_POLICY);
    }
}

TEST_SUITE(code_pages)
{
    RUN(a_policy_is_called_a_policy);
    RUN(code_is_read_and_run_only);
    RUN(nothing_is_ever_writable_and_executable);
}
