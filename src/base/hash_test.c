// SPDX-License-Identifier: MIT
// Tests of the table hash: another implementation agrees, and every bit of the key counts.
#include "tests/test.h"

// Witness: CPython 3.11 hashes bytes with SipHash-1-3; with PYTHONHASHSEED=0 the key is zero. Reproduce with
// PYTHONHASHSEED=0 python3 -c 'print(hex(hash(bytes(range(9))) & (2**64 - 1)))'
static void agrees_with_an_independent_implementation(void)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {{1, 0x68a914128e01e473u}, {7, 0x2f098ab0c751325au},  {8, 0xead411e67ebe2eeau},
                   {9, 0x75927f9d95124362u}, {16, 0x8972188433a5c5b7u}, {23, 0x37332b1389daa4ffu}};
    static const struct hash_key zero;
    uint8_t data[24];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        CHECK_EQ(hash_bytes(&zero, data, vectors[i].size), vectors[i].hash);
    }
}

static const struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void depends_on_every_byte_and_bit_of_the_key(void)
{
    uint8_t data[24] = {0};
    for (size_t size = 1; size <= sizeof(data); size++) {
        uint64_t before = hash_bytes(&key, data, size);
        CHECK(before != hash_bytes(&key, data, size - 1));
        for (size_t i = 0; i < size; i++) {
            data[i] ^= 1;
            CHECK(hash_bytes(&key, data, size) != before);
            data[i] ^= 1;
        }
        for (unsigned bit = 0; bit < 64; bit++) {
            struct hash_key other = {key.k0 ^ 1ull << bit, key.k1}, another = {key.k0, key.k1 ^ 1ull << bit};
            CHECK(hash_bytes(&other, data, size) != before && hash_bytes(&another, data, size) != before);
        }
    }
}

// Numbers that a table meets: in a row, in steps, alike in their low or high bits. With most keys no bucket
// gets much more than its share.
static void numbers_are_spread(void)
{
    static uint16_t buckets[256];
    static const struct {
        uint64_t start, step;
    } rows[] = {{0, 1}, {1000, 256}, {0, (uint64_t)1 << 32}, {7, (uint64_t)1 << 48}, {0, 0x9e3779b97f4a7c15}};
    unsigned crowded = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const struct hash_key secret = {hash_bytes(&(struct hash_key){seed, 0}, "a", 1),
                                        hash_bytes(&(struct hash_key){seed, 1}, "b", 1)};
        for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
            uint16_t most = 0;
            memset(buckets, 0, sizeof(buckets));
            for (uint64_t i = 0; i < 1024; i++) {
                uint64_t hash = hash_number(&secret, rows[row].start + i * rows[row].step);
                uint16_t count = ++buckets[hash & 255];
                most = count > most ? count : most;
            }
            crowded += most > 40; // 4 on average
        }
    }
    CHECK(crowded <= 10); // of 250
}

TEST_SUITE(hash)
{
    RUN(numbers_are_spread);
    RUN(agrees_with_an_independent_implementation);
    RUN(depends_on_every_byte_and_bit_of_the_key);
}
