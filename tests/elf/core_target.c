// SPDX-License-Identifier: MIT
// CO-RE: the types of core.c as the platform has them.
struct inner {
    long long pad;
    int second, first;
};
typedef struct {
    int counter;
} counter_t;
enum colour { RED, GREEN = 9, BLUE = 10 };
enum big { NOTHING, BIG = 0x200000002 };

struct outer {
    char pad[16];
    struct {
        union {
            struct inner inner;
            int deep;
        };
        int a;
    };
    const struct inner array[4];
    unsigned short small;
    unsigned long b;
    int negative;
    unsigned char other : 3, level : 4;
    void *pointer;
};

struct outer outer;
counter_t counter;
enum colour colour;
enum big big;

__attribute__((section("raw_memory"), used)) int target(void *memory)
{
    return 0;
}
