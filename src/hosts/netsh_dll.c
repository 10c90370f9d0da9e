// SPDX-License-Identifier: MIT
// netsh_dll: ebpfnetsh.dll, the helper that gives netsh.exe its context `ebpf`. Wiring only: wide arguments
// to UTF-8, UTF-8 output to netsh. What the commands do is in cli/netsh*.c.
#include "hosts/netsh_api.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// Strings of netsh_dll.rc.
#define BRIEF(number)      (1000 + 2 * (number))
#define USAGE(number)      (1001 + 2 * (number))
#define GROUP_BRIEF(index) (1100 + (index))

#define MAX_LINE 2000 // characters for one call of netsh

// The ecosystem's helper has a GUID of its own: both can be installed, one after the other.
static const GUID helper_guid = {
    0x2c6f3e0b, 0x9d1a, 0x4f57, {0x8e, 0x44, 0x6b, 0x1f, 0x0a, 0xd3, 0x72, 0x95}};

static struct netsh *session; // from start to stop

// --- output --------------------------------------------------------------------------------------

// Through netsh, which knows where its output goes; in pieces that its buffers hold.
static void print_piece(const char *text, size_t size)
{
    WCHAR wide[MAX_LINE + 1];
    int count = MultiByteToWideChar(CP_UTF8, 0, text, (int)size, wide, MAX_LINE);
    wide[count > 0 ? count : 0] = 0;
    PrintMessage(L"%1!s!", wide);
}

static void print(void *user, const char *text)
{
    (void)user;
    while (*text != 0) {
        size_t size = strcspn(text, "\n");
        size += text[size] == '\n';
        size = size < MAX_LINE ? size : MAX_LINE;
        while (size > 1 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--; // not within a character
        }
        print_piece(text, size);
        text += size;
    }
}

static bool process_name(void *user, uint32_t pid, char *name, size_t size)
{
    WCHAR path[MAX_PATH] = L"", *base;
    DWORD length = MAX_PATH;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    BOOL found = process != NULL && QueryFullProcessImageNameW(process, 0, path, &length);
    (void)user;
    if (process != NULL) {
        CloseHandle(process);
    }
    base = wcsrchr(path, L'\\');
    base = base != NULL ? base + 1 : path;
    return found && WideCharToMultiByte(CP_UTF8, 0, base, -1, name, (int)size, NULL, NULL) > 0;
}

// --- commands ------------------------------------------------------------------------------------

static const struct netsh_row *find_row(unsigned number)
{
    for (size_t i = 0; i < netsh_row_count; i++) {
        if (netsh_rows[i].number == number) {
            return &netsh_rows[i];
        }
    }
    return NULL;
}

static char *to_utf8(LPCWSTR wide)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = size > 0 ? malloc((size_t)size) : NULL;
    if (text != NULL) {
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    }
    return text;
}

static DWORD run(unsigned number, LPWSTR *arguments, DWORD count)
{
    DWORD status = ERROR_NOT_ENOUGH_MEMORY, made = 0;
    char **texts = calloc(count + 1, sizeof(*texts));
    while (texts != NULL && made < count && (texts[made] = to_utf8(arguments[made])) != NULL) {
        made++;
    }
    if (texts != NULL && made == count && session != NULL) {
        status = (DWORD)netsh_run(session, find_row(number), (int)count, texts);
    }
    for (DWORD i = 0; i < made; i++) {
        free(texts[i]);
    }
    free(texts);
    return status;
}

#define NETSH_COMMAND(group, command, id, number, ...)                                                       \
    static DWORD WINAPI handle_##id(LPCWSTR machine, LPWSTR *arguments, DWORD current_index,                 \
                                    DWORD argument_count, DWORD flags, LPCVOID data, BOOL *done)             \
    {                                                                                                        \
        (void)machine, (void)flags, (void)data, (void)done;                                                  \
        return run(number, arguments + current_index, argument_count - current_index);                       \
    }
#include "cli/netsh.def"
#undef NETSH_COMMAND

// --- the context ---------------------------------------------------------------------------------

enum {
#define NETSH_COMMAND(group, command, id, ...) INDEX_##id,
#include "cli/netsh.def"
#undef NETSH_COMMAND
    COMMAND_COUNT
};

struct tables {
    struct netsh_cmd_entry entries[COMMAND_COUNT];
    struct netsh_cmd_entry_long long_entries[COMMAND_COUNT];
    struct netsh_cmd_group groups[COMMAND_COUNT]; // no group is empty
    ULONG count, group_count;
};
static struct tables tables; // netsh keeps pointers to it

// Rows of a group stand together: each starts a group or lengthens the last.
static void add_entry(const WCHAR *group, const WCHAR *command, netsh_handler_fn *handler, unsigned number)
{
    struct tables *t = &tables;
    struct netsh_cmd_entry entry = {command, handler, BRIEF(number), USAGE(number), NETSH_CMD_PRIVATE, NULL};
    if (t->group_count == 0 || wcscmp(t->groups[t->group_count - 1].token, group) != 0) {
        t->groups[t->group_count] = (struct netsh_cmd_group){
            .token = group, .brief = GROUP_BRIEF(t->group_count), .entries = &t->entries[t->count]};
        t->group_count++;
    }
    t->groups[t->group_count - 1].size++;
    t->entries[t->count] = entry;
    t->long_entries[t->count].entry = entry;
    t->count++;
}

static void fill_tables(void)
{
    memset(&tables, 0, sizeof(tables));
#define NETSH_COMMAND(group, command, id, number, ...)                                                       \
    add_entry(L## #group, L## #command, handle_##id, number);
#include "cli/netsh.def"
#undef NETSH_COMMAND
}

static void use_long_entries(void)
{
    for (ULONG i = 0; i < tables.group_count; i++) {
        size_t first = (size_t)((const struct netsh_cmd_entry *)tables.groups[i].entries - tables.entries);
        tables.groups[i].entries = &tables.long_entries[first];
    }
}

static DWORD register_context(void)
{
    struct netsh_context_attributes context = {.version = {1, 0},
                                               .context = L"ebpf",
                                               .helper = helper_guid,
                                               .flags = NETSH_CMD_LOCAL | NETSH_CMD_ONLINE,
                                               .group_count = tables.group_count,
                                               .groups = tables.groups};
    return RegisterContext(&context);
}

static DWORD WINAPI start(const GUID *parent, DWORD version)
{
    static const struct netsh_host host = {
        .print = print, .process_name = process_name, .pin_root = "/ebpf/global"};
    DWORD status;
    (void)parent, (void)version;
    session = session != NULL ? session : netsh_open(&host);
    if (session == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    fill_tables();
    status = register_context();
    if (status == ERROR_INVALID_PARAMETER) { // a netsh whose entries are longer
        use_long_entries();
        status = register_context();
    }
    return status;
}

static DWORD WINAPI stop(DWORD reserved)
{
    (void)reserved;
    netsh_close(session);
    session = NULL;
    return NO_ERROR;
}

// Called by netsh.exe by this name.
__declspec(dllexport) DWORD WINAPI InitHelperDll(DWORD version, void *reserved);
DWORD WINAPI InitHelperDll(DWORD version, void *reserved)
{
    static const GUID root;
    struct netsh_helper_attributes helper = {
        .version = {1, 0}, .helper = helper_guid, .start = start, .stop = stop};
    (void)version, (void)reserved;
    return RegisterHelper(&root, &helper);
}
