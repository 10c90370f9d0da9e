// SPDX-License-Identifier: MIT
// ebpf_native: what a native module (C made of eBPF bytecode by `bpftool gen native`, compiled) and the
// execution context that loads it agree on. The first half is for both; the second half, for the generated C
// only, follows EBPF_NATIVE_MODULE.
//
// A module exports one symbol, `ebpf_native_module`. Its rows are constant; what the loader fills in before
// the first run are the tables of bindings, in the module's writable data. Structures grow at their ends, and
// their first member says how large the module knows them: a loader reads no further, and takes what is not
// there for zero. A module of another version is refused.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EBPF_NATIVE_MAGIC       0x6d466245u // "EbFm"
#define EBPF_NATIVE_VERSION     1u
#define EBPF_NATIVE_DIGEST_SIZE 32u // SHA-256

// --- runs ----------------------------------------------------------------------------------------

// Head of the structure that a run has; its address is the last argument of every helper.
struct ebpf_native_run {
    uint64_t number;  // of the helper, for calls by number; entry of the next program, for tail calls
    uint32_t turns;   // that may_goto still grants
    uint32_t slot;    // of the CPU
    uint32_t aborted; // a packet load was out of range: every function returns at once
    uint32_t reserved;
};

// A program: r1 and r2 are its registers at entry. `frame_top`: for what follows by a tail call; the
// program's own frames are on the native stack.
typedef uint64_t (*ebpf_native_entry_fn)(uint64_t r1, uint64_t r2, struct ebpf_native_run *run,
                                         uint8_t *frame_top);
// A helper, as all functions that modules call. The one for tail calls gets (context, map, index, frame top)
// and returns 0 with the next entry in run->number, or an error.
typedef uint64_t (*ebpf_native_helper_fn)(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                                          struct ebpf_native_run *run);

// --- what the module says ------------------------------------------------------------------------

// A helper that programs call. Row i is bound by helper_bindings[i].
struct ebpf_native_helper {
    const char *name; // "bpf_map_lookup_elem": decides
    uint32_t number;  // in the dialect of the program that calls it first
    uint32_t id;      // of the generator's table, as the canonical programs have it
};

enum ebpf_native_map_kind {
    EBPF_NATIVE_MAP_USER,
    EBPF_NATIVE_MAP_RODATA,
    EBPF_NATIVE_MAP_DATA,
    EBPF_NATIVE_MAP_BSS,
    EBPF_NATIVE_MAP_KCONFIG,
};
enum ebpf_native_map_use {
    EBPF_NATIVE_USE_ADDRESS = 1 << 0, // of the map: given to helpers
    EBPF_NATIVE_USE_VALUES = 1 << 1,  // values are found in line, or are global data: the binding needs them
};

// A map of the object. Row i is bound by map_bindings[i].
struct ebpf_native_map {
    const char *name;
    const char *type;       // "array"
    const uint8_t *initial; // value_size bytes of the only value; NULL: zeroes
    uint32_t key_size, value_size, max_entries, flags;
    uint32_t pinning; // 0 none, 1 by name
    uint32_t kind;    // enum ebpf_native_map_kind
    uint32_t inner;   // 1 + row of the inner maps' template; 0: none
    uint32_t stride;  // bytes from one value to the next that the code relies on; 0: on none
    uint32_t uses;    // enum ebpf_native_map_use
    uint32_t reserved;
};

struct ebpf_native_program {
    const char *name, *section;
    const char *type, *attach_type; // "xdp"
    ebpf_native_entry_fn entry;
    // The canonical program that the code was made of, as in a load request, and the evidence of its
    // verification.
    const uint8_t *canonical, *evidence;
    uint32_t canonical_size, evidence_size;
    // Of the canonical program and of all that it was resolved with: helpers' rows, context fields, maps.
    uint8_t digest[EBPF_NATIVE_DIGEST_SIZE];
    const uint32_t *maps;    // rows of the module's maps, in the order of the canonical program's
    const uint32_t *helpers; // rows of the module's helpers that it calls
    uint32_t map_count, helper_count;
    uint32_t insn_count; // slots
    uint32_t uses;       // enum ebpf_native_import_use
};

// --- what the loader fills in --------------------------------------------------------------------

struct ebpf_native_map_binding {
    uint64_t address;    // that helpers take for the map
    uint64_t values;     // of value 0; of CPU 0 in per-CPU maps
    uint64_t cpu_stride; // bytes from one CPU's values to the next one's
    uint64_t reserved;
};

enum ebpf_native_import_use {
    EBPF_NATIVE_USE_CALL_NUMBER = 1 << 0,
    EBPF_NATIVE_USE_LOAD_PACKET = 1 << 1,
};
struct ebpf_native_imports {
    uint32_t size;
    uint32_t reserved;
    ebpf_native_helper_fn call_number; // calls the helper whose number is in run->number
    ebpf_native_helper_fn load_packet; // (offset, bytes); sets run->aborted when out of range
};

struct ebpf_native_module {
    uint32_t size; // of this structure
    uint32_t magic, version;
    uint32_t program_size, map_size, helper_size, binding_size; // of one row of each table
    uint32_t program_count, map_count, helper_count;
    const char *name;      // of the object
    const char *generator; // for people
    const struct ebpf_native_program *programs;
    const struct ebpf_native_map *maps;
    const struct ebpf_native_helper *helpers;
    struct ebpf_native_map_binding *map_bindings;
    ebpf_native_helper_fn *helper_bindings;
    struct ebpf_native_imports *imports;
    const uint8_t *btf; // of the object; NULL: none
    uint64_t btf_size;
    const uint8_t *object_digest; // SHA-256 of the object file; NULL: not known
};

#define EBPF_NATIVE_SYMBOL "ebpf_native_module"

// The section of the image that holds the object file that the module was made of: magic, size as 64 bits
// little endian, the object's bytes. What follows is padding. Neither symbols nor relocations are needed to
// find it: whoever opens a module reads it as a file.
#define EBPF_NATIVE_OBJECT_SECTION ".ebpfobj"
#define EBPF_NATIVE_OBJECT_MAGIC   "EbFobj\0\1" // without the literal's NUL

// --- for generated code --------------------------------------------------------------------------

#if defined(EBPF_NATIVE_MODULE)
#if defined(_WIN32)
#define EBPF_NATIVE_EXPORT __attribute__((dllexport))
#if defined(EBPF_NATIVE_DLL_ENTRY) // for linkers that cannot do without
int EBPF_NATIVE_DLL_ENTRY(void *image, uint32_t reason, void *reserved);
int EBPF_NATIVE_DLL_ENTRY(void *image, uint32_t reason, void *reserved)
{
    return (void)image, (void)reason, (void)reserved, 1;
}
#endif
#else
#define EBPF_NATIVE_EXPORT __attribute__((visibility("default")))
#endif

// Bytecode compares registers with themselves and moves them to where they are.
#pragma GCC diagnostic ignored "-Wtautological-compare"
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wself-assign"
#endif
// Bytes are written as strings that fill their arrays.
#if defined(__clang__) ? __clang_major__ >= 21 : __GNUC__ >= 15
#pragma GCC diagnostic ignored "-Wunterminated-string-initialization"
#endif

#if defined(__ELF__)
#define EBPF_NATIVE_RETAIN retain, // by linkers that leave out what nothing refers to
#else
#define EBPF_NATIVE_RETAIN
#endif
#define EBPF_NATIVE_OBJECT(count)                                                                            \
    __attribute__((section(EBPF_NATIVE_OBJECT_SECTION), EBPF_NATIVE_RETAIN used)) static const struct {      \
        char magic[8];                                                                                       \
        uint64_t size;                                                                                       \
        uint8_t bytes[count];                                                                                \
    }

#define EBPF_NATIVE_FUNCTION __attribute__((unused)) static uint64_t
#define EBPF_NATIVE_STACK    512

// Memory has any type and any alignment.
typedef uint8_t __attribute__((may_alias)) ebpf_native_u8;
typedef uint16_t __attribute__((may_alias, aligned(1))) ebpf_native_u16;
typedef uint32_t __attribute__((may_alias, aligned(1))) ebpf_native_u32;
typedef uint64_t __attribute__((may_alias, aligned(1))) ebpf_native_u64;
typedef uint32_t __attribute__((may_alias)) ebpf_native_a32;
typedef uint64_t __attribute__((may_alias)) ebpf_native_a64;

// MEM: nobody else writes there during a run (contexts, packets, raw memory). SHARED: others may, so that
// what was read once must not be read again in its place. STACK: at an offset from r10.
#define MEM(bits, address)    (*(ebpf_native_u##bits *)(uintptr_t)(address))
#define SHARED(bits, address) (*(volatile ebpf_native_u##bits *)(uintptr_t)(address))
#define STACK(bits, offset)   (*(ebpf_native_u##bits *)(stack + (EBPF_NATIVE_STACK + (offset))))

// Atomics; addresses are aligned, as the verifier has seen. ATOMIC: the result is not used.
#define ATOMIC(bits, operation, address, operand)                                                            \
    (void)__atomic_fetch_##operation((ebpf_native_a##bits *)(uintptr_t)(address), (uint##bits##_t)(operand), \
                                     __ATOMIC_SEQ_CST)
#define ATOMIC_FETCH(bits, operation, address, operand)                                                      \
    ebpf_native_fetch_##operation##bits(address, (uint##bits##_t)(operand))
#define ATOMIC_XCHG(bits, address, operand)                                                                  \
    __atomic_exchange_n((ebpf_native_a##bits *)(uintptr_t)(address), (uint##bits##_t)(operand),              \
                        __ATOMIC_SEQ_CST)
#define ATOMIC_CMPXCHG(bits, address, expected, operand)                                                     \
    ebpf_native_cmpxchg##bits(address, (uint##bits##_t)(expected), (uint##bits##_t)(operand))

#define EBPF_NATIVE_FETCH(bits, operation)                                                                   \
    __attribute__((unused)) static inline uint##bits##_t ebpf_native_fetch_##operation##bits(                \
        uint64_t address, uint##bits##_t operand)                                                            \
    {                                                                                                        \
        return __atomic_fetch_##operation((ebpf_native_a##bits *)(uintptr_t)address, operand,                \
                                          __ATOMIC_SEQ_CST);                                                 \
    }
#if defined(__x86_64__) && !defined(__clang__)
// gcc makes the same loop of its own functions, but up to 12.2 at least it is wrong where the result takes
// the operand's place: it combines the old value with itself.
#define EBPF_NATIVE_FETCH_LOOP(bits, operation, operator)                                                    \
    __attribute__((unused)) static inline uint##bits##_t ebpf_native_fetch_##operation##bits(                \
        uint64_t address, uint##bits##_t operand)                                                            \
    {                                                                                                        \
        ebpf_native_a##bits *at = (ebpf_native_a##bits *)(uintptr_t)address;                                 \
        uint##bits##_t old = __atomic_load_n(at, __ATOMIC_RELAXED);                                          \
        while (!__atomic_compare_exchange_n(at, &old, old operator operand, 0, __ATOMIC_SEQ_CST,             \
                                            __ATOMIC_RELAXED)) {                                             \
        }                                                                                                    \
        return old;                                                                                          \
    }
#else
#define EBPF_NATIVE_FETCH_LOOP(bits, operation, operator) EBPF_NATIVE_FETCH(bits, operation)
#endif
EBPF_NATIVE_FETCH(32, add)
EBPF_NATIVE_FETCH(64, add)
EBPF_NATIVE_FETCH_LOOP(32, or, |)
EBPF_NATIVE_FETCH_LOOP(64, or, |)
EBPF_NATIVE_FETCH_LOOP(32, and, &)
EBPF_NATIVE_FETCH_LOOP(64, and, &)
EBPF_NATIVE_FETCH_LOOP(32, xor, ^)
EBPF_NATIVE_FETCH_LOOP(64, xor, ^)

__attribute__((unused)) static inline uint32_t ebpf_native_cmpxchg32(uint64_t address, uint32_t expected,
                                                                     uint32_t operand)
{
    __atomic_compare_exchange_n((ebpf_native_a32 *)(uintptr_t)address, &expected, operand, 0,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}

__attribute__((unused)) static inline uint64_t ebpf_native_cmpxchg64(uint64_t address, uint64_t expected,
                                                                     uint64_t operand)
{
    __atomic_compare_exchange_n((ebpf_native_a64 *)(uintptr_t)address, &expected, operand, 0,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}

// Look-ups in arrays: the address of value `key`, or 0.
#define ARRAY_LOOKUP(binding, key, max_entries, stride)                                                      \
    ebpf_native_array_lookup((binding)->values, (key), (max_entries), (stride))
#define PERCPU_LOOKUP(binding, key, max_entries, stride)                                                     \
    ebpf_native_array_lookup((binding)->values + run->slot * (binding)->cpu_stride, (key), (max_entries),    \
                             (stride))

__attribute__((unused)) static inline uint64_t ebpf_native_array_lookup(uint64_t values, uint32_t key,
                                                                        uint32_t max_entries, uint32_t stride)
{
    return key < max_entries ? values + (uint64_t)key * stride : 0;
}
#endif

#ifdef __cplusplus
}
#endif
