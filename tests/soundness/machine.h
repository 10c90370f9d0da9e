// SPDX-License-Identifier: MIT
// machine: a second interpreter, whose memory is simulated: every block that a program may touch has an
// address range of its own, far from all others, so that each wrong access is seen, whatever the hardware
// would do. It has memory, calls and helpers of its own; what arithmetic means comes from isa_ops.def, as
// everywhere, which tests/isa compares with vectors. Helpers are played from their prototype rows: arguments
// are checked, what they write is random, what they return is any value that the row permits (null included).
// So programs of every type run, also those that this project can only verify.
#pragma once

#include "spec/spec.h"

enum {
    MACHINE_BLOCKS = 192,
    MACHINE_PER_MAP = 3, // values of one map that a program can get hold of
    MACHINE_PACKET = 160,
    MACHINE_CONTEXT = 1024,
    MACHINE_SPECIALS = 16,
};

enum block_kind {
    BLOCK_NONE,
    BLOCK_STACK,
    BLOCK_PACKET, // metadata and data
    BLOCK_VALUE,
    BLOCK_MEM,
    BLOCK_OBJECT,
    BLOCK_MAP, // the map itself: no bytes
};

struct block {
    uint64_t base;
    uint32_t size;
    uint8_t kind; // enum block_kind
    bool dead;    // released
    bool read_only, write_only;
    bool held;         // has to be released
    bool of_packet;    // MEM: dies when the packet moves
    uint16_t map;      // VALUE, MAP: index in the program; OBJECT: layout
    uint16_t casts[3]; // OBJECT: other layouts that it was cast to
    uint64_t owner;    // MEM: address of the dynptr that it is a part of
    uint16_t parent;   // VALUE: block of its map
    uint8_t *bytes;    // NULL: MAP
};

// A dynptr, iterator or saved interrupt flags on the stack.
struct special {
    uint64_t at;
    uint32_t size;
    uint8_t arg;     // enum arg_type that takes it
    uint16_t detail; // of the argument that made it
    bool held;
    uint32_t turns; // iterators
};

struct machine_frame {
    uint64_t saved[4];
    uint16_t saved_init;
    uint32_t return_pc; // of the function that runs in this frame
    uint32_t callback;  // enum callback_type + 1; 0: a plain call
    uint32_t turn, turns;
    uint64_t args[5];  // of the helper that calls back
    uint64_t entry[4]; // r1-r4 when the function was entered
    uint8_t bytes[INSN_STACK_SIZE];
    bool init[INSN_STACK_SIZE];
};

struct machine {
    const struct spec_view *spec;
    const struct program *program;
    uint64_t seed;
    uint64_t regs[INSN_REG_COUNT];
    uint16_t init; // registers that were written
    uint32_t pc, last, depth, steps;
    struct machine_frame frames[INSN_MAX_FRAMES];
    struct block blocks[MACHINE_BLOCKS];
    uint32_t block_count;
    uint32_t packet; // block
    uint32_t meta_size, data_size;
    uint32_t layout;
    uint8_t context[MACHINE_CONTEXT];
    uint8_t packet_bytes[MACHINE_PACKET];
    struct special specials[MACHINE_SPECIALS];
    uint32_t special_count;
    uint32_t lock; // block + 1 of the value whose lock is held
    uint32_t rcu, preempt;
    uint32_t turns;  // that may_goto still grants
    uint64_t epoch;  // changes whenever something random happens
    bool ended;      // the program came to its end
    bool unknown;    // something that this machine does not play: the run says nothing
    char fault[160]; // what was wrong; "": nothing
};

#define MACHINE_STACK  0x100000000000u
#define MACHINE_CTX    0x200000000000u
#define MACHINE_CODE   0x300000000000u
#define MACHINE_KERNEL 0x7f0000000000u
#define MACHINE_FIRST  0x400000000000u
#define MACHINE_STRIDE 0x200000000u // between blocks; more than pointers can be moved by

// Enters the program with a random packet, context and maps.
void machine_begin(struct machine *m, const struct spec_view *spec, const struct program *p, uint64_t seed);
// Frees what the run took.
void machine_end(struct machine *m);
// Runs one instruction. False: the program ended, or m->fault says what was wrong.
bool machine_step(struct machine *m);
// Anything that other programs may do meanwhile: map values change.
void machine_disturb(struct machine *m);

// --- for machine_helper.c and those who compare ----------------------------------------------------
uint64_t machine_random(struct machine *m);
uint32_t machine_pick(struct machine *m, uint32_t below);
// A number of the kinds that find mistakes: small, near the limits of all widths, any.
uint64_t machine_number(struct machine *m);
bool machine_fail(struct machine *m, const char *what, uint64_t number);
static inline uint64_t machine_top(uint32_t frame)
{
    return MACHINE_STACK + (uint64_t)(frame + 1) * MACHINE_STRIDE;
}
// The block that an address belongs to, perhaps beside it; NULL: none.
struct block *machine_block(struct machine *m, uint64_t address);
struct block *machine_add(struct machine *m, enum block_kind kind, uint32_t size);
// An object of the layout; the same one again and again where `again` says so.
struct block *machine_object(struct machine *m, uint32_t layout, bool again);
// What belongs to the dynptr at `owner` dies.
void machine_drop_slices(struct machine *m, uint64_t owner);
// The bytes at an address, or NULL with the fault set. mode: 1 read, 2 write, 4 may be uninitialised.
uint8_t *machine_touch(struct machine *m, uint64_t address, uint64_t size, unsigned mode);
uint64_t machine_data(const struct machine *m); // address of the packet's first byte
// Address of map `index`.
uint64_t machine_map(struct machine *m, uint32_t index);
// A value of the map in block `map`.
struct block *machine_value(struct machine *m, uint32_t map, uint32_t which);
// The packet moves: all addresses in it die.
void machine_move_packet(struct machine *m);
// A call of helper `id` at m->pc; leaves r0 and the pc.
bool machine_helper(struct machine *m, uint32_t id);
// Leaves a callback: runs it again or goes on after the helper.
bool machine_callback_exit(struct machine *m);
void machine_enter(struct machine *m, uint32_t return_pc);
void machine_leave(struct machine *m);
