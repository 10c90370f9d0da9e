// SPDX-License-Identifier: MIT
// hash: SipHash-1-3 with a 128-bit key, for tables whose keys an attacker may choose.
// Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF"; c = 1, d = 3. And something
// quicker for keys of one word: M. Dietzfelbinger, T. Hagerup, J. Katajainen, M. Penttonen, "A reliable
// randomized algorithm for the closest-pair problem" (multiply-shift).
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

static inline struct sip sip_start(const struct hash_key *key)
{
    return (struct sip){key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                        key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
}

static inline uint64_t sip_end(struct sip *s)
{
    s->v2 ^= 0xff;
    sip_round(s);
    sip_round(s);
    sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t size)
{
    struct sip s = sip_start(key);
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        sip_word(&s, load_le(p, 8));
    }
    sip_word(&s, (uint64_t)size << 56 | load_le(p, left));
    return sip_end(&s);
}

// The upper half of a product of 128 bits. Its low n bits are those that multiply-shift hashing of 64-bit
// numbers takes: two numbers share them with probability 2 / 2^n at most, whoever chose the numbers.
uint64_t hash_number(const struct hash_key *key, uint64_t number)
{
    __extension__ typedef unsigned __int128 wide;
    wide low = (wide)(key->k0 | 1) * number;
    return (uint64_t)(low >> 64) + key->k1 * number;
}
