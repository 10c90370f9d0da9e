// SPDX-License-Identifier: MIT
// isa_print: expands the row's template of isa_syntax.c with the operands of an instruction.
#include "isa/isa_int.h"

// Bounded text under construction: `length` counts what does not fit too.
struct text {
    char *at;
    size_t size, length;
};

static void put(struct text *t, const char *s)
{
    for (; *s != '\0'; s++, t->length++) {
        if (t->length + 1 < t->size) {
            t->at[t->length] = *s;
        }
    }
}

static void put_register(struct text *t, char prefix, uint8_t reg)
{
    char buffer[8];
    str_format(buffer, sizeof(buffer), "%c%u", prefix, (unsigned)reg);
    put(t, buffer);
}

static void put_address(struct text *t, uint8_t reg, int16_t off)
{
    char buffer[16];
    put_register(t, 'r', reg);
    str_format(buffer, sizeof(buffer), " %c %d", off < 0 ? '-' : '+', off < 0 ? -off : off);
    put(t, buffer);
}

static void put_type(struct text *t, const struct insn_info *info)
{
    char buffer[8];
    str_format(buffer, sizeof(buffer), "%c%u", info->sem == SEM_LDXS ? 's' : 'u', (unsigned)info->width);
    put(t, buffer);
}

static void put_number(struct text *t, char placeholder, const struct insn *in)
{
    char buffer[24];
    int64_t displacement = placeholder == 'j' ? in->off : in->imm;
    switch (placeholder) {
    case 'x': str_format(buffer, sizeof(buffer), "0x%llx", (unsigned long long)in->imm); break;
    case 'p': str_format(buffer, sizeof(buffer), "%u", (unsigned)(uint32_t)in->imm); break;
    case 'q': str_format(buffer, sizeof(buffer), "%u", (unsigned)((uint64_t)in->imm >> 32)); break;
    case 'i': str_format(buffer, sizeof(buffer), "%lld", (long long)in->imm); break;
    default: // j, J
        str_format(buffer, sizeof(buffer), "%s%lld", displacement < 0 ? "" : "+", (long long)displacement);
        break;
    }
    put(t, buffer);
}

static void put_operand(struct text *t, char placeholder, const struct insn *in, const struct insn_info *info)
{
    char prefix = info->width == 32 ? 'w' : 'r';
    switch (placeholder) {
    case 'd': put_register(t, prefix, in->dst); break;
    case 's': put_register(t, prefix, in->src); break;
    case 'D': put_register(t, 'r', in->dst); break;
    case 'S': put_register(t, 'r', in->src); break;
    case 'm': put_address(t, in->dst, in->off); break;
    case 'M': put_address(t, in->src, in->off); break;
    case 't': put_type(t, info); break;
    case 'o': put(t, syntax_operator(info)); break;
    case 'n': put(t, info->mnemonic); break;
    default: put_number(t, placeholder, in); break;
    }
}

size_t insn_print(const struct insn *in, char *text, size_t size)
{
    const struct insn_info *info = insn_info(in->id);
    const char *template = info->form == FORM_NONE ? "%n" : syntax_rfc_template(info);
    struct text t = {text, size, 0};
    for (const char *c = template; *c != '\0'; c++) {
        if (*c == '%') {
            put_operand(&t, *++c, in, info);
        } else {
            put(&t, (const char[]){*c, 0});
        }
    }
    if (size != 0) {
        text[t.length < size ? t.length : size - 1] = 0;
    }
    return t.length;
}
