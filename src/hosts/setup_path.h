// SPDX-License-Identifier: MIT
// setup_path: which folders may be ours, and lists of folders between semicolons, as PATH is one. Pure
// functions on wide strings.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

// Whether files may be put into `folder`, a whole path, and the folder into PATH: not a whole drive, not
// `windows` or a folder in it, nothing that PATH takes for a separator or a quote. Uninstalling removes the
// folder.
bool setup_path_is_fit(const wchar_t *folder, const wchar_t *windows);
// Whether an entry of `list` names `folder`: without regard to case, quotes, a backslash at the end.
bool setup_path_contains(const wchar_t *list, const wchar_t *folder);
// Appends. `out` needs wcslen(list) + wcslen(folder) + 2 characters.
void setup_path_add(const wchar_t *list, const wchar_t *folder, wchar_t *out);
// Copies all entries but those that name `folder`; `out` needs wcslen(list) + 1 characters.
void setup_path_remove(const wchar_t *list, const wchar_t *folder, wchar_t *out);
