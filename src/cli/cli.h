// SPDX-License-Identifier: MIT
// cli: the door of the command line: bpftool's grammar over the public headers, as one function.
#pragma once

// Runs one command line and returns the exit status as bpftool has it: 0, or a negative errno (the shell sees
// its low byte: 255 for wrong usage). `prog verify` returns 0, 1 or 2. Uses stdout and stderr.
int cli_main(int argc, char **argv);
