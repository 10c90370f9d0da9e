// SPDX-License-Identifier: MIT
// child_windows: words are numbers over the child's standard input and output; handles go from process to
// process by DuplicateHandle, which the parent does.
#include "tests/e2e/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include "lib/transport.h"

#define TASK    "E2E_CHILD"
#define WAIT_MS 60000

// A word is '+', '-' or, with GIVEN added, a handle's value in the process that reads or has written it.
enum { GIVEN = 256 };

static bool write_word(HANDLE pipe, int64_t word)
{
    DWORD done = 0;
    return WriteFile(pipe, &word, sizeof(word), &done, NULL) && done == sizeof(word);
}

static bool read_word(HANDLE pipe, int64_t *word)
{
    DWORD done = 0;
    return ReadFile(pipe, word, sizeof(*word), &done, NULL) && done == sizeof(*word);
}

// --- the parent ----------------------------------------------------------------------------------

// Both ends of a pipe, of which the child inherits `theirs`.
static bool make_pipe(HANDLE *read, HANDLE *write, HANDLE *ours)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), NULL, TRUE};
    bool made = CreatePipe(read, write, &inherited, 0) && SetHandleInformation(*ours, HANDLE_FLAG_INHERIT, 0);
    if (!made) {
        fprintf(stderr, "no pipe: error %lu\n", GetLastError());
    }
    return made;
}

// Under Wine 8, one in some thousand new processes ends before it has begun.
static bool start_process(STARTUPINFOW *startup, PROCESS_INFORMATION *made)
{
    DWORD error = ERROR_INTERNAL_ERROR;
    for (int i = 0; i < 3 && error == ERROR_INTERNAL_ERROR; i++) {
        wchar_t path[MAX_PATH], line[] = L"child";
        GetModuleFileNameW(NULL, path, ARRAY_SIZE(path));
        error =
            CreateProcessW(path, line, NULL, NULL, TRUE, 0, NULL, NULL, startup, made) ? 0 : GetLastError();
    }
    if (error != 0) {
        fprintf(stderr, "no child process: error %lu\n", error);
    }
    return error == 0;
}

static bool create_process(struct child *c, const char *task, HANDLE in, HANDLE out)
{
    STARTUPINFOW startup = {.cb = sizeof(startup),
                            .dwFlags = STARTF_USESTDHANDLES,
                            .hStdInput = in,
                            .hStdOutput = out,
                            .hStdError = GetStdHandle(STD_ERROR_HANDLE)};
    PROCESS_INFORMATION made;
    SetEnvironmentVariableA(TASK, task);
    bool started = start_process(&startup, &made);
    SetEnvironmentVariableA(TASK, NULL);
    if (started) {
        CloseHandle(made.hThread);
        c->process = (intptr_t)made.hProcess;
    }
    return started;
}

bool child_start(struct child *c, const char *task)
{
    HANDLE in = NULL, to = NULL, from = NULL, out = NULL;
    bool started =
        make_pipe(&in, &to, &to) && make_pipe(&from, &out, &from) && create_process(c, task, in, out);
    CloseHandle(in);
    CloseHandle(out);
    c->to = (intptr_t)to;
    c->from = (intptr_t)from;
    return started;
}

bool child_listen(struct child *c)
{
    int64_t word = '-';
    return read_word((HANDLE)c->from, &word) && word == '+';
}

bool child_take(struct child *c, int *fd)
{
    int64_t word = 0;
    HANDLE copy = NULL;
    return read_word((HANDLE)c->from, &word) && word >= GIVEN &&
           DuplicateHandle((HANDLE)c->process, (HANDLE)(intptr_t)(word - GIVEN), GetCurrentProcess(), &copy,
                           0, FALSE, DUPLICATE_SAME_ACCESS) &&
           transport_fd_open((intptr_t)copy, fd) == EBPF_SUCCESS;
}

bool child_give(struct child *c, int fd)
{
    intptr_t handle = 0;
    HANDLE theirs = NULL;
    return transport_fd_handle(fd, &handle) == EBPF_SUCCESS &&
           DuplicateHandle(GetCurrentProcess(), (HANDLE)handle, (HANDLE)c->process, &theirs, 0, FALSE,
                           DUPLICATE_SAME_ACCESS) &&
           write_word((HANDLE)c->to, (intptr_t)theirs + GIVEN);
}

int child_join(struct child *c)
{
    DWORD status = (DWORD)-1;
    if (WaitForSingleObject((HANDLE)c->process, WAIT_MS) == WAIT_OBJECT_0) {
        GetExitCodeProcess((HANDLE)c->process, &status);
    }
    CloseHandle((HANDLE)c->process);
    CloseHandle((HANDLE)c->to);
    CloseHandle((HANDLE)c->from);
    return (int)status;
}

void child_kill(struct child *c)
{
    TerminateProcess((HANDLE)c->process, (UINT)-1);
    child_join(c);
}

// --- the child -----------------------------------------------------------------------------------

const char *child_task(void)
{
    return getenv(TASK);
}

void child_say(bool good)
{
    if (!write_word(GetStdHandle(STD_OUTPUT_HANDLE), good ? '+' : '-')) {
        exit(3);
    }
}

bool child_send(int fd)
{
    intptr_t handle = 0;
    return transport_fd_handle(fd, &handle) == EBPF_SUCCESS &&
           write_word(GetStdHandle(STD_OUTPUT_HANDLE), handle + GIVEN);
}

bool child_receive(int *fd)
{
    int64_t word = 0;
    return read_word(GetStdHandle(STD_INPUT_HANDLE), &word) && word >= GIVEN &&
           transport_fd_open((intptr_t)(word - GIVEN), fd) == EBPF_SUCCESS;
}

void child_rest(void)
{
    Sleep(INFINITE);
}
