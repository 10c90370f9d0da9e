// SPDX-License-Identifier: MIT
// proto_int: a writer of wire forms that counts everything and writes what fits.
#pragma once

#include "proto/proto.h"

struct writer {
    uint8_t *bytes;
    size_t capacity, size;
};

static inline void put_bytes(struct writer *w, const void *data, size_t size)
{
    if (size != 0 && w->size <= w->capacity && size <= w->capacity - w->size) {
        memcpy(w->bytes + w->size, data, size);
    }
    w->size += size;
}

static inline void put_u32(struct writer *w, uint32_t value)
{
    put_bytes(w, &value, sizeof(value)); // all supported machines are little endian
}
