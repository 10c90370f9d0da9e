# Sums the 32-bit numbers of the memory (r1, r2 bytes of it), swaps the bytes of the sum, and divides by ten. The
# program that docs/jit.md follows.
    r0 = 0
    r3 = 0
    r2 >>= 2
    if r2 == 0 goto done
    if r2 > 1000 goto done
next:
    r4 = r3
    r4 <<= 32
    r4 >>= 30
    r5 = r1
    r5 += r4
    r5 = *(u32 *)(r5 + 0)
    *(u64 *)(r10 - 8) = r5
    r5 = *(u64 *)(r10 - 8)
    r0 += r5
    r3 += 1
    if r3 < r2 goto next
    r0 = be32 r0
    w0 /= 10
done:
    exit
