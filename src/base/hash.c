// SPDX-License-Identifier: MIT
// hash: SipHash-1-3 with a 128-bit key, for tables whose keys an attacker may choose.
// Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF"; c = 1, d = 3.
#include "base/base.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t load_le(const uint8_t *p, size_t size)
{
    uint64_t word = 0;
    for (size_t i = size; i-- > 0;) {
        word = word << 8 | p[i];
    }
    return word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t size)
{
    struct sip s = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                    key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        sip_word(&s, load_le(p, 8));
    }
    sip_word(&s, (uint64_t)size << 56 | load_le(p, left));
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
