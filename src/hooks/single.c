// SPDX-License-Identifier: MIT
// single: attachment takes no parameters, and test runs get contexts of one layout.
#include "hooks/single.h"
#include "hooks/context.h"

static ebpf_result_t attach(void *provider_context, struct link *link, const struct attach_params *params,
                            void **hook_context)
{
    struct single *s = provider_context;
    if (params->ifindex != 0 || params->flags != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(point_attach(&s->point, link));
    *hook_context = s;
    return EBPF_SUCCESS;
}

static void detach(void *provider_context, void *hook_context)
{
    UNUSED(provider_context);
    struct single *s = hook_context;
    point_detach(&s->point);
}

static ebpf_result_t create_context(void *provider_context, uint8_t *buffer, size_t headroom, size_t size,
                                    size_t capacity, const void *ctx_in, size_t ctx_in_size, void **context)
{
    struct single *s = provider_context;
    struct context_buffer in = {buffer, headroom, size, capacity};
    struct test_context *made = NULL;
    TRY(context_create(&in, s->layout, ctx_in, ctx_in_size, &made));
    *context = made;
    return EBPF_SUCCESS;
}

ebpf_result_t single_init(struct single *s, struct runtime *rt, const char *name, uint32_t attach_type,
                          uint32_t layout)
{
    s->rt = rt;
    s->layout = layout;
    s->provider = (struct hook_provider){
        .name = name,
        .attach_type = attach_type,
        .max_links = 1,
        .attach = attach,
        .detach = detach,
        .context_create = create_context,
        .context_destroy = context_destroy,
        .provider_context = s,
    };
    return provider_register(rt, &s->provider);
}

void single_fini(struct single *s)
{
    provider_unregister(s->rt, &s->provider);
}
