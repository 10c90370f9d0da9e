// SPDX-License-Identifier: MIT
// hint_release: hints about what is acquired and released, about locks, results and loops: where in the
// function something is missing follows from the path, and from where the variable is used.
#include "verifier/hint_int.h"

struct release {
    const char *acquires;
    const char *before, *after; // the statement that releases, around the variable
    const char *family;         // part of the names of what releases
    unsigned arg;               // ARG_RESULT: the variable that the call's result is assigned to
};
#define ARG_RESULT 9u
static const struct release releases[] = {
    {"bpf_ringbuf_reserve_dynptr", "bpf_ringbuf_discard_dynptr(", ", 0);", "bpf_ringbuf_", 3},
    {"bpf_ringbuf_reserve", "bpf_ringbuf_discard(", ", 0);", "bpf_ringbuf_", ARG_RESULT},
    {"bpf_sk", "bpf_sk_release(", ");", "bpf_sk_release", ARG_RESULT},
    {"bpf_spin_lock", "bpf_spin_unlock(", ");", "bpf_spin_unlock", 0},
};

static const struct release *find_release(const char *helper)
{
    for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
        if (str_starts_with(helper, releases[i].acquires)) {
            return &releases[i];
        }
    }
    return NULL;
}

// --- the way out ---------------------------------------------------------------------------------

// Instructions from `pc` on that run one after another, up to a branch or `end`.
static uint32_t next_pc(const struct program *p, uint32_t pc)
{
    struct finding_step step = {pc, true};
    if (insn_is_conditional(&p->insns[pc]) || insn_info(p->insns[pc].id)->sem == SEM_EXIT) {
        return UINT32_MAX;
    }
    return insn_is_jump(&p->insns[pc]) ? report_step_target(p, &step) : pc + 1;
}

static bool writes_r0(const struct insn *in)
{
    switch (insn_info(in->id)->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY:
    case FORM_LOAD:
    case FORM_LDDW: return in->dst == 0;
    case FORM_CALL: return true;
    default: return false;
    }
}

// Start of the stretch of instructions number `i` of the path: after branch i - 1, or at the program's start.
static uint32_t stretch_start(const struct writer *w, uint32_t i)
{
    return i == 0 ? 0 : report_step_target(w->env->program, &w->f->path[i - 1]);
}

// Last instruction of the path that writes r0, copies followed back; UINT32_MAX: not known.
static uint32_t result_pc(const struct writer *w)
{
    const struct program *p = w->env->program;
    uint32_t found = UINT32_MAX;
    for (uint32_t i = w->f->path_count + 1; i-- > 0 && found == UINT32_MAX;) {
        uint32_t pc = stretch_start(w, i);
        for (uint32_t n = 0; n < 4096 && pc < p->insn_count && pc != w->f->pc; n++) {
            found = writes_r0(&p->insns[pc]) ? pc : found;
            pc = next_pc(p, pc);
        }
    }
    return found;
}

static size_t indentation(const char *text)
{
    return (size_t)(hint_skip_blanks(text) - text);
}

static bool ends_with(const char *text, char last)
{
    size_t size = str_len(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    return size > 0 && text[size - 1] == last;
}

// --- what is not released ------------------------------------------------------------------------

struct missing {
    struct hint_line acquired;
    const struct release *how;
    char name[HINT_EXPR_SIZE]; // of the variable
    char word[HINT_EXPR_SIZE]; // its first identifier
};

static void first_word(const char *name, char *out, size_t size)
{
    size_t start = name[0] == '&', end = start;
    while ((name[end] >= '0' && name[end] <= '9') || (name[end] >= 'A' && name[end] <= 'Z') ||
           (name[end] >= 'a' && name[end] <= 'z') || name[end] == '_') {
        end++;
    }
    if (!hint_copy(name, start, end, out, size)) {
        out[0] = '\0';
    }
}

static bool find_missing(const struct writer *w, struct missing *m)
{
    const struct helper_row *row = hint_helper(w, w->f->related_pc);
    m->how = row != NULL ? find_release(row->name) : NULL;
    if (m->how == NULL || !hint_line_at(w->env->program, w->f->related_pc, &m->acquired)) {
        return false;
    }
    bool found = m->how->arg == ARG_RESULT
                     ? hint_assigned(m->acquired.text, m->name, sizeof(m->name))
                     : hint_argument(&m->acquired, row->name, m->how->arg, m->name, sizeof(m->name), NULL);
    first_word(m->name, m->word, sizeof(m->word));
    return found && m->word[0] != '\0';
}

static void insert_release(struct writer *w, const struct missing *m, const struct hint_line *at,
                           enum finding_edit_kind kind, const char *prefix)
{
    hint_edit(w, at, kind, "%s%s%s%s", prefix, m->how->before, m->name, m->how->after);
}

// The newest branch of the path in the lines between acquisition and exit.
static bool last_branch(const struct writer *w, const struct missing *m, struct hint_line *at,
                        struct hint_line *to)
{
    const struct program *p = w->env->program;
    for (uint32_t i = w->f->path_count; i-- > 0;) {
        if (w->f->path[i].pc == w->f->related_pc) {
            return false;
        }
        if (hint_line_at(p, w->f->path[i].pc, at) && at->number > m->acquired.number &&
            at->number < w->at.number && hint_line_at(p, report_step_target(p, &w->f->path[i]), to)) {
            return true;
        }
    }
    return false;
}

bool hint_flip_test(struct writer *w, const struct hint_line *from, const char *pointer)
{
    struct hint_line line;
    char test[HINT_EXPR_SIZE + 8];
    str_format(test, sizeof(test), "if (%s)", pointer);
    size_t size = str_len(test);
    for (uint32_t by = 0; by < 16 && by < from->number; by++) {
        if (hint_line_find(from, from->number - by, &line) &&
            str_starts_with(hint_skip_blanks(line.text), test)) {
            hint_edit(w, &line, EDIT_REPLACE, "if (!%s)%s", pointer, hint_skip_blanks(line.text) + size);
            hint_say(w, "line %u tests '%s' the wrong way round: it goes on where it is NULL", line.number,
                     pointer);
            return true;
        }
    }
    return false;
}

// "if (...)" with "return ...;" alone in the next line. Where that line is not known it is left alone: a
// release after the branch would be one for the other path.
static bool release_in_bare_branch(struct writer *w, const struct missing *m, const struct hint_line *at)
{
    struct hint_line body;
    if (!ends_with(at->text, ')')) {
        return false;
    }
    if (hint_line_find(at, at->number + 1, &body) && str_starts_with(hint_skip_blanks(body.text), "return") &&
        ends_with(body.text, ';')) {
        hint_edit(w, &body, EDIT_REPLACE, "{ %s%s%s %s }", m->how->before, m->name, m->how->after,
                  hint_skip_blanks(body.text));
    }
    return true;
}

// A branch that leaves the function without a release: at the start of its block, or beside the other one.
static bool release_in_branch(struct writer *w, const struct missing *m)
{
    struct hint_line at, to, body;
    char expr[HINT_EXPR_SIZE];
    if (!last_branch(w, m, &at, &to)) {
        return false;
    }
    bool leaves = to.number >= w->at.number || hint_returned(to.text, expr, sizeof(expr));
    if (!leaves || !str_starts_with(hint_skip_blanks(at.text), "if (")) {
        return false;
    }
    if (hint_find_word(at.text, m->name) != NULL && hint_flip_test(w, &at, m->name)) {
        return true;
    }
    if (ends_with(at.text, '{')) {
        insert_release(w, m, &at, EDIT_INSERT_AFTER, "");
        return true;
    }
    if (hint_line_find(&at, at.number + 1, &body) && hint_contains(body.text, m->how->family) &&
        hint_is_statement(body.text)) {
        insert_release(w, m, &body, EDIT_INSERT_AFTER, "else ");
        return true;
    }
    return release_in_bare_branch(w, m, &at);
}

// After the last line that uses the variable, or at the next one of the function's own level.
static bool release_after_use(struct writer *w, const struct missing *m)
{
    struct hint_line line, last = m->acquired;
    for (uint32_t number = m->acquired.number; number < w->at.number; number++) {
        if (hint_line_find(&m->acquired, number, &line) && hint_find_word(line.text, m->word) != NULL &&
            !hint_contains(line.text, m->how->family)) {
            last = line;
        }
    }
    size_t level = indentation(m->acquired.text);
    if (hint_find_word(last.text, "return") != NULL || hint_find_word(last.text, "goto") != NULL) {
        return false; // what stands behind it is another path
    }
    if (last.number != m->acquired.number && indentation(last.text) == level && ends_with(last.text, ';')) {
        insert_release(w, m, &last, EDIT_INSERT_AFTER, "");
        return true;
    }
    for (uint32_t number = last.number + 1; number < w->at.number; number++) {
        if (hint_line_find(&last, number, &line) && indentation(line.text) == level &&
            hint_skip_blanks(line.text)[0] != '}') {
            insert_release(w, m, &line, EDIT_INSERT_BEFORE, "");
            return true;
        }
    }
    return false;
}

static void write_release(struct writer *w)
{
    struct missing m;
    if (!find_missing(w, &m)) {
        return;
    }
    bool placed = release_in_branch(w, &m) || release_after_use(w, &m);
    bool flipped =
        w->f->edit_count != 0 && w->f->edits[0].kind == EDIT_REPLACE && w->f->edits[0].text[0] != '{';
    if (placed && !flipped) {
        hint_say(w, "what line %u acquires has to be released on every path", m.acquired.number);
    }
}

void hint_unreleased(struct writer *w)
{
    if (w->f->related_pc == UINT32_MAX && w->s->ref_count != 0) {
        w->f->related_pc = w->s->refs[0].pc;
    }
    write_release(w);
}

void hint_lock(struct writer *w)
{
    const struct program *p = w->env->program;
    for (uint32_t pc = w->f->pc; pc-- > 0 && w->f->related_pc >= p->insn_count;) {
        const struct helper_row *row = hint_helper(w, pc);
        if (row != NULL && (row->flags & HELPER_LOCKS) != 0) {
            w->f->related_pc = pc;
        }
    }
    if (hint_is_call(w)) {
        hint_remove_line(w, "the lock's state does not permit this: remove the line");
    } else {
        write_release(w);
    }
}

// --- lines that have to go -----------------------------------------------------------------------

void hint_remove_line(struct writer *w, const char *why)
{
    if (hint_is_statement(w->at.text)) {
        hint_edit(w, &w->at, EDIT_DELETE, "%s", "");
        hint_say(w, "%s", why);
    }
}

// A declaration or a statement, whole in one line.
static bool can_move(const char *text)
{
    static const char *const fixed[] = {"return", "if ", "for ", "while ", "goto", "}", "{", "else", "case"};
    text = hint_skip_blanks(text);
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
        if (str_starts_with(text, fixed[i])) {
            return false;
        }
    }
    return ends_with(text, ';');
}

void hint_used_after_release(struct writer *w)
{
    const struct program *p = w->env->program;
    struct hint_line released;
    for (uint32_t pc = w->f->pc; pc-- > 0 && w->f->pc - pc < 64;) {
        const struct helper_row *row = hint_helper(w, pc);
        if (row == NULL || (row->flags & HELPER_RELEASES) == 0) {
            continue;
        }
        if (hint_line_at(p, pc, &released) && released.number < w->at.number && can_move(w->at.text)) {
            hint_edit(w, &released, EDIT_INSERT_BEFORE, "%s", hint_skip_blanks(w->at.text));
            hint_edit(w, &w->at, EDIT_DELETE, "%s", "");
            hint_say(w, "line %u gives the memory away: use it before that", released.number);
            w->f->related_pc = pc;
        }
        return;
    }
}

// --- results -------------------------------------------------------------------------------------

// The result brought into the range, in its return statement or where it is computed.
static void limit_result(struct writer *w, const struct hint_line *at, const struct hint_span *span,
                         const char *expr, int64_t min, int64_t max)
{
    char with[2 * HINT_EXPR_SIZE + 64];
    const struct value *r0 = &w->s->regs[0];
    uint64_t mask = (uint64_t)max;
    if (r0->kind != VALUE_SCALAR || value_is_const(r0)) {
        str_format(with, sizeof(with), "%lld", (long long)(min <= 0 && max >= 0 ? 0 : min));
    } else if (min == 0 && (mask & (mask + 1)) == 0) {
        str_format(with, sizeof(with), "(%s) & %lld", expr, (long long)max);
    } else {
        str_format(with, sizeof(with), "(%s) < %lld || (%s) > %lld ? %lld : (%s)", expr, (long long)min, expr,
                   (long long)max, (long long)min, expr);
    }
    hint_replace_span(w, at, span, with);
}

void hint_exit_value(struct writer *w)
{
    int64_t min, max;
    uint32_t pc = result_pc(w);
    struct hint_line at;
    char expr[HINT_EXPR_SIZE];
    if (pc == UINT32_MAX || !hint_line_at(w->env->program, pc, &at) ||
        !program_exit_range(w->env->spec, w->env->program, &min, &max)) {
        return;
    }
    w->f->related_pc = pc;
    const char *keyword = hint_find_word(at.text, "return"), *start = keyword != NULL ? keyword + 6 : NULL;
    for (const char *c = at.text; start == NULL && *c != '\0' && *c != '"'; c++) {
        start = c[0] == '=' && c[1] != '=' && c != at.text && c[-1] == ' ' ? c + 1 : NULL;
    }
    struct hint_span span = {start != NULL ? (size_t)(start - at.text) : 0, str_len(at.text)};
    while (span.end > span.start && at.text[span.end] != ';') {
        span.end--;
    }
    if (start != NULL && hint_copy(at.text, span.start, span.end, expr, sizeof(expr))) {
        limit_result(w, &at, &span, expr, min, max);
    }
    hint_say(w, "a %s program returns a number in [%lld, %lld]",
             w->env->spec->prog_types[w->env->program->type].name, (long long)min, (long long)max);
}

// --- loops ---------------------------------------------------------------------------------------

#define HINT_TURNS 1024
#define HEAD_LINES 24u

// The line with the head of the innermost loop around an instruction.
static bool find_head(const struct writer *w, uint32_t pc, struct hint_line *out)
{
    struct hint_line near, line;
    if (!hint_line_at(w->env->program, pc, &near)) {
        return false;
    }
    for (uint32_t up = 0; up < HEAD_LINES && near.number > up; up++) {
        if (!hint_line_find(&near, near.number - up, &line)) {
            continue;
        }
        const char *text = hint_skip_blanks(line.text);
        if (str_starts_with(text, "while (") || str_starts_with(text, "for (")) {
            *out = line;
            return true;
        }
    }
    return false;
}

static void limit_while(struct writer *w, const struct hint_line *head, const char *text, size_t close)
{
    char condition[HINT_EXPR_SIZE];
    if (hint_copy(text, 7, close, condition, sizeof(condition))) {
        hint_edit(w, head, EDIT_REPLACE, "for (int turns = 0; turns < %d && (%s); turns++)%s", HINT_TURNS,
                  condition, text + close + 1);
    }
}

// The parts between the semicolons may be empty.
static void limit_for(struct writer *w, const struct hint_line *head, const char *text, size_t close)
{
    char begin[HINT_EXPR_SIZE] = "", test[HINT_EXPR_SIZE] = "", step[HINT_EXPR_SIZE] = "";
    size_t first = 5, second;
    while (first < close && text[first] != ';') {
        first++;
    }
    for (second = first + 1; second < close && text[second] != ';'; second++) {
    }
    if (second >= close) {
        return;
    }
    (void)hint_copy(text, 5, first, begin, sizeof(begin));
    (void)hint_copy(text, second + 1, close, step, sizeof(step));
    bool tested = hint_copy(text, first + 1, second, test, sizeof(test));
    hint_edit(w, head, EDIT_REPLACE, "int turns = 0; for (%s; turns < %d%s%s%s; turns++%s%s)%s", begin,
              HINT_TURNS, tested ? " && (" : "", test, tested ? ")" : "", step[0] != '\0' ? ", " : "", step,
              text + close + 1);
}

void hint_loop(struct writer *w)
{
    struct hint_line head;
    if (!find_head(w, w->f->pc, &head)) {
        return;
    }
    const char *text = hint_skip_blanks(head.text);
    size_t close = str_len(text);
    while (close > 5 && text[close] != ')') {
        close--;
    }
    w->f->related_pc = head.row->pc;
    if (text[0] == 'w') {
        limit_while(w, &head, text, close);
    } else {
        limit_for(w, &head, text, close);
    }
    hint_say(w, "limit the turns of the loop by a constant, whatever else ends it");
}
