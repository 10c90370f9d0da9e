// SPDX-License-Identifier: MIT
// frames: makes and reads captures with libpcap.
#define _GNU_SOURCE
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#define MADE_FRAMES 2000u

// --- making one ----------------------------------------------------------------------------------

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

// A UDP frame with `payload` bytes, from the client to the server. Returns its length.
static uint32_t make_udp(uint8_t *frame, uint16_t payload)
{
    memset(frame, 0, FRAME_HEADERS);
    memset(frame + FRAME_HEADERS, 'x', payload);
    put16(frame + FRAME_ETHERTYPE, 0x0800);
    frame[FRAME_IP] = 0x45;
    put16(frame + FRAME_IP + 2, (uint16_t)(28 + payload));
    frame[FRAME_IP + 8] = 64;
    frame[FRAME_IP + 9] = 17;
    inet_pton(AF_INET, CLIENT_ADDRESS, frame + FRAME_IP + 12);
    inet_pton(AF_INET, SERVER_ADDRESS, frame + FRAME_IP + 16);
    put16(frame + 34, 40000);
    put16(frame + 36, DEMO_PORT);
    put16(frame + 38, (uint16_t)(8 + payload));
    return FRAME_HEADERS + payload;
}

// Every fourth frame is honest; now and then comes one that is not UDP at all, or cut short.
static uint32_t make_frame(uint8_t *frame, unsigned i)
{
    uint32_t size = make_udp(frame, i % 4 == 0 ? (uint16_t)(1 + i % 1000) : 0);
    if (i % 97 == 1) {
        frame[FRAME_IP + 9] = 6; // TCP
    } else if (i % 97 == 2) {
        put16(frame + FRAME_ETHERTYPE, 0x86dd);
    } else if (i % 97 == 3) {
        size = 30;
    }
    return size;
}

static void dump_frames(pcap_dumper_t *dumper)
{
    uint8_t frame[FRAME_HEADERS + 1024];
    for (unsigned i = 0; i < MADE_FRAMES; i++) {
        uint32_t size = make_frame(frame, i);
        struct pcap_pkthdr header = {.caplen = size, .len = size, .ts = {.tv_sec = i / 1000}};
        pcap_dump((u_char *)dumper, &header, frame);
    }
}

bool frames_make(char path[FRAMES_PATH_SIZE], char why[WHY_SIZE])
{
    char made[FRAMES_PATH_SIZE] = "/tmp/ebpf-demo-XXXXXX";
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    int fd = mkstemp(made);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    pcap_dumper_t *dumper = dead != NULL && file != NULL ? pcap_dump_fopen(dead, file) : NULL;
    if (dumper != NULL) {
        dump_frames(dumper);
        pcap_dump_close(dumper); // closes the file
        memcpy(path, made, sizeof(made));
    } else {
        snprintf(why, WHY_SIZE, "a capture cannot be made: %s", strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        if (fd >= 0) {
            unlink(made);
        }
    }
    if (dead != NULL) {
        pcap_close(dead);
    }
    return dumper != NULL;
}

bool frames_read(const char *path, bool (*each)(void *user, const uint8_t *frame, uint32_t size), void *user,
                 char why[WHY_SIZE])
{
    char error[PCAP_ERRBUF_SIZE] = "";
    struct pcap_pkthdr *header;
    const u_char *frame;
    int status = 1;
    bool goes_on = true;
    pcap_t *pcap = pcap_open_offline(path, error);
    if (pcap == NULL) {
        snprintf(why, WHY_SIZE, "%.*s", WHY_SIZE - 1, error);
        return false;
    }
    if (pcap_datalink(pcap) != DLT_EN10MB) {
        snprintf(why, WHY_SIZE, "%.150s holds no Ethernet frames", path);
        goes_on = false;
    }
    while (goes_on && (status = pcap_next_ex(pcap, &header, &frame)) == 1) {
        goes_on = each(user, frame, header->caplen);
    }
    if (goes_on && status == PCAP_ERROR) {
        snprintf(why, WHY_SIZE, "%.*s", WHY_SIZE - 1, pcap_geterr(pcap));
        goes_on = false;
    }
    pcap_close(pcap);
    return goes_on;
}
