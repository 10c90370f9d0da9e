// SPDX-License-Identifier: MIT
// html_int: what html.c and html_graph.c share.
#pragma once

#include "verifier/report_int.h"

// Text between tags or in a quoted attribute.
void put_html(struct output *o, const char *text);
// " bad" when a finding lies in [first, end), " path" when a path goes through it, else "".
const char *html_class(const struct program *p, const struct verify_report *r, uint32_t first, uint32_t end);
// The control-flow graph of each function, as SVG.
void html_put_graphs(struct output *o, const struct html *h, const struct program *p,
                     const struct verify_report *r);
