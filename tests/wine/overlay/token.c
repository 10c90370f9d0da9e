// SPDX-License-Identifier: MIT
// token: the real tokens of whoever sent a request. A token object is a handle in the driver host; a subject
// context holds the token of the calling process, and of the calling thread when that impersonates.
#include "tests/wine/overlay/overlay.h"

#define TOKEN_TAG  0x6e6b6f54 // 'Tokn'
#define TOKEN_ROOM 16384      // bytes of the longest answer about a token that is passed on

struct token {
    HANDLE handle;
};

// Not in the kernel's headers; values of winnt.h.
#define PROCESS_QUERY_INFORMATION 0x0400
#define THREAD_QUERY_INFORMATION  0x0040
#define SE_GROUP_ENABLED          0x0004
#define TOKEN_IS_APP_CONTAINER    29

// Not in the headers: ntdll's, which need no kernel.
NTSYSAPI NTSTATUS NTAPI NtOpenProcessToken(HANDLE process, ACCESS_MASK access, PHANDLE token);
NTSYSAPI NTSTATUS NTAPI NtOpenThreadToken(HANDLE thread, ACCESS_MASK access, BOOLEAN as_self, PHANDLE token);
NTSYSAPI NTSTATUS NTAPI NtDuplicateToken(HANDLE token, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                                         BOOLEAN effective, TOKEN_TYPE type, PHANDLE copy);
NTSYSAPI NTSTATUS NTAPI NtAccessCheck(PSECURITY_DESCRIPTOR descriptor, HANDLE token, ACCESS_MASK access,
                                      PGENERIC_MAPPING mapping, PPRIVILEGE_SET privileges, PULONG size,
                                      PULONG granted, NTSTATUS *status);
NTSYSAPI NTSTATUS NTAPI NtPrivilegeCheck(HANDLE token, PPRIVILEGE_SET privileges, PBOOLEAN result);
NTSYSAPI BOOLEAN NTAPI RtlEqualSid(PSID a, PSID b);

static struct token *wrap(NTSTATUS status, HANDLE handle)
{
    struct token *token = NT_SUCCESS(status) ? overlay_alloc(sizeof(*token)) : NULL;
    if (token != NULL) {
        token->handle = handle;
    } else if (NT_SUCCESS(status)) {
        ZwClose(handle);
    }
    return token;
}

#define TOKEN_ACCESS (TOKEN_QUERY | TOKEN_DUPLICATE)

static struct token *process_token(void)
{
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof(attributes)};
    CLIENT_ID id = {.UniqueProcess = PsGetCurrentProcessId()};
    HANDLE process, handle = NULL;
    if (!NT_SUCCESS(ZwOpenProcess(&process, PROCESS_QUERY_INFORMATION, &attributes, &id))) {
        return NULL;
    }
    NTSTATUS status = NtOpenProcessToken(process, TOKEN_ACCESS, &handle);
    ZwClose(process);
    return wrap(status, handle);
}

static struct token *thread_token(void)
{
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof(attributes)};
    CLIENT_ID id = {.UniqueProcess = PsGetCurrentProcessId(), .UniqueThread = PsGetCurrentThreadId()};
    HANDLE thread, handle = NULL;
    if (!NT_SUCCESS(ZwOpenThread(&thread, THREAD_QUERY_INFORMATION, &attributes, &id))) {
        return NULL;
    }
    NTSTATUS status = NtOpenThreadToken(thread, TOKEN_ACCESS, TRUE, &handle);
    ZwClose(thread);
    return wrap(status, handle);
}

static void free_token(struct token *token)
{
    if (token != NULL) {
        ZwClose(token->handle);
        overlay_free(token);
    }
}

// --- subject contexts ---

void overlay_SeCaptureSubjectContext(PSECURITY_SUBJECT_CONTEXT context)
{
    overlay_require_irql(PASSIVE_LEVEL, "SeCaptureSubjectContext", CALLER);
    *context = (SECURITY_SUBJECT_CONTEXT){
        .ClientToken = thread_token(),
        .ImpersonationLevel = SecurityImpersonation,
        .PrimaryToken = process_token(),
        .ProcessAuditId = PsGetCurrentProcessId(),
    };
}

void overlay_SeReleaseSubjectContext(PSECURITY_SUBJECT_CONTEXT context)
{
    overlay_require_irql(PASSIVE_LEVEL, "SeReleaseSubjectContext", CALLER);
    free_token(context->ClientToken);
    free_token(context->PrimaryToken);
    context->ClientToken = context->PrimaryToken = NULL;
}

void overlay_SeLockSubjectContext(PSECURITY_SUBJECT_CONTEXT context)
{
    UNREFERENCED_PARAMETER(context); // what was captured does not change
}

void overlay_SeUnlockSubjectContext(PSECURITY_SUBJECT_CONTEXT context)
{
    UNREFERENCED_PARAMETER(context);
}

// --- facts of a token ---

// Answers of four bytes come in the pointer itself: Microsoft's documentation of SeQueryInformationToken.
static bool is_answered_in_place(TOKEN_INFORMATION_CLASS class)
{
    return class == TokenSessionId || (int)class == TOKEN_IS_APP_CONTAINER;
}

NTSTATUS overlay_SeQueryInformationToken(PACCESS_TOKEN object, TOKEN_INFORMATION_CLASS class, PVOID *out)
{
    const struct token *token = object;
    ULONG size = 0, number = 0;
    overlay_require_irql(PASSIVE_LEVEL, "SeQueryInformationToken", CALLER);
    if (token == NULL) {
        return STATUS_NO_TOKEN;
    }
    if (is_answered_in_place(class)) {
        NTSTATUS status = ZwQueryInformationToken(token->handle, class, &number, sizeof(number), &size);
        if (NT_SUCCESS(status)) {
            *(ULONG *)out = number;
        }
        return status;
    }
    void *answer = overlay_alloc_pool(TOKEN_ROOM, TOKEN_TAG, CALLER);
    if (answer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = ZwQueryInformationToken(token->handle, class, answer, TOKEN_ROOM, &size);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(answer, TOKEN_TAG);
        return status;
    }
    *out = answer;
    return STATUS_SUCCESS;
}

static bool has_group(const struct token *token, PSID sid)
{
    TOKEN_GROUPS *groups = overlay_alloc(TOKEN_ROOM);
    ULONG size;
    bool found = false;
    if (groups != NULL &&
        NT_SUCCESS(ZwQueryInformationToken(token->handle, TokenGroups, groups, TOKEN_ROOM, &size))) {
        for (ULONG i = 0; i < groups->GroupCount && !found; i++) {
            found = (groups->Groups[i].Attributes & SE_GROUP_ENABLED) != 0 &&
                    RtlEqualSid(groups->Groups[i].Sid, sid);
        }
    }
    overlay_free(groups);
    return found;
}

BOOLEAN overlay_SeTokenIsAdmin(PACCESS_TOKEN token)
{
    static const struct {
        UCHAR revision, count, authority[6];
        ULONG parts[2];
    } administrators = {1, 2, {0, 0, 0, 0, 0, 5}, {SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS}};
    return token != NULL && has_group(token, (PSID)&administrators);
}

BOOLEAN overlay_SeTokenIsRestricted(PACCESS_TOKEN object)
{
    const struct token *token = object;
    TOKEN_GROUPS *sids = overlay_alloc(TOKEN_ROOM);
    ULONG size;
    bool restricted =
        token != NULL && sids != NULL &&
        NT_SUCCESS(ZwQueryInformationToken(token->handle, TokenRestrictedSids, sids, TOKEN_ROOM, &size)) &&
        sids->GroupCount != 0;
    overlay_free(sids);
    return restricted;
}

TOKEN_TYPE overlay_SeTokenType(PACCESS_TOKEN object)
{
    const struct token *token = object;
    TOKEN_TYPE type = TokenPrimary;
    ULONG size;
    return NT_SUCCESS(ZwQueryInformationToken(token->handle, TokenType, &type, sizeof(type), &size))
               ? type
               : TokenPrimary;
}

// --- decisions ---

static struct token *acting_token(PSECURITY_SUBJECT_CONTEXT context)
{
    return context->ClientToken != NULL ? context->ClientToken : context->PrimaryToken;
}

static NTSTATUS check(PSECURITY_DESCRIPTOR descriptor, const struct token *token, ACCESS_MASK wanted,
                      PGENERIC_MAPPING mapping, ACCESS_MASK *granted)
{
    SECURITY_QUALITY_OF_SERVICE quality = {.Length = sizeof(quality),
                                           .ImpersonationLevel = SecurityIdentification};
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof(attributes), .SecurityQualityOfService = &quality};
    union {
        PRIVILEGE_SET set;
        UCHAR room[256];
    } used;
    ULONG size = sizeof(used);
    HANDLE copy;
    NTSTATUS decision = STATUS_ACCESS_DENIED;
    NTSTATUS status =
        NtDuplicateToken(token->handle, TOKEN_QUERY, &attributes, FALSE, TokenImpersonation, &copy);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = NtAccessCheck(descriptor, copy, wanted, mapping, &used.set, &size, granted, &decision);
    ZwClose(copy);
    return NT_SUCCESS(status) ? decision : status;
}

BOOLEAN overlay_SeAccessCheck(PSECURITY_DESCRIPTOR descriptor, PSECURITY_SUBJECT_CONTEXT context,
                              BOOLEAN locked, ACCESS_MASK wanted, ACCESS_MASK granted_before,
                              PPRIVILEGE_SET *privileges, PGENERIC_MAPPING mapping, KPROCESSOR_MODE mode,
                              PACCESS_MASK granted, PNTSTATUS status)
{
    UNREFERENCED_PARAMETER(locked);
    overlay_require_irql(PASSIVE_LEVEL, "SeAccessCheck", CALLER);
    if (privileges != NULL) {
        *privileges = NULL;
    }
    *granted = wanted | granted_before;
    *status = STATUS_SUCCESS;
    if (mode == KernelMode) {
        return TRUE;
    }
    const struct token *token = acting_token(context);
    *granted = 0;
    *status = token != NULL ? check(descriptor, token, wanted, mapping, granted) : STATUS_NO_TOKEN;
    *granted = NT_SUCCESS(*status) ? *granted | granted_before : 0;
    return NT_SUCCESS(*status);
}

BOOLEAN overlay_SeSinglePrivilegeCheck(LUID privilege, KPROCESSOR_MODE mode)
{
    PRIVILEGE_SET wanted = {
        .PrivilegeCount = 1, .Control = PRIVILEGE_SET_ALL_NECESSARY, .Privilege = {{privilege, 0}}};
    BOOLEAN has = FALSE;
    overlay_require_irql(PASSIVE_LEVEL, "SeSinglePrivilegeCheck", CALLER);
    if (mode == KernelMode) {
        return TRUE;
    }
    struct token *thread = thread_token(), *token = thread != NULL ? thread : process_token();
    bool answered = token != NULL && NT_SUCCESS(NtPrivilegeCheck(token->handle, &wanted, &has));
    free_token(token);
    return answered && has;
}

// In a dispatch routine Wine's "current process" is the one that sent the request.
KPROCESSOR_MODE overlay_ExGetPreviousMode(void)
{
    return host_is_own_process(PsGetCurrentProcessId()) ? KernelMode : UserMode;
}
