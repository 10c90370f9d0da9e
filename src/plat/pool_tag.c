// SPDX-License-Identifier: MIT
// pool_tag: the characters of pool_tags.def as numbers. The same on every platform.
#include "plat/plat.h"

static const char texts[POOL_TAG_COUNT][5] = {
#define POOL_TAG(id, text, ...) [POOL_TAG_##id] = text,
#include "plat/pool_tags.def"
#undef POOL_TAG
};

uint32_t pool_tag_code(enum pool_tag tag)
{
    uint32_t code;
    memcpy(&code, texts[tag], sizeof(code)); // all supported machines are little endian
    return code;
}
