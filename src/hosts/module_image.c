// SPDX-License-Identifier: MIT
// module_image: what a file must be before the system's loader is asked.
#include "hosts/module_image.h"

#include "elf/elf.h"

#if defined(_WIN32)
#define FORMAT      ELF_IMAGE_PE
#define FORMAT_NAME "a DLL"
#else
#define FORMAT      ELF_IMAGE_ELF
#define FORMAT_NAME "an ELF shared object"
#endif
#if defined(__x86_64__)
#define MACHINE ELF_MACHINE_X86_64
#elif defined(__aarch64__)
#define MACHINE ELF_MACHINE_ARM64
#else
#define MACHINE ELF_MACHINE_OTHER
#endif

ebpf_result_t module_image_fail(ebpf_result_t result, char why[MODULE_IMAGE_WHY], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    str_vformat(why, MODULE_IMAGE_WHY, format, args);
    va_end(args);
    return result;
}

ebpf_result_t module_image_check(const void *bytes, size_t size, char why[MODULE_IMAGE_WHY])
{
    struct elf_module module;
    struct elf_error error = {0};
    if (elf_module_open(bytes, size, &module, &error) != EBPF_SUCCESS) {
        return module_image_fail(EBPF_INVALID_OBJECT, why, "%s", error.message);
    }
    if (module.is_driver) {
        return module_image_fail(
            EBPF_INVALID_OBJECT, why,
            "the module is a driver for Windows; it is loaded by ebpfcore, not by a process");
    }
    if (module.format != FORMAT) {
        return module_image_fail(EBPF_INVALID_OBJECT, why, "the module is not " FORMAT_NAME);
    }
    if (module.machine != MACHINE || MACHINE == ELF_MACHINE_OTHER) {
        return module_image_fail(EBPF_INVALID_OBJECT, why, "the module is for %s; this machine is %s",
                                 elf_image_machine_name(module.machine), elf_image_machine_name(MACHINE));
    }
    if (module.writable_code) {
        return module_image_fail(
            EBPF_BLOCKED_BY_POLICY, why,
            "the module wants memory that is writable and executable, or a stack that is; "
            "link it with -z noexecstack");
    }
    return EBPF_SUCCESS;
}
