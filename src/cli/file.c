// SPDX-License-Identifier: MIT
// file: files that a user names, with the same errors on every platform. bpf2c has this file, too.
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_int.h"

FILE *file_open_input(const char *path, const char *mode)
{
    struct stat info;
    FILE *file;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EISDIR; // some systems open directories, some say that they may not be opened
        return NULL;
    }
    file = fopen(path, mode);
    if (file == NULL && errno == EINVAL) {
        errno = ENOENT; // Windows, of a name with characters that no file can have
    }
    return file;
}

bool file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    if (a == NULL || b == NULL || stat(a, &x) != 0 || stat(b, &y) != 0 || !S_ISREG(x.st_mode)) {
        return false;
    }
    // Windows has no inode numbers here.
    return strcmp(a, b) == 0 || (x.st_ino != 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev);
}

bool cli_is_terminal(FILE *file)
{
    return isatty(fileno(file)) != 0;
}
