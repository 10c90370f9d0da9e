// SPDX-License-Identifier: MIT
// points: the states that are kept at one point of the program, and the policy by which arrivals are dropped,
// joined or kept: entailed; same key; one difference; room; closest pair.
#pragma once

#include "domain/domain.h"
#include "verifier/join.h"
#include "verifier/pool.h"

// A stored state. Immutable once explored: a join makes a new node and marks the old ones dead.
struct node {
    struct node *next;                // at the same point
    const struct packed *state;       // NULL: dead, and the memory was needed
    const struct node *parent;        // the state that the path to this one started from; NULL: an entry
    const struct node *other;         // NULL: an arrival. Otherwise a join of `other`, the older state, and
    const struct node *partner;       // `partner`; the way here is that of `partner`
    const struct finding_step *steps; // branches between parent and this one
    uint32_t step_count;
    uint32_t from;   // slot of the last instruction on the way here
    uint32_t serial; // unique in the load
    uint32_t pc;
    uint64_t key;
    uint32_t joins; // that went into it
    bool explored, dead;
    int32_t nearest_distance; // cache of the pair search; -1: not computed
    const struct node *nearest;
};

struct point {
    struct node *nodes; // live and dead; newest first
    uint32_t live_count;
    uint32_t arrivals;
    bool is_head; // of a loop
    bool unroll;  // keep turns apart (constants of the loop's counter are tested constants)
    struct join_hints hints;
};

// Shared by all points of a load.
struct points {
    struct arena *arena;
    struct pool *pool;
    struct packed_scratch *scratch;
    struct join_options join; // thresholds
    uint32_t per_point;       // K
    uint64_t arrivals;        // K falls to 16 after POINTS_FALL_1 and to 4 after POINTS_FALL_2 of them
    uint32_t stored;          // states held now, live
    uint32_t next_serial;
    uint64_t work;        // packed words compared and written
    uint64_t dead_bytes;  // of states that are kept for findings only
    struct node *pending; // after points_arrive: a second new node (two stored ones became one), or NULL
};
#define POINTS_FALL_1       24000u
#define POINTS_FALL_2       48000u
#define POINTS_KEEP_DEAD    (8u << 20) // bytes
#define POINTS_AT_HEAD      16u        // K at heads of loops that are not unrolled
#define POINTS_THRESHOLD_AT 3u         // joins of one node at a head before bounds jump to thresholds
#define POINTS_COARSE       25u        // so many joins before the last jump the thresholds are few
#define POINTS_WIDEN_AT     100u // and before they jump to the end; elsewhere: thresholds, at twice that the end

enum points_result {
    POINTS_KNOWN,  // a stored state entails it
    POINTS_JOINED, // *out is a new node that stands for it and others, which are dead now
    POINTS_STORED, // *out is a new node
};
// Where an arrival comes from; copied.
struct points_origin {
    const struct node *parent;
    const struct finding_step *steps;
    uint32_t step_count, from;
};
// `p` may lie in scratch->buffer. Without room, two stored states may become one beside the arrival: then
// t->pending is another new node that has to be explored. EBPF_NO_MEMORY.
ebpf_result_t points_arrive(struct points *t, struct point *at, uint32_t pc, const struct packed *p,
                            const struct points_origin *origin, struct node **out,
                            enum points_result *result) MUST_CHECK;
