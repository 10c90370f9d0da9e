// SPDX-License-Identifier: MIT
// packed: immutable, compact copies of states in the caller's memory, and the entailment between them.
//
// A packed state is canonical: identities and references are numbered in order of appearance and identities
// are dropped where they relate nothing, so two states that know the same compare equal byte by byte. Packing
// forgets (a packed state stands for at least the concrete states of its origin); whoever stores one
// continues from the stored one, never from the origin.
#pragma once

#include "base/base.h"
#include "domain/state.h"

// A packed state; 8-byte aligned, `size` bytes with what follows: frames, references, sums, bounds, entries
// in order of location.
struct packed {
    uint32_t size;
    uint32_t entry_count;
    uint32_t frame_count;
    int32_t packet_length, meta_length;
    uint32_t id_count;     // identities from VALUE_ID_FIRST on
    uint32_t ref_id_count; // `ref` numbers from VALUE_ID_FIRST on
    uint32_t lock_ref;
    uint16_t lock_map;
    uint8_t rcu_depth, preempt_depth;
    uint8_t packet_changed, ref_count, sum_count, bound_count;
};

struct packed_frame {
    uint64_t init[INSN_STACK_SIZE / 64];
    uint32_t return_pc;
    uint32_t span_from;
};
struct packed_ref {
    uint32_t ref, pc;
    uint8_t kind, detail;
    uint8_t zero[6];
};
struct packed_sum {
    uint32_t left, right, sum, zero;
    int64_t max;
};

// A value. Followed by `words` words: what its number needs.
struct packed_entry {
    uint16_t loc;
    uint8_t kind, maybe_null, frame, width;
    uint16_t map;
    int32_t off;
    uint32_t id;
    int32_t range; // PACKET; otherwise `size`
    int32_t cf;
    uint32_t ref;
    uint16_t flags;
    uint8_t form;
    uint8_t words;
};

#define PACKED_ID_MAX (STATE_LOC_END + VALUE_ID_FIRST + STATE_MAX_REFS)
#define PACKED_SLOTS  4096u // power of two, well above PACKED_ID_MAX

// Which values a later instruction may read; a hint that packing uses to forget the rest. Turn counters
// always stay; a span stays while a live cell lies in or behind it.
struct packed_live {
    uint16_t regs;                   // r0-r9 of the running function
    uint16_t saved[INSN_MAX_FRAMES]; // bits 6-9 of the callers
    uint64_t cells[INSN_MAX_FRAMES][STATE_CELL_COUNT / 64];
    bool keep_packet; // the packet's lengths stay even if no live value speaks of the packet (callers may)
};

// Two identities whose numbers became one by a join: N = N(a) + shift_a in one state, N(b) + shift_b in the
// other. An `a` or `b` may be one of PACKED_CONST and the like.
struct packed_pair {
    uint32_t stamp;
    uint32_t a, b, id, uses;
    int64_t shift_a, shift_b;
    const struct packed_entry *entry_a, *entry_b; // the first members
};
#define PACKED_CONST    0xffffffffu // N is the shift
#define PACKED_NOT_NULL 0xfffffffeu // a nullness class
#define PACKED_NULL     0xfffffffdu // a nullness class
#define PACKED_ALONE    0x40000000u // | location: the number there, which has no identity

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
    const struct packed_entry *class_outer[PACKED_ID_MAX], *class_inner[PACKED_ID_MAX]; // first members
    // entailment: `ref` i of the outer state is ref_to[i] of the inner one, and back
    uint32_t ref_to_stamp[PACKED_ID_MAX], ref_to[PACKED_ID_MAX];
    uint32_t ref_from_stamp[PACKED_ID_MAX], ref_from[PACKED_ID_MAX];
    uint64_t buffer[16u * 1024]; // result of packed_make
    // joins
    struct domain_state work;
    struct packed_pair pairs[PACKED_SLOTS];
    uint16_t pair_order[PACKED_SLOTS]; // slots in use
    uint32_t pair_count;
};

// Forgets what slots, classes and pairs hold.
void packed_reset(struct packed_scratch *scratch);
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

// --- parts of a packed state ---------------------------------------------------------------------

static inline const struct packed_frame *packed_frames(const struct packed *p)
{
    return (const struct packed_frame *)(p + 1);
}
static inline const struct packed_ref *packed_refs(const struct packed *p)
{
    return (const struct packed_ref *)(packed_frames(p) + p->frame_count);
}
static inline const struct packed_sum *packed_sums(const struct packed *p)
{
    return (const struct packed_sum *)(packed_refs(p) + p->ref_count);
}
static inline const struct state_bound *packed_bounds(const struct packed *p)
{
    return (const struct state_bound *)(packed_sums(p) + p->sum_count);
}
static inline const struct packed_entry *packed_first(const struct packed *p)
{
    return (const struct packed_entry *)(packed_bounds(p) + p->bound_count);
}
static inline const struct packed_entry *packed_next(const struct packed_entry *e)
{
    return (const struct packed_entry *)((const uint64_t *)(e + 1) + e->words);
}
// The number of `e`: in the packed state, in a table, or made in *space.
const struct scalar *packed_number(const struct packed_entry *e, struct scalar *space);
int64_t packed_delta(const struct packed_entry *e);
bool packed_is_const(const struct packed_entry *e, uint64_t *number);
void packed_value(const struct packed_entry *e, struct value *out);
// Bytes of numbers that are initialised from `from` on without a gap; pointers end the run.
uint32_t packed_init_run(const struct packed *p, uint32_t frame, uint32_t from);
// N of some class in terms of one packed state.
struct packed_term {
    enum { TERM_CONST, TERM_ID, TERM_RANGE } kind;
    uint32_t id;         // TERM_ID: N(id) + shift
    int64_t shift;       // TERM_CONST: the number
    int64_t least, most; // TERM_RANGE: signed, nothing more is known
};
// Range of the term as a signed number; false when adding the shift may wrap.
bool packed_term_range(const struct packed *p, const struct packed_term *x, int64_t *least, int64_t *most);
// low + delta <= high is known.
bool packed_knows_bound(const struct packed *p, const struct packed_term *low, const struct packed_term *high,
                        int64_t delta);
// left + right <= max is known.
bool packed_knows_max(const struct packed *p, const struct packed_term *left, const struct packed_term *right,
                      int64_t max);
// sum = left + right (modulo 2^64) is known.
bool packed_knows_sum(const struct packed *p, const struct packed_term *left, const struct packed_term *right,
                      const struct packed_term *sum);
// What the members of class `id` with cf = +-1 say about N.
void packed_number_of(const struct packed *p, uint32_t id, struct scalar *out);
