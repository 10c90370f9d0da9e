# SPDX-License-Identifier: MIT
# Windows drivers by mingw-w64. ebpf_driver(NAME SOURCES a.c ... [MODULES base isa ...] [LIBRARIES x ...]) makes
# NAME.sys of its sources, the platform of the kernel, and the same static libraries that user mode links. Those name
# ebpf_plat as what they depend on, so that they are given to the linker as files: a driver gets ebpf_plat_kernel.
#
# Debug information goes into NAME.sys.debug. Two builds in two folders make the same bytes. Each driver gets two tests:
# its imports exist in Windows 10 1809 (tools/check_imports.py), its headers are right (tools/check_driver.py).
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Windows")
    return()
endif()

find_path(EBPF_DDK ntddk.h PATHS ${CMAKE_FIND_ROOT_PATH}/include PATH_SUFFIXES ddk REQUIRED NO_DEFAULT_PATH)
find_program(EBPF_DLLTOOL x86_64-w64-mingw32-dlltool REQUIRED)

# What is compiled against the kernel's headers.
add_library(ebpf_kernel_flags INTERFACE)
target_include_directories(ebpf_kernel_flags SYSTEM INTERFACE ${EBPF_DDK})
target_compile_definitions(ebpf_kernel_flags INTERFACE _KERNEL_MODE=1 NTDDI_VERSION=0x0A000000)
target_compile_options(ebpf_kernel_flags INTERFACE ${EBPF_KERNEL_FLAGS})

# ebpf_import_library(TARGET FILE.def): an interface target that links what the .def file lists.
function(ebpf_import_library TARGET DEF)
    set(library ${CMAKE_CURRENT_BINARY_DIR}/lib${TARGET}.a)
    add_custom_command(OUTPUT ${library}
        COMMAND ${EBPF_DLLTOOL} -d ${DEF} -l lib${TARGET}.a # which symbols are named after
        WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
        DEPENDS ${DEF} VERBATIM)
    add_custom_target(${TARGET}_file DEPENDS ${library})
    add_library(${TARGET} INTERFACE)
    add_dependencies(${TARGET} ${TARGET}_file)
    target_link_libraries(${TARGET} INTERFACE ${library})
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
        -Wl,--dynamicbase -Wl,--nxcompat -Wl,--high-entropy-va -Wl,--enable-reloc-section
        -Wl,--no-insert-timestamp)
    # -p keeps the time stamp of the linker, which is 0.
    add_custom_command(TARGET ${NAME} POST_BUILD
        COMMAND ${CMAKE_OBJCOPY} -p --only-keep-debug $<TARGET_FILE:${NAME}> $<TARGET_FILE:${NAME}>.debug
        COMMAND ${CMAKE_STRIP} -p --strip-all $<TARGET_FILE:${NAME}>
        VERBATIM)
    target_link_libraries(${NAME} PRIVATE ebpf_kernel_flags
        -Wl,--start-group ${archives} -Wl,--end-group ${D_LIBRARIES} ntoskrnl hal ebpf_cng gcc)
    add_test(NAME ${NAME}_imports COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_imports.py
        ${CMAKE_SOURCE_DIR}/tests/drivers/imports-1809.txt $<TARGET_FILE:${NAME}>)
    add_test(NAME ${NAME}_headers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/check_driver.py
        $<TARGET_FILE:${NAME}>)
endfunction()
