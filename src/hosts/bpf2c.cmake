# SPDX-License-Identifier: MIT
if(NOT TARGET ebpf_digest) # of src/cli
    return()
endif()
add_executable(bpf2c bpf2c.c)
target_link_libraries(bpf2c PRIVATE ebpf_lib ebpf_digest)
