// SPDX-License-Identifier: MIT
// cgen: the door of the translation of canonical programs to C, for native modules. It declares nothing in
// this version; the expressions that it will print are in isa/isa_ops.def, beside those that the interpreter
// runs.
#pragma once
