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

TEST_SUITE(hash)
{
    RUN(agrees_with_an_independent_implementation);
    RUN(depends_on_every_byte_and_bit_of_the_key);
}
