// SPDX-License-Identifier: MIT
// isa_syntax: a template per form, and per semantic where one form is written in several ways. The only place
// that knows how an instruction looks as text.
#include "isa/isa_int.h"

static const char *const rfc_by_form[FORM_COUNT] = {
    [FORM_ALU_IMM] = "%d %o= %i",
    [FORM_ALU_REG] = "%d %o= %s",
    [FORM_ALU_UNARY] = "%D = %n %D",
    [FORM_JMP_IMM] = "if %d %o %i goto %j",
    [FORM_JMP_REG] = "if %d %o %s goto %j",
    [FORM_JA16] = "goto %j",
    [FORM_JA32] = "gotol %J",
    [FORM_MAY_GOTO] = "%n %j",
    [FORM_CALL] = "call %i",
    [FORM_CALLX] = "callx %D",
    [FORM_EXIT] = "exit",
    [FORM_LOAD] = "%D = *(%t *)(%M)",
    [FORM_STORE_IMM] = "*(%t *)(%m) = %i",
    [FORM_STORE_REG] = "*(%t *)(%m) = %S",
    [FORM_LDDW] = "%D = %o %p ll",
    [FORM_LDABS] = "r0 = *(%t *)skb[%i]",
    [FORM_LDIND] = "r0 = *(%t *)skb[%S + %i]",
    [FORM_ATOMIC] = "lock *(%t *)(%m) %o= %s",
};

// Semantics that are not written as their form is.
static const char *const rfc_by_sem[SEM_COUNT] = {
    [SEM_MOVSX8] = "%d = (s8)%s",
    [SEM_MOVSX16] = "%d = (s16)%s",
    [SEM_MOVSX32] = "%d = (s32)%s",
    [SEM_NEG] = "%d = -%d",
    [SEM_CALL_LOCAL] = "call local %J",
    [SEM_CALL_BTF] = "call btf %i",
    [SEM_LDDW] = "%D = %x ll",
    [SEM_LDDW_CODE] = "%D = code %J ll",
    [SEM_LDDW_MAP_VALUE_FD] = "%D = %o %p + %q ll",
    [SEM_LDDW_MAP_VALUE] = "%D = %o %p + %q ll",
    [SEM_ATOMIC_FETCH_ADD] = "%s = atomic_fetch_add((%t *)(%m), %s)",
    [SEM_ATOMIC_FETCH_OR] = "%s = atomic_fetch_or((%t *)(%m), %s)",
    [SEM_ATOMIC_FETCH_AND] = "%s = atomic_fetch_and((%t *)(%m), %s)",
    [SEM_ATOMIC_FETCH_XOR] = "%s = atomic_fetch_xor((%t *)(%m), %s)",
    [SEM_ATOMIC_XCHG] = "%s = xchg_64(%m, %s)",
    [SEM_ATOMIC_CMPXCHG] = "r0 = cmpxchg_64(%m, r0, %s)",
};

static const char *const asm_by_form[FORM_COUNT] = {
    [FORM_ALU_IMM] = "%n %D , %i",
    [FORM_ALU_REG] = "%n %D , %S",
    [FORM_ALU_UNARY] = "%n %D",
    [FORM_JMP_IMM] = "%n %D , %i , %j",
    [FORM_JMP_REG] = "%n %D , %S , %j",
    [FORM_JA16] = "%n %j",
    [FORM_JA32] = "%n %J",
    [FORM_MAY_GOTO] = "%n %j",
    [FORM_CALL] = "%n %i",
    [FORM_CALLX] = "%n %D",
    [FORM_EXIT] = "%n",
    [FORM_LOAD] = "%n %D , [ %M ]",
    [FORM_STORE_IMM] = "%n [ %m ] , %i",
    [FORM_STORE_REG] = "%n [ %m ] , %S",
    [FORM_LDDW] = "%n %D , %p",
    [FORM_LDABS] = "%n %i",
    [FORM_LDIND] = "%n %S , %i",
    [FORM_ATOMIC] = "%n [ %m ] , %S",
};

static const char *const asm_by_sem[SEM_COUNT] = {
    [SEM_CALL_LOCAL] = "%n %J",
    [SEM_LDDW] = "%n %D , %x",
    [SEM_LDDW_CODE] = "%n %D , %J",
    [SEM_LDDW_MAP_VALUE_FD] = "%n %D , %p , %q",
    [SEM_LDDW_MAP_VALUE] = "%n %D , %p , %q",
};

static const struct {
    uint16_t id;
    const char *template;
} aliases[] = {
    {INSN_MOVSX64_8, "movsx864 %D , %S"},
    {INSN_MOVSX64_16, "movsx1664 %D , %S"},
    {INSN_MOVSX64_32, "movsx3264 %D , %S"},
    {INSN_BSWAP16, "swap16 %D"},
    {INSN_BSWAP32, "swap32 %D"},
    {INSN_BSWAP64, "swap64 %D"},
    {INSN_JA32, "ja32 %J"},
    {INSN_CALLX, "call %D"},
    {INSN_ATOMIC_ADD64, "lock add [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_ADD64, "lock fetch add [ %m ] , %S"},
    {INSN_ATOMIC_OR64, "lock or [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_OR64, "lock fetch or [ %m ] , %S"},
    {INSN_ATOMIC_AND64, "lock and [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_AND64, "lock fetch and [ %m ] , %S"},
    {INSN_ATOMIC_XOR64, "lock xor [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_XOR64, "lock fetch xor [ %m ] , %S"},
    {INSN_ATOMIC_XCHG64, "lock xchg [ %m ] , %S"},
    {INSN_ATOMIC_CMPXCHG64, "lock cmpxchg [ %m ] , %S"},
    {INSN_ATOMIC_ADD32, "lock add32 [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_ADD32, "lock fetch add32 [ %m ] , %S"},
    {INSN_ATOMIC_OR32, "lock or32 [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_OR32, "lock fetch or32 [ %m ] , %S"},
    {INSN_ATOMIC_AND32, "lock and32 [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_AND32, "lock fetch and32 [ %m ] , %S"},
    {INSN_ATOMIC_XOR32, "lock xor32 [ %m ] , %S"},
    {INSN_ATOMIC_FETCH_XOR32, "lock fetch xor32 [ %m ] , %S"},
    {INSN_ATOMIC_XCHG32, "lock xchg32 [ %m ] , %S"},
    {INSN_ATOMIC_CMPXCHG32, "lock cmpxchg32 [ %m ] , %S"},
};

static const char *const operators[SEM_COUNT] = {
    [SEM_ADD] = "+",
    [SEM_SUB] = "-",
    [SEM_MUL] = "*",
    [SEM_DIV] = "/",
    [SEM_MOD] = "%",
    [SEM_SDIV] = "s/",
    [SEM_SMOD] = "s%",
    [SEM_OR] = "|",
    [SEM_AND] = "&",
    [SEM_XOR] = "^",
    [SEM_LSH] = "<<",
    [SEM_RSH] = ">>",
    [SEM_ARSH] = "s>>",
    [SEM_JEQ] = "==",
    [SEM_JNE] = "!=",
    [SEM_JGT] = ">",
    [SEM_JGE] = ">=",
    [SEM_JLT] = "<",
    [SEM_JLE] = "<=",
    [SEM_JSET] = "&",
    [SEM_JSGT] = "s>",
    [SEM_JSGE] = "s>=",
    [SEM_JSLT] = "s<",
    [SEM_JSLE] = "s<=",
    [SEM_LDDW_MAP_FD] = "map_fd",
    [SEM_LDDW_MAP_VALUE_FD] = "map_value_fd",
    [SEM_LDDW_VAR] = "var",
    [SEM_LDDW_MAP] = "map",
    [SEM_LDDW_MAP_VALUE] = "map_value",
    [SEM_ATOMIC_ADD] = "+",
    [SEM_ATOMIC_OR] = "|",
    [SEM_ATOMIC_AND] = "&",
    [SEM_ATOMIC_XOR] = "^",
};

const char *syntax_rfc_template(const struct insn_info *info)
{
    if (info->width == 32 && info->sem == SEM_ATOMIC_XCHG) {
        return "%s = xchg32_32(%m, %s)";
    }
    if (info->width == 32 && info->sem == SEM_ATOMIC_CMPXCHG) {
        return "w0 = cmpxchg32_32(%m, w0, %s)";
    }
    return rfc_by_sem[info->sem] != NULL ? rfc_by_sem[info->sem] : rfc_by_form[info->form];
}

const char *syntax_asm_template(const struct insn_info *info)
{
    return asm_by_sem[info->sem] != NULL ? asm_by_sem[info->sem] : asm_by_form[info->form];
}

const char *syntax_alias_template(unsigned id, unsigned index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (aliases[i].id == id && index-- == 0) {
            return aliases[i].template;
        }
    }
    return NULL;
}

const char *syntax_operator(const struct insn_info *info)
{
    return operators[info->sem] != NULL ? operators[info->sem] : "";
}
