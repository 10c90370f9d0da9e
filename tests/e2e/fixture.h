// SPDX-License-Identifier: MIT
// fixture: what the suites that run in every place share.
#pragma once

#include "tests/e2e/client.h"
#include "tests/e2e/place.h"
#include "tests/test.h"

// A case with a client of its own. Afterwards there is no object, everything still works, and with the client
// goes all that the place held for it.
#define IN_PLACE(name)                                                                                       \
    static void name##_body(struct transport *t);                                                            \
    static void name(void)                                                                                   \
    {                                                                                                        \
        fixture_run(name##_body);                                                                            \
    }                                                                                                        \
    static void name##_body(struct transport *t)
// One that needs other clients or processes: its RUN stands under place_is_shared.
#define IN_SHARED_PLACE(name) IN_PLACE(name)

bool fixture_begin(void); // brings the place up; false: it failed, which is counted
void fixture_end(void);
void fixture_run(void (*body)(struct transport *t));

// Whether the number of objects is `count`, or becomes it within place_patience.
bool fixture_has_count(struct transport *t, uint32_t kind, unsigned count);
// The same within ten seconds, for what takes time in every place.
bool fixture_wait_count(struct transport *t, uint32_t kind, unsigned count);

// A child's task: makes, pins, takes, unpins and closes under three names that others use at the same time;
// 0 when nothing went wrong but what they may cause.
int fixture_quarrel(struct transport *t);
int fixture_quarrel_over_maps(struct transport *t); // without loads
// What anybody may be told when others use the same names.
bool fixture_is_fair(ebpf_result_t result);
extern const char *const fixture_names[3];
