// SPDX-License-Identifier: MIT
// reads: which registers an instruction reads, from the form of its row; of calls only CALLX's own. On
// purpose not what the verifier or the engines have for that.
#pragma once

#include "isa/isa.h"

static inline uint16_t insn_reads(const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    const uint16_t dst = (uint16_t)(1u << in->dst), src = (uint16_t)(1u << in->src);
    bool overwrites = info->sem == SEM_MOV || info->sem == SEM_MOVSX8 || info->sem == SEM_MOVSX16 ||
                      info->sem == SEM_MOVSX32;
    switch (info->form) {
    case FORM_ALU_IMM: return overwrites ? 0 : dst;
    case FORM_ALU_REG: return overwrites ? src : dst | src;
    case FORM_ALU_UNARY:
    case FORM_JMP_IMM:
    case FORM_STORE_IMM:
    case FORM_CALLX: return dst;
    case FORM_JMP_REG:
    case FORM_STORE_REG: return dst | src;
    case FORM_ATOMIC: return dst | src | (info->sem == SEM_ATOMIC_CMPXCHG ? 1u : 0); // and r0
    case FORM_LOAD:
    case FORM_LDIND: return src;
    default: return 0;
    }
}
