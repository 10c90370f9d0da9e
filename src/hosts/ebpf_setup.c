// SPDX-License-Identifier: MIT
// ebpf-setup: installs and removes eBPF for Windows, or says how it stands. See setup_steps.c for what an
// installation consists of.
#include <stdio.h>
#include <stdlib.h>

#include "hosts/setup.h"
#include "hosts/setup_error.h"
#include "hosts/setup_path.h"

#define MAX_ARGS 32

const char *setup_utf8(const wchar_t *text, char *out, size_t size)
{
    if (WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)size, NULL, NULL) == 0) {
        str_copy(out, size, "?");
    }
    return out;
}

DWORD setup_join(wchar_t *out, const wchar_t *folder, const wchar_t *name)
{
    size_t length = wcslen(folder);
    const wchar_t *separator = length > 0 && folder[length - 1] == L'\\' ? L"" : L"\\"; // "C:\" has one
    if (length + wcslen(name) + 2 > SETUP_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    swprintf(out, SETUP_PATH, L"%ls%ls%ls", folder, separator, name);
    return 0;
}

// --- telling -------------------------------------------------------------------------------------

static void print_reason(FILE *to, uint32_t error)
{
    char system[256];
    const char *advice = setup_error_advice(error);
    if (advice != NULL) {
        fprintf(to, "error %u: %s\n", error, advice);
        return;
    }
    DWORD n = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS |
                                 FORMAT_MESSAGE_MAX_WIDTH_MASK,
                             NULL, error, 0, system, sizeof(system), NULL);
    fprintf(to, "error %u%s%s\n", error, n != 0 ? ": " : "", n != 0 ? system : "");
}

static int fail(const char *what, uint32_t error, const struct plan_note *note)
{
    bool noted = note != NULL && note->text[0] != 0;
    fflush(stdout);
    fprintf(stderr, "ebpf-setup: %s%s%s: ", what, noted ? ": " : "", noted ? note->text : "");
    print_reason(stderr, error);
    return EXIT_FAILURE;
}

static void tell(void *user, enum plan_event event, const struct plan_step *step, enum plan_state state,
                 uint32_t error, const struct plan_note *note)
{
    static const char *const words[] = {
        [PLAN_APPLIED] = "done", [PLAN_REVERTED] = "undone", [PLAN_REMOVED] = "removed"};
    struct setup *s = user;
    UNUSED(state);
    printf("  %-9s %-21s %s\n",
           error != 0        ? "FAILED"
           : note->tolerated ? "tolerated"
                             : words[event],
           step->name, note->text);
    if (error != 0) {
        printf("            ");
        print_reason(stdout, error);
    }
    fflush(stdout);
    s->applied += event == PLAN_APPLIED;
    if (event == PLAN_APPLIED && s->options->die_at != 0 && s->applied == s->options->die_at) {
        TerminateProcess(GetCurrentProcess(), 9); // as if the power went
    }
}

// --- what is true of the machine -----------------------------------------------------------------

static DWORD find_self(struct setup *s)
{
    DWORD n = GetModuleFileNameW(NULL, s->self, SETUP_PATH);
    if (n == 0 || n >= SETUP_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    wcscpy(s->source, s->self);
    wchar_t *end = wcsrchr(s->source, L'\\');
    if (end == NULL) {
        return ERROR_PATH_NOT_FOUND;
    }
    *end = 0;
    return 0;
}

static DWORD find_drivers(struct setup *s)
{
    wchar_t system[SETUP_PATH];
    UINT n = GetSystemDirectoryW(system, SETUP_PATH);
    return n == 0 || n >= SETUP_PATH ? ERROR_FILENAME_EXCED_RANGE
                                     : setup_join(s->drivers, system, L"drivers");
}

static DWORD find_default_folder(struct setup *s)
{
    wchar_t programs[SETUP_PATH];
    DWORD n = GetEnvironmentVariableW(L"ProgramFiles", programs, SETUP_PATH);
    return n == 0 || n >= SETUP_PATH ? ERROR_PATH_NOT_FOUND : setup_join(s->folder, programs, L"ebpf");
}

// The whole path of --dir, without a backslash at the end.
static DWORD find_given_folder(struct setup *s)
{
    wchar_t given[SETUP_PATH];
    if (MultiByteToWideChar(CP_UTF8, 0, s->options->dir, -1, given, SETUP_PATH) == 0) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    DWORD n = GetFullPathNameW(given, SETUP_PATH, s->folder, NULL);
    if (n == 0 || n >= SETUP_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    if (n > 3 && s->folder[n - 1] == L'\\') {
        s->folder[n - 1] = 0;
    }
    return 0;
}

static bool is_fit(const wchar_t *folder)
{
    wchar_t windows[SETUP_PATH];
    UINT n = GetSystemWindowsDirectoryW(windows, SETUP_PATH);
    return n != 0 && n < SETUP_PATH && setup_path_is_fit(folder, windows);
}

static DWORD look_around(struct setup *s)
{
    DWORD error = find_self(s);
    error = error != 0 ? error : find_drivers(s);
    error = error != 0 ? error : find_default_folder(s);
    if (error != 0) {
        return error;
    }
    setup_record_read(s);
    s->manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE);
    if (s->manager == NULL && s->options->verb == SETUP_STATUS) {
        s->manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    }
    return s->manager == NULL ? GetLastError() : 0;
}

// Whether this user may change the machine. The service control manager is not the only one to ask: it may be
// lenient, the rest not.
static bool is_administrator(void)
{
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD size = sizeof(sid);
    BOOL member = FALSE;
    return CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, sid, &size) &&
           CheckTokenMembership(NULL, sid, &member) && member;
}

// --- verbs ---------------------------------------------------------------------------------------

// Everything that can be known to be in the way is found before anything is changed.
static DWORD check_before(struct setup *s, struct plan_note *note)
{
    DWORD error = s->options->dir != NULL ? find_given_folder(s) : 0;
    if (error != 0) {
        return error;
    }
    if (s->options->in_place) {
        wcscpy(s->folder, s->source);
    } else if (s->installed && s->options->dir == NULL && !s->installed_in_place) {
        wcscpy(s->folder, s->installed_folder); // an upgrade stays where it was
    }
    s->in_place = _wcsicmp(s->folder, s->source) == 0;
    if (!s->installed && !is_fit(s->folder)) {
        setup_utf8(s->folder, note->text, sizeof(note->text));
        return ERROR_BAD_PATHNAME;
    }
    if (s->installed && setup_version_is_later(s->installed_version, EBPF_VERSION)) {
        plan_note_format(note, "%s", s->installed_version);
        return ERROR_PRODUCT_VERSION;
    }
    // A package may take over its own folder from copies, but copies never overwrite a package.
    if (s->installed &&
        (_wcsicmp(s->folder, s->installed_folder) != 0 || (s->installed_in_place && !s->in_place))) {
        setup_utf8(s->installed_folder, note->text, sizeof(note->text));
        return ERROR_ALREADY_EXISTS;
    }
    error = setup_files_find_missing(s, note);
    return error != 0 ? error : setup_services_find_foreign(s, note);
}

static int install(struct setup *s)
{
    struct plan_note note = {{0}, false};
    struct plan plan = setup_plan(s);
    char folder[SETUP_PATH];
    DWORD error = check_before(s, &note);
    if (error != 0) {
        return fail("cannot install, nothing was changed", error, &note);
    }
    if (s->options->fail_at > plan.count + 1 || s->options->die_at > plan.count) {
        fprintf(stderr, "ebpf-setup: there are %u steps\n", plan.count);
        return 2;
    }
    printf("%s eBPF for Windows %s in %s\n", s->installed ? "replacing" : "installing", EBPF_VERSION,
           setup_utf8(s->folder, folder, sizeof(folder)));
    plan.tell = tell;
    plan.fail_at = s->options->fail_at;
    plan.fail_error = ERROR_CANCELLED;
    error = plan_install(&plan);
    if (error != 0) {
        return fail("the installation failed, what was done is undone", error, NULL);
    }
    printf("installed; the driver and the service run\n");
    return EXIT_SUCCESS;
}

static int uninstall(struct setup *s)
{
    struct plan plan = setup_plan(s);
    struct plan_note note = {{0}, false};
    DWORD error = setup_services_find_foreign(s, &note);
    if (error != 0) {
        return fail("cannot uninstall", error, &note);
    }
    printf("removing eBPF for Windows\n");
    plan.tell = tell;
    error = plan_uninstall(&plan);
    if (error != 0) {
        return fail("something could not be removed; run uninstall again", error, NULL);
    }
    printf("removed\n");
    return EXIT_SUCCESS;
}

static int run(const struct setup_options *options)
{
    static struct setup s; // its paths are large
    s.options = options;
    DWORD error =
        options->verb != SETUP_STATUS && !is_administrator() ? ERROR_ACCESS_DENIED : look_around(&s);
    if (error != 0) {
        return fail("cannot begin", error, NULL);
    }
    int status = options->verb == SETUP_INSTALL     ? install(&s)
                 : options->verb == SETUP_UNINSTALL ? uninstall(&s)
                                                    : setup_status(&s);
    CloseServiceHandle(s.manager);
    return status;
}

// Arguments as UTF-8, whatever the code page: malloc'ed, for the process's life.
static char *argument_utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *out = size > 0 ? malloc((size_t)size) : NULL;
    if (out != NULL) {
        WideCharToMultiByte(CP_UTF8, 0, text, -1, out, size, NULL, NULL);
    }
    return out;
}

int wmain(int argc, wchar_t **argv); // of -municode; no header declares it

int wmain(int argc, wchar_t **argv)
{
    char *narrow[MAX_ARGS + 1] = {0};
    struct setup_options options;
    int status = EXIT_FAILURE;
    if (argc > MAX_ARGS) {
        fprintf(stderr, "ebpf-setup: too many arguments\n");
        return 2;
    }
    for (int i = 0; i < argc; i++) {
        narrow[i] = argument_utf8(argv[i]);
        if (narrow[i] == NULL) {
            fprintf(stderr, "ebpf-setup: an argument is no text\n");
            return 2;
        }
    }
    return setup_options_parse(argc, narrow, &options, &status) ? run(&options) : status;
}
