// SPDX-License-Identifier: MIT
// capture: the demo without any rights: the same program, over the frames of a capture file, in this process.
// Without a given file one is made, of honest and empty UDP datagrams and a few frames of other protocols.
#define _GNU_SOURCE
#include "demo.h"
#include "frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hosts/inproc.h"

#define PASSED  1u // XDP_PASS and XDP_DROP of Windows programs
#define DROPPED 2u

struct tally {
    uint64_t frames, honest, empty; // what the capture holds, by our own reading of it
    uint64_t honest_passed, empty_passed, dropped;
    uint64_t wrong; // decided otherwise than by the rule
    uint64_t time_ns;
};

struct capture {
    const struct demo_options *options;
    char path[FRAMES_PATH_SIZE]; // of the made file; "" when one was given
    struct bpf_object *object;
    int prog_fd, map_fd;
};

// --- running one ---------------------------------------------------------------------------------

enum kind { KIND_OTHER, KIND_HONEST, KIND_EMPTY };

// What a frame is, independently of the program: it must agree with every decision.
static enum kind kind_of(const uint8_t *frame, uint32_t size)
{
    if (size < FRAME_HEADERS || frame[FRAME_ETHERTYPE] != 0x08 || frame[FRAME_ETHERTYPE + 1] != 0 ||
        frame[FRAME_IP + 9] != 17) {
        return KIND_OTHER;
    }
    uint32_t header = 4u * (frame[FRAME_IP] & 15),
             offset = (frame[FRAME_IP + 6] & 31u) << 8 | frame[FRAME_IP + 7];
    if (header < 20 || offset != 0 || size < FRAME_IP + header + 8) {
        return KIND_OTHER;
    }
    uint32_t length = (uint32_t)frame[FRAME_IP + header + 4] << 8 | frame[FRAME_IP + header + 5];
    return length <= 8 ? KIND_EMPTY : KIND_HONEST;
}

static void count_frame(struct tally *tally, enum kind kind, uint32_t retval, uint32_t ns)
{
    tally->frames++;
    tally->time_ns += ns;
    tally->honest += kind == KIND_HONEST;
    tally->empty += kind == KIND_EMPTY;
    tally->dropped += retval == DROPPED;
    tally->honest_passed += kind == KIND_HONEST && retval == PASSED;
    tally->empty_passed += kind == KIND_EMPTY && retval == PASSED;
    tally->wrong += retval != (kind == KIND_EMPTY ? DROPPED : PASSED);
}

struct run_state {
    const struct capture *capture;
    struct tally *tally;
};

static bool run_frame(void *user, const uint8_t *frame, uint32_t size)
{
    struct run_state *state = user;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = size);
    if (demo_interrupted) {
        return false;
    }
    if (size < 14) {
        return true; // no Ethernet frame
    }
    if (bpf_prog_test_run_opts(state->capture->prog_fd, &run) != 0) {
        say("  a test run fails: %s", strerror(errno));
        return false;
    }
    count_frame(state->tally, kind_of(frame, size), run.retval, run.duration);
    return true;
}

static bool open_program(struct capture *capture)
{
    char path[512];
    demo_sample_path(capture->options, "droppacket.o", path, sizeof(path));
    capture->object = bpf_object__open_file(path, NULL);
    if (capture->object == NULL || bpf_object__load(capture->object) != 0) {
        say("  droppacket.o does not load: %s", strerror(errno));
        return false;
    }
    struct bpf_program *program = bpf_object__find_program_by_name(capture->object, "DropPacket");
    capture->prog_fd = program != NULL ? bpf_program__fd(program) : -1;
    capture->map_fd = bpf_object__find_map_fd_by_name(capture->object, "dropped_packets");
    return capture->prog_fd >= 0 && capture->map_fd >= 0;
}

static bool show_tally(const struct capture *capture, const struct tally *t)
{
    uint64_t counted = 0;
    uint32_t key = 0;
    bool all = true;
    if (bpf_map_lookup_elem(capture->map_fd, &key, &counted) != 0) {
        counted = UINT64_MAX;
    }
    say("  %8s %12s %12s %12s %12s %12s %10s", "frames", "honest", "passed", "empty", "passed", "dropped",
        "ns/packet");
    say("  %8llu %12llu %12llu %12llu %12llu %12llu %10llu", (unsigned long long)t->frames,
        (unsigned long long)t->honest, (unsigned long long)t->honest_passed, (unsigned long long)t->empty,
        (unsigned long long)t->empty_passed, (unsigned long long)t->dropped,
        (unsigned long long)(t->frames != 0 ? t->time_ns / t->frames : 0));
    say_step("What happened");
    all &= say_check(t->frames > 0 && t->wrong == 0, "every frame was decided by the rule: %llu of %llu",
                     (unsigned long long)(t->frames - t->wrong), (unsigned long long)t->frames);
    all &= say_check(t->honest_passed == t->honest, "every honest datagram passed: %llu",
                     (unsigned long long)t->honest);
    all &= say_check(t->empty_passed == 0, "no empty datagram passed");
    all &= say_check(counted == t->empty, "the program's map counted every one: %llu",
                     (unsigned long long)counted);
    return all;
}

static int run_capture(struct capture *capture)
{
    char why[WHY_SIZE] = "";
    struct tally tally = {0};
    struct run_state state = {capture, &tally};
    const char *path = capture->options->pcap != NULL ? capture->options->pcap : capture->path;
    if (!open_program(capture)) {
        return 2;
    }
    if (!frames_read(path, run_frame, &state, why)) {
        if (why[0] != '\0') {
            say("  %s", why);
        }
        return demo_interrupted ? 130 : 2;
    }
    return show_tally(capture, &tally) ? 0 : 1;
}

int capture_run(const struct demo_options *options)
{
    struct capture capture = {.options = options, .prog_fd = -1, .map_fd = -1};
    inproc_install();
    setenv("EBPF_TRANSPORT", "inproc", 1);
    demo_show_verifier(options);
    say_step("The program over a packet capture");
    int status = 2;
    char why[WHY_SIZE] = "";
    if (options->pcap != NULL || frames_make(capture.path, why)) {
        status = run_capture(&capture);
    } else {
        say("  %s", why);
    }
    bpf_object__close(capture.object);
    if (capture.path[0] != '\0') {
        unlink(capture.path);
    }
    return status;
}
