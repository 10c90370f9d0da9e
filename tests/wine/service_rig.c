// SPDX-License-Identifier: MIT
// service_rig: plain Win32 and the protocol of proto.h, without the library.
#include "tests/wine/service_rig.h"

#include <stdlib.h>
#include <tlhelp32.h>
#include <wchar.h>

#include "lib/rpc_client.h"
#include "tests/slow_program.h"
#include "tests/tiny_program.h"

enum { WAIT_MS = 30000 };

#define PARAMETERS L"SYSTEM\\CurrentControlSet\\Services\\ebpfsvc\\Parameters"

// --- the service ---------------------------------------------------------------------------------

DWORD rig_run_ebpfsvc(const wchar_t *option)
{
    wchar_t command[1024];
    PROCESS_INFORMATION made;
    STARTUPINFOW startup = {.cb = sizeof(startup)};
    DWORD status = STILL_ACTIVE;
    if (_snwprintf(command, ARRAY_SIZE(command), L"\"Z:%hs\" %ls", EBPFSVC_EXE, option) < 0 ||
        !CreateProcessW(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &made)) {
        return STILL_ACTIVE;
    }
    WaitForSingleObject(made.hProcess, WAIT_MS);
    GetExitCodeProcess(made.hProcess, &status);
    CloseHandle(made.hProcess);
    CloseHandle(made.hThread);
    return status;
}

void rig_set_parameter(const wchar_t *name, DWORD value)
{
    if (value == 0) {
        RegDeleteKeyW(HKEY_LOCAL_MACHINE, PARAMETERS);
        return;
    }
    RegSetKeyValueW(HKEY_LOCAL_MACHINE, PARAMETERS, name, REG_DWORD, &value, sizeof(value));
}

unsigned rig_children(DWORD pid, DWORD *out, unsigned max)
{
    unsigned count = 0;
    PROCESSENTRY32W entry = {.dwSize = sizeof(entry)};
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    for (BOOL more = Process32FirstW(all, &entry); more; more = Process32NextW(all, &entry)) {
        if (entry.th32ParentProcessID == pid && count < max) {
            out[count++] = entry.th32ProcessID;
        }
    }
    CloseHandle(all);
    return count;
}

DWORD rig_service_pid(void)
{
    SERVICE_STATUS_PROCESS now = {0};
    return scm_state(L"" NAME_SERVICE, &now) == 0 ? now.dwProcessId : 0;
}

bool rig_kill(DWORD pid)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, pid);
    bool ended = process != NULL && TerminateProcess(process, 9) &&
                 WaitForSingleObject(process, WAIT_MS) == WAIT_OBJECT_0;
    CloseHandle(process);
    return ended;
}

// --- programs ------------------------------------------------------------------------------------

static uint32_t write_program(enum rig_program which, struct insn *out)
{
    if (which == RIG_SLOW) {
        return slow_program_write(out);
    }
    out[0] = which == RIG_GOOD ? (struct insn){.id = INSN_MOV64_IMM, .imm = 1}
                               : (struct insn){.id = INSN_MOV64_REG, .src = 7}; // r7 was never written
    out[1] = (struct insn){.id = INSN_EXIT};
    return 2;
}

void *rig_request(enum rig_program which, size_t *size)
{
    static const size_t head = sizeof(struct proto_header) + sizeof(struct proto_prog_load_request);
    struct insn *insns = calloc(SLOW_MAX_INSNS, sizeof(*insns));
    uint32_t count = write_program(which, insns);
    struct func main = {0, count, 0, "main"};
    struct program p = tiny_program(insns, "one");
    p.insn_count = count;
    p.funcs = &main;
    *size = head + proto_program_encode(&p, NULL, 0);
    uint8_t *bytes = calloc(1, *size);
    proto_program_encode(&p, bytes + head, *size - head);
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_PROG_LOAD,
                                  .size = (uint32_t)*size,
                                  .cookie = 7};
    memcpy(bytes, &header, sizeof(header));
    free(insns);
    return bytes;
}

static void read_reply(struct rig_load *l, const void *reply, size_t size)
{
    struct proto_header header;
    const void *fixed = NULL;
    const uint8_t *tail = NULL;
    size_t tail_size = 0, used;
    if (proto_reply_check(PROTO_PROG_LOAD, reply, size, &header, &fixed, &tail, &tail_size) != EBPF_SUCCESS ||
        header.cookie != 7) {
        test_fail(__FILE__, __LINE__, "malformed reply");
        return;
    }
    l->result = (ebpf_result_t)header.result;
    used = tail_size < sizeof(l->text) - 1 ? tail_size : sizeof(l->text) - 1;
    if (tail != NULL) {
        memcpy(l->text, tail, used);
    }
    l->text[used] = 0;
}

void rig_load(struct rig_load *l)
{
    struct proto_token token = {{0}};
    void *reply = NULL;
    size_t size = 0, reply_size = 0;
    void *request = rig_request(l->program, &size);
    l->text[0] = 0;
    l->result = EBPF_FAILED;
    l->channel = device_open();
    if (!device_offer(l->channel, &token)) {
        test_fail(__FILE__, __LINE__, "no token: error %lu", GetLastError());
    }
    l->status = rpc_client_load(&token, request, size, &l->result, &reply, &reply_size);
    if (reply != NULL) {
        read_reply(l, reply, reply_size);
    }
    free(reply);
    free(request);
}

static DWORD WINAPI load_thread(void *user)
{
    rig_load(user);
    return 0;
}

HANDLE rig_load_begin(struct rig_load *l)
{
    return CreateThread(NULL, 0, load_thread, l, 0, NULL);
}

void rig_load_join(HANDLE thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}
