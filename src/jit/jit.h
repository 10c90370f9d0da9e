// SPDX-License-Identifier: MIT
// jit: the door of the translation of canonical programs to machine code. It declares nothing in this
// version: programs run in the interpreter (runtime/runtime.h), in Debug and Release builds.
#pragma once
