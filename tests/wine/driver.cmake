# SPDX-License-Identifier: MIT
# ebpfcore.sys by raw controls.
if(TARGET ebpfcore)
    add_executable(wine_driver_tests driver_test.c driver_life_test.c driver_client.c
        ${CMAKE_SOURCE_DIR}/tests/lib/device.c ${CMAKE_SOURCE_DIR}/tests/lib/scm.c
        ${CMAKE_SOURCE_DIR}/tests/test_main.c ${CMAKE_SOURCE_DIR}/tests/test_cases.c)
    # driver_life is the first: children go no further.
    target_compile_definitions(wine_driver_tests PRIVATE "TEST_SUITES=X(driver_life) X(driver)")
    target_link_libraries(wine_driver_tests PRIVATE ebpf_proto advapi32)
    if(CMAKE_BUILD_TYPE STREQUAL "Debug") # what is left is counted by Debug drivers only
        ebpf_wine_test(wine_driver_tests COMMAND wine_driver_tests DRIVER_ONLY)
    endif()
endif()
