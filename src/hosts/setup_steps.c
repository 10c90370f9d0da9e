// SPDX-License-Identifier: MIT
// setup_steps: what an installation consists of, in the order in which it is made. The record comes first and
// goes last: whatever was cut off half-way, `uninstall` knows where to look.
#include "hosts/setup.h"

#define PAUSE(id, name) {name, SETUP_SERVICE_##id, NULL, setup_pause_apply, setup_pause_revert, NULL, NULL},
#define VALUE(id, name)                                                                                      \
    {name,                                                                                                   \
     SETUP_VALUE_##id,                                                                                       \
     setup_value_check,                                                                                      \
     setup_value_apply,                                                                                      \
     setup_value_revert,                                                                                     \
     setup_value_commit,                                                                                     \
     setup_value_remove},
#define FOLDER(name)                                                                                         \
    {name, 0, setup_folder_check, setup_folder_apply, setup_folder_revert, NULL, setup_folder_remove},
#define FILE_ROW(id, package, name, where)                                                                   \
    {"file",           SETUP_FILE_##id,   setup_file_check,                                                  \
     setup_file_apply, setup_file_revert, setup_file_commit,                                                 \
     setup_file_remove},
#define SERVICE(id, name)                                                                                    \
    {name, SETUP_SERVICE_##id,  setup_service_check, setup_service_apply, setup_service_revert,              \
     NULL, setup_service_remove},
// A driver or service that cannot be stopped when its start is undone is told of, as everywhere.
#define RUNNING(id, name)                                                                                    \
    {name, SETUP_SERVICE_##id,  setup_running_check, setup_running_apply, setup_running_remove,              \
     NULL, setup_running_remove},

static const struct plan_step steps[] = {
    PAUSE(VERIFIER, "stop of the service") PAUSE(DRIVER, "stop of the driver")
        VALUE(FOLDER, "record of the folder") VALUE(VERSION, "record of the version")
            VALUE(IN_PLACE, "record of the kind") FOLDER("folder")
#include "hosts/setup_files.def"
                SERVICE(DRIVER, "driver") SERVICE(VERIFIER, "service")
    // The driver takes verdicts from the service's own SID, or where there is none, from administrators.
    {"driver's parameter", SETUP_VALUE_PARAMETER, NULL, setup_value_apply, setup_value_revert,
     setup_value_commit, setup_value_remove},
    VALUE(NETSH, "netsh helper") VALUE(PATH, "search path") RUNNING(DRIVER, "running driver")
        RUNNING(VERIFIER, "running service")};

struct plan setup_plan(struct setup *s)
{
    return (struct plan){.steps = steps, .count = ARRAY_SIZE(steps), .user = s};
}
