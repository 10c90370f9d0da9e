// SPDX-License-Identifier: MIT
// Who may open the device, by table; and that the device's descriptor says the same.
#include "hosts/access_windows.h"

#include "core/core.h"
#include "tests/test.h"

enum { NONE = 0, ASK = CHANNEL_REQUEST, ALL = CHANNEL_REQUEST | CHANNEL_VERDICT };

static const struct access_case {
    const char *who;
    struct access_token_facts facts;
    uint32_t rights, with_parameter; // without and with VerdictFromAdministrators
} cases[] = {
    {"nothing is known", {.is_known = false}, NONE, NONE},
    {"unreadable, but SYSTEM", {.is_system = true}, NONE, NONE},
    {"somebody", {.is_known = true}, NONE, NONE},
    {"SYSTEM", {.is_known = true, .is_system = true}, ALL, ALL},
    {"SYSTEM, an administrator", {.is_known = true, .is_system = true, .is_administrator = true}, ALL, ALL},
    {"an administrator", {.is_known = true, .is_administrator = true}, ASK, ALL},
    {"an administrator from afar",
     {.is_known = true, .is_administrator = true, .is_network = true},
     ASK,
     ASK},
    {"somebody from afar", {.is_known = true, .is_network = true}, NONE, NONE},
    {"a restricted administrator",
     {.is_known = true, .is_administrator = true, .is_restricted = true},
     NONE,
     NONE},
    {"a restricted SYSTEM", {.is_known = true, .is_system = true, .is_restricted = true}, NONE, NONE},
    {"an administrator's app container",
     {.is_known = true, .is_administrator = true, .is_app_container = true},
     NONE,
     NONE},
    {"the service", {.is_known = true, .is_service = true}, ALL, ALL},
    {"the service, restricted", {.is_known = true, .is_service = true, .is_restricted = true}, ALL, ALL},
    {"the service's app container",
     {.is_known = true, .is_service = true, .is_app_container = true},
     NONE,
     NONE},
    {"who was only identified",
     {.is_known = true, .is_impersonation = true, .is_system = true, .is_service = true},
     NONE,
     NONE},
};

static void decisions(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct access_case *c = &cases[i];
        if (access_decide_windows(&c->facts, false) != c->rights ||
            access_decide_windows(&c->facts, true) != c->with_parameter) {
            test_fail(__FILE__, __LINE__, "%s: another decision", c->who);
        }
    }
}

// Of all combinations of facts: a verdict is worth more than a request, and no fact that takes rights gives
// any.
static void decisions_are_monotonous(void)
{
    for (unsigned bits = 0; bits < 1u << 8; bits++) {
        struct access_token_facts f = {bits & 1,  bits & 2,  bits & 4,  bits & 8,
                                       bits & 16, bits & 32, bits & 64, bits & 128};
        uint32_t rights = access_decide_windows(&f, false), more = access_decide_windows(&f, true);
        CHECK((rights & ~more) == 0);
        CHECK((rights & CHANNEL_VERDICT) == 0 || (rights & CHANNEL_REQUEST) != 0);
        CHECK(rights == 0 || (f.is_known && (f.is_system || f.is_administrator || f.is_service)));
        struct access_token_facts less = f;
        less.is_restricted = less.is_app_container = less.is_impersonation = less.is_network = false;
        CHECK((more & ~access_decide_windows(&less, true)) == 0);
    }
}

// --- the descriptor ------------------------------------------------------------------------------

static bool is_sid(const struct access_sid *sid, const char *text)
{
    struct access_sid other;
    return access_read_sid(&text, &other) == EBPF_SUCCESS && other.size == sid->size &&
           memcmp(other.bytes, sid->bytes, sid->size) == 0;
}

static bool is_in_sddl(const char *text)
{
    struct access_sid sid;
    for (unsigned i = 0; access_read_sddl(ACCESS_SDDL, i, &sid) == EBPF_SUCCESS; i++) {
        if (is_sid(&sid, text)) {
            return true;
        }
    }
    return false;
}

static void the_descriptor_says_the_same(void)
{
    static const struct {
        const char *sid;
        struct access_token_facts facts;
    } principals[] = {
        {ACCESS_SID_SYSTEM, {.is_known = true, .is_system = true}},
        {ACCESS_SID_ADMINISTRATORS, {.is_known = true, .is_administrator = true}},
        {ACCESS_SID_SERVICE, {.is_known = true, .is_service = true}},
        {ACCESS_SID_NETWORK, {.is_known = true, .is_network = true}},
        {"S-1-1-0", {.is_known = true}},  // everyone
        {"S-1-5-19", {.is_known = true}}, // LocalService, without the service's SID
        {"S-1-15-2-1", {.is_known = true, .is_app_container = true}}, // all app packages
    };
    struct access_sid sid;
    for (size_t i = 0; i < ARRAY_SIZE(principals); i++) {
        CHECK_EQ(is_in_sddl(principals[i].sid), access_decide_windows(&principals[i].facts, false) != 0);
    }
    CHECK_OK(access_read_sddl(ACCESS_SDDL, 2, &sid));
    CHECK_EQ(access_read_sddl(ACCESS_SDDL, 3, &sid), EBPF_NO_MORE_KEYS);
}

static void identifiers_are_read(void)
{
    static const uint8_t administrators[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
    static const char *const bad[] = {"",
                                      "S",
                                      "S-1",
                                      "S-1-5",
                                      "S-2-5-18",
                                      "S-1--18",
                                      "S-1-5-18-",
                                      "S-1-5-x",
                                      "s-1-5-18",
                                      "S-1-5-4294967296",
                                      "S-1-4294967296-1",
                                      "S-1-1-1-2-3-4-5-6-7-8-9"};
    const char *text = ACCESS_SID_ADMINISTRATORS ")";
    struct access_sid sid;
    REQUIRE_OK(access_read_sid(&text, &sid));
    CHECK_STR(text, ")");
    CHECK(sid.size == sizeof(administrators) && memcmp(sid.bytes, administrators, sid.size) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        text = bad[i];
        CHECK_EQ(access_read_sid(&text, &sid), EBPF_INVALID_ARGUMENT);
    }
}

static void other_descriptors_are_refused(void)
{
    static const char *const bad[] = {"",
                                      "D:",
                                      "D:(A;;GA;;;S-1-5-18)",
                                      "D:P(D;;GA;;;S-1-5-18)",
                                      "D:P(A;OI;GA;;;S-1-5-18)",
                                      "D:P(A;;GR;;;S-1-5-18)",
                                      "D:P(A;;GA;;;WD)",
                                      "D:P(A;;GA;;;S-1-5-18",
                                      "O:SYD:P(A;;GA;;;S-1-5-18)"};
    struct access_sid sid;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(access_read_sddl(bad[i], 0, &sid), EBPF_INVALID_ARGUMENT);
    }
}

TEST_SUITE(access_windows)
{
    RUN(decisions);
    RUN(decisions_are_monotonous);
    RUN(the_descriptor_says_the_same);
    RUN(identifiers_are_read);
    RUN(other_descriptors_are_refused);
}
