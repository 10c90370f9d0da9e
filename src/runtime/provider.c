// SPDX-License-Identifier: MIT
// provider: which hook serves which attach type. While a provider is called, `users` keeps it registered.
#include "runtime/runtime_int.h"

ebpf_result_t provider_register(struct runtime *rt, const struct hook_provider *provider)
{
    ebpf_result_t result = EBPF_SUCCESS;
    uint32_t type = provider->attach_type;
    if (type == ATTACH_TYPE_NONE || type >= rt->spec->attach_type_count) {
        return EBPF_INVALID_ARGUMENT;
    }
    plat_mutex_acquire(&rt->link_mutex);
    if (rt->providers[type].provider != NULL) {
        result = EBPF_OBJECT_ALREADY_EXISTS;
    } else {
        rt->providers[type] = (struct provider_slot){.provider = provider};
    }
    plat_mutex_release(&rt->link_mutex);
    return result;
}

const struct hook_provider *provider_acquire_locked(struct runtime *rt, uint32_t attach_type)
{
    if (attach_type >= rt->spec->attach_type_count) {
        return NULL;
    }
    struct provider_slot *slot = &rt->providers[attach_type];
    if (slot->provider == NULL || slot->closing) {
        return NULL;
    }
    slot->users++;
    return slot->provider;
}

const struct hook_provider *provider_acquire(struct runtime *rt, uint32_t attach_type)
{
    plat_mutex_acquire(&rt->link_mutex);
    const struct hook_provider *provider = provider_acquire_locked(rt, attach_type);
    plat_mutex_release(&rt->link_mutex);
    return provider;
}

void provider_release(struct runtime *rt, uint32_t attach_type)
{
    plat_mutex_acquire(&rt->link_mutex);
    rt->providers[attach_type].users--;
    plat_mutex_release(&rt->link_mutex);
}

// Calls that were under way when the slot closed.
static void wait_for_users(struct runtime *rt, struct provider_slot *slot)
{
    plat_mutex_acquire(&rt->link_mutex);
    while (slot->users > 0) {
        plat_mutex_release(&rt->link_mutex);
        plat_sleep_us(100);
        plat_mutex_acquire(&rt->link_mutex);
    }
    plat_mutex_release(&rt->link_mutex);
}

static bool begin_close(struct runtime *rt, const struct hook_provider *provider)
{
    struct provider_slot *slot = &rt->providers[provider->attach_type];
    plat_mutex_acquire(&rt->link_mutex);
    bool is_ours = slot->provider == provider && !slot->closing;
    slot->closing = slot->closing || is_ours;
    plat_mutex_release(&rt->link_mutex);
    return is_ours;
}

void provider_unregister(struct runtime *rt, const struct hook_provider *provider)
{
    if (provider->attach_type >= rt->spec->attach_type_count || !begin_close(rt, provider)) {
        return;
    }
    struct provider_slot *slot = &rt->providers[provider->attach_type];
    wait_for_users(rt, slot);
    link_detach_all(rt, provider);
    plat_mutex_acquire(&rt->link_mutex);
    *slot = (struct provider_slot){0};
    plat_mutex_release(&rt->link_mutex);
}
