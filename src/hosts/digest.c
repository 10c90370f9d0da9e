// SPDX-License-Identifier: MIT
// digest: one call of whatever the system has.
#include "hosts/digest.h"

#if defined(_WIN32)
#if defined(_KERNEL_MODE)
#include <ntifs.h>
#else
#include <windows.h>
#endif

#include <bcrypt.h>
#include <limits.h>

bool digest_sha256(void *user, const void *bytes, size_t size, uint8_t digest[32])
{
    BCRYPT_ALG_HANDLE algorithm;
    BCRYPT_HASH_HANDLE hash;
    (void)user;
    if (BCryptOpenAlgorithmProvider(&algorithm, BCRYPT_SHA256_ALGORITHM, NULL, 0) < 0) {
        return false;
    }
    bool good = size <= ULONG_MAX && BCryptCreateHash(algorithm, &hash, NULL, 0, NULL, 0, 0) >= 0;
    if (good) {
        good = BCryptHashData(hash, (PUCHAR)bytes, (ULONG)size, 0) >= 0 &&
               BCryptFinishHash(hash, digest, 32, 0) >= 0;
        BCryptDestroyHash(hash);
    }
    BCryptCloseAlgorithmProvider(algorithm, 0);
    return good;
}
#elif defined(EBPF_HAS_LIBCRYPTO)
#include <openssl/evp.h>

bool digest_sha256(void *user, const void *bytes, size_t size, uint8_t digest[32])
{
    unsigned length = 0;
    (void)user;
    return EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL) == 1 && length == 32;
}
#else
bool digest_sha256(void *user, const void *bytes, size_t size, uint8_t digest[32])
{
    (void)user, (void)bytes, (void)size, (void)digest;
    return false;
}
#endif
