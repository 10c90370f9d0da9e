# SPDX-License-Identifier: MIT
# What becomes of objects when a client, the service or a worker dies.
if(TARGET ebpfcore AND TARGET ebpf_lib AND CMAKE_BUILD_TYPE STREQUAL "Debug") # whose driver counts what is left
    ebpf_test(load_death_tests SERVICE SOURCES load_death_test.c DEPENDS lib ntdll)
    target_sources(load_death_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests/lib/device.c ${CMAKE_SOURCE_DIR}/tests/lib/scm.c)
endif()
