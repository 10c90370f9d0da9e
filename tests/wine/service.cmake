# SPDX-License-Identifier: MIT
# The verification service: installed, started, asked, killed and stopped. Only a Debug driver counts what is left.
if(TARGET ebpfsvc AND TARGET ebpf_rpc_client AND CMAKE_BUILD_TYPE STREQUAL "Debug")
    ebpf_test(ebpfsvc_tests SERVICE SOURCES service_test.c DEPENDS service plat ebpf_rpc_client advapi32)
    target_sources(ebpfsvc_tests PRIVATE service_rig.c ${CMAKE_SOURCE_DIR}/tests/lib/device.c ${CMAKE_SOURCE_DIR}/tests/lib/scm.c)
    target_compile_definitions(ebpfsvc_tests PRIVATE "EBPFSVC_EXE=\"$<TARGET_FILE:ebpfsvc>\"")
    add_dependencies(ebpfsvc_tests ebpfsvc)
endif()
