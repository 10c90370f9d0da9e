# SPDX-License-Identifier: MIT
add_executable(bpf2c bpf2c.c ${CMAKE_SOURCE_DIR}/src/cli/file.c)
target_link_libraries(bpf2c PRIVATE ebpf_lib ebpf_digest)
