# SPDX-License-Identifier: MIT
# ebpfnetsh.dll over ebpfapi.dll, and the test of its commands: on Windows through a double of netsh.exe, elsewhere by
# a tool that calls them. Both print the same.
set(netsh_sources ${CMAKE_SOURCE_DIR}/src/cli/netsh.c)
foreach(part args file link pin program show)
    list(APPEND netsh_sources ${CMAKE_SOURCE_DIR}/src/cli/netsh_${part}.c)
endforeach()
set(netsh_tests ${CMAKE_SOURCE_DIR}/tests/netsh)
if(WIN32)
    ebpf_import_library(ebpf_netsh_host ${CMAKE_CURRENT_LIST_DIR}/netsh.def)
    add_library(ebpfnetsh SHARED ${CMAKE_CURRENT_LIST_DIR}/netsh_dll.c ${netsh_sources})
    ebpf_resource(ebpfnetsh ${CMAKE_CURRENT_LIST_DIR}/netsh_dll.rc DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/netsh.def)
    ebpf_version_resource(ebpfnetsh dll "eBPF helper of netsh")
    set_target_properties(ebpfnetsh PROPERTIES PREFIX "")
    target_link_libraries(ebpfnetsh PRIVATE ebpfapi ebpf_netsh_host)

    # A netsh.exe, in a folder with what it loads.
    add_executable(netsh_double ${netsh_tests}/netsh_double.c ${netsh_tests}/netsh_shell.c)
    set_target_properties(netsh_double PROPERTIES OUTPUT_NAME netsh RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/netsh)
    ebpf_resource(netsh_double ${CMAKE_CURRENT_LIST_DIR}/utf8.rc DEPENDS ${CMAKE_CURRENT_LIST_DIR}/utf8.manifest)
    add_custom_command(TARGET netsh_double POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:ebpfnetsh> $<TARGET_FILE:ebpfapi>
            ${CMAKE_BINARY_DIR}/netsh)
    add_dependencies(netsh_double ebpfnetsh ebpfapi)
    # A new library has to be copied too.
    set_property(TARGET netsh_double APPEND PROPERTY
        LINK_DEPENDS $<TARGET_FILE:ebpfnetsh> $<TARGET_FILE:ebpfapi>)
    set(netsh_tool netsh_double)
else()
    add_executable(netsh_tool ${netsh_tests}/netsh_tool.c ${netsh_tests}/netsh_shell.c ${netsh_sources})
    target_link_libraries(netsh_tool PRIVATE ebpf_inproc)
    set(netsh_tool netsh_tool)
endif()
ebpf_test(netsh_tests SOURCES ${netsh_tests}/netsh_test.c DEPENDS inproc)
target_sources(netsh_tests PRIVATE ${netsh_sources})
set_tests_properties(netsh_tests PROPERTIES ENVIRONMENT EBPF_TRANSPORT=inproc)
set(run ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/cli/run.py $<TARGET_FILE:${netsh_tool}> --scripts)
add_test(NAME netsh_golden COMMAND ${run} ${netsh_tests} --emulator "${CMAKE_CROSSCOMPILING_EMULATOR}")
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CROSSCOMPILING)
    add_test(NAME netsh_ebpfd COMMAND ${run} ${netsh_tests} --ebpfd $<TARGET_FILE:ebpfd>)
    add_test(NAME netsh_tap COMMAND ${run} ${netsh_tests}/tap --ebpfd $<TARGET_FILE:ebpfd> --tap)
    set_tests_properties(netsh_tap PROPERTIES SKIP_RETURN_CODE 77)
endif()
if(WIN32)
    # A netsh whose tables have longer entries.
    add_test(NAME netsh_long_entries COMMAND ${run} ${netsh_tests} --emulator "${CMAKE_CROSSCOMPILING_EMULATOR}" grammar)
    set_tests_properties(netsh_long_entries PROPERTIES ENVIRONMENT NETSH_DOUBLE=long)
endif()
if(WIN32 AND NOT EBPF_FOLDERS)
    set(driver --emulator ${CMAKE_CROSSCOMPILING_EMULATOR}
        --driver "${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:empty_driver>")
    ebpf_wine_test(netsh_driver COMMAND ${run} ${netsh_tests} ${driver})
    ebpf_wine_test(netsh_driver_only COMMAND ${run} ${netsh_tests}/driver ${driver})
endif()
