// SPDX-License-Identifier: MIT
// net: private namespaces and the two devices, with system calls only, so that the demo needs no other
// package.
#define _GNU_SOURCE
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool explain(char why[WHY_SIZE], const char *what)
{
    snprintf(why, WHY_SIZE, "%s: %s", what, strerror(errno));
    return false;
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

// The caller becomes root of a user namespace in which only it is known.
static bool enter_user(char why[WHY_SIZE])
{
    char map[40];
    unsigned uid = getuid(), gid = getgid();
    if (unshare(CLONE_NEWUSER) != 0) {
        return explain(why, "a user namespace (this is not run as root)");
    }
    snprintf(map, sizeof(map), "0 %u 1", uid);
    bool mapped = write_file("/proc/self/uid_map", map);
    write_file("/proc/self/setgroups", "deny"); // missing on old kernels, which do not need it
    snprintf(map, sizeof(map), "0 %u 1", gid);
    return (mapped && write_file("/proc/self/gid_map", map)) || explain(why, "the maps of a user namespace");
}

bool net_enter_private(char why[WHY_SIZE])
{
    if (geteuid() != 0 && !enter_user(why)) {
        return false;
    }
    return unshare(CLONE_NEWNET) == 0 || explain(why, "a network namespace");
}

bool net_has_tap(char why[WHY_SIZE])
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return explain(why, "/dev/net/tun");
    }
    strcpy(request.ifr_name, "tapTest");
    bool works = ioctl(fd, TUNSETIFF, &request) == 0 || explain(why, "a TAP device");
    close(fd); // the device goes with it
    return works;
}

// One request to the routing socket, and the kernel's answer: 0 or an errno.
static int ask_kernel(const void *message, size_t size)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } reply;
    int result = EIO;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return errno;
    }
    if (send(fd, message, size, 0) == (ssize_t)size &&
        recv(fd, &reply, sizeof(reply), 0) >= (ssize_t)sizeof(reply) &&
        reply.header.nlmsg_type == NLMSG_ERROR) {
        result = -reply.error.error;
    }
    close(fd);
    return result;
}

bool net_move_device(const char *name, pid_t pid, char why[WHY_SIZE])
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr attribute;
        uint32_t pid;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                   .nlmsg_seq = 1},
        .info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)},
        .attribute = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_NET_NS_PID},
        .pid = (uint32_t)pid,
    };
    errno = ask_kernel(&request, sizeof(request));
    return errno == 0 || explain(why, "moving a device into the client's namespace");
}

bool net_delete_device(const char *name, char why[WHY_SIZE])
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = RTM_DELLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                   .nlmsg_seq = 1},
        .info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)},
    };
    errno = ask_kernel(&request, sizeof(request));
    return errno == 0 || explain(why, "deleting a device");
}

static void set_address(struct ifreq *request, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request->ifr_addr, &in, sizeof(in));
}

bool net_configure(const char *name, const char *address, char why[WHY_SIZE])
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return explain(why, "a socket");
    }
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    set_address(&request, address);
    bool done = ioctl(fd, SIOCSIFADDR, &request) == 0;
    set_address(&request, DEMO_NETMASK);
    done = done && ioctl(fd, SIOCSIFNETMASK, &request) == 0;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (!done) {
        explain(why, "configuring a device");
    }
    close(fd);
    return done;
}
