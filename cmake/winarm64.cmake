# SPDX-License-Identifier: MIT
# The driver for Windows on arm64, by clang and lld: mingw-w64's headers serve every machine, but Debian has its libraries
# for x86 only. So nothing that runs in user mode is built (EBPF_DRIVER_ONLY), and the driver's import libraries are made
# of the list of what drivers may import (cmake/driver.cmake).
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(EBPF_DRIVER_ONLY ON)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET aarch64-w64-windows-gnu)
set(CMAKE_RC_COMPILER llvm-windres-19)
set(EBPF_RC_FLAGS --target=aarch64-w64-mingw32 -I /usr/share/mingw-w64/include)
foreach(tool AR RANLIB NM OBJCOPY OBJDUMP STRIP)
    string(TOLOWER ${tool} name)
    set(CMAKE_${tool} llvm-${name}-19)
endforeach()
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # no program can be linked
set(CMAKE_C_STANDARD_LIBRARIES "" CACHE STRING "")
set(CMAKE_FIND_ROOT_PATH /usr/share/mingw-w64)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Unwind data for every function; no calls of compiler-rt, which nobody has for this system: neither for atomics nor for
# large frames (kernel-safe code has none).
set(CMAKE_C_FLAGS_INIT "-isystem /usr/share/mingw-w64/include -funwind-tables -mno-outline-atomics -mno-stack-arg-probe")
