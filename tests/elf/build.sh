#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the objects of this folder from the sources beside them. They are committed, so that the tests need none of
# these compilers; run it from anywhere after changing a source, then review what changes in the .txt files
# (EBPF_REBASE=1 elf_tests writes them).
# Made with: clang 19.1, clang 14.0, gcc-bpf 12.2 (binutils 2.40), rustc 1.97 nightly (assembled by clang: rustc itself
# writes bitcode).
set -eu
cd "$(dirname "$0")/../.."
dir=tests/elf
flags="-O2 -ffile-prefix-map=$PWD=. -Wno-unknown-attributes"

# Debugging information for people is dropped, BTF stays.
clang() { # OUTPUT COMPILER FLAGS... SOURCE
    out=$dir/$1.o
    compiler=$2
    shift 2
    $compiler -target bpf $flags -c "$@" -o "$out"
    llvm-strip-19 -g "$out"
}

clang rich clang-19 -g -mcpu=v3 $dir/rich.c
clang rich_v1 clang-19 -g -mcpu=v1 $dir/rich.c
clang rich_v4 clang-19 -g -mcpu=v4 $dir/rich.c
clang rich_14 clang-14 -g -mcpu=v2 $dir/rich.c
clang rich_native "clang-19 -Dloop(n,f,u,x)=f(0,u)" -g -mcpu=v3 -DNATIVE $dir/rich.c
clang tiny_one clang-19 -g $dir/tiny.c
clang tiny_bind clang-19 -g -DBIND $dir/tiny.c
clang legacy_16 clang-19 -DSHAPE=16 $dir/legacy.c
clang legacy_20 clang-14 -mcpu=v2 -DSHAPE=20 $dir/legacy.c
clang legacy_24 clang-19 -DSHAPE=24 $dir/legacy.c
clang legacy_32 clang-19 -DSHAPE=32 $dir/legacy.c
clang legacy_36 clang-19 -DSHAPE=36 $dir/legacy.c
clang windows_mark clang-19 -DMARK $dir/windows.c
clang windows_context clang-19 -g -DCONTEXT=xdp_md_t $dir/windows.c
clang windows_section clang-19 -DSECTION='"bind"' $dir/windows.c
clang windows_prefix clang-19 -DSECTION='"xdp_fwd"' $dir/windows.c
clang neutral clang-19 $dir/windows.c
clang extern clang-19 -g $dir/extern.c
clang extern_weak clang-19 -g -DWEAK -DBIND='__attribute__((weak))' $dir/extern.c
clang text clang-19 -g $dir/text.c
clang shared clang-19 -g $dir/shared.c
clang nested clang-19 -g $dir/nested.c
clang core clang-19 -g $dir/core.c
clang core_target clang-19 -g $dir/core_target.c
clang facts clang-19 -g $dir/facts.c
clang externs clang-19 -g -fno-builtin $dir/externs.c
clang sections clang-19 $dir/sections.c
clang contexts clang-19 -g $dir/contexts.c
clang legacy_inner_28 clang-19 -DSHAPE=28 $dir/legacy_inner.c
clang legacy_inner_32 clang-19 -DSHAPE=32 $dir/legacy_inner.c
clang legacy_inner_36 clang-19 -DSHAPE=36 $dir/legacy_inner.c
clang long_name clang-19 -g -DNAME="\"$(printf 'long%.0s' $(seq 2500)).c\"" $dir/long_name.c
clang labels "clang-19 -Wno-unused-command-line-argument" $dir/labels.s
clang-19 -target bpfeb -O2 -c $dir/text.c -o $dir/big_endian.o
# From standard input in the root folder: gcc's BTF holds the absolute path of its source.
objects=$PWD/$dir
(
    cd /
    bpf-gcc -O2 -gbtf -x c -c - -o "$objects/rich_gcc.o" <"$objects/rich.c"
    bpf-gcc -O2 -DSHAPE=20 -x c -c - -o "$objects/legacy_gcc.o" <"$objects/legacy.c"
)
if rustup run nightly rustc --version >/dev/null 2>&1; then
    rustup run nightly rustc --target bpfel-unknown-none -O -g --remap-path-prefix="$PWD=." --emit=asm \
        -o $dir/rust.tmp.s $dir/rust.rs
    clang rust "clang-19 -Wno-unused-command-line-argument" $dir/rust.tmp.s
    rm $dir/rust.tmp.s
fi
