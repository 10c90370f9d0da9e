// SPDX-License-Identifier: MIT
// Bring-up of all hooks together: nothing is left behind when any allocation fails, and only xdp has points
// to list.
#include "hooks/hooks_fixture.h"

static void survives_failed_allocations(void)
{
    struct runtime *rt = fixture_runtime();
    ebpf_result_t result = EBPF_NO_MEMORY;
    unsigned refused = 0;
    REQUIRE(rt != NULL);
    uint64_t live = plat_sim_live_count();
    for (uint64_t n = 1; result != EBPF_SUCCESS && n < 100; n++) {
        struct hooks *hooks = NULL;
        plat_sim_fail_alloc(n);
        result = hooks_create(rt, &hooks);
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || (result == EBPF_NO_MEMORY && hooks == NULL));
        refused += result != EBPF_SUCCESS;
        hooks_destroy(hooks);
        CHECK_EQ(plat_sim_live_count(), live);
    }
    CHECK_EQ(result, EBPF_SUCCESS);
    CHECK(refused >= 4); // the bundle and three hooks at least
    runtime_destroy(rt);
}

static void lists_xdp_only(void)
{
    struct runtime *rt = fixture_runtime();
    struct hooks *hooks = NULL;
    struct hook_xdp_device *device = NULL;
    struct proto_hook_next_request request = {.attach_type = ATTACH_TYPE_XDP};
    struct proto_hook_next_reply reply;
    REQUIRE(rt != NULL);
    REQUIRE_OK(hooks_create(rt, &hooks));
    CHECK_EQ(hooks_next(hooks, &request, &reply), EBPF_NO_MORE_KEYS);
    REQUIRE_OK(hook_xdp_device_add(hooks_xdp(hooks), 3, "three", &device));
    CHECK_OK(hooks_next(hooks, &request, &reply));
    request.attach_type = ATTACH_TYPE_BIND;
    CHECK_EQ(hooks_next(hooks, &request, &reply), EBPF_NO_MORE_KEYS);
    CHECK_EQ(hooks_next(NULL, &request, &reply), EBPF_NO_MORE_KEYS);
    hook_xdp_device_remove(device);
    hooks_destroy(hooks);
    runtime_destroy(rt);
}

// A provider that goes away detaches its links; releasing them afterwards is fine.
static void destroys_with_links_attached(void)
{
    struct runtime *rt = fixture_runtime();
    struct hooks *hooks = NULL;
    struct prog *prog = NULL;
    struct link *link = NULL;
    struct link_info info;
    REQUIRE(rt != NULL);
    REQUIRE_OK(hooks_create(rt, &hooks));
    REQUIRE_OK(fixture_load_constant(rt, PROG_TYPE_BIND, DIALECT_WINDOWS, 0, &prog));
    REQUIRE_OK(link_create(rt, prog, ATTACH_TYPE_BIND, &(struct attach_params){0}, &link));
    hooks_destroy(hooks);
    link_info(link, &info);
    CHECK_EQ(info.attached, 0);
    fixture_release_link(link);
    fixture_release_prog(prog);
    runtime_destroy(rt);
}

TEST_SUITE(hooks)
{
    RUN(survives_failed_allocations);
    RUN(lists_xdp_only);
    RUN(destroys_with_links_attached);
}
