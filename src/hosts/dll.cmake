# SPDX-License-Identifier: MIT
# The shared library: libebpfapi.so, ebpfapi.dll with its import library. What LIBBPF_API marks is visible, nothing
# else. All transports are inside, the execution context for EBPF_TRANSPORT=inproc too.
add_library(ebpfapi SHARED $<TARGET_OBJECTS:ebpf_lib> ${CMAKE_CURRENT_LIST_DIR}/dll.c)
target_link_libraries(ebpfapi PRIVATE ebpf_inproc)
if(WIN32)
    set_target_properties(ebpfapi PROPERTIES PREFIX "")
    ebpf_version_resource(ebpfapi dll "eBPF API: libbpf for Windows")
else()
    target_link_options(ebpfapi PRIVATE -Wl,--exclude-libs,ALL)
endif()
