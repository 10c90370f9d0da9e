// SPDX-License-Identifier: MIT
// netsh_api: what netsh.exe and its helpers share, as Microsoft documents it (netsh.h of the Windows SDK,
// "NetShell" in the Win32 reference). mingw-w64 has no such header. NETSH_API says whether the functions come
// from netsh.exe or are made here (the test double).
#pragma once

#include <windows.h>

#ifndef NETSH_API
#define NETSH_API __declspec(dllimport)
#endif

#define NETSH_CMD_PRIVATE 0x01 // not inherited by contexts below
#define NETSH_CMD_LOCAL   0x08 // this machine only
#define NETSH_CMD_ONLINE  0x10

typedef DWORD WINAPI netsh_start_fn(const GUID *parent, DWORD version);
typedef DWORD WINAPI netsh_stop_fn(DWORD reserved);
typedef DWORD WINAPI netsh_handler_fn(LPCWSTR machine, LPWSTR *arguments, DWORD current_index,
                                      DWORD argument_count, DWORD flags, LPCVOID data, BOOL *done);

struct netsh_version {
    DWORD version, reserved;
};
struct netsh_helper_attributes { // NS_HELPER_ATTRIBUTES
    struct netsh_version version;
    GUID helper;
    netsh_start_fn *start;
    netsh_stop_fn *stop;
};
struct netsh_cmd_entry { // CMD_ENTRY
    LPCWSTR token;
    netsh_handler_fn *handler;
    DWORD brief, usage; // string resources of the helper
    DWORD flags;
    void *os_version_check;
};
// Some builds of Windows expect one pointer more.
struct netsh_cmd_entry_long {
    struct netsh_cmd_entry entry;
    void *custom_help;
};
struct netsh_cmd_group { // CMD_GROUP_ENTRY
    LPCWSTR token;
    DWORD brief;
    ULONG size;
    DWORD flags;
    const void *entries;
    void *os_version_check;
};
struct netsh_context_attributes { // NS_CONTEXT_ATTRIBUTES
    struct netsh_version version;
    LPCWSTR context;
    GUID helper;
    DWORD flags;
    ULONG priority;
    ULONG top_count;
    const void *top_entries;
    ULONG group_count;
    const struct netsh_cmd_group *groups;
    void *commit, *dump, *connect, *reserved;
    void *os_version_check;
};
_Static_assert(sizeof(struct netsh_cmd_entry) == 40 && sizeof(struct netsh_cmd_entry_long) == 48 &&
                   sizeof(struct netsh_cmd_group) == 40 && sizeof(struct netsh_helper_attributes) == 40 &&
                   sizeof(struct netsh_context_attributes) == 112,
               "the layouts of netsh.h on 64-bit Windows");

NETSH_API DWORD WINAPI RegisterHelper(const GUID *parent, const struct netsh_helper_attributes *helper);
NETSH_API DWORD WINAPI RegisterContext(const struct netsh_context_attributes *context);
// `format` is FormatMessage's, with arguments behind it.
NETSH_API DWORD __cdecl PrintMessage(LPCWSTR format, ...);
