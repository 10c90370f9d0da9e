// SPDX-License-Identifier: MIT
// hooks: bring-up of the built-in hooks as one; teardown is its mirror image.
#include "hooks/hooks.h"
#include "plat/plat.h"

struct hooks {
    struct hook_xdp *xdp;
    struct hook_bind *bind;
    struct hook_sample *sample;
};

ebpf_result_t hooks_create(struct runtime *rt, struct hooks **out)
{
    ebpf_result_t result;
    struct hooks *hooks = plat_alloc(sizeof(*hooks), POOL_TAG_HOOK);
    if (hooks == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY_OR(result, hook_xdp_create(rt, &hooks->xdp), undo_hooks);
    TRY_OR(result, hook_bind_create(rt, &hooks->bind), undo_xdp);
    TRY_OR(result, hook_sample_create(rt, &hooks->sample), undo_bind);
    *out = hooks;
    return EBPF_SUCCESS;

undo_bind:
    hook_bind_destroy(hooks->bind);
undo_xdp:
    hook_xdp_destroy(hooks->xdp);
undo_hooks:
    plat_free(hooks);
    return result;
}

void hooks_destroy(struct hooks *hooks)
{
    if (hooks == NULL) {
        return;
    }
    hook_sample_destroy(hooks->sample);
    hook_bind_destroy(hooks->bind);
    hook_xdp_destroy(hooks->xdp);
    plat_free(hooks);
}

struct hook_xdp *hooks_xdp(struct hooks *hooks)
{
    return hooks->xdp;
}

struct hook_bind *hooks_bind(struct hooks *hooks)
{
    return hooks->bind;
}

struct hook_sample *hooks_sample(struct hooks *hooks)
{
    return hooks->sample;
}

ebpf_result_t hooks_next(void *user, const struct proto_hook_next_request *request,
                         struct proto_hook_next_reply *reply)
{
    struct hooks *hooks = user;
    if (hooks == NULL || request->attach_type != ATTACH_TYPE_XDP) {
        return EBPF_NO_MORE_KEYS; // only xdp has points with names
    }
    return hook_xdp_next(hooks->xdp, request, reply);
}
