// SPDX-License-Identifier: MIT
// scan: what both architectures have in common.
#include "tests/jit/scan.h"

#include <capstone/capstone.h>

bool scan_fail(struct scan *s, uint32_t offset, const char *what)
{
    str_format(s->why, sizeof(s->why), "+0x%x: %s", (unsigned)offset, what);
    return false;
}

// Immediates of the program with at least 17 significant bits.
bool scan_is_secret(const struct scan *s, uint64_t number)
{
    int64_t value = (int64_t)number, narrow = (int32_t)number;
    if (!s->options->blind || (narrow >= -65536 && narrow < 65536)) {
        return false;
    }
    for (uint32_t pc = 0; pc < s->input->insn_count; pc++) {
        const struct insn *in = &s->input->insns[pc];
        unsigned form = insn_info(in->id)->form;
        bool has =
            form == FORM_ALU_IMM || form == FORM_JMP_IMM || form == FORM_STORE_IMM || in->id == INSN_LDDW;
        if (has && (in->imm == value || (uint32_t)in->imm == number)) {
            return true;
        }
    }
    return false;
}

bool scan_code(struct scan *s)
{
    csh handle;
    bool x86 = s->options->arch == JIT_X86_64;
    s->why[0] = 0;
    s->insns = 0;
    s->has_constant = false;
    if (cs_open(x86 ? CS_ARCH_X86 : CS_ARCH_ARM64, x86 ? CS_MODE_64 : CS_MODE_LITTLE_ENDIAN, &handle) !=
        CS_ERR_OK) {
        return scan_fail(s, 0, "Capstone does not start");
    }
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    bool good = x86 ? scan_x86(s, handle) : scan_arm64(s, handle);
    cs_close(&handle);
    return good;
}
