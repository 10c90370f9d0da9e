# SPDX-License-Identifier: MIT
# Tests on Windows' drivers and services, which Wine hosts. They share one prefix, one service manager and one driver
# host, so they run one after the other; other tests run beside them.
#
# ebpf_wine_test(NAME COMMAND program [argument...] [DRIVER_ONLY] [TIMEOUT seconds])
#   A test that finds ebpfcore.sys (and, without DRIVER_ONLY, ebpfsvc.exe) installed and running. The command may be an
#   executable target, or a script that starts programs by tools/wine-run. Whatever ends the driver host, or is
#   reported there (BUGCHECK, LEAK), fails the test that was running.
# ebpf_wine_host(NAME...)
#   The same for tests that exist: they find a prefix with the overlay and an empty driver host, and bring the rest.
set(EBPF_WINE_SCRIPTS ${CMAKE_SOURCE_DIR}/tests/wine)

function(ebpf_wine_test NAME)
    cmake_parse_arguments(W "DRIVER_ONLY" "TIMEOUT" "COMMAND" ${ARGN})
    if(NOT CMAKE_SYSTEM_NAME STREQUAL "Windows" OR NOT W_COMMAND)
        message(FATAL_ERROR "ebpf_wine_test(${NAME}) wants a COMMAND, and a build for Windows")
    endif()
    list(POP_FRONT W_COMMAND program)
    if(TARGET ${program})
        set(program ${CMAKE_SOURCE_DIR}/tools/wine-run $<TARGET_FILE:${program}>)
    endif()
    if(NOT W_TIMEOUT)
        set(W_TIMEOUT 300)
    endif()
    set(fixture ebpf_service)
    if(W_DRIVER_ONLY)
        set(fixture ebpf_driver)
    endif()
    add_test(NAME ${NAME} COMMAND ${EBPF_WINE_SCRIPTS}/watch ${program} ${W_COMMAND})
    set_tests_properties(${NAME} PROPERTIES
        RESOURCE_LOCK winedevice FIXTURES_REQUIRED ${fixture} SKIP_RETURN_CODE 77 TIMEOUT ${W_TIMEOUT})
endfunction()

function(ebpf_wine_host)
    set_tests_properties(${ARGN} PROPERTIES RESOURCE_LOCK winedevice FIXTURES_REQUIRED wine_host)
endfunction()

# Called once, at the end of tests/: what the fixtures start are targets of other folders.
function(ebpf_wine_fixtures)
    set(host ${EBPF_WINE_SCRIPTS}/host)
    add_test(NAME wine_host_up COMMAND ${host} up ${EBPF_OVERLAY_DIR} $<TARGET_FILE:wine_keeper>)
    add_test(NAME wine_host_down COMMAND ${host} down)
    set_tests_properties(wine_host_up PROPERTIES FIXTURES_SETUP wine_host)
    set_tests_properties(wine_host_down PROPERTIES FIXTURES_CLEANUP wine_host)
    if(TARGET ebpfcore)
        add_test(NAME wine_driver_up COMMAND ${host} driver $<TARGET_FILE:ebpfcore>)
        add_test(NAME wine_driver_down COMMAND ${host} no-driver)
        set_tests_properties(wine_driver_up PROPERTIES FIXTURES_SETUP ebpf_driver FIXTURES_REQUIRED wine_host)
        set_tests_properties(wine_driver_down PROPERTIES FIXTURES_CLEANUP ebpf_driver FIXTURES_REQUIRED wine_host)
    endif()
    if(TARGET ebpfcore AND TARGET ebpfsvc)
        add_test(NAME wine_service_up COMMAND ${host} service $<TARGET_FILE:ebpfsvc>)
        add_test(NAME wine_service_down COMMAND ${host} no-service)
        set_tests_properties(wine_service_up PROPERTIES FIXTURES_SETUP ebpf_service FIXTURES_REQUIRED ebpf_driver)
        set_tests_properties(wine_service_down PROPERTIES FIXTURES_CLEANUP ebpf_service FIXTURES_REQUIRED ebpf_driver)
    endif()
    get_property(tests DIRECTORY PROPERTY TESTS)
    foreach(name ${tests})
        if(name MATCHES "^wine_(host|driver|service)_(up|down)$")
            set_tests_properties(${name} PROPERTIES RESOURCE_LOCK winedevice TIMEOUT 120)
        endif()
    endforeach()
endfunction()
