// SPDX-License-Identifier: MIT
// live: the demo on live traffic. Everything it makes (namespaces, devices, daemon, processes, one folder for
// the socket) hangs on this process and is taken down in the reverse order, also when a signal interrupts it.
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

struct live {
    const struct demo_options *options;
    char folder[64], socket[96];
    pid_t daemon;
    int daemon_output;
    struct traffic *traffic;
    struct bpf_object *object;
    struct bpf_link *link;
    int map_fd;
    uint32_t ifindex;
    uint64_t baseline_sent, baseline_arrived; // empty datagrams without a program
};

// What the table shows, at one moment.
struct reading {
    bool is_answered; // the daemon told us its part
    uint64_t honest_sent, honest_arrived, empty_sent, empty_arrived;
    uint64_t dropped;                      // the program's own counter, from its map
    uint64_t hook_drop, hook_ns, hook_all; // the hook's counters of the device
};

// --- the daemon ----------------------------------------------------------------------------------

static void exec_daemon(const struct live *live, int output)
{
    const char *path = live->options->ebpfd;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0); // Ctrl-C is for the demo, which ends the daemon in its turn
    dup2(output, STDOUT_FILENO);
    execl(path, path, "--socket", live->socket, "--tap", SERVER_DEVICE "," CLIENT_DEVICE, (char *)NULL);
    fprintf(stderr, "demo: %s: %s\n", path, strerror(errno));
    _exit(127);
}

// Its first line says that it listens.
static bool await_daemon(struct live *live)
{
    char line[256];
    struct pollfd polled = {.fd = live->daemon_output, .events = POLLIN};
    if (poll(&polled, 1, 20000) <= 0) {
        return false;
    }
    ssize_t size = read(live->daemon_output, line, sizeof(line) - 1);
    if (size <= 0) {
        return false;
    }
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    say("  %s", line);
    return strstr(line, "listening") != NULL;
}

static bool start_daemon(struct live *live)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    live->daemon = fork();
    if (live->daemon == 0) {
        close(ends[0]);
        exec_daemon(live, ends[1]);
    }
    close(ends[1]);
    live->daemon_output = ends[0];
    return live->daemon > 0 && await_daemon(live);
}

static void stop_daemon(struct live *live)
{
    if (live->daemon > 0) {
        kill(live->daemon, SIGTERM);
        waitpid(live->daemon, NULL, 0);
        close(live->daemon_output);
    }
}

// --- readings and the table ----------------------------------------------------------------------

static uint64_t count_of(const struct ebpf_hook_point *point, const char *verdict)
{
    for (uint32_t i = 0; i < point->counter_count; i++) {
        if (strcmp(point->counters[i].name, verdict) == 0) {
            return point->counters[i].packets;
        }
    }
    return 0;
}

// What happened to datagrams is read before how many were sent, so that no row shows more of the former.
static struct reading take_reading(const struct live *live)
{
    const struct traffic_counts *c = traffic_counts(live->traffic);
    struct reading r = {0};
    struct ebpf_hook_point point;
    uint32_t key = 0;
    r.is_answered = ebpf_get_next_hook_point(BPF_XDP, live->ifindex - 1, &point) == EBPF_SUCCESS;
    if (r.is_answered) {
        r.hook_ns = point.run_time_ns;
        r.hook_all = point.packets;
        r.hook_drop = count_of(&point, "drop");
    }
    if (live->map_fd >= 0) {
        r.is_answered = bpf_map_lookup_elem(live->map_fd, &key, &r.dropped) == 0 && r.is_answered;
    }
    r.empty_arrived = c->empty_arrived;
    r.empty_sent = c->empty_sent;
    r.honest_arrived = c->honest_arrived;
    r.honest_sent = c->honest_sent;
    return r;
}

static void print_header(void)
{
    say("  %8s %12s %12s %12s %12s %12s %10s", "seconds", "honest sent", "arrived", "empty sent", "arrived",
        "dropped", "ns/packet");
}

// Counts since `start`; the cost of a packet since `previous`.
static void print_row(double seconds, const struct reading *start, const struct reading *previous,
                      const struct reading *now)
{
    uint64_t packets = now->hook_all - previous->hook_all;
    char cost[24] = "-";
    if (packets != 0) {
        snprintf(cost, sizeof(cost), "%llu",
                 (unsigned long long)((now->hook_ns - previous->hook_ns) / packets));
    }
    say("  %8.1f %12llu %12llu %12llu %12llu %12llu %10s", seconds,
        (unsigned long long)(now->honest_sent - start->honest_sent),
        (unsigned long long)(now->honest_arrived - start->honest_arrived),
        (unsigned long long)(now->empty_sent - start->empty_sent),
        (unsigned long long)(now->empty_arrived - start->empty_arrived),
        (unsigned long long)(now->dropped - start->dropped), cost);
}

static bool sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL); // a signal ends it early
    return !demo_interrupted;
}

// The last empty datagrams may still be on their way: waits until each is accounted for, for two seconds at
// most.
static struct reading settle(const struct live *live, const struct reading *start)
{
    struct reading now = take_reading(live);
    for (int i = 0; i < 200; i++) {
        uint64_t gone = now.empty_arrived - start->empty_arrived + now.dropped - start->dropped;
        if (gone >= now.empty_sent - start->empty_sent || !sleep_ms(10)) {
            break;
        }
        now = take_reading(live);
    }
    return now;
}

// Sends for `rows` periods and prints a row after each. The last row is of the settled state.
static bool run_phase(struct live *live, unsigned rows, unsigned period_ms)
{
    struct reading start = take_reading(live), previous = start, now;
    bool goes_on = traffic_resume(live->traffic);
    print_header();
    for (unsigned i = 1; goes_on && i <= rows; i++) {
        goes_on = sleep_ms(period_ms);
        if (i == rows || !goes_on) {
            goes_on = traffic_pause(live->traffic) && goes_on;
            now = settle(live, &start);
        } else {
            now = take_reading(live);
        }
        if (!now.is_answered) {
            say("  ebpfd does not answer any more");
            return false;
        }
        print_row(i * period_ms / 1000.0, &start, &previous, &now);
        previous = now;
    }
    if (!goes_on && !demo_interrupted) {
        say("  the sender has ended");
    }
    return goes_on;
}

// --- steps ---------------------------------------------------------------------------------------

static bool show_baseline(struct live *live)
{
    say_step("Without a program: the flood arrives");
    say("  Honest datagrams carry a number and a sentence; %d times as many carry nothing at all.",
        TRAFFIC_FLOOD);
    bool is_short = live->options->is_short;
    if (!run_phase(live, 2, is_short ? 200 : 500)) {
        return false;
    }
    struct reading r = take_reading(live);
    live->baseline_sent = r.empty_sent;
    live->baseline_arrived = r.empty_arrived;
    return true;
}

// The part of the source that decides.
static void show_source(const struct demo_options *options)
{
    char path[512], line[256];
    bool is_inside = false;
    snprintf(path, sizeof(path), "%s/droppacket.c", options->sources);
    FILE *file = fopen(path, "r");
    say_step("The program that decides (samples/droppacket.c)");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        is_inside = is_inside || strncmp(line, "SEC(\"xdp\")", 10) == 0;
        if (is_inside) {
            line[strcspn(line, "\n")] = '\0';
            say("  | %s", line);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static bool load_program(struct live *live)
{
    char path[512];
    demo_sample_path(live->options, "droppacket.o", path, sizeof(path));
    live->object = bpf_object__open_file(path, NULL);
    if (live->object == NULL || bpf_object__load(live->object) != 0) {
        say("  droppacket.o does not load: %s", strerror(errno));
        return false;
    }
    live->map_fd = bpf_object__find_map_fd_by_name(live->object, "dropped_packets");
    struct bpf_program *program = bpf_object__find_program_by_name(live->object, "DropPacket");
    if (live->map_fd < 0 || program == NULL) {
        say("  droppacket.o lacks its map or its program");
        return false;
    }
    live->link = bpf_program__attach_xdp(program, (int)live->ifindex);
    if (live->link == NULL) {
        say("  attaching fails: %s", strerror(errno));
    }
    return live->link != NULL;
}

static bool show_loading(struct live *live)
{
    say_step("Loaded and attached to " SERVER_DEVICE);
    say("  The demo loaded it through the libbpf API. bpftool, another process, asks the daemon:");
    if (!load_program(live)) {
        return false;
    }
    const char *const show[] = {"bpftool", "prog", "show", NULL};
    const char *const net[] = {"bpftool", "net", "show", NULL};
    demo_run_tool(live->options->bpftool, show);
    demo_run_tool(live->options->bpftool, net);
    return true;
}

static bool show_summary(const struct live *live, const struct reading *before, const struct reading *after)
{
    const struct traffic_counts *c = traffic_counts(live->traffic);
    uint64_t honest = after->honest_sent - before->honest_sent;
    uint64_t empty = after->empty_sent - before->empty_sent;
    bool all = true;
    say_step("What happened");
    all &= say_check(live->baseline_sent > 0 && live->baseline_arrived == live->baseline_sent,
                     "without the program all of %llu empty datagrams arrived",
                     (unsigned long long)live->baseline_sent);
    all &= say_check(
        honest > 0 && after->honest_arrived == after->honest_sent && c->damaged == 0 && !c->is_stalled,
        "with it every honest datagram arrived exactly once: %llu of %llu",
        (unsigned long long)(after->honest_arrived - before->honest_arrived), (unsigned long long)honest);
    all &= say_check(
        empty > 0 && after->empty_arrived == before->empty_arrived, "no empty datagram arrived: %llu of %llu",
        (unsigned long long)(after->empty_arrived - before->empty_arrived), (unsigned long long)empty);
    all &= say_check(after->dropped == empty, "the program's map counted every one of them: %llu",
                     (unsigned long long)after->dropped);
    all &= say_check(after->hook_drop == empty, "so did the hook: %llu dropped",
                     (unsigned long long)after->hook_drop);
    if (after->hook_all != 0) {
        say("        deciding took %llu ns a packet, over %llu packets (the hook and the program, not the "
            "kernel's I/O)",
            (unsigned long long)(after->hook_ns / after->hook_all), (unsigned long long)after->hook_all);
    }
    return all;
}

// Namespaces, daemon, devices and the two ends. 3: there is no right to make them.
static int set_up(struct live *live)
{
    char why[WHY_SIZE] = "";
    say_step("Two private network namespaces, wired to each other by ebpfd");
    if (!net_enter_private(why) || !net_has_tap(why) || !traffic_open(&live->traffic, why)) {
        say("  This machine does not let us make what live traffic needs: %s", why);
        return 3;
    }
    say("  client " CLIENT_ADDRESS " [" CLIENT_DEVICE "] ~~~ ebpfd: XDP ~~~ [" SERVER_DEVICE
        "] " SERVER_ADDRESS " server");
    if (!start_daemon(live)) {
        say("  ebpfd does not start");
        return 2;
    }
    live->ifindex = if_nametoindex(SERVER_DEVICE);
    if (!net_move_device(CLIENT_DEVICE, traffic_sender(live->traffic), why) ||
        !traffic_start(live->traffic, why)) {
        say("  %s", why);
        return 2;
    }
    return 0;
}

static int run_steps(struct live *live)
{
    int status = set_up(live);
    if (status != 0) {
        return status;
    }
    if (!show_baseline(live)) {
        return 2;
    }
    show_source(live->options);
    demo_show_verifier(live->options);
    if (!show_loading(live)) {
        return 2;
    }
    struct reading before = take_reading(live);
    say_step("The same flood, with the program");
    bool is_short = live->options->is_short;
    if (!run_phase(live, is_short ? 4 : 8, is_short ? 250 : 500)) {
        return 2;
    }
    struct reading after = take_reading(live);
    return show_summary(live, &before, &after) && after.is_answered ? 0 : 1;
}

// A daemon that ended by itself has removed its files.
static void remove_folder(struct live *live)
{
    char lock[sizeof(live->socket) + 8];
    snprintf(lock, sizeof(lock), "%s.lock", live->socket);
    unlink(live->socket);
    unlink(lock);
    rmdir(live->folder);
}

static void tear_down(struct live *live)
{
    bpf_link__destroy(live->link);
    bpf_object__close(live->object);
    traffic_close(live->traffic);
    stop_daemon(live);
    remove_folder(live);
}

int live_run(const struct demo_options *options)
{
    struct live live = {.options = options, .map_fd = -1};
    const char *base = getenv("TMPDIR");
    snprintf(live.folder, sizeof(live.folder), "%s/ebpf-demo-XXXXXX",
             base != NULL && strlen(base) < 44 ? base : "/tmp");
    if (mkdtemp(live.folder) == NULL) {
        say("demo: a folder for the socket: %s", strerror(errno));
        return 2;
    }
    snprintf(live.socket, sizeof(live.socket), "%s/ebpfd.sock", live.folder);
    setenv("EBPFD_SOCKET", live.socket, 1);
    setenv("EBPF_TRANSPORT", "unix", 1);
    int status = run_steps(&live);
    tear_down(&live);
    if (demo_interrupted) {
        say("Interrupted. Everything is taken down again.");
        return 130;
    }
    return status;
}
