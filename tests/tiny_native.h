// SPDX-License-Identifier: MIT
// tiny_native: the modules of tiny_module.h complete, such as bpftool would make them: canonical programs,
// evidence, digests.
#pragma once

#include "proto/proto.h"
#include "tests/tiny_module.h"

// Not SHA-256, but of its size. `user`: whether it fails, or NULL.
static inline bool tiny_hash(void *user, const void *bytes, size_t size, uint8_t digest[PROTO_DIGEST_SIZE])
{
    const bool *fails = user;
    for (uint64_t i = 0; i < PROTO_DIGEST_SIZE / 8; i++) {
        const struct hash_key key = {i, 77};
        uint64_t part = hash_bytes(&key, bytes, size);
        memcpy(digest + i * 8, &part, sizeof(part));
    }
    return fails == NULL || !*fails;
}

// Program of a module of tiny_module.h as the verifier left it.
struct tiny_native {
    struct program program;
    struct func func;
    struct map_def map;
    uint32_t evidence_words[4];
    struct evidence evidence;
    uint8_t canonical[512];
    size_t canonical_size;
};

static inline void tiny_describe(unsigned index, struct tiny_native *out)
{
    const struct tiny_source *s = &tiny_sources[index];
    const struct ebpf_native_map *map = &tiny_module_reset(1)->maps[s->map];
    memset(out, 0, sizeof(*out));
    out->func = (struct func){.start = 0, .end = s->insn_count, .name = "main"};
    uint32_t type = s->map == TINY_MAP_VALUES ? MAP_TYPE_ARRAY : MAP_TYPE_PROG_ARRAY;
    out->map = (struct map_def){.type = type,
                                .number = type,
                                .key_size = map->key_size,
                                .value_size = map->value_size,
                                .max_entries = map->max_entries,
                                .name = "m"};
    out->program = (struct program){.type = PROG_TYPE_XDP,
                                    .attach_type = ATTACH_TYPE_XDP,
                                    .dialect = DIALECT_LINUX,
                                    .insns = s->insns,
                                    .insn_count = s->insn_count,
                                    .funcs = &out->func,
                                    .func_count = 1,
                                    .maps = &out->map,
                                    .map_count = s->map_count,
                                    .strings = "",
                                    .strings_size = 1,
                                    .section = "xdp",
                                    .license = "MIT"};
    str_copy(out->program.name, sizeof(out->program.name), s->name);
    const uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, s->insn_count, 0};
    memcpy(out->evidence_words, evidence, sizeof(evidence));
    out->evidence = (struct evidence){(const uint8_t *)out->evidence_words, sizeof(evidence)};
    out->canonical_size = proto_program_encode(&out->program, out->canonical, sizeof(out->canonical));
}

static struct tiny_native tiny_natives[TINY_PROGRAMS];

static inline ebpf_result_t tiny_complete(struct tiny_module *m, const struct proto_hasher *hasher,
                                          struct arena *arena)
{
    for (unsigned i = 0; i < TINY_PROGRAMS; i++) {
        const struct tiny_native *from = &tiny_natives[i];
        m->programs[i].canonical = from->canonical;
        m->programs[i].canonical_size = (uint32_t)from->canonical_size;
        m->programs[i].evidence = from->evidence.bytes;
        m->programs[i].evidence_size = (uint32_t)from->evidence.size;
        TRY(proto_program_digest(spec_builtin(), &from->program, from->canonical, from->canonical_size,
                                 &from->evidence, hasher, arena, m->programs[i].digest));
    }
    return EBPF_SUCCESS;
}

// Both, fresh. EBPF_NO_MEMORY.
static inline ebpf_result_t tiny_make_modules(const struct proto_hasher *hasher, struct arena *arena)
{
    for (unsigned i = 0; i < TINY_PROGRAMS; i++) {
        tiny_describe(i, &tiny_natives[i]);
    }
    TRY(tiny_complete(tiny_module_reset(0), hasher, arena));
    return tiny_complete(tiny_module_reset(1), hasher, arena);
}
