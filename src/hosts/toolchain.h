// SPDX-License-Identifier: MIT
// toolchain: what the command line wants of the machine that it runs on.
#pragma once

#include "cli/cli.h"

extern const struct cli_host toolchain_host;
