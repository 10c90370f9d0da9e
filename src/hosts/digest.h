// SPDX-License-Identifier: MIT
// digest: SHA-256 by the system's library: libcrypto on Linux, BCrypt on Windows.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// False: it failed, or this build has no library. `user` is not used.
bool digest_sha256(void *user, const void *bytes, size_t size, uint8_t digest[32]);
