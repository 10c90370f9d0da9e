// SPDX-License-Identifier: MIT
// setup_options: the installer's command line.
#pragma once

#include "base/base.h"

enum setup_verb { SETUP_INSTALL, SETUP_UNINSTALL, SETUP_STATUS };

struct setup_options {
    enum setup_verb verb;
    bool json;
    bool in_place;    // where this program is
    const char *dir;  // UTF-8, or NULL: the default
    unsigned fail_at; // Debug builds only: the step that fails, from 1 on
    unsigned die_at;  // ... or at which the process ends at once
};

// Returns whether to go on; otherwise *status is the exit status: 0 after --help or --version, 2 after a
// mistake, which has been told. `argv` is kept.
bool setup_options_parse(int argc, char **argv, struct setup_options *out, int *status);
