// SPDX-License-Identifier: MIT
// Fuzzer of the decoder: whatever decodes must encode to the same bytes (callx has two encodings) and print
// to text that parses back; any bytes taken as text must be handled as well.
#include <stdint.h>
#include <stdlib.h>

#include "isa/isa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SLOTS = 512 };
static struct insn insns[MAX_SLOTS], again[MAX_SLOTS];
static uint8_t bytes[MAX_SLOTS * INSN_SLOT_SIZE];
static char text[MAX_SLOTS * INSN_SLOT_SIZE + 1];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool same_insn(const struct insn *a, const struct insn *b)
{
    return a->id == b->id && a->dst == b->dst && a->src == b->src && a->off == b->off && a->imm == b->imm &&
           a->reserved == b->reserved;
}

static void check_text(const struct insn *in)
{
    char line[96];
    struct insn out[2];
    unsigned slots;
    require(insn_print(in, line, sizeof(line)) < sizeof(line));
    require(insn_parse(line, out, &slots) == EBPF_SUCCESS);
    require(slots == insn_slots(in) && same_insn(in, out));
}

static void check_bytes(const uint8_t *data, size_t size)
{
    uint32_t bad_pc;
    size_t count = size / INSN_SLOT_SIZE;
    if (insn_decode(data, size, insns, &bad_pc) != INSN_OK) {
        require(size == 0 || bad_pc <= count);
        return;
    }
    require(insn_encode(insns, count, bytes, &bad_pc) == INSN_OK);
    require(insn_decode(bytes, size, again, &bad_pc) == INSN_OK);
    for (size_t pc = 0; pc < count; pc++) {
        require(same_insn(&insns[pc], &again[pc]));
        require(insns[pc].id == INSN_CALLX || memcmp(bytes + pc * 8, data + pc * 8, 8) == 0);
        if (insns[pc].id != INSN_NONE) {
            check_text(&insns[pc]);
        }
    }
}

static void check_assembly(const uint8_t *data, size_t size)
{
    uint32_t count, bad;
    memcpy(text, data, size);
    text[size] = 0;
    if (isa_assemble(text, insns, MAX_SLOTS, &count, &bad) == EBPF_SUCCESS && count != 0) {
        require(insn_encode(insns, count, bytes, &bad) == INSN_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= MAX_SLOTS * INSN_SLOT_SIZE) {
        check_bytes(data, size);
        if (size != 0) {
            check_assembly(data, size);
        }
    }
    return 0;
}
