// SPDX-License-Identifier: MIT
// service_confine: token, job, attributes, process, in this order. Invariant: the process runs its first
// instruction in the job and with the token, never before.
#include "hosts/service_confine.h"

#include <sddl.h>
#include <stdlib.h>

#include "hosts/service_judge.h"

// Not in every version of the headers. Source: winbase.h of the Windows SDK 10.0.17763.
#define ATTRIBUTE_JOB_LIST         0x0002000D // PROC_THREAD_ATTRIBUTE_JOB_LIST
#define ATTRIBUTE_CHILD_POLICY     0x0002000E // PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY
#define ATTRIBUTE_MITIGATIONS      0x00020007 // PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY
#define ATTRIBUTE_HANDLE_LIST      0x00020002 // PROC_THREAD_ATTRIBUTE_HANDLE_LIST
#define CHILD_PROCESSES_RESTRICTED 1u
#define ATTRIBUTE_COUNT            4

#define START_TRIES    3
#define START_PAUSE_MS 20

#define ALWAYS_ON(shift) (1ULL << (shift))         // fields of two bits; 01 is "always on"
static const DWORD64 mitigations = ALWAYS_ON(8) |  // images are relocated
                                   ALWAYS_ON(12) | // heap corruption ends the process
                                   ALWAYS_ON(16) | // addresses are random
                                   ALWAYS_ON(20) | // with all bits of the address space
                                   ALWAYS_ON(24) | // a bad handle is an exception
                                   ALWAYS_ON(28) | // no win32k system calls
                                   ALWAYS_ON(32) | // no extension points
                                   ALWAYS_ON(36) | // no dynamic code
                                   ALWAYS_ON(48) | // no fonts from outside
                                   ALWAYS_ON(52) | // no images from the network
                                   ALWAYS_ON(56);  // no images of low integrity

// --- token ---------------------------------------------------------------------------------------

// Groups that everybody is in: Everyone, Authenticated Users, Users. All others of ours become good for
// denial only. Source: Microsoft's documentation "Well-known SIDs".
static const wchar_t *const common[] = {L"S-1-1-0", L"S-1-5-11", L"S-1-5-32-545"};
#define RESTRICTED_CODE L"S-1-5-12"
#define LOW_INTEGRITY   L"S-1-16-4096"

struct sids {
    PSID sid[ARRAY_SIZE(common) + 1];
    SID_AND_ATTRIBUTES entries[ARRAY_SIZE(common) + 1];
};

static void free_sids(struct sids *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->sid); i++) {
        LocalFree(s->sid[i]);
    }
}

// The common groups, and last the one that every restricted process may use.
static DWORD make_sids(struct sids *s)
{
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < ARRAY_SIZE(s->sid); i++) {
        const wchar_t *text = i < ARRAY_SIZE(common) ? common[i] : RESTRICTED_CODE;
        if (!ConvertStringSidToSidW(text, &s->sid[i])) {
            DWORD error = GetLastError();
            free_sids(s);
            return error;
        }
        s->entries[i].Sid = s->sid[i];
    }
    return ERROR_SUCCESS;
}

static bool is_kept(const SID_AND_ATTRIBUTES *group, const struct sids *s)
{
    bool kept = (group->Attributes & (SE_GROUP_INTEGRITY | SE_GROUP_LOGON_ID)) != 0;
    for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
        kept |= EqualSid(group->Sid, s->sid[i]) != 0;
    }
    return kept;
}

static TOKEN_GROUPS *read_groups(HANDLE token)
{
    DWORD size = 0;
    GetTokenInformation(token, TokenGroups, NULL, 0, &size);
    TOKEN_GROUPS *groups = malloc(size != 0 ? size : 1);
    if (groups != NULL && !GetTokenInformation(token, TokenGroups, groups, size, &size)) {
        free(groups);
        return NULL;
    }
    return groups;
}

// Whether our own token has restricting SIDs: that of a service with a restricted SID type has, for writing
// only. A copy's are the intersection of both lists, which could no longer read the system's libraries; such
// a copy keeps the list that there is, for writing, too.
static bool is_restricted(HANDLE token)
{
    DWORD size = 0;
    _Alignas(TOKEN_GROUPS) BYTE room[4096];
    return GetTokenInformation(token, TokenRestrictedSids, room, sizeof(room), &size) &&
           ((const TOKEN_GROUPS *)room)->GroupCount != 0;
}

static DWORD restrict_token(HANDLE ours, struct sids *s, HANDLE *out)
{
    TOKEN_GROUPS *groups = read_groups(ours);
    DWORD denied = 0, error = ERROR_SUCCESS;
    bool again = is_restricted(ours);
    if (groups == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    for (DWORD i = 0; i < groups->GroupCount; i++) {
        if (!is_kept(&groups->Groups[i], s)) {
            groups->Groups[denied++] = (SID_AND_ATTRIBUTES){groups->Groups[i].Sid, 0};
        }
    }
    if (!CreateRestrictedToken(ours, DISABLE_MAX_PRIVILEGE | (again ? WRITE_RESTRICTED : 0), denied,
                               groups->Groups, 0, NULL, again ? 0 : ARRAY_SIZE(s->entries), s->entries,
                               out)) {
        error = GetLastError();
    }
    free(groups);
    return error;
}

static DWORD lower_integrity(HANDLE token)
{
    TOKEN_MANDATORY_LABEL label = {.Label = {.Attributes = SE_GROUP_INTEGRITY}};
    DWORD error = ERROR_SUCCESS;
    if (!ConvertStringSidToSidW(LOW_INTEGRITY, &label.Label.Sid)) {
        return GetLastError();
    }
    if (!SetTokenInformation(token, TokenIntegrityLevel, &label,
                             sizeof(label) + GetLengthSid(label.Label.Sid))) {
        error = GetLastError();
    }
    LocalFree(label.Label.Sid);
    return error;
}

static DWORD make_token(HANDLE *out)
{
    HANDLE ours = NULL;
    struct sids s;
    DWORD error = make_sids(&s);
    if (error != ERROR_SUCCESS) {
        return error;
    }
    if (OpenProcessToken(GetCurrentProcess(),
                         TOKEN_DUPLICATE | TOKEN_QUERY | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT,
                         &ours)) {
        error = restrict_token(ours, &s, out);
        CloseHandle(ours);
    } else {
        error = GetLastError();
    }
    free_sids(&s);
    if (error == ERROR_SUCCESS && (error = lower_integrity(*out)) != ERROR_SUCCESS) {
        CloseHandle(*out);
    }
    return error;
}

// --- job -----------------------------------------------------------------------------------------

static DWORD make_job(HANDLE *out)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation = {.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE |
                                                JOB_OBJECT_LIMIT_PROCESS_MEMORY |
                                                JOB_OBJECT_LIMIT_ACTIVE_PROCESS |
                                                JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
                                  .ActiveProcessLimit = 1},
        .ProcessMemoryLimit = (SIZE_T)SERVICE_WORKER_MEMORY};
    JOBOBJECT_BASIC_UI_RESTRICTIONS windows = {
        JOB_OBJECT_UILIMIT_DESKTOP | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS | JOB_OBJECT_UILIMIT_EXITWINDOWS |
        JOB_OBJECT_UILIMIT_GLOBALATOMS | JOB_OBJECT_UILIMIT_HANDLES | JOB_OBJECT_UILIMIT_READCLIPBOARD |
        JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS | JOB_OBJECT_UILIMIT_WRITECLIPBOARD};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job == NULL) {
        return GetLastError();
    }
    if (!SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof(limits)) ||
        !SetInformationJobObject(job, JobObjectBasicUIRestrictions, &windows, sizeof(windows))) {
        DWORD error = GetLastError();
        CloseHandle(job);
        return error;
    }
    *out = job;
    return ERROR_SUCCESS;
}

// --- attributes ----------------------------------------------------------------------------------

// The list keeps pointers: what they point at must live as long.
struct attributes {
    LPPROC_THREAD_ATTRIBUTE_LIST list;
    HANDLE pipe, job;
    DWORD64 mitigations;
    DWORD children;
};

// What a system does not know it refuses with ERROR_NOT_SUPPORTED or ERROR_INVALID_PARAMETER. The handle list
// and the job are old and must work; mitigations are a second line behind the token, and grow with versions.
static DWORD fill(struct attributes *a)
{
    const struct {
        DWORD_PTR id;
        void *value;
        size_t size;
        bool required;
    } rows[ATTRIBUTE_COUNT] = {{ATTRIBUTE_HANDLE_LIST, &a->pipe, sizeof(a->pipe), true},
                               {ATTRIBUTE_JOB_LIST, &a->job, sizeof(a->job), true},
                               {ATTRIBUTE_MITIGATIONS, &a->mitigations, sizeof(a->mitigations), false},
                               {ATTRIBUTE_CHILD_POLICY, &a->children, sizeof(a->children), false}};
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (!UpdateProcThreadAttribute(a->list, 0, rows[i].id, rows[i].value, rows[i].size, NULL, NULL) &&
            rows[i].required) {
            return GetLastError();
        }
    }
    return ERROR_SUCCESS;
}

static void free_attributes(struct attributes *a)
{
    DeleteProcThreadAttributeList(a->list);
    free(a->list);
}

static DWORD make_attributes(struct attributes *a)
{
    SIZE_T size = 0;
    a->mitigations = mitigations;
    a->children = CHILD_PROCESSES_RESTRICTED;
    InitializeProcThreadAttributeList(NULL, ATTRIBUTE_COUNT, 0, &size);
    a->list = malloc(size != 0 ? size : 1);
    if (a->list == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    if (!InitializeProcThreadAttributeList(a->list, ATTRIBUTE_COUNT, 0, &size)) {
        DWORD error = GetLastError();
        free(a->list);
        return error;
    }
    DWORD error = fill(a);
    if (error != ERROR_SUCCESS) {
        free_attributes(a);
    }
    return error;
}

// --- process -------------------------------------------------------------------------------------

#define OPTION L" --worker"

// `"path" --worker`; NULL: no memory, or not UTF-8. `quoted` is where the path begins.
static wchar_t *make_command(const char *path)
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0); // with the NUL
    wchar_t *line = length > 0 ? malloc(((size_t)length + 2) * sizeof(wchar_t) + sizeof(OPTION)) : NULL;
    if (line == NULL) {
        return NULL;
    }
    line[0] = L'"';
    MultiByteToWideChar(CP_UTF8, 0, path, -1, line + 1, length);
    line[length] = L'"';
    memcpy(line + length + 1, OPTION, sizeof(OPTION));
    return line;
}

// The worker sees of the environment where the system lies, which the loader wants to know.
static void make_environment(wchar_t out[MAX_PATH + 16])
{
    static const wchar_t name[] = L"SystemRoot=";
    size_t used = ARRAY_SIZE(name) - 1;
    memset(out, 0, (MAX_PATH + 16) * sizeof(wchar_t)); // ends with two NULs
    memcpy(out, name, sizeof(name));
    UINT length = GetWindowsDirectoryW(out + used, MAX_PATH);
    if (length == 0 || length >= MAX_PATH) {
        out[used] = 0;
    }
}

static DWORD create(const char *path, HANDLE token, struct attributes *a, struct confined_process *out)
{
    wchar_t environment[MAX_PATH + 16];
    PROCESS_INFORMATION made;
    STARTUPINFOEXW startup = {.StartupInfo = {.cb = sizeof(startup),
                                              .dwFlags = STARTF_USESTDHANDLES | STARTF_FORCEOFFFEEDBACK,
                                              .hStdInput = a->pipe},
                              .lpAttributeList = a->list};
    wchar_t *command = make_command(path);
    // Without a console: its host would be a second process.
    const DWORD flags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | DETACHED_PROCESS;
    DWORD error = ERROR_SUCCESS;
    if (command == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    make_environment(environment);
    if (CreateProcessAsUserW(token, NULL, command, NULL, NULL, TRUE, flags, environment, NULL,
                             &startup.StartupInfo, &made)) {
        CloseHandle(made.hThread);
        out->process = made.hProcess;
    } else {
        error = GetLastError();
    }
    free(command);
    return error;
}

static DWORD start_in_job(const char *path, HANDLE pipe, HANDLE token, struct confined_process *out)
{
    struct attributes a = {.pipe = pipe, .job = out->job};
    DWORD error = make_attributes(&a);
    if (error != ERROR_SUCCESS) {
        return error;
    }
    error = create(path, token, &a, out);
    // A busy Wine answers so now and then, and starts the same process a moment later.
    for (unsigned i = 1; i < START_TRIES && error == ERROR_INTERNAL_ERROR; i++) {
        Sleep(START_PAUSE_MS);
        error = create(path, token, &a, out);
    }
    free_attributes(&a);
    return error;
}

DWORD confine_start(const char *path, HANDLE pipe, struct confined_process *out)
{
    HANDLE token = NULL;
    DWORD error = make_token(&token);
    if (error != ERROR_SUCCESS) {
        return error;
    }
    error = make_job(&out->job);
    if (error != ERROR_SUCCESS) {
        goto undo_token;
    }
    error = start_in_job(path, pipe, token, out);
    if (error != ERROR_SUCCESS) {
        CloseHandle(out->job);
    }
undo_token:
    CloseHandle(token);
    return error;
}

void confine_close(struct confined_process *p)
{
    CloseHandle(p->process);
    CloseHandle(p->job);
}
