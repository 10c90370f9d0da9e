// SPDX-License-Identifier: MIT
// hook_bind: one attachment point for the whole machine: a program decides whether a socket may be bound. The
// data that its packet pointers reach are the application's id (UTF-16 path on Windows).
#include "hooks/hooks.h"
#include "hooks/single.h"
#include "plat/plat.h"

struct hook_bind {
    struct single single;
};

ebpf_result_t hook_bind_create(struct runtime *rt, struct hook_bind **out)
{
    ebpf_result_t result;
    struct hook_bind *hook = plat_alloc(sizeof(*hook), POOL_TAG_HOOK);
    if (hook == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY_OR(result, single_init(&hook->single, rt, "bind", ATTACH_TYPE_BIND, LAYOUT_BIND), undo_hook);
    *out = hook;
    return EBPF_SUCCESS;

undo_hook:
    plat_free(hook);
    return result;
}

void hook_bind_destroy(struct hook_bind *hook)
{
    if (hook == NULL) {
        return;
    }
    single_fini(&hook->single);
    plat_free(hook);
}

// Unclear answers deny: a filter that fails must not open the door. A link that was detached meanwhile
// filters no more.
static uint32_t judge(struct link *link, struct bind_context *context)
{
    uint64_t value = 0;
    ebpf_result_t result = link_batch_invoke(link, context, &value);
    if (result != EBPF_SUCCESS) {
        return result == EBPF_INVALID_STATE ? VERDICT_BIND_PERMIT_SOFT : VERDICT_BIND_DENY;
    }
    uint32_t verdict = spec_verdict(PROG_TYPE_BIND, link_dialect(link), (uint32_t)value);
    return verdict != VERDICT_NONE ? verdict : VERDICT_BIND_DENY;
}

uint32_t hook_bind_run(struct hook_bind *hook, struct bind_context *context)
{
    uint32_t verdict = VERDICT_BIND_PERMIT_SOFT;
    link_batch_begin(hook->single.rt);
    struct link *link = point_link(&hook->single.point);
    if (link != NULL) {
        verdict = judge(link, context);
    }
    link_batch_end(hook->single.rt);
    return verdict;
}
