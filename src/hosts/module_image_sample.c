// SPDX-License-Identifier: MIT
// module_image_sample: an image with what a module has that its loader looks at, and nothing else.
#include <ebpf_native.h>

#if defined(_WIN32)
__attribute__((dllexport))
#else
__attribute__((visibility("default")))
#endif
struct ebpf_native_module ebpf_native_module = {.size = sizeof(ebpf_native_module),
                                                .magic = EBPF_NATIVE_MAGIC};

__attribute__((section(".ebpfobj"), used, aligned(8))) static const struct {
    char magic[8];
    uint64_t size;
    char object[4];
} object = {"EbFobj\0\1", 4, "elf"};
