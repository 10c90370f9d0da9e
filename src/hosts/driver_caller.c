// SPDX-License-Identifier: MIT
// driver_caller: the facts about a caller's token that the decision of access_windows.h needs. A token that
// cannot be read is known for nothing.
#include "hosts/access_windows.h"
#include "hosts/driver.h"

// Not in the headers for drivers. Source: Microsoft's documentation of TOKEN_GROUPS and
// TOKEN_INFORMATION_CLASS.
#define GROUP_ENABLED          0x04u
#define GROUP_FOR_DENIAL_ONLY  0x10u
#define TOKEN_IS_APP_CONTAINER ((TOKEN_INFORMATION_CLASS)29)

static bool is_sid(PSID sid, const char *text)
{
    struct access_sid known;
    if (access_read_sid(&text, &known) != EBPF_SUCCESS) {
        return false;
    }
    return RtlLengthSid(sid) == known.size && memcmp(sid, known.bytes, known.size) == 0;
}

static bool read_user(PACCESS_TOKEN token, struct access_token_facts *facts)
{
    TOKEN_USER *user = NULL;
    if (!NT_SUCCESS(SeQueryInformationToken(token, TokenUser, (PVOID *)&user))) {
        return false;
    }
    bool counts = (user->User.Attributes & GROUP_FOR_DENIAL_ONLY) == 0; // a restricted token's may not
    facts->is_system = counts && is_sid(user->User.Sid, ACCESS_SID_SYSTEM);
    ExFreePoolWithTag(user, 0);
    return true;
}

static bool is_in_force(const SID_AND_ATTRIBUTES *group)
{
    return (group->Attributes & GROUP_ENABLED) != 0 && (group->Attributes & GROUP_FOR_DENIAL_ONLY) == 0;
}

static bool read_groups(PACCESS_TOKEN token, struct access_token_facts *facts)
{
    TOKEN_GROUPS *groups = NULL;
    if (!NT_SUCCESS(SeQueryInformationToken(token, TokenGroups, (PVOID *)&groups))) {
        return false;
    }
    for (ULONG i = 0; i < groups->GroupCount; i++) {
        const SID_AND_ATTRIBUTES *group = &groups->Groups[i];
        if (is_in_force(group)) {
            facts->is_administrator |= is_sid(group->Sid, ACCESS_SID_ADMINISTRATORS);
            facts->is_service |= is_sid(group->Sid, ACCESS_SID_SERVICE);
            facts->is_network |= is_sid(group->Sid, ACCESS_SID_NETWORK);
        }
    }
    ExFreePoolWithTag(groups, 0);
    return true;
}

// For this class the answer comes in place of the pointer.
static bool read_container(PACCESS_TOKEN token, struct access_token_facts *facts)
{
    PVOID answer = NULL;
    if (!NT_SUCCESS(SeQueryInformationToken(token, TOKEN_IS_APP_CONTAINER, &answer))) {
        return false;
    }
    facts->is_app_container = (ULONG)(ULONG_PTR)answer != 0;
    return true;
}

static void read_token(PACCESS_TOKEN token, struct access_token_facts *facts)
{
    facts->is_restricted = SeTokenIsRestricted(token);
    facts->is_known = read_user(token, facts) && read_groups(token, facts) && read_container(token, facts);
}

uint32_t caller_rights(const struct driver *d)
{
    struct access_token_facts facts = {0};
    SECURITY_SUBJECT_CONTEXT subject = {0};
    SeCaptureSubjectContext(&subject);
    PACCESS_TOKEN token = SeQuerySubjectContextToken(&subject);
    if (token != NULL) {
        facts.is_impersonation =
            subject.ClientToken != NULL && subject.ImpersonationLevel < SecurityImpersonation;
        read_token(token, &facts);
    }
    SeReleaseSubjectContext(&subject);
    return access_decide_windows(&facts, d->verdict_from_administrators);
}
