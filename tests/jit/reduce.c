// SPDX-License-Identifier: MIT
// reduce: first instructions become "goto +0", in ranges of falling size, then those are taken out and the
// jumps over them shortened; then immediates become small. Each step stays only if the program has a meaning
// and still differs.
#include <stddef.h>

#include "tests/jit/differential.h"

struct reduction {
    struct subject *s, *scratch;
    bool (*differs)(const struct subject *s, const void *user, struct difference *d);
    const void *user;
};

// What is in use: the whole structure is large.
static void copy_subject(struct subject *to, const struct subject *from)
{
    size_t head = offsetof(struct subject, programs), tail = offsetof(struct subject, program_count);
    memcpy(to, from, head);
    memcpy((uint8_t *)to + tail, (const uint8_t *)from + tail, sizeof(*to) - tail);
    for (uint32_t i = 0; i < from->program_count; i++) {
        to->programs[i].insn_count = from->programs[i].insn_count;
        to->programs[i].func_count = from->programs[i].func_count;
        memcpy(to->programs[i].funcs, from->programs[i].funcs, sizeof(to->programs[i].funcs));
        memcpy(to->programs[i].insns, from->programs[i].insns,
               from->programs[i].insn_count * sizeof(to->programs[i].insns[0]));
    }
}

static bool is_kept(struct reduction *r)
{
    struct difference d;
    if (subject_expect(r->scratch) && r->differs(r->scratch, r->user, &d)) {
        copy_subject(r->s, r->scratch);
        return true;
    }
    return false;
}

static bool is_nothing(const struct insn *in)
{
    return in->id == INSN_JA && in->off == 0;
}

// Ranges never cut an LDDW in two.
static bool drop_range(struct reduction *r, uint32_t from, uint32_t to)
{
    copy_subject(r->scratch, r->s);
    struct subject_program *p = &r->scratch->programs[0];
    bool changed = false;
    if (p->insns[from].id == INSN_NONE) {
        from++;
    }
    if (to < p->insn_count && p->insns[to].id == INSN_NONE) {
        to++;
    }
    for (uint32_t pc = from; pc < to; pc++) {
        changed = changed || !is_nothing(&p->insns[pc]);
        p->insns[pc] = (struct insn){.id = INSN_JA};
    }
    return changed && is_kept(r);
}

static bool drop_pass(struct reduction *r)
{
    bool changed = false;
    uint32_t count = r->s->programs[0].insn_count;
    for (uint32_t size = count / 2; size != 0; size /= 2) {
        for (uint32_t at = 0; at + size <= count; at += size) {
            changed = drop_range(r, at, at + size) || changed;
        }
    }
    return changed;
}

// --- taking out ----------------------------------------------------------------------------------

static uint32_t new_place(const bool *gone, uint32_t pc)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < pc; i++) {
        place += gone[i] ? 0 : 1;
    }
    return place;
}

static void move_target(struct insn *in, uint32_t pc, const bool *gone)
{
    bool calls = insn_info(in->id)->sem == SEM_CALL_LOCAL;
    if (insn_is_jump(in) || calls) {
        int64_t displacement =
            (int64_t)new_place(gone, (uint32_t)insn_target(in, pc)) - new_place(gone, pc) - 1;
        if (calls || insn_info(in->id)->form == FORM_JA32) {
            in->imm = displacement;
        } else {
            in->off = (int16_t)displacement;
        }
    }
}

static bool out[SUBJECT_INSNS];

static bool take_out(struct reduction *r)
{
    copy_subject(r->scratch, r->s);
    struct subject_program *p = &r->scratch->programs[0];
    const struct subject_program *old = &r->s->programs[0];
    uint32_t count = 0;
    for (uint32_t pc = 0; pc < old->insn_count; pc++) {
        if (!out[pc]) {
            struct insn in = old->insns[pc];
            move_target(&in, pc, out);
            p->insns[count++] = in;
        }
    }
    p->insn_count = count;
    for (uint32_t f = 0; f < p->func_count; f++) {
        p->funcs[f].start = new_place(out, old->funcs[f].start);
        p->funcs[f].end = new_place(out, old->funcs[f].end);
    }
    return count != old->insn_count && is_kept(r);
}

// In ranges: the difference may depend on the size of a function.
static void take_out_nothings(struct reduction *r)
{
    for (uint32_t size = r->s->programs[0].insn_count; size != 0; size /= 2) {
        for (uint32_t at = 0; at < r->s->programs[0].insn_count; at += size) {
            memset(out, 0, sizeof(out));
            for (uint32_t pc = at; pc < r->s->programs[0].insn_count && pc < at + size; pc++) {
                out[pc] = is_nothing(&r->s->programs[0].insns[pc]);
            }
            (void)take_out(r);
        }
    }
}

static void drop_last_functions(struct reduction *r)
{
    while (r->s->programs[0].func_count > 1) {
        copy_subject(r->scratch, r->s);
        struct subject_program *p = &r->scratch->programs[0];
        p->insn_count = p->funcs[--p->func_count].start;
        for (uint32_t pc = 0; pc < p->insn_count; pc++) {
            if (insn_info(p->insns[pc].id)->sem == SEM_CALL_LOCAL &&
                insn_target(&p->insns[pc], pc) >= p->insn_count) {
                return; // it is called
            }
        }
        if (!is_kept(r)) {
            return;
        }
    }
}

static void shrink_numbers(struct reduction *r)
{
    for (uint32_t pc = 0; pc < r->s->programs[0].insn_count; pc++) {
        const struct insn *in = &r->s->programs[0].insns[pc];
        if (insn_info(in->id)->form == FORM_CALL || in->imm == 0) {
            continue;
        }
        copy_subject(r->scratch, r->s);
        r->scratch->programs[0].insns[pc].imm = in->imm > 1 ? 1 : 0;
        (void)is_kept(r);
    }
}

void subject_reduce(struct subject *s, struct subject *scratch,
                    bool (*differs)(const struct subject *s, const void *user, struct difference *d),
                    const void *user)
{
    struct reduction r = {s, scratch, differs, user};
    for (unsigned round = 0; round < 4; round++) {
        bool changed = drop_pass(&r);
        take_out_nothings(&r);
        drop_last_functions(&r);
        if (!changed) {
            break;
        }
    }
    shrink_numbers(&r);
}
