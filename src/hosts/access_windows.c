// SPDX-License-Identifier: MIT
// access_windows: the decision, and the readers of identifiers and descriptors. Nothing is looked up here.
#include "hosts/access_windows.h"

#include "core/core.h"

// --- the decision --------------------------------------------------------------------------------

uint32_t access_decide_windows(const struct access_token_facts *facts, bool verdict_from_administrators)
{
    const uint32_t all = CHANNEL_REQUEST | CHANNEL_VERDICT;
    if (!facts->is_known || facts->is_impersonation || facts->is_app_container) {
        return 0;
    }
    // Restricted too, because a service of a restricted SID type is. Whoever drops the service's own SID from
    // its restricting SIDs is stopped by the device's descriptor, which both lists must pass.
    if (facts->is_service) {
        return all;
    }
    if (facts->is_restricted) {
        return 0;
    }
    if (facts->is_system) {
        return all;
    }
    if (!facts->is_administrator) {
        return 0;
    }
    return verdict_from_administrators && !facts->is_network ? all : (uint32_t)CHANNEL_REQUEST;
}

// --- identifiers ---------------------------------------------------------------------------------

static bool read_literal(const char **text, const char *literal)
{
    if (!str_starts_with(*text, literal)) {
        return false;
    }
    *text += str_len(literal);
    return true;
}

static bool read_number(const char **text, uint64_t limit, uint64_t *out)
{
    uint64_t value = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > limit) {
            return false;
        }
    }
    bool any = at != *text;
    *text = at;
    *out = value;
    return any;
}

static void add_sub(struct access_sid *sid, uint32_t sub)
{
    for (unsigned i = 0; i < 4; i++) {
        sid->bytes[sid->size++] = (uint8_t)(sub >> 8 * i);
    }
    sid->bytes[1]++;
}

ebpf_result_t access_read_sid(const char **text, struct access_sid *out)
{
    struct access_sid sid = {.size = 8, .bytes = {1}};
    const char *at = *text;
    uint64_t number = 0;
    if (!read_literal(&at, "S-1-") || !read_number(&at, UINT32_MAX, &number)) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; i < 4; i++) {
        sid.bytes[7 - i] = (uint8_t)(number >> 8 * i);
    }
    while (read_literal(&at, "-")) {
        if (sid.bytes[1] == ACCESS_SID_SUBS || !read_number(&at, UINT32_MAX, &number)) {
            return EBPF_INVALID_ARGUMENT;
        }
        add_sub(&sid, (uint32_t)number);
    }
    if (sid.bytes[1] == 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    *text = at;
    *out = sid;
    return EBPF_SUCCESS;
}

// --- descriptors ---------------------------------------------------------------------------------

ebpf_result_t access_read_sddl(const char *sddl, unsigned index, struct access_sid *out)
{
    const char *at = sddl;
    struct access_sid sid;
    if (!read_literal(&at, "D:P")) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; *at != '\0'; i++) {
        if (!read_literal(&at, "(A;;GA;;;")) {
            return EBPF_INVALID_ARGUMENT;
        }
        TRY(access_read_sid(&at, &sid));
        if (!read_literal(&at, ")")) {
            return EBPF_INVALID_ARGUMENT;
        }
        if (i == index) {
            *out = sid;
            return EBPF_SUCCESS;
        }
    }
    return EBPF_NO_MORE_KEYS;
}
