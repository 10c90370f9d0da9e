// SPDX-License-Identifier: MIT
// result: what the engine knows when it is done: for each function and entry state, the states at its points
// and exits. They are inductive: from any of them, every way to the next point ends in one that is entailed
// there, which replay.c checks in one pass. Turn counters of loops are in the states (state.h): the greatest
// at a head bounds the turns of its loop. What a certificate is made of.
#pragma once

#include "verifier/points.h"

// What an analysis of a function stands for; the types of callbacks follow.
enum instance_kind { INSTANCE_PROGRAM, INSTANCE_CALL, INSTANCE_CONTRACT, INSTANCE_CALLBACK };

struct pending {
    struct pending *next;
    struct node *node;
};

// A point inside one analysis.
struct place {
    struct point point;
    struct pending *first, **last; // not explored yet, oldest first
};

struct instance {
    struct instance *next; // of the same function, newer
    uint32_t func;
    uint32_t kind;              // enum instance_kind, or INSTANCE_CALLBACK + enum callback_type
    uint32_t frame_count;       // of its states
    uint32_t height;            // frames that it and what it calls need, callbacks it was handed included
    bool is_hidden;             // they have no frames of the callers
    const struct packed *entry; // cleaned
    struct place **places;      // by block of the function; NULL: nothing arrived there
    uint32_t place_count;
    uint64_t *todo;      // bit by position in the order of the function: something to explore
    uint32_t first_todo; // no word before has a bit
    struct point exits;
    bool complete;
};
