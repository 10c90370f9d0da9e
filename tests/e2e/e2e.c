// SPDX-License-Identifier: MIT
// e2e: starts and observes daemons; speaks as a client.
#define _GNU_SOURCE // pipe2
#include "tests/e2e/e2e.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_STEP_MS = 5, WAIT_STEPS = 2000 };

static void nap(void)
{
    struct timespec t = {0, WAIT_STEP_MS * 1000000L};
    nanosleep(&t, NULL);
}

// --- the daemon ----------------------------------------------------------------------------------

static bool make_folder(struct e2e_daemon *d)
{
    const char *base = getenv("TMPDIR");
    if (d->folder[0] == 0) {
        snprintf(d->folder, sizeof(d->folder), "%.40s/ebpf-e2e-XXXXXX", base != NULL ? base : "/tmp");
        if (mkdtemp(d->folder) == NULL) {
            return false;
        }
    }
    snprintf(d->socket, sizeof(d->socket), "%s/s", d->folder);
    return true;
}

bool e2e_set_mode(const struct e2e_daemon *d, const char *mode)
{
    char path[100];
    snprintf(path, sizeof(path), "%s/mode", d->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    fputs(mode, file);
    return fclose(file) == 0;
}

static bool has_mode(const struct e2e_daemon *d, const char *mode)
{
    char path[100], now[32] = "";
    snprintf(path, sizeof(path), "%s/mode", d->folder);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(now, sizeof(now), file) != NULL;
    fclose(file);
    return read && strcmp(now, mode) == 0;
}

bool e2e_wait_mode(const struct e2e_daemon *d, const char *mode)
{
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (has_mode(d, mode)) {
            return true;
        }
        nap();
    }
    return false;
}

// In the child: becomes the daemon.
static void become_daemon(const struct e2e_daemon *d, const struct e2e_setup *setup, int out)
{
    char timeout[16], mode[100];
    struct rlimit limit = {setup->nofile, setup->nofile};
    snprintf(timeout, sizeof(timeout), "%u", setup->timeout_s != 0 ? setup->timeout_s : 60);
    snprintf(mode, sizeof(mode), "%s/mode", d->folder);
    setenv("EBPF_FAKE_SERVICE_MODE", mode, 1);
    dup2(out, STDOUT_FILENO);
    if (setup->quiet) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    }
    if (setup->nofile != 0 && setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        _exit(126);
    }
    const char *words[12] = {"ebpfd",
                             "--socket",
                             d->socket,
                             "--service",
                             setup->service != NULL ? setup->service : EBPFSVC_PATH,
                             "--verify-timeout",
                             timeout};
    unsigned count = 7;
    if (setup->no_sandbox) {
        words[count++] = "--no-sandbox";
    }
    if (setup->no_native) {
        words[count++] = "--no-native";
    }
    if (setup->jit_blind) {
        words[count++] = "--jit-blind";
    }
    if (setup->jit_retpoline) {
        words[count++] = "--jit-retpoline";
    }
    execv(EBPFD_PATH, (char *const *)(uintptr_t)words);
    _exit(127);
}

// Reads the line that says that clients may connect.
static bool wait_ready(int fd)
{
    char line[200];
    size_t used = 0;
    while (used < sizeof(line) - 1) {
        ssize_t n = read(fd, line + used, 1);
        if (n <= 0 || line[used++] == '\n') {
            break;
        }
    }
    line[used] = 0;
    return strncmp(line, "ebpfd: listening on ", 20) == 0;
}

bool e2e_start(struct e2e_daemon *d, const struct e2e_setup *setup)
{
    int out[2];
    if (!make_folder(d) || (setup->mode != NULL && !e2e_set_mode(d, setup->mode)) ||
        pipe2(out, O_CLOEXEC) != 0) {
        return false;
    }
    fflush(NULL);
    d->pid = fork();
    if (d->pid == 0) {
        become_daemon(d, setup, out[1]);
    }
    close(out[1]);
    bool ready = d->pid > 0 && wait_ready(out[0]);
    close(out[0]);
    if (!ready && d->pid > 0) {
        e2e_kill(d);
    }
    return ready;
}

int e2e_stop(struct e2e_daemon *d)
{
    int status = 0;
    kill(d->pid, SIGTERM);
    if (waitpid(d->pid, &status, 0) != d->pid) {
        return -1;
    }
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void e2e_kill(struct e2e_daemon *d)
{
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
    d->pid = 0;
}

void e2e_remove(struct e2e_daemon *d)
{
    static const char *const names[] = {"s", "s.lock", "mode"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[100];
        snprintf(path, sizeof(path), "%s/%s", d->folder, names[i]);
        unlink(path);
    }
    rmdir(d->folder);
    d->folder[0] = 0;
}

int e2e_run_second(const struct e2e_daemon *d)
{
    int status = 0;
    struct e2e_setup setup = {.quiet = true};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become_daemon(d, &setup, open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// --- what can be seen of it ----------------------------------------------------------------------

// First process that lists `thread` of the daemon as its parent.
static pid_t child_of(pid_t pid, const char *thread)
{
    char path[300];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, thread);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &child) != 1) {
            child = 0;
        }
        fclose(file);
    }
    return child;
}

pid_t e2e_service_pid(const struct e2e_daemon *d)
{
    char path[64];
    pid_t child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && child == 0 && (entry = readdir(folder)) != NULL;) {
        child = entry->d_name[0] != '.' ? child_of(d->pid, entry->d_name) : 0;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return child;
}

int e2e_status(pid_t pid, const char *name)
{
    char path[64], line[200];
    size_t length = strlen(name);
    int value = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            value = atoi(line + length + 1);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

unsigned e2e_fd_count(const struct e2e_daemon *d)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

bool e2e_wait_fd_count(const struct e2e_daemon *d, unsigned count)
{
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (e2e_fd_count(d) == count) {
            return true;
        }
        nap();
    }
    return false;
}

bool e2e_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

// --- raw connections -----------------------------------------------------------------------------

int e2e_connect(const struct e2e_daemon *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {20, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    str_copy(address.sun_path, sizeof(address.sun_path), d->socket);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

bool e2e_send(int connection, const void *bytes, size_t size, int fd, unsigned count)
{
    int fds[253];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count != 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (unsigned i = 0; i < count; i++) {
            fds[i] = fd;
        }
        memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    }
    return sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

bool e2e_read_header(int connection, struct proto_header *out)
{
    return recv(connection, out, sizeof(*out), MSG_WAITALL) == (ssize_t)sizeof(*out);
}

bool e2e_is_closed(int connection)
{
    char rest[256];
    ssize_t n;
    do {
        n = recv(connection, rest, sizeof(rest), 0);
    } while (n > 0);
    return n == 0 || errno == ECONNRESET;
}

size_t e2e_version_request(uint8_t bytes[64])
{
    struct proto_version_request fixed = {PROTO_WIRE_VERSION};
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_VERSION,
                                  .size = sizeof(header) + sizeof(fixed),
                                  .cookie = 77};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), &fixed, sizeof(fixed));
    return header.size;
}
