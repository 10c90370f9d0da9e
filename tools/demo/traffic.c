// SPDX-License-Identifier: MIT
// traffic: a sender process in the client's namespace and a receiver thread in the server's, over ordinary
// UDP sockets.
//
// Nothing is ever sent twice. The sender is paced instead: frames keep their order on the way, so as long as
// few honest datagrams are under way, few frames are, and no queue of the kernel can overflow. A datagram
// that is lost stops it.
#define _GNU_SOURCE
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_UNDER_WAY 8 // honest datagrams; with the empty ones 128 frames, where queues hold 500 and more
#define MAX_HONEST    (1u << 22)
#define STALL_MS      10000 // longest wait for one to arrive

static const char letter[] = "an honest datagram with something to say";

struct honest {
    uint64_t sequence;
    char text[sizeof(letter)];
};

struct traffic {
    struct traffic_counts *counts; // shared mapping
    pid_t sender;
    int control; // our end of the sender's command socket
    int receive_fd;
    pthread_t receiver;
    bool has_receiver;
    _Atomic bool is_closing;
    uint8_t seen[MAX_HONEST / 8]; // receiver: sequence numbers that arrived
};

static bool explain(char why[WHY_SIZE], const char *what)
{
    snprintf(why, WHY_SIZE, "%s: %s", what, strerror(errno));
    return false;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct sockaddr_in server_address(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(DEMO_PORT)};
    inet_pton(AF_INET, SERVER_ADDRESS, &address.sin_addr);
    return address;
}

// --- sender process ------------------------------------------------------------------------------

// False when the socket refuses for good.
static bool send_one(int fd, const void *bytes, size_t size)
{
    while (send(fd, bytes, size, 0) != (ssize_t)size) {
        if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) {
            return false;
        }
        usleep(100); // refused before it left: this is not a second copy
    }
    return true;
}

// Waits until at most `limit` honest datagrams are under way.
static bool wait_for_arrivals(struct traffic_counts *c, uint64_t limit)
{
    uint64_t deadline = now_ms() + STALL_MS;
    while (c->honest_sent - c->honest_arrived > limit) {
        if (now_ms() > deadline) {
            c->is_stalled = true;
            return false;
        }
        usleep(20);
    }
    return true;
}

static bool send_round(int fd, struct traffic_counts *c, uint64_t limit)
{
    struct honest datagram = {.sequence = c->honest_sent++};
    memcpy(datagram.text, letter, sizeof(letter));
    if (!send_one(fd, &datagram, sizeof(datagram)) || !wait_for_arrivals(c, limit)) {
        return false;
    }
    for (int i = 0; i < TRAFFIC_FLOOD; i++) {
        if (!send_one(fd, "", 0)) {
            return false;
        }
        c->empty_sent++;
    }
    return true;
}

// The first datagram of all travels alone: until the server's address is resolved, the kernel keeps no order.
static void send_phase(int fd, struct traffic_counts *c)
{
    uint64_t limit = 0;
    while (c->is_sending && c->honest_sent < MAX_HONEST && send_round(fd, c, limit)) {
        limit = MAX_UNDER_WAY;
    }
    wait_for_arrivals(c, 0);
}

static int open_sender(char why[WHY_SIZE])
{
    struct sockaddr_in to = server_address();
    if (!net_configure(CLIENT_DEVICE, CLIENT_ADDRESS, why)) {
        return -1;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        explain(why, "the sender's socket");
        return -1;
    }
    return fd;
}

// Commands are single bytes, each answered by one: 'c' configure, 's' send until told otherwise.
static void sender_main(int control, struct traffic_counts *c)
{
    char command, why[WHY_SIZE] = "";
    int fd = -1;
    while (read(control, &command, 1) == 1) {
        if (command == 'c') {
            fd = open_sender(why);
        } else {
            send_phase(fd, c);
        }
        char answer = fd >= 0 ? 'y' : 'n';
        if (write(control, &answer, 1) != 1) {
            break;
        }
        if (fd < 0) {
            fprintf(stderr, "demo: %s\n", why);
            break;
        }
    }
    _exit(0);
}

// --- receiver thread -----------------------------------------------------------------------------

// Takes note of a sequence number; false when it came before or was never sent.
static bool is_new(struct traffic *t, uint64_t sequence)
{
    uint8_t bit = (uint8_t)(1u << (sequence % 8));
    if (sequence >= MAX_HONEST || sequence >= t->counts->honest_sent || (t->seen[sequence / 8] & bit)) {
        return false;
    }
    t->seen[sequence / 8] |= bit;
    return true;
}

static void judge(struct traffic *t, const struct honest *datagram, ssize_t size)
{
    if (size == 0) {
        t->counts->empty_arrived++;
    } else if (size == sizeof(*datagram) && memcmp(datagram->text, letter, sizeof(letter)) == 0 &&
               is_new(t, datagram->sequence)) {
        t->counts->honest_arrived++;
    } else {
        t->counts->damaged++;
    }
}

static void *receive_all(void *user)
{
    struct traffic *t = user;
    struct honest datagram;
    struct pollfd polled = {.fd = t->receive_fd, .events = POLLIN};
    while (!t->is_closing) {
        poll(&polled, 1, 50);
        ssize_t size;
        while ((size = recv(t->receive_fd, &datagram, sizeof(datagram), MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
            judge(t, &datagram, size);
        }
    }
    return NULL;
}

static bool open_receiver(struct traffic *t, char why[WHY_SIZE])
{
    struct sockaddr_in here = server_address();
    int size = 4 << 20;
    t->receive_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (t->receive_fd < 0 || bind(t->receive_fd, (struct sockaddr *)&here, sizeof(here)) != 0) {
        return explain(why, "the receiver's socket");
    }
    setsockopt(t->receive_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); // as much of it as is allowed
    if (pthread_create(&t->receiver, NULL, receive_all, t) != 0) {
        return explain(why, "the receiver's thread");
    }
    t->has_receiver = true;
    return true;
}

// --- both ----------------------------------------------------------------------------------------

static bool command(struct traffic *t, char what)
{
    char answer = 'n';
    return write(t->control, &what, 1) == 1 && read(t->control, &answer, 1) == 1 && answer == 'y';
}

// Forks the sender; it is in its own namespace when this returns.
static bool fork_sender(struct traffic *t, char why[WHY_SIZE])
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return explain(why, "a socket pair");
    }
    t->sender = fork();
    if (t->sender == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        char ready = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
        if (write(ends[1], &ready, 1) == 1 && ready == 'y') {
            sender_main(ends[1], t->counts);
        }
        _exit(1);
    }
    close(ends[1]);
    t->control = ends[0];
    char ready = 'n';
    return (t->sender > 0 && read(ends[0], &ready, 1) == 1 && ready == 'y') ||
           explain(why, "the client's network namespace");
}

bool traffic_open(struct traffic **out, char why[WHY_SIZE])
{
    struct traffic *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return explain(why, "memory");
    }
    t->control = t->receive_fd = -1;
    t->counts = mmap(NULL, sizeof(*t->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->counts == MAP_FAILED) {
        free(t);
        return explain(why, "shared memory");
    }
    if (!fork_sender(t, why)) {
        traffic_close(t);
        return false;
    }
    *out = t;
    return true;
}

pid_t traffic_sender(const struct traffic *t)
{
    return t->sender;
}

bool traffic_start(struct traffic *t, char why[WHY_SIZE])
{
    if (!net_configure(SERVER_DEVICE, SERVER_ADDRESS, why) || !open_receiver(t, why)) {
        return false;
    }
    return command(t, 'c') || explain(why, "the sender");
}

bool traffic_resume(struct traffic *t)
{
    char what = 's';
    t->counts->is_sending = true;
    return write(t->control, &what, 1) == 1;
}

bool traffic_pause(struct traffic *t)
{
    char answer = 'n';
    t->counts->is_sending = false;
    bool paused = read(t->control, &answer, 1) == 1 && answer == 'y';
    usleep(50000); // empty datagrams travel before the last honest one; leave them time to be counted all the
                   // same
    return paused;
}

const struct traffic_counts *traffic_counts(const struct traffic *t)
{
    return t->counts;
}

void traffic_close(struct traffic *t)
{
    if (t == NULL) {
        return;
    }
    t->is_closing = true;
    if (t->has_receiver) {
        pthread_join(t->receiver, NULL);
    }
    if (t->receive_fd >= 0) {
        close(t->receive_fd);
    }
    if (t->control >= 0) {
        close(t->control);
    }
    if (t->sender > 0) {
        kill(t->sender, SIGKILL);
        waitpid(t->sender, NULL, 0);
    }
    munmap(t->counts, sizeof(*t->counts));
    free(t);
}
