// SPDX-License-Identifier: MIT
// html_graph: control-flow graphs as SVG. Blocks lie in layers: one below the lowest of those that lead to it
// from above. Edges that go up are dashed. Functions with many blocks are not drawn: nobody could read them.
#include "verifier/html_int.h"

#define MAX_BLOCKS   160u
#define MAX_SLOTS    4000u
#define BLOCK_WIDTH  132
#define BLOCK_HEIGHT 34
#define GAP_X        22
#define GAP_Y        30
#define MARGIN       48 // for edges at the sides

struct block {
    uint32_t first, end; // slots
    uint32_t to[2];      // fall-through, jump; indices of blocks, UINT32_MAX: none
    uint32_t layer, column;
};
struct graph {
    struct block blocks[MAX_BLOCKS];
    uint32_t count;
    uint32_t width[MAX_BLOCKS]; // blocks in each layer
    uint32_t layers;
};

static bool is_exit(const struct insn *in)
{
    return insn_info(in->id)->sem == SEM_EXIT;
}

static uint32_t jump_target(const struct program *p, uint32_t pc)
{
    struct finding_step step = {pc, true};
    return report_step_target(p, &step);
}

// Whether a block starts at `pc` of function `f`.
static bool is_leader(const struct program *p, const struct func *f, uint32_t pc)
{
    if (pc == f->start || insn_is_jump(&p->insns[pc - 1]) || is_exit(&p->insns[pc - 1])) {
        return true;
    }
    for (uint32_t from = f->start; from < f->end; from++) {
        if (insn_is_jump(&p->insns[from]) && jump_target(p, from) == pc) {
            return true;
        }
    }
    return false;
}

static bool find_blocks(struct graph *g, const struct program *p, const struct func *f)
{
    g->count = 0;
    for (uint32_t pc = f->start; pc < f->end; pc++) {
        if (p->insns[pc].id != INSN_NONE && is_leader(p, f, pc)) {
            if (g->count == MAX_BLOCKS) {
                return false;
            }
            g->blocks[g->count++].first = pc;
        }
    }
    for (uint32_t i = 0; i < g->count; i++) {
        g->blocks[i].end = i + 1 < g->count ? g->blocks[i + 1].first : f->end;
    }
    return g->count > 1;
}

static uint32_t block_of(const struct graph *g, uint32_t pc)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->blocks[i].first == pc) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void find_edges(struct graph *g, const struct program *p)
{
    for (uint32_t i = 0; i < g->count; i++) {
        struct block *b = &g->blocks[i];
        const struct insn *last = &p->insns[b->end - 1];
        bool jumps = insn_is_jump(last), falls = !is_exit(last) && (!jumps || insn_is_conditional(last));
        b->to[0] = falls && i + 1 < g->count ? i + 1 : UINT32_MAX;
        b->to[1] = jumps ? block_of(g, jump_target(p, b->end - 1)) : UINT32_MAX;
    }
}

// Blocks are in the order of their instructions; only edges downwards count, so one pass is enough.
static void lay_out(struct graph *g)
{
    memset(g->width, 0, sizeof(g->width));
    g->layers = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        g->blocks[i].layer = 0;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct block *b = &g->blocks[i];
        for (unsigned k = 0; k < 2; k++) {
            if (b->to[k] != UINT32_MAX && b->to[k] > i && g->blocks[b->to[k]].layer <= b->layer) {
                g->blocks[b->to[k]].layer = b->layer + 1;
            }
        }
        b->column = g->width[b->layer]++;
        g->layers = b->layer + 1 > g->layers ? b->layer + 1 : g->layers;
    }
}

static uint32_t widest(const struct graph *g)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < g->layers; i++) {
        width = g->width[i] > width ? g->width[i] : width;
    }
    return width;
}

// Layers are centred.
static int left_of(const struct graph *g, const struct block *b)
{
    int free = (int)(widest(g) - g->width[b->layer]) * (BLOCK_WIDTH + GAP_X) / 2;
    return MARGIN + free + (int)b->column * (BLOCK_WIDTH + GAP_X);
}

static int top_of(const struct block *b)
{
    return GAP_Y / 2 + (int)b->layer * (BLOCK_HEIGHT + GAP_Y);
}

static void put_edge(struct output *o, const struct graph *g, const struct block *from, unsigned way)
{
    if (from->to[way] == UINT32_MAX) {
        return;
    }
    const struct block *to = &g->blocks[from->to[way]];
    int shift = way == 0 ? -14 : 14;
    int x1 = left_of(g, from) + BLOCK_WIDTH / 2 + shift, y1 = top_of(from) + BLOCK_HEIGHT;
    int x2 = left_of(g, to) + BLOCK_WIDTH / 2 + shift, y2 = top_of(to);
    bool back = to->layer <= from->layer, skips = to->layer > from->layer + 1;
    int side = back ? -BLOCK_WIDTH : skips ? BLOCK_WIDTH : 0; // around the blocks, not through them
    int bend = back || skips ? GAP_Y : GAP_Y / 2;
    put(o, "<path class=\"%s%s\" marker-end=\"url(#tip)\" d=\"M%d %dC%d %d %d %d %d %d\"/>",
        way == 0 ? "falls" : "taken", back ? " back" : "", x1, y1, x1 + side, y1 + bend, x2 + side, y2 - bend,
        x2, y2);
}

static void put_block(struct output *o, const struct html *h, const struct program *p,
                      const struct verify_report *r, const struct graph *g, const struct block *b)
{
    struct source_place first, last;
    int x = left_of(g, b), y = top_of(b);
    report_place(p, b->first, &first);
    report_place(p, b->end - 1, &last);
    put(o,
        "<a href=\"#p%u-%u\" data-goto=\"p%u-%u\" class=\"block%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" "
        "height=\"%d\" rx=\"4\"/><text x=\"%d\" y=\"%d\">%u-%u</text>",
        h->programs, b->first, h->programs, b->first, html_class(p, r, b->first, b->end), x, y, BLOCK_WIDTH,
        BLOCK_HEIGHT, x + 6, y + 14, b->first, b->end - 1);
    if (first.line != 0) {
        put(o, "<text x=\"%d\" y=\"%d\">line %u", x + 6, y + 28, first.line);
        if (last.line != 0 && last.line != first.line) {
            put(o, " - %u", last.line);
        }
        put(o, "</text>");
    }
    put(o, "</a>");
}

static void put_graph(struct output *o, const struct html *h, const struct program *p,
                      const struct verify_report *r, const struct graph *g)
{
    int width = (int)widest(g) * (BLOCK_WIDTH + GAP_X) + 2 * MARGIN;
    int height = (int)g->layers * (BLOCK_HEIGHT + GAP_Y) + GAP_Y / 2;
    put(o, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">",
        width, height, width, height);
    put(o, "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
           "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8\"/></marker></defs>");
    for (uint32_t i = 0; i < g->count; i++) {
        put_edge(o, g, &g->blocks[i], 0);
        put_edge(o, g, &g->blocks[i], 1);
    }
    for (uint32_t i = 0; i < g->count; i++) {
        put_block(o, h, p, r, g, &g->blocks[i]);
    }
    put(o, "</svg>\n");
}

void html_put_graphs(struct output *o, const struct html *h, const struct program *p,
                     const struct verify_report *r)
{
    struct graph g;
    for (uint32_t i = 0; i < p->func_count; i++) {
        const struct func *f = &p->funcs[i];
        if (f->end - f->start > MAX_SLOTS || !find_blocks(&g, p, f)) {
            put(o, "<p class=\"graph\">");
            put_html(o, f->name);
            bool large = f->end - f->start > MAX_SLOTS || g.count == MAX_BLOCKS;
            put(o, ": no graph, %s</p>\n",
                large ? "the function has too many blocks for one that can be read"
                      : "the function has no branches");
            continue;
        }
        put(o, "<p class=\"graph\">");
        put_html(o, f->name);
        put(o, "</p>");
        find_edges(&g, p);
        lay_out(&g);
        put_graph(o, h, p, r, &g);
    }
}
