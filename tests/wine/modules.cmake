# SPDX-License-Identifier: MIT
# Native modules that are drivers: made by bpf2c and the compiler of this build, loaded by the library.
if(TARGET ebpfsvc AND TARGET bpf2c AND TARGET samples AND CMAKE_BUILD_TYPE STREQUAL "Debug") # whose driver counts
    add_executable(module_driver_tests module_driver_test.c module_rig.c
        ${CMAKE_SOURCE_DIR}/tests/lib/device.c ${CMAKE_SOURCE_DIR}/tests/lib/scm.c
        ${CMAKE_SOURCE_DIR}/tests/test_main.c ${CMAKE_SOURCE_DIR}/tests/test_cases.c)
    target_compile_definitions(module_driver_tests PRIVATE "TEST_SUITES=X(module_driver)")
    target_link_libraries(module_driver_tests PRIVATE ebpf_lib advapi32)
    add_dependencies(module_driver_tests bpf2c samples)
    ebpf_wine_test(module_driver_tests COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/module_driver_test.py
        ${CMAKE_CURRENT_BINARY_DIR}/modules $<TARGET_FILE:bpf2c> ${CMAKE_C_COMPILER} ${CMAKE_BINARY_DIR}/samples
        $<TARGET_FILE:module_driver_tests>)
endif()
