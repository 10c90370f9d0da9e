// SPDX-License-Identifier: MIT
// listener: binds the socket. Who holds the lock file owns the path; a socket file found then is a dead
// daemon's.
#include "hosts/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static ebpf_result_t complain(const char *path, const char *what, ebpf_result_t result)
{
    fprintf(stderr, "ebpfd: %s: %s\n", path, what);
    return result;
}

static ebpf_result_t complain_errno(const char *path)
{
    int err = errno;
    fprintf(stderr, "ebpfd: %s: %s\n", path, strerror(err));
    return err == ENOENT || err == ENOTDIR ? EBPF_FILE_NOT_FOUND : EBPF_ACCESS_DENIED;
}

static void lock_path(const char *path, char out[LISTENER_PATH_SIZE + 8])
{
    str_format(out, LISTENER_PATH_SIZE + 8, "%s.lock", path);
}

// Whether the open lock file is still the one that the name leads to; its last owner removes it when it ends.
static bool is_current(int lock, const char *name)
{
    struct stat opened, named;
    return fstat(lock, &opened) == 0 && stat(name, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static ebpf_result_t take_lock(const char *path, int *out)
{
    char name[LISTENER_PATH_SIZE + 8];
    lock_path(path, name);
    for (;;) {
        int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0) {
            return complain_errno(name);
        }
        if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
            close(lock);
            return complain(path, "another ebpfd listens here", EBPF_OBJECT_ALREADY_EXISTS);
        }
        if (is_current(lock, name)) {
            *out = lock;
            return EBPF_SUCCESS;
        }
        close(lock);
    }
}

static ebpf_result_t remove_stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? EBPF_SUCCESS : complain_errno(path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return complain(path, "exists and is not a socket", EBPF_OBJECT_ALREADY_EXISTS);
    }
    return unlink(path) == 0 ? EBPF_SUCCESS : complain_errno(path);
}

// Only the owner and root get as far as the credentials check.
static ebpf_result_t bind_private(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    str_copy(address.sun_path, sizeof(address.sun_path), path);
    mode_t old = umask(0177);
    int failed = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    umask(old);
    if (failed != 0 || listen(fd, BACKLOG) != 0) {
        return complain_errno(path);
    }
    return EBPF_SUCCESS;
}

static void unlock(const char *path, int lock)
{
    char name[LISTENER_PATH_SIZE + 8];
    lock_path(path, name);
    unlink(name); // while the lock is held: nobody else can have taken it over
    close(lock);
}

ebpf_result_t listener_open(const char *path, struct listener *out)
{
    struct listener l = {.fd = -1, .lock = -1};
    ebpf_result_t result;
    if (!str_copy(l.path, sizeof(l.path), path) || path[0] == 0) {
        return complain(path, "the path of a socket must have between 1 and 103 bytes",
                        EBPF_INVALID_ARGUMENT);
    }
    TRY(take_lock(path, &l.lock));
    TRY_OR(result, remove_stale(path), undo_lock);
    l.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l.fd < 0) {
        result = complain_errno(path);
        goto undo_lock;
    }
    TRY_OR(result, bind_private(l.fd, path), undo_socket);
    *out = l;
    return EBPF_SUCCESS;

undo_socket:
    close(l.fd);
undo_lock:
    unlock(path, l.lock);
    return result;
}

void listener_close(struct listener *l)
{
    unlink(l->path);
    close(l->fd);
    unlock(l->path, l->lock);
}
