// SPDX-License-Identifier: MIT
// place: where the objects of the end-to-end tests live. Each test executable links one: place_inproc (this
// process), place_unix (an ebpfd of its own), place_device (ebpfcore.sys and ebpfsvc.exe, which somebody else
// has started).
#pragma once

#include <stdbool.h>

#include "lib/transport.h"

// Whether other processes, and other transports of this one, reach the same objects; and whether it can be
// taken down and brought up.
extern const bool place_is_shared;
// How often, at intervals of 10 ms, one may have to look until the end of a process or the close of a
// descriptor has taken effect: 1 where both are done before the system says that they are.
extern const unsigned place_patience;

bool place_start(void);
// False: it has not ended well.
bool place_stop(void);
// One more client. In a child, too.
ebpf_result_t place_open(struct transport **out) MUST_CHECK;
// Waits until the place holds nothing but what it held at the start. Nobody may have a client open.
bool place_is_idle(void);

// Takes the execution context down as its system does that, without regard to its clients; brings up a new
// one. It must then hold as little as the first one did. Where place_is_shared only.
bool place_down(void);
bool place_up(void);
