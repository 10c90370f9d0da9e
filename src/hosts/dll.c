// SPDX-License-Identifier: MIT
// dll: what makes ebpfapi.dll and libebpfapi.so more than the library's objects: EBPF_TRANSPORT=inproc works
// in whatever process loads them, without a call of its own.
#include "hosts/inproc.h"

// Sets a pointer, nothing else: the loader's lock is held.
__attribute__((constructor)) static void install(void)
{
    inproc_install();
}
