# SPDX-License-Identifier: MIT
# The stubs of src/proto/ebpfsvc.idl, Windows only: ebpf_rpc_client (rpc_client.h) for the library, ebpf_rpc_server
# (ebpfsvc_rpc.h, whose ebpfsvc_load the service defines). widl's stubs raise and catch structured exceptions, which gcc
# does not have: they and rpc_client.c are built by clang for the same target, and linked as any other object.
find_program(WIDL x86_64-w64-mingw32-widl REQUIRED) # package mingw-w64-tools
find_program(CLANG_WINDOWS NAMES clang-19 clang REQUIRED)
set(idl ${CMAKE_SOURCE_DIR}/src/proto/ebpfsvc.idl)
set(rpc ${CMAKE_CURRENT_BINARY_DIR}/rpc)
file(MAKE_DIRECTORY ${rpc})

set(rpc_flags --target=x86_64-w64-mingw32 -O2 -g -fms-extensions -DUSE_COMPILER_EXCEPTIONS -D_WIN32_WINNT=0x0A00 -D_UCRT
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build
    -I${rpc} -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_SOURCE_DIR}/include)

# Every output has its own command and none its path in it, so that builds in different folders are the same.
function(ebpf_rpc_generate OPTION OUTPUT)
    add_custom_command(OUTPUT ${rpc}/${OUTPUT}
        COMMAND ${WIDL} ${OPTION} -o ${OUTPUT} -H ebpfsvc_rpc.h ebpfsvc.idl
        DEPENDS ${rpc}/ebpfsvc.idl WORKING_DIRECTORY ${rpc} COMMENT "widl ${OUTPUT}" VERBATIM)
endfunction()
add_custom_command(OUTPUT ${rpc}/ebpfsvc.idl
    COMMAND ${CMAKE_COMMAND} -E copy ${idl} ${rpc}/ebpfsvc.idl DEPENDS ${idl} VERBATIM)
ebpf_rpc_generate(-h ebpfsvc_rpc.h)
ebpf_rpc_generate(-c ebpfsvc_rpc_c.c)
ebpf_rpc_generate(-s ebpfsvc_rpc_s.c)
add_custom_target(ebpf_rpc_header DEPENDS ${rpc}/ebpfsvc_rpc.h)

# Object OUTPUT of SOURCE by clang; further arguments are its flags.
function(ebpf_rpc_object SOURCE OUTPUT)
    add_custom_command(OUTPUT ${rpc}/${OUTPUT}
        COMMAND ${CLANG_WINDOWS} ${rpc_flags} ${ARGN} -MD -MF ${OUTPUT}.d -MT ${rpc}/${OUTPUT} -c ${SOURCE} -o ${OUTPUT}
        DEPENDS ${SOURCE} ${rpc}/ebpfsvc_rpc.h DEPFILE ${rpc}/${OUTPUT}.d
        WORKING_DIRECTORY ${rpc} COMMENT "clang ${OUTPUT}" VERBATIM)
    set_source_files_properties(${rpc}/${OUTPUT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()
ebpf_rpc_object(${CMAKE_CURRENT_LIST_DIR}/rpc_client.c rpc_client.o -Wall -Wextra -Werror)
ebpf_rpc_object(${CMAKE_CURRENT_LIST_DIR}/rpc_memory.c rpc_memory.o -Wall -Wextra -Werror)
ebpf_rpc_object(${rpc}/ebpfsvc_rpc_c.c rpc_stub_c.o -w)
ebpf_rpc_object(${rpc}/ebpfsvc_rpc_s.c rpc_stub_s.o -w)

foreach(side client server)
    string(SUBSTRING ${side} 0 1 letter)
    add_library(ebpf_rpc_${side} STATIC ${rpc}/rpc_stub_${letter}.o ${rpc}/rpc_memory.o)
    set_target_properties(ebpf_rpc_${side} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(ebpf_rpc_${side} INTERFACE ${rpc})
    target_link_libraries(ebpf_rpc_${side} INTERFACE rpcrt4)
    add_dependencies(ebpf_rpc_${side} ebpf_rpc_header)
endforeach()
target_sources(ebpf_rpc_client PRIVATE ${rpc}/rpc_client.o)
