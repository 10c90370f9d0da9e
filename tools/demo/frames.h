// SPDX-License-Identifier: MIT
// frames: captures in libpcap's format. Apart from the rest of the demo because libpcap and Linux both
// declare bpf_insn.
#pragma once

#include "demo.h"

#define FRAMES_PATH_SIZE 64
#define FRAME_HEADERS    42u // Ethernet 14, IPv4 20, UDP 8
#define FRAME_ETHERTYPE  12u // offsets in a frame
#define FRAME_IP         14u

// Makes a temporary file of honest and empty datagrams; *path names it.
bool frames_make(char path[FRAMES_PATH_SIZE], char why[WHY_SIZE]);
// Offers every frame of the file; ends early, with false, when `each` returns false (`why` is left alone
// then).
bool frames_read(const char *path, bool (*each)(void *user, const uint8_t *frame, uint32_t size), void *user,
                 char why[WHY_SIZE]);
