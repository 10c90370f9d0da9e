// SPDX-License-Identifier: MIT
// setup: what the installer's steps share. One `struct setup` is one run of ebpf-setup.exe; the steps
// (setup_steps.c) get it as their `user`. Texts inside are wide, texts for people UTF-8.
#pragma once

#include <windows.h>

#include "hosts/setup_options.h"
#include "hosts/setup_plan.h"
#include "proto/proto.h"

#define SETUP_PATH 512 // characters of a path with its NUL

// The files of an installation.
enum setup_file {
#define FILE_ROW(id, ...) SETUP_FILE_##id,
#include "hosts/setup_files.def"
#undef FILE_ROW
    SETUP_FILE_COUNT
};

// The registry values of an installation (setup_registry.c).
enum setup_value {
    SETUP_VALUE_VERSION,   // of the record
    SETUP_VALUE_FOLDER,    // ... where it is
    SETUP_VALUE_IN_PLACE,  // ... 1: the files were there before and stay
    SETUP_VALUE_NETSH,     // the helper
    SETUP_VALUE_PATH,      // its folder in PATH
    SETUP_VALUE_PARAMETER, // of the driver: whose verdicts it takes
    SETUP_VALUE_COUNT
};

enum setup_service { SETUP_SERVICE_DRIVER, SETUP_SERVICE_VERIFIER, SETUP_SERVICE_COUNT };

// What a value was before it was set.
struct setup_saved_value {
    bool key_existed, existed;
    DWORD type, size;
    BYTE *data; // malloc'ed
};

struct setup_saved_service {
    bool existed, was_running;
    wchar_t image[SETUP_PATH]; // command line of the one that existed
};

struct setup {
    const struct setup_options *options;
    SC_HANDLE manager;           // NULL when this user may not have it
    wchar_t self[SETUP_PATH];    // this program
    wchar_t source[SETUP_PATH];  // its folder
    wchar_t folder[SETUP_PATH];  // where the installation is, or is to be
    wchar_t drivers[SETUP_PATH]; // System32\drivers
    bool installed;              // a record exists; its folder is `folder`, unless installing
    bool in_place;               // `folder` is not ours to fill or empty
    bool installed_in_place;     // the installation that is there before installing
    char installed_version[32];
    wchar_t installed_folder[SETUP_PATH];
    bool unrestricted;   // the system refused the verification service's restrictions
    bool folder_existed; // before the step that makes it
    bool file_existed[SETUP_FILE_COUNT];
    struct setup_saved_value values[SETUP_VALUE_COUNT];
    struct setup_saved_service services[SETUP_SERVICE_COUNT];
    unsigned applied; // steps told of, for --die-at
};

// Copies `text` as UTF-8; what does not fit or is no text becomes '?'.
const char *setup_utf8(const wchar_t *text, char *out, size_t size);
// folder\name. ERROR_FILENAME_EXCED_RANGE when it does not fit.
DWORD setup_join(wchar_t *out, const wchar_t *folder, const wchar_t *name);

// --- steps (their contracts are those of setup_plan.h) -------------------------------------------
#define SETUP_STEP(name) uint32_t name(void *user, uint32_t argument, struct plan_note *note)

// setup_files.c. `argument` is an enum setup_file; of the folder's steps unused.
DWORD setup_files_find_missing(const struct setup *s, struct plan_note *note); // before anything is done
enum plan_state setup_file_check(void *user, uint32_t file, struct plan_note *note);
SETUP_STEP(setup_file_apply);
SETUP_STEP(setup_file_revert);
void setup_file_commit(void *user, uint32_t file);
SETUP_STEP(setup_file_remove);
enum plan_state setup_folder_check(void *user, uint32_t unused, struct plan_note *note);
SETUP_STEP(setup_folder_apply);
SETUP_STEP(setup_folder_revert);
SETUP_STEP(setup_folder_remove);

// setup_registry.c. `argument` is an enum setup_value.
void setup_record_read(struct setup *s);
enum plan_state setup_value_check(void *user, uint32_t value, struct plan_note *note);
SETUP_STEP(setup_value_apply);
SETUP_STEP(setup_value_revert);
void setup_value_commit(void *user, uint32_t value);
SETUP_STEP(setup_value_remove);

// setup_services.c. `argument` is an enum setup_service.
// ERROR_SERVICE_EXISTS when a service of our names was made by something else.
DWORD setup_services_find_foreign(struct setup *s, struct plan_note *note);
bool setup_service_is_running(const struct setup *s, uint32_t service);
SETUP_STEP(setup_pause_apply); // stops what runs
SETUP_STEP(setup_pause_revert);
enum plan_state setup_service_check(void *user, uint32_t service, struct plan_note *note);
SETUP_STEP(setup_service_apply);
SETUP_STEP(setup_service_revert);
SETUP_STEP(setup_service_remove);
enum plan_state setup_running_check(void *user, uint32_t service, struct plan_note *note);
SETUP_STEP(setup_running_apply);
SETUP_STEP(setup_running_remove);

// --- the table, and the verbs --------------------------------------------------------------------
struct plan setup_plan(struct setup *s); // setup_steps.c
int setup_status(struct setup *s);       // setup_status.c; the exit status

// setup_probe.c
struct setup_facts {
    bool driver_answers, service_answers;
    uint32_t driver_error, service_error; // Win32, when they do not
    uint32_t protocol, cpu_count;
    bool integrity_known;
    uint32_t integrity_options; // CodeIntegrityOptions
};
void setup_probe(struct setup_facts *out);
