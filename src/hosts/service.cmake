# SPDX-License-Identifier: MIT
# The verification service. ebpf_worker is what its verifying processes are made of: no ELF, no execution context.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    add_library(ebpf_worker STATIC sandbox_linux.c service_judge.c wire.c)
    target_link_libraries(ebpf_worker PUBLIC ebpf_service ebpf_plat)
    # Every Linux build for use has the sandbox; a sanitizer's cannot, and one for another machine may lack the library.
    set(sandbox EBPF_SANDBOX_MISSING)
    find_path(SECCOMP_INCLUDE seccomp.h)
    find_library(SECCOMP_LIBRARY seccomp)
    if(EBPF_SANITIZE)
        set(sandbox EBPF_SANDBOX_SANITIZED)
    elseif(SECCOMP_INCLUDE AND SECCOMP_LIBRARY)
        set(sandbox EBPF_SANDBOX_SECCOMP)
        target_include_directories(ebpf_worker PRIVATE ${SECCOMP_INCLUDE})
        target_link_libraries(ebpf_worker PUBLIC ${SECCOMP_LIBRARY})
    elseif(CMAKE_CROSSCOMPILING)
        message(WARNING "no libseccomp for ${CMAKE_SYSTEM_PROCESSOR} (package libseccomp-dev of that architecture): "
            "ebpfsvc is built without its sandbox, says so, and runs only under ebpfd --no-sandbox")
    else()
        message(FATAL_ERROR "libseccomp is missing (package libseccomp-dev): ebpfsvc needs it for its sandbox")
    endif()
    target_compile_definitions(ebpf_worker PRIVATE EBPF_SANDBOX_MISSING=0 EBPF_SANDBOX_SECCOMP=1 EBPF_SANDBOX_SANITIZED=2
        EBPF_SANDBOX=${sandbox})
    add_executable(ebpfsvc ebpfsvc.c)
    target_link_libraries(ebpfsvc PRIVATE ebpf_worker)
    if(sandbox STREQUAL "EBPF_SANDBOX_SECCOMP")
        ebpf_test(sandbox_tests SOURCES sandbox_linux_test.c DEPENDS worker)
    endif()
endif()
if(WIN32)
    # Messages of the event log: a header, and a resource that the event viewer reads.
    find_program(WINDMC x86_64-w64-mingw32-windmc REQUIRED)
    set(messages ${CMAKE_CURRENT_BINARY_DIR}/messages)
    file(MAKE_DIRECTORY ${messages})
    add_custom_command(OUTPUT ${messages}/ebpfsvc_messages.h ${messages}/ebpfsvc_messages.rc
        COMMAND ${WINDMC} -h . -r . ${CMAKE_CURRENT_LIST_DIR}/ebpfsvc_messages.mc
        DEPENDS ${CMAKE_CURRENT_LIST_DIR}/ebpfsvc_messages.mc WORKING_DIRECTORY ${messages} VERBATIM)

    # What the service starts and asks its workers with, for its tests, too.
    add_library(ebpf_judges STATIC service_confine_windows.c service_judge.c service_pipe_windows.c service_process.c
        service_worker_windows.c)
    target_link_libraries(ebpf_judges PUBLIC ebpf_service ebpf_plat advapi32)
    add_executable(ebpfsvc ebpfsvc_windows.c service_access.c service_config.c service_deliver_windows.c
        service_log_windows.c service_modules_windows.c service_rpc_windows.c service_windows.c ${messages}/ebpfsvc_messages.h)
    target_include_directories(ebpfsvc PRIVATE ${messages})
    target_link_libraries(ebpfsvc PRIVATE ebpf_judges ebpf_rpc_server)
    ebpf_version_resource(ebpfsvc app "eBPF verification service")
    ebpf_resource(ebpfsvc ${messages}/ebpfsvc_messages.rc)
    ebpf_test(service_pipe_tests SOURCES service_pipe_test.c DEPENDS judges)
endif()
if(TARGET ebpfsvc)
    ebpf_test(service_access_tests SOURCES service_access_test.c DEPENDS base)
    target_sources(service_access_tests PRIVATE service_access.c)
    if(NOT CMAKE_CROSSCOMPILING OR WIN32) # an emulated machine cannot start the service
        ebpf_test(service_process_tests SOURCES ${CMAKE_SOURCE_DIR}/tests/e2e/service_process_test.c
            DEPENDS $<IF:$<BOOL:${WIN32}>,ebpf_judges,ebpf_daemon> verify_cases)
        target_compile_definitions(service_process_tests PRIVATE "EBPFSVC_PATH=\"$<TARGET_FILE:ebpfsvc>\"")
        add_dependencies(service_process_tests ebpfsvc)
    endif()
    add_test(NAME check_ebpfsvc_reads_no_elf
        COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_absent.py ${CMAKE_NM} $<TARGET_FILE:ebpfsvc>
                --present verify_program --absent elf_ btf_ core_execute jit_)
endif()
