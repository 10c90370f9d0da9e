// SPDX-License-Identifier: MIT
// ebpfsvc.exe: the verification service (service_windows.h), each of its workers, and its own installer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "hosts/service_config.h"
#include "hosts/service_judge.h"
#include "hosts/service_pipe.h"
#include "hosts/service_windows.h"
#include "plat/plat.h"

// Exit status of --install and --uninstall after a Win32 error, which may be a multiple of 256.
#define STATUS_FAILED 1
#define STATUS_USAGE  2

static const char usage[] =
    "usage: ebpfsvc [OPTION]\n"
    "Verifies eBPF programs before ebpfcore loads them. Windows starts it, without an option.\n"
    "\n"
    "  --install     create or update the service " NAME_SERVICE " for this program\n"
    "  --uninstall   remove it\n"
    "  --console     serve in this console until Ctrl-C; the service must not run\n"
    "  --help, --version\n";

static int fail(const char *what, uint32_t error)
{
    char text[256] = "";
    FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error, 0, text,
                   sizeof(text), NULL);
    text[strcspn(text, "\r\n")] = 0;
    fprintf(stderr, "ebpfsvc: %s: %s (error %u)\n", what, text, (unsigned)error);
    return STATUS_FAILED;
}

// --- worker --------------------------------------------------------------------------------------

static ebpf_result_t answer(const struct pipe *p, const void *request, size_t size)
{
    struct arena arena;
    size_t reply_size = 0;
    arena_init(&arena, plat_mem_source(), 0);
    void *reply = service_judge(request, size, &arena, &reply_size);
    ebpf_result_t result = reply != NULL ? pipe_send(p, reply, reply_size) : EBPF_NO_MEMORY;
    arena_fini(&arena);
    return result;
}

// Until the service closes its end.
static ebpf_result_t work(HANDLE handle)
{
    struct pipe p = {.handle = handle};
    for (;;) {
        uint8_t *request = NULL;
        size_t size = 0;
        TRY(pipe_receive(&p, &request, &size));
        ebpf_result_t result = answer(&p, request, size);
        free(request);
        TRY(result);
    }
}

static int run_worker(void)
{
    HANDLE handle = GetStdHandle(STD_INPUT_HANDLE);
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    if (GetFileType(handle) != FILE_TYPE_PIPE) {
        fprintf(stderr, "ebpfsvc: --worker is for the service itself\n");
        return STATUS_USAGE;
    }
    if (plat_init() != EBPF_SUCCESS) {
        return EXIT_FAILURE;
    }
    ebpf_result_t result = work(handle);
    plat_fini();
    return result == EBPF_CANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
}

// --- installer -----------------------------------------------------------------------------------

static DWORD apply(SC_HANDLE manager, bool *restricted)
{
    wchar_t exe[MAX_PATH * 4];
    DWORD length = GetModuleFileNameW(NULL, exe, ARRAY_SIZE(exe));
    if (length == 0 || length >= ARRAY_SIZE(exe)) {
        return length == 0 ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    }
    return service_config_apply(manager, exe, restricted);
}

static int install(void)
{
    bool restricted = false;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    if (manager == NULL) {
        return fail("the service control manager", GetLastError());
    }
    DWORD error = apply(manager, &restricted);
    CloseServiceHandle(manager);
    if (error != ERROR_SUCCESS) {
        return fail("the service cannot be installed", error);
    }
    if (!restricted) {
        fprintf(stderr,
                "ebpfsvc: warning: this system took the service without its restrictions: it runs with "
                "more rights than it needs,\nand ebpfcore does not know it by its SID\n");
    }
    printf("service " NAME_SERVICE " installed\n");
    return EXIT_SUCCESS;
}

static int uninstall(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    if (manager == NULL) {
        return fail("the service control manager", GetLastError());
    }
    DWORD error = service_config_remove(manager);
    CloseServiceHandle(manager);
    if (error != ERROR_SUCCESS) {
        return fail("the service cannot be removed", error);
    }
    printf("service " NAME_SERVICE " removed\n");
    return EXIT_SUCCESS;
}

// --- options -------------------------------------------------------------------------------------

static int run_console(void)
{
    uint32_t error = service_windows_run_console();
    return error == ERROR_SUCCESS ? EXIT_SUCCESS : fail("the service cannot run", error);
}

static int dispatch(void)
{
    uint32_t error = service_windows_dispatch();
    if (error == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        fputs(usage, stderr);
        return STATUS_USAGE;
    }
    return error == ERROR_SUCCESS ? EXIT_SUCCESS : fail("the service cannot run", error);
}

static int print_help(void)
{
    fputs(usage, stdout);
    return EXIT_SUCCESS;
}

static int print_version(void)
{
    printf("ebpfsvc %s\n", EBPF_VERSION);
    return EXIT_SUCCESS;
}

static const struct {
    const char *name;
    int (*run)(void);
} options[] = {
    {"--install", install},   {"--uninstall", uninstall}, {"--console", run_console},
    {"--worker", run_worker}, {"--help", print_help},     {"--version", print_version},
};

int main(int argc, char **argv)
{
    if (argc == 1) {
        return dispatch();
    }
    for (size_t i = 0; i < ARRAY_SIZE(options) && argc == 2; i++) {
        if (strcmp(argv[1], options[i].name) == 0) {
            return options[i].run();
        }
    }
    fprintf(stderr, "ebpfsvc: no such option, or too many: %s\n%s", argv[1], usage);
    return STATUS_USAGE;
}
