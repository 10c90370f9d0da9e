// SPDX-License-Identifier: MIT
// packed: immutable, compact copies of states in the caller's memory, and the entailment between them.
//
// A packed state is canonical: identities are numbered in order of appearance and dropped where they relate
// nothing, so two states that know the same compare equal byte by byte. Packing forgets (a packed state
// stands for at least the concrete states of its origin); whoever stores one continues from the stored one,
// never from the origin.
#pragma once

#include "base/base.h"
#include "domain/state.h"

// A packed state; 8-byte aligned, `size` bytes with what follows.
struct packed {
    uint32_t size;
    uint32_t entry_count;
    uint32_t frame_count;
    int32_t packet_length, meta_length;
    uint32_t id_count; // identities from VALUE_ID_FIRST on
};

#define PACKED_ID_MAX (STATE_LOC_END + VALUE_ID_FIRST)
#define PACKED_SLOTS  4096u // power of two, well above PACKED_ID_MAX

// Which values a later instruction may read; a hint that packing uses to forget the rest.
struct packed_live {
    uint16_t regs;                   // r0-r9 of the running function
    uint16_t saved[INSN_MAX_FRAMES]; // bits 6-9 of the callers
    uint64_t cells[INSN_MAX_FRAMES][STATE_CELL_COUNT / 64];
};

// Working memory of the functions below; 8-byte aligned, zeroed once before first use.
struct packed_scratch {
    uint32_t stamp;
    uint32_t slot_stamp[PACKED_SLOTS];
    uint32_t slot_id[PACKED_SLOTS];
    uint32_t slot_uses[PACKED_SLOTS];
    uint32_t slot_canonical[PACKED_SLOTS];
    // entailment: what class i of the outer state is in the inner one
    uint32_t class_stamp[PACKED_ID_MAX];
    uint32_t class_tag[PACKED_ID_MAX];
    int64_t class_shift[PACKED_ID_MAX];
    uint64_t buffer[13u * 1024]; // result of packed_make
};

// Packs `s` into scratch->buffer and returns it. `live` NULL: everything is kept.
const struct packed *packed_make(struct packed_scratch *scratch, const struct domain_state *s,
                                 const struct packed_live *live);
void packed_unpack(const struct packed *p, struct domain_state *s);
// True only if every concrete state of `inner` is one of `outer`.
bool packed_entails(struct packed_scratch *scratch, const struct packed *outer, const struct packed *inner);
static inline bool packed_equal(const struct packed *a, const struct packed *b)
{
    return a->size == b->size && memcmp(a, b, a->size) == 0;
}
