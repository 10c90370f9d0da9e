// SPDX-License-Identifier: MIT
// toolchain: how the command line starts compilers, and where their files go.
#include "hosts/toolchain.h"
#include "hosts/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "x86_64"
#endif

#ifdef _WIN32
#include <direct.h>
#include <process.h>
#include <windows.h>
#define TARGET "windows-dll"

// Words with blanks need quotes there; none that comes here has quotes in it, for file names cannot.
static int run(const char *const *words)
{
    const char *quoted[64] = {words[0]};
    static char room[64][600];
    for (size_t i = 1; words[i] != NULL && i < 63; i++) {
        snprintf(room[i], sizeof(room[i]), "\"%s\"", words[i]);
        quoted[i] = strchr(words[i], ' ') != NULL ? room[i] : words[i];
    }
    return (int)_spawnvp(_P_WAIT, words[0], quoted);
}

static bool make_folder(char *path, size_t size)
{
    char base[MAX_PATH + 1];
    DWORD length = GetTempPathA(sizeof(base), base);
    if (length == 0 || length > sizeof(base)) {
        return false;
    }
    snprintf(path, size, "%sebpf-%lu", base, (unsigned long)GetCurrentProcessId());
    return _mkdir(path) == 0;
}
#else
#include <spawn.h>
#include <sys/wait.h>
#define TARGET "linux"
extern char **environ;

static int run(const char *const *words)
{
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, words[0], NULL, NULL, (char *const *)words, environ) != 0) {
        return -1;
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return 1;
    }
    return WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status);
}

static bool make_folder(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/ebpf-XXXXXX", base != NULL && base[0] != 0 ? base : "/tmp");
    return length < (int)size && mkdtemp(path) != NULL;
}
#endif

static void remove_folder(const char *path, const char *const *files)
{
    char name[1024];
    for (; *files != NULL; files++) {
        snprintf(name, sizeof(name), "%s/%s", path, *files);
        (void)remove(name);
    }
    (void)rmdir(path);
}

const struct cli_host toolchain_host = {run, make_folder, remove_folder, digest_sha256, TARGET, ARCH};
