# SPDX-License-Identifier: MIT
# Installing and removing, in a prefix of the test's own: it runs beside the others.
if(TARGET package_files)
    add_test(NAME wine_setup_tests COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/setup_test.py
        ${CMAKE_BINARY_DIR} ${EBPF_OVERLAY_DIR})
    set_tests_properties(wine_setup_tests PROPERTIES TIMEOUT 900 COST 100) # the longest: starts first
endif()
