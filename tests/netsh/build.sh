#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the objects of this folder from the sources beside them. They are committed, so that the tests need no clang with
# a BPF target; run it from anywhere after changing a source. Made with clang 19.1.
set -eu
cd "$(dirname "$0")/../.."
clang-19 -target bpf -O2 -g -mcpu=v3 -ffile-prefix-map="$PWD=." -Iinclude/ebpf_prog -c tests/netsh/audit.c \
    -o tests/netsh/audit.o
llvm-strip-19 -g tests/netsh/audit.o
