// SPDX-License-Identifier: MIT
// trace: remembers the states that the engine shows at each instruction, as text, and prints them.
#include "verifier/report_int.h"

#define TRACE_TEXT_SIZE 4096u

ebpf_result_t trace_init(struct trace *t, const struct program *p, struct arena *arena)
{
    memset(t, 0, sizeof(*t));
    t->program = p;
    t->arena = arena;
    t->entries = arena_array(arena, p->insn_count, sizeof(const struct trace_entry *));
    t->seen = arena_array(arena, p->insn_count, sizeof(*t->seen));
    return t->entries != NULL && t->seen != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

static uint32_t count_entries(const struct trace *t, uint32_t pc)
{
    uint32_t count = 0;
    for (const struct trace_entry *e = t->entries[pc]; e != NULL; e = e->next) {
        count++;
    }
    return count;
}

static bool is_kept(const struct trace *t, uint32_t pc, const char *text)
{
    for (const struct trace_entry *e = t->entries[pc]; e != NULL; e = e->next) {
        if (str_equal(e->text, text)) {
            return true;
        }
    }
    return false;
}

void trace_observe(void *trace, uint32_t pc, const void *state)
{
    struct trace *t = trace;
    char text[TRACE_TEXT_SIZE];
    if (pc >= t->program->insn_count) {
        return;
    }
    t->seen[pc]++;
    if (t->bytes >= TRACE_MAX_BYTES || count_entries(t, pc) >= TRACE_PER_INSN) {
        return;
    }
    state_print(state, t->program, text, sizeof(text));
    if (is_kept(t, pc, text)) {
        return;
    }
    struct trace_entry *e = arena_alloc(t->arena, sizeof(*e));
    const char *copy = arena_strdup(t->arena, text);
    if (e != NULL && copy != NULL) { // a trace that misses a state is still a trace
        *e = (struct trace_entry){t->entries[pc], copy};
        t->entries[pc] = e;
        t->bytes += str_len(copy) + sizeof(*e);
    }
}

static void put_states(struct output *o, const struct trace *t, uint32_t pc)
{
    const struct trace_entry *kept[TRACE_PER_INSN];
    uint32_t count = 0;
    for (const struct trace_entry *e = t->entries[pc]; e != NULL && count < TRACE_PER_INSN; e = e->next) {
        kept[count++] = e;
    }
    for (uint32_t i = count; i-- > 0;) {
        put(o, "        ");
        put_clean(o, kept[i]->text);
        put(o, "\n");
    }
    if (t->seen[pc] == 0) {
        put(o, "        (never reached)\n");
    } else if (t->seen[pc] > count) {
        put(o, "        (%u visits in all; states that differ are shown, %u at most)\n", t->seen[pc],
            TRACE_PER_INSN);
    }
}

void trace_print(const struct report_sink *sink, const struct trace *t)
{
    struct output o;
    struct source_place before = {"", "", 0, 0}, place;
    output_start_sink(&o, sink);
    put_clean(&o, t->program->section);
    put(&o, "/");
    put_clean(&o, t->program->name);
    put(&o, ":\n");
    for (uint32_t pc = 0; pc < t->program->insn_count; pc++) {
        if (t->program->insns[pc].id == INSN_NONE) {
            continue;
        }
        report_place(t->program, pc, &place);
        if (place.line != 0 && (place.line != before.line || !str_equal(place.file, before.file))) {
            put_clean(&o, report_short_name(place.file));
            put(&o, ":%u: ", place.line);
            put_clean(&o, place.source);
            put(&o, "\n");
        }
        before = place;
        put(&o, "  %u: ", pc);
        put_insn_text(&o, t->program, pc, false);
        put(&o, "\n");
        put_states(&o, t, pc);
    }
}
