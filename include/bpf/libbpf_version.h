// SPDX-License-Identifier: MIT
// libbpf_version: the release of libbpf whose names and rules this API follows.
#pragma once

#define LIBBPF_MAJOR_VERSION 1
#define LIBBPF_MINOR_VERSION 8
