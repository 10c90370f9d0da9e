# SPDX-License-Identifier: MIT
# ebpf_resource(TARGET FILE.rc [DEPENDS file ...]): compiles a resource script and links it into a Windows binary. Not by
# CMake's RC language, which would pass on the options of C.
function(ebpf_resource TARGET SCRIPT)
    cmake_parse_arguments(R "" "" "DEPENDS" ${ARGN})
    get_filename_component(stem ${SCRIPT} NAME_WE)
    get_filename_component(directory ${SCRIPT} DIRECTORY)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${TARGET}_${stem}.res.o)
    add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_RC_COMPILER} ${EBPF_RC_FLAGS} -I ${CMAKE_SOURCE_DIR}/src -I ${directory} ${SCRIPT} ${object}
        DEPENDS ${SCRIPT} ${R_DEPENDS} VERBATIM)
    target_sources(${TARGET} PRIVATE ${object})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()

# ebpf_version_resource(TARGET app|dll|driver DESCRIPTION): the version of the project in a Windows binary, as the
# properties of its file show it.
function(ebpf_version_resource TARGET KIND DESCRIPTION)
    set(subtype VFT2_UNKNOWN)
    if(KIND STREQUAL "app")
        set(type VFT_APP)
        set(suffix .exe)
    elseif(KIND STREQUAL "dll")
        set(type VFT_DLL)
        set(suffix .dll)
    elseif(KIND STREQUAL "driver")
        set(type VFT_DRV)
        set(subtype VFT2_DRV_SYSTEM)
        set(suffix .sys)
    else()
        message(FATAL_ERROR "ebpf_version_resource: ${TARGET}: unknown kind ${KIND}")
    endif()
    set(script ${CMAKE_CURRENT_BINARY_DIR}/version/${TARGET}.rc)
    configure_file(${CMAKE_SOURCE_DIR}/cmake/version.rc.in ${script} @ONLY)
    ebpf_resource(${TARGET} ${script})
endfunction()
