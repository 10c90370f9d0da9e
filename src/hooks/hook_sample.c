// SPDX-License-Identifier: MIT
// hook_sample: the sample extension: one attachment point that whoever embeds the runtime invokes. It is the
// smallest hook, for tests and as a pattern.
#include "hooks/hooks.h"
#include "hooks/single.h"
#include "plat/plat.h"

struct hook_sample {
    struct single single;
};

ebpf_result_t hook_sample_create(struct runtime *rt, struct hook_sample **out)
{
    ebpf_result_t result;
    struct hook_sample *hook = plat_alloc(sizeof(*hook), POOL_TAG_HOOK);
    if (hook == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY_OR(result, single_init(&hook->single, rt, "sample", ATTACH_TYPE_SAMPLE, LAYOUT_SAMPLE), undo_hook);
    *out = hook;
    return EBPF_SUCCESS;

undo_hook:
    plat_free(hook);
    return result;
}

void hook_sample_destroy(struct hook_sample *hook)
{
    if (hook == NULL) {
        return;
    }
    single_fini(&hook->single);
    plat_free(hook);
}

ebpf_result_t hook_sample_run(struct hook_sample *hook, struct sample_context *context, uint64_t *result)
{
    ebpf_result_t status = EBPF_OBJECT_NOT_FOUND;
    link_batch_begin(hook->single.rt);
    struct link *link = point_link(&hook->single.point);
    if (link != NULL) {
        status = link_batch_invoke(link, context, result);
    }
    link_batch_end(hook->single.rt);
    return status == EBPF_INVALID_STATE ? EBPF_OBJECT_NOT_FOUND : status; // detached meanwhile
}
