# SPDX-License-Identifier: MIT
# ebpfcore.sys: the execution context in the kernel. Debug drivers carry the unit tests (SELFTEST, WITNESS).
# What it decides is tested wherever tests run.
ebpf_test(access_windows_tests SOURCES access_windows_test.c DEPENDS base)
if(TARGET access_windows_tests)
    target_sources(access_windows_tests PRIVATE access_windows.c)
endif()

if(WIN32 AND TARGET ebpf_plat_kernel AND TARGET ebpf_core AND TARGET ebpf_hooks)
    set(driver_modules base isa spec proto jit runtime hooks core)
    if(CMAKE_BUILD_TYPE STREQUAL "Debug") # then tests/kernel is built, too
        list(APPEND driver_modules selftest)
    endif()
    ebpf_driver(ebpfcore
        SOURCES driver.c driver_rundown.c driver_queue.c driver_control.c driver_device.c driver_caller.c
            driver_policy.c driver_parameters.c driver_modules.c access_windows.c digest.c
        MODULES ${driver_modules} LIBRARIES netio)
    ebpf_version_resource(ebpfcore driver "eBPF execution context")
    if(CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_definitions(ebpfcore PRIVATE EBPF_SELFTEST)
    endif()
endif()
