# SPDX-License-Identifier: MIT
# Windows drivers by mingw-w64, or for arm64 by clang and lld with its headers. ebpf_driver(NAME SOURCES a.c ... [MODULES base isa ...] [LIBRARIES x ...]) makes
# NAME.sys of its sources, the platform of the kernel, and the same static libraries that user mode links. Those name
# ebpf_plat as what they depend on, so that they are given to the linker as files: a driver gets ebpf_plat_kernel.
#
# Debug information goes into NAME.sys.debug. Two builds in two folders make the same bytes. Each driver gets two tests:
# its imports exist in Windows 10 1809 (tools/check_imports.py), its headers are right (tools/check_driver.py); one for
# arm64 a third: what its code does to registers (tools/check_registers.py).
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Windows")
    return()
endif()

find_path(EBPF_DDK ntddk.h PATHS ${CMAKE_FIND_ROOT_PATH}/include PATH_SUFFIXES ddk REQUIRED NO_DEFAULT_PATH)
set(EBPF_IMPORTS ${CMAKE_SOURCE_DIR}/tests/drivers/imports-1809.txt)

# What is compiled against the kernel's headers.
add_library(ebpf_kernel_flags INTERFACE)
target_include_directories(ebpf_kernel_flags SYSTEM INTERFACE ${EBPF_DDK})
target_compile_definitions(ebpf_kernel_flags INTERFACE _KERNEL_MODE=1 NTDDI_VERSION=0x0A000000)
target_compile_options(ebpf_kernel_flags INTERFACE ${EBPF_KERNEL_FLAGS})
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    # mingw-w64 10 knows no kernel for arm64; its headers include what they want of another machine as <armddk.h>. The
    # only other machine of 64 bits that they know says how structures are aligned; plat_winkernel_layout.c looks at them.
    target_include_directories(ebpf_kernel_flags SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/src/plat/arm64)
    target_compile_definitions(ebpf_kernel_flags INTERFACE _M_ARM=1 _IA64_=1
        __INTRINSIC_DEFINED_InterlockedBitTestAndSet __INTRINSIC_DEFINED_InterlockedBitTestAndReset) # wdm.h has its own
endif()

if(EBPF_DRIVER_ONLY)
    find_program(EBPF_DLLTOOL llvm-dlltool-19 REQUIRED)
    set(EBPF_DLLTOOL_FLAGS -m arm64)
else()
    find_program(EBPF_DLLTOOL x86_64-w64-mingw32-dlltool REQUIRED)
    set(EBPF_DLLTOOL_FLAGS "")
endif()

# ebpf_import_library(TARGET FILE.def): an interface target that links what the .def file lists.
function(ebpf_import_library TARGET DEF)
    set(library ${CMAKE_CURRENT_BINARY_DIR}/lib${TARGET}.a)
    add_custom_command(OUTPUT ${library}
        COMMAND ${EBPF_DLLTOOL} ${EBPF_DLLTOOL_FLAGS} -d ${DEF} -l lib${TARGET}.a # which symbols are named after
        WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
        DEPENDS ${DEF} VERBATIM)
    add_custom_target(${TARGET}_file DEPENDS ${library})
    add_library(${TARGET} INTERFACE)
    add_dependencies(${TARGET} ${TARGET}_file)
    target_link_libraries(${TARGET} INTERFACE ${library})
endfunction()

# Sets OUT to a target that links whatever drivers may import, of the list.
function(ebpf_import_everything OUT)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${EBPF_IMPORTS})
    file(STRINGS ${EBPF_IMPORTS} lines REGEX "^[^#]")
    set(modules "")
    foreach(line ${lines})
        if(line MATCHES "^([^ ]+) +([^ ]+)")
            list(APPEND modules ${CMAKE_MATCH_2})
            string(APPEND of_${CMAKE_MATCH_2} "${CMAKE_MATCH_1}\n")
        endif()
    endforeach()
    list(REMOVE_DUPLICATES modules)
    add_library(ebpf_imports INTERFACE)
    foreach(module ${modules})
        string(MAKE_C_IDENTIFIER import_${module} target)
        file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}.def
            CONTENT "LIBRARY ${module}\nEXPORTS\n${of_${module}}")
        ebpf_import_library(${target} ${CMAKE_CURRENT_BINARY_DIR}/${target}.def)
        target_link_libraries(ebpf_imports INTERFACE ${target})
    endforeach()
    set(${OUT} ebpf_imports PARENT_SCOPE)
endfunction()

function(ebpf_driver NAME)
    cmake_parse_arguments(D "" "" "SOURCES;MODULES;LIBRARIES" ${ARGN})
    add_executable(${NAME} ${D_SOURCES})
    set_target_properties(${NAME} PROPERTIES SUFFIX .sys)
    set(archives "")
    foreach(module plat_kernel ${D_MODULES})
        list(APPEND archives $<TARGET_FILE:ebpf_${module}>)
        add_dependencies(${NAME} ebpf_${module})
    endforeach()
    target_link_options(${NAME} PRIVATE -nostdlib -nostartfiles
        -Wl,--subsystem,native:10.0 -Wl,--entry,driver_start -Wl,--image-base,0x140000000
        -Wl,--dynamicbase -Wl,--nxcompat -Wl,--high-entropy-va
        -Wl,--no-insert-timestamp)
    if(EBPF_DRIVER_ONLY)
        target_link_options(${NAME} PRIVATE -fuse-ld=lld-19)
        set(finish COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/pe.py checksum $<TARGET_FILE:${NAME}>)
        set(keep "")
        ebpf_import_everything(system)
    else()
        target_link_options(${NAME} PRIVATE -Wl,--enable-reloc-section)
        set(finish "")
        set(keep -p) # the time stamp of the linker, which is 0
        set(system ${D_LIBRARIES} ntoskrnl hal ebpf_cng gcc)
    endif()
    add_custom_command(TARGET ${NAME} POST_BUILD
        COMMAND ${CMAKE_OBJCOPY} ${keep} --only-keep-debug $<TARGET_FILE:${NAME}> $<TARGET_FILE:${NAME}>.debug
        COMMAND ${CMAKE_STRIP} ${keep} --strip-all $<TARGET_FILE:${NAME}>
        ${finish} VERBATIM)
    target_link_libraries(${NAME} PRIVATE ebpf_kernel_flags
        -Wl,--start-group ${archives} -Wl,--end-group ${system})
    add_test(NAME ${NAME}_imports COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_imports.py
        ${EBPF_IMPORTS} $<TARGET_FILE:${NAME}>)
    add_test(NAME ${NAME}_headers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_driver.py
        ${CMAKE_SYSTEM_PROCESSOR} $<TARGET_FILE:${NAME}>)
    if(EBPF_DRIVER_ONLY)
        add_test(NAME ${NAME}_registers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_registers.py
            ${CMAKE_OBJDUMP} $<TARGET_FILE:${NAME}>)
    endif()
endfunction()
