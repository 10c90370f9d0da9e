// SPDX-License-Identifier: MIT
// reader: bounded cursor over untrusted bytes. Invariant: pos <= size; nothing outside [data, data + size) is
// read.
#include "base/base.h"

void reader_init(struct reader *r, const void *data, size_t size)
{
    r->data = data;
    r->size = size;
    r->pos = 0;
}

ebpf_result_t reader_slice(const struct reader *r, uint64_t off, uint64_t size, struct reader *out)
{
    if (off > r->size || size > r->size - off) {
        return EBPF_INVALID_ARGUMENT;
    }
    reader_init(out, size != 0 ? r->data + off : r->data, (size_t)size);
    return EBPF_SUCCESS;
}

ebpf_result_t reader_seek(struct reader *r, uint64_t pos)
{
    if (pos > r->size) {
        return EBPF_INVALID_ARGUMENT;
    }
    r->pos = (size_t)pos;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_skip(struct reader *r, uint64_t size)
{
    if (size > reader_left(r)) {
        return EBPF_INVALID_ARGUMENT;
    }
    r->pos += (size_t)size;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_view(struct reader *r, size_t size, const uint8_t **out)
{
    if (size > reader_left(r)) {
        return EBPF_INVALID_ARGUMENT;
    }
    *out = size != 0 ? r->data + r->pos : r->data;
    r->pos += size;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_bytes(struct reader *r, void *out, size_t size)
{
    const uint8_t *bytes;
    TRY(reader_view(r, size, &bytes));
    if (size != 0) {
        memcpy(out, bytes, size);
    }
    return EBPF_SUCCESS;
}

// Little-endian integer of `size` bytes.
static ebpf_result_t integer(struct reader *r, size_t size, uint64_t *out)
{
    const uint8_t *bytes;
    TRY(reader_view(r, size, &bytes));
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    *out = value;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_u8(struct reader *r, uint8_t *out)
{
    return reader_bytes(r, out, 1);
}

ebpf_result_t reader_u16(struct reader *r, uint16_t *out)
{
    uint64_t value;
    TRY(integer(r, 2, &value));
    *out = (uint16_t)value;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_u32(struct reader *r, uint32_t *out)
{
    uint64_t value;
    TRY(integer(r, 4, &value));
    *out = (uint32_t)value;
    return EBPF_SUCCESS;
}

ebpf_result_t reader_u64(struct reader *r, uint64_t *out)
{
    return integer(r, 8, out);
}
