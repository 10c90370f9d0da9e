// SPDX-License-Identifier: MIT
// isa_int: the syntax tables that the printer and the parser share. A template is text with placeholders, so
// that what is printed parses back by construction:
//   %d %s  register dst, src: r0-r10, or w0-w10 when the operation has 32 bits
//   %D %S  the same, always r
//   %m %M  address dst + off, src + off
//   %t     type of the access: u8, s32
//   %i     immediate of 32 bits
//   %x     immediate of 64 bits, hexadecimal
//   %p %q  its low and high 32 bits, unsigned
//   %j %J  displacement in off, in imm, with sign
//   %o     operator of the semantic
//   %n     mnemonic of the row
// A space stands for any number of blanks in the text, for at least one between two words.
#pragma once

#include "isa/isa.h"

// How insn_print writes the row, in the style of RFC 9669 and llvm-objdump.
const char *syntax_rfc_template(const struct insn_info *info);
// The same as mnemonic and operands, the style of the conformance suite ("%" before registers is optional).
const char *syntax_asm_template(const struct insn_info *info);
// Other spellings of rows: template number `index` of `id`, NULL after the last.
const char *syntax_alias_template(unsigned id, unsigned index);
// Text of %o; "" when the semantic has none.
const char *syntax_operator(const struct insn_info *info);
