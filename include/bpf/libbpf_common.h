// SPDX-License-Identifier: MIT
// libbpf_common: what every public header of the library shares: export macro, option structures, and the
// platform's numbers (Linux UAPI, or those of the Windows eBPF ecosystem).
#pragma once

#include <string.h>

#include <bpf/libbpf_version.h>

#ifdef _WIN32
#include <bpf/bpf_windows.h>
#else
#include <linux/bpf.h>
#endif

#ifndef LIBBPF_API
#if defined(_WIN32) && defined(EBPFAPI_EXPORTS)
#define LIBBPF_API __declspec(dllexport)
#elif defined(_WIN32)
#define LIBBPF_API
#else
#define LIBBPF_API __attribute__((visibility("default")))
#endif
#endif

// Declares `struct TYPE NAME`, zeroes it with its padding, sets `sz` and the members that are given as
// designated initialisers. Members that a caller's older header does not have are then known to be absent.
#define LIBBPF_OPTS(TYPE, NAME, ...)                                                                         \
    struct TYPE NAME;                                                                                        \
    memset(&NAME, 0, sizeof(NAME));                                                                          \
    NAME = (struct TYPE)                                                                                     \
    {                                                                                                        \
        .sz = sizeof(struct TYPE), __VA_ARGS__                                                               \
    }
#define DECLARE_LIBBPF_OPTS LIBBPF_OPTS
