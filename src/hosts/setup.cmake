# SPDX-License-Identifier: MIT
# ebpf-setup.exe. Its engine and command line know nothing of Windows and are tested everywhere.
set(dir ${CMAKE_CURRENT_LIST_DIR})
add_library(ebpf_setup_parts STATIC ${dir}/setup_error.c ${dir}/setup_options.c ${dir}/setup_path.c ${dir}/setup_plan.c)
target_link_libraries(ebpf_setup_parts PUBLIC ebpf_base)
ebpf_test(setup_tests SOURCES setup_error_test.c setup_options_test.c setup_path_test.c setup_plan_test.c
    DEPENDS setup_parts)
if(WIN32)
    add_executable(ebpf-setup ebpf_setup.c service_config.c setup_files.c setup_probe.c setup_registry.c
        setup_services.c setup_status.c setup_steps.c)
    target_link_libraries(ebpf-setup PRIVATE ebpf_setup_parts ebpf_core ebpf_proto ebpf_rpc_client advapi32 ntdll user32)
    target_link_options(ebpf-setup PRIVATE -municode)
    ebpf_version_resource(ebpf-setup app "Setup of eBPF for Windows")
    ebpf_resource(ebpf-setup ${dir}/setup.rc DEPENDS ${dir}/setup.manifest)
    # All that tools/package/contents.txt takes from a build.
    set(packaged ebpfcore ebpfapi ebpfsvc ebpfnetsh ebpf-setup bpftool bpf2c)
    if(TARGET ebpfcore AND TARGET ebpfsvc AND TARGET ebpfnetsh AND TARGET bpftool)
        add_custom_target(package_files DEPENDS ${packaged})
    endif()
endif()
