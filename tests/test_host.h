// SPDX-License-Identifier: MIT
// test_host: what the framework (test_cases.c) wants of where it runs: test_main.c in a process,
// kernel/selftest.c in a driver.
#pragma once

#include "tests/test.h"

void test_vprint(const char *fmt, va_list args); // appends to the report
void *test_alloc(size_t size);                   // not counted by plat; NULL when there is none
void test_free(void *ptr);

void test_run_suites(void);    // those of this program, as far as the filter of test_state admits
void test_report_totals(void); // the last line of the report
