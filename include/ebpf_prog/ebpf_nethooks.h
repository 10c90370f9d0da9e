// SPDX-License-Identifier: MIT
// Hooks of the network extension that the platform offers so far: bind. (XDP is in xdp_hooks.h.)
#pragma once

#include "bpf_helpers_platform.h"

typedef enum _bind_operation {
    BIND_OPERATION_BIND,      // before the bind
    BIND_OPERATION_POST_BIND, // the port is known
    BIND_OPERATION_UNBIND,    // the port is released
} bind_operation_t;

// Context of SEC("bind").
typedef struct _bind_md {
    uint8_t *app_id_start; // path of the application, UTF-16
    uint8_t *app_id_end;
    uint64_t process_id;
    uint8_t socket_address[16]; // a SOCKADDR
    uint8_t socket_address_length;
    bind_operation_t operation;
    uint8_t protocol; // IPPROTO_*
} bind_md_t;

typedef enum _bind_action {
    BIND_PERMIT_SOFT, // permitted as far as this program is concerned; other filters may still deny
    BIND_DENY,
    BIND_REDIRECT,    // permitted, at the address that the program wrote into the context
    BIND_PERMIT_HARD, // permitted, whatever filters of lower weight say
    BIND_PERMIT = BIND_PERMIT_SOFT,
} bind_action_t;

typedef bind_action_t bind_hook_t(bind_md_t *context);
