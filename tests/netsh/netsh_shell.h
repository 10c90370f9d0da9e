// SPDX-License-Identifier: MIT
// netsh_shell: what a netsh does besides its helpers, as far as tests need it: commands from the command line
// or
// (-f FILE, "-" is standard input) one a line, the words of a line, and what it says about a status.
#pragma once

#include <stdbool.h>

// Runs "ebpf GROUP COMMAND ...", from its first word on. Provided by the program.
unsigned shell_run(int count, char **words);
// Whether `typed` stands for `word`: its beginning, in any case.
bool shell_matches(const char *typed, const char *word);
// "?" and its other spellings.
bool shell_asks_help(const char *typed);
// Says what the status means; 0: the command succeeded.
int shell_say_status(unsigned status);
// Runs everything; the exit status of the process: 0, or 1 when a command failed.
int shell_main(int argc, char **argv);
