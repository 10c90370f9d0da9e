// SPDX-License-Identifier: MIT
// hint: one writer per kind of rule. A hint may be imprecise, never misleading: where the source line does
// not show what is meant, the sentence of the obligation stays.
#include "verifier/hint_int.h"

static struct finding_edit *add_edit(struct writer *w, const struct hint_line *at,
                                     enum finding_edit_kind kind)
{
    if (w->f->edit_count == FINDING_MAX_EDITS) {
        return NULL;
    }
    struct finding_edit *e = &w->f->edits[w->f->edit_count++];
    memset(e, 0, sizeof(*e));
    e->kind = (uint16_t)kind;
    e->file_off = at->row->file_off;
    e->line = at->number;
    return e;
}

void hint_edit(struct writer *w, const struct hint_line *at, enum finding_edit_kind kind, const char *fmt,
               ...)
{
    struct finding_edit *e = add_edit(w, at, kind);
    va_list args;
    if (e == NULL) {
        return;
    }
    va_start(args, fmt);
    size_t length = str_vformat(e->text, sizeof(e->text), fmt, args);
    va_end(args);
    if (length >= sizeof(e->text)) {
        w->f->edit_count = 0;
    }
}

void hint_say(struct writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vformat(w->f->hint, sizeof(w->f->hint), fmt, args);
    va_end(args);
}

static const struct insn *insn_of(const struct writer *w)
{
    return &w->env->program->insns[w->f->pc];
}

bool hint_is_call(const struct writer *w)
{
    return insn_info(insn_of(w)->id)->form == FORM_CALL;
}

const struct helper_row *hint_helper(const struct writer *w, uint32_t pc)
{
    const struct program *p = w->env->program;
    if (pc >= p->insn_count) {
        return NULL;
    }
    const struct insn *in = &p->insns[pc];
    uint8_t sem = insn_info(in->id)->sem;
    bool named =
        (sem == SEM_CALL || sem == SEM_CALL_BTF) && in->imm > 0 && in->imm < w->env->spec->helper_count;
    return named ? &w->env->spec->helpers[in->imm] : NULL;
}

// The pointer that the instruction goes through, or NULL.
static const struct value *base_of(const struct writer *w)
{
    const struct insn *in = insn_of(w);
    switch (insn_info(in->id)->form) {
    case FORM_LOAD: return &w->s->regs[in->src];
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: return &w->s->regs[in->dst];
    default: return NULL;
    }
}

static bool is_store(const struct writer *w)
{
    uint8_t form = insn_info(insn_of(w)->id)->form;
    return form == FORM_STORE_IMM || form == FORM_STORE_REG;
}

// --- before a line -------------------------------------------------------------------------------

// "while (A)" becomes "while (MORE && (A))".
static void extend_condition(struct writer *w, const struct hint_line *at, const char *more)
{
    const char *text = hint_skip_blanks(at->text);
    char condition[FINDING_TEXT_SIZE];
    size_t close = str_len(text);
    while (close > 7 && text[close] != ')') {
        close--;
    }
    if (close > 7 && hint_copy(text, 7, close, condition, sizeof(condition))) {
        hint_edit(w, at, EDIT_REPLACE, "while (%s && (%s)%s", more, condition, text + close);
    }
}

// "if (CONDITION) return ...;" before the statement; into the condition of a loop's head.
static void insert_check(struct writer *w, const char *condition, const char *opposite)
{
    struct hint_line start = w->at;
    char leave[HINT_EXPR_SIZE];
    hint_line_start(&start);
    const char *text = hint_skip_blanks(start.text);
    if (str_starts_with(text, "while (")) {
        extend_condition(w, &start, opposite);
        return;
    }
    if (text[0] == '}' || str_starts_with(text, "else") || str_starts_with(text, "case ")) {
        return;
    }
    hint_early_return(&start, leave, sizeof(leave));
    if (hint_is_bare_body(&start)) {
        hint_edit(w, &start, EDIT_REPLACE, "{ if (%s) %s %s }", condition, leave, text);
    } else {
        hint_edit(w, &start, EDIT_INSERT_BEFORE, "if (%s) %s", condition, leave);
    }
}

// --- packet --------------------------------------------------------------------------------------

// What the accesses from here to the next branch or call need of the packet, when all go through one pointer.
static int64_t farthest(const struct writer *w, const struct value *v)
{
    const struct program *p = w->env->program;
    const struct insn *in = insn_of(w);
    unsigned base = is_store(w) ? in->dst : in->src;
    int64_t end = 0;
    for (uint32_t pc = w->f->pc; pc < p->insn_count; pc++) {
        const struct insn *other = &p->insns[pc];
        const struct insn_info *info = insn_info(other->id);
        bool load = info->form == FORM_LOAD && other->src == base;
        bool store = (info->form == FORM_STORE_REG || info->form == FORM_STORE_IMM) && other->dst == base;
        if (load || store) {
            int64_t past = (int64_t)v->off + other->off + info->width / 8;
            end = past > end ? past : end;
        }
        bool writes = info->form == FORM_LOAD || info->form == FORM_ALU_REG || info->form == FORM_ALU_IMM;
        if (info->form == FORM_CALL || info->sem == SEM_EXIT || (writes && other->dst == base)) {
            break;
        }
    }
    return end;
}

// "(void *)(ip + 1)": what has to be in the packet.
static bool accessed_end(struct writer *w, char *out, size_t size)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE], start[HINT_EXPR_SIZE];
    uint32_t last;
    const struct value *v = base_of(w);
    if (v == NULL) {
        return false;
    }
    bool named = hint_pointer(&w->at, is_store(w), pointer, index, sizeof(pointer));
    bool indexed = named && index[0] != '\0';
    if (!indexed && value_is_fixed(v) && v->kind == VALUE_PACKET &&
        hint_packet_start(&w->at, start, sizeof(start))) {
        str_format(out, size, "%s + %lld", start, (long long)farthest(w, v));
    } else if (!named) {
        return false;
    } else if (hint_last_index(&w->at, pointer, index, 8, &last)) {
        str_format(out, size, "(void *)(%s + %u)", pointer, last + 1);
    } else if (index[0] != '\0') {
        str_format(out, size, "(void *)(&%s[%s] + 1)", pointer, index);
    } else {
        str_format(out, size, "(void *)(%s + 1)", pointer);
    }
    return true;
}

static void write_packet_bounds(struct writer *w)
{
    char end[HINT_EXPR_SIZE], past[2 * HINT_EXPR_SIZE + 24];
    char refuse[3 * HINT_EXPR_SIZE + 40], permit[3 * HINT_EXPR_SIZE + 40];
    if (!hint_packet_end(&w->at, end, sizeof(end)) || !accessed_end(w, past, sizeof(past))) {
        return;
    }
    str_format(refuse, sizeof(refuse), "%s > %s", past, end);
    str_format(permit, sizeof(permit), "%s <= %s", past, end);
    insert_check(w, refuse, permit);
    hint_say(w, "compare the end of what is accessed with the end of the packet first, on every path");
}

// --- null ----------------------------------------------------------------------------------------

static int null_argument(const struct writer *w)
{
    for (int r = 1; r <= 5; r++) {
        const struct value *v = &w->s->regs[r];
        if (v->maybe_null || (v->kind == VALUE_SCALAR && value_is_zero(v))) {
            return r - 1;
        }
    }
    return -1;
}

static const char *call_name(const struct writer *w)
{
    const struct helper_row *row = hint_helper(w, w->f->pc);
    return row != NULL ? row->name : NULL;
}

static bool is_name(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
                    (*c >= '0' && *c <= '9' && c != text) || *c == '.' || *c == '-' || *c == '>';
        if (!good) {
            return false;
        }
    }
    return *text != '\0';
}

// "if (pointer) statement;" where the only uses are one statement, or two in a row.
static bool guard_statements(struct writer *w, const char *pointer)
{
    struct hint_line next;
    if (!hint_is_statement(w->at.text)) {
        return false;
    }
    bool again = hint_line_find(&w->at, w->at.number + 1, &next) && hint_is_statement(next.text) &&
                 hint_find_word(next.text, pointer) != NULL;
    if (hint_used_later(again ? &next : &w->at, pointer, 12)) {
        return false;
    }
    hint_edit(w, &w->at, EDIT_REPLACE, "if (%s) %s", pointer, hint_skip_blanks(w->at.text));
    if (again && w->f->edit_count != 0) {
        hint_edit(w, &next, EDIT_REPLACE, "if (%s) %s", pointer, hint_skip_blanks(next.text));
    }
    return true;
}

static void write_null(struct writer *w)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE], condition[HINT_EXPR_SIZE + 8];
    bool found = false;
    if (hint_is_call(w)) {
        int arg = null_argument(w);
        found =
            arg >= 0 && hint_argument(&w->at, call_name(w), (unsigned)arg, pointer, sizeof(pointer), NULL);
        if (found && pointer[0] == '&') { // &value->member
            for (char *c = pointer; *c != '\0'; c++) {
                if (c[0] == '-' && c[1] == '>') {
                    *c = '\0';
                    break;
                }
            }
            memmove(pointer, pointer + 1, str_len(pointer));
        }
    } else {
        found = hint_pointer(&w->at, is_store(w), pointer, index, sizeof(pointer));
    }
    if (!found || !is_name(pointer)) {
        return;
    }
    if (!guard_statements(w, pointer)) {
        str_format(condition, sizeof(condition), "!%s", pointer);
        insert_check(w, condition, pointer);
    }
    hint_say(w, "'%s' may be null: compare it with NULL before it is used", pointer);
}

#define NULL_PAGE 4096u // a member of what is at NULL lies below

// NULL, certainly: somebody tested it the wrong way round.
static bool write_certain_null(struct writer *w)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE];
    const struct value *v = base_of(w);
    return v != NULL && value_is_const(v) && v->num.umin < NULL_PAGE && w->at.number > 1 &&
           hint_pointer(&w->at, is_store(w), pointer, index, sizeof(pointer)) && is_name(pointer) &&
           hint_flip_test(w, &w->at, pointer);
}

// --- bounds of values, records and the stack -----------------------------------------------------

// Bytes of the memory behind a pointer, from where it points; 0: not known.
static int64_t room(const struct writer *w, const struct value *v)
{
    const struct program *p = w->env->program;
    switch (v->kind) {
    case VALUE_MAP_VALUE: return v->map < p->map_count ? (int64_t)p->maps[v->map].value_size - v->off : 0;
    case VALUE_MEM: return (int64_t)v->size - v->off;
    case VALUE_STACK: return -(int64_t)v->off;
    default: return 0;
    }
}

static void limit_index(struct writer *w, const char *index, const char *limit, bool negative)
{
    char refuse[3 * HINT_EXPR_SIZE + 40], permit[3 * HINT_EXPR_SIZE + 40];
    const char *cast = negative ? "(unsigned long)" : "";
    bool plain = is_name(index);
    str_format(refuse, sizeof(refuse), plain ? "%s%s >= %s" : "%s(%s) >= %s", cast, index, limit);
    str_format(permit, sizeof(permit), plain ? "%s%s < %s" : "%s(%s) < %s", cast, index, limit);
    insert_check(w, refuse, permit);
    hint_say(w, "bound the index '%s' before it is used", index);
}

// array[index], where the address is made by an addition of its own.
static void write_offset(struct writer *w)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE], limit[2 * HINT_EXPR_SIZE + 24];
    const struct insn *in = insn_of(w);
    if (insn_info(in->id)->form != FORM_ALU_REG) {
        return;
    }
    const struct value *dst = &w->s->regs[in->dst], *src = &w->s->regs[in->src];
    const struct value *v = dst->kind == VALUE_SCALAR ? src : dst, *number = v == dst ? src : dst;
    bool found = hint_pointer(&w->at, true, pointer, index, sizeof(pointer)) && index[0] != '\0';
    found = found || (hint_pointer(&w->at, false, pointer, index, sizeof(pointer)) && index[0] != '\0');
    bool array = v->kind == VALUE_STACK || hint_contains(pointer, "->") || hint_contains(pointer, ".");
    if (found && array && number->kind == VALUE_SCALAR) {
        str_format(limit, sizeof(limit), "sizeof(%s) / sizeof(%s[0])", pointer, pointer);
        limit_index(w, index, limit, number->num.smin < 0);
    }
}

// pointer[index]: the index is compared with the number of elements.
static bool write_index(struct writer *w, const struct value *v)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE], limit[2 * HINT_EXPR_SIZE + 24];
    if (!hint_pointer(&w->at, is_store(w), pointer, index, sizeof(pointer)) || index[0] == '\0') {
        return false;
    }
    uint32_t width = insn_info(insn_of(w)->id)->width / 8u;
    bool array = v->kind == VALUE_STACK || hint_contains(pointer, "->") || hint_contains(pointer, ".");
    if (array) {
        str_format(limit, sizeof(limit), "sizeof(%s) / sizeof(%s[0])", pointer, pointer);
    } else {
        int64_t whole = v->kind == VALUE_MEM ? v->size : room(w, v) + v->off;
        if (whole <= 0 || width == 0) {
            return false;
        }
        str_format(limit, sizeof(limit), "%lld", (long long)(whole / width));
    }
    limit_index(w, index, limit, v->num.smin < 0);
    return true;
}

// Puts `with` where the span stands in the line.
void hint_replace_span(struct writer *w, const struct hint_line *at, const struct hint_span *span,
                       const char *with)
{
    char head[FINDING_TEXT_SIZE];
    const char *text = at->text;
    size_t skip = (size_t)(hint_skip_blanks(text) - text);
    if (span->start < skip || span->start - skip >= sizeof(head)) {
        return;
    }
    memcpy(head, text + skip, span->start - skip);
    head[span->start - skip] = '\0';
    hint_edit(w, at, EDIT_REPLACE, "%s %s%s", head, with, text + span->end);
}

static const struct state_ref *find_ref(const struct writer *w, uint32_t ref)
{
    for (uint32_t i = 0; i < w->s->ref_count; i++) {
        if (w->s->refs[i].ref == ref) {
            return &w->s->refs[i];
        }
    }
    return NULL;
}

// A record that is too small: it was reserved with the wrong size.
static void write_record_size(struct writer *w, const struct value *v)
{
    char name[HINT_EXPR_SIZE], size_text[HINT_EXPR_SIZE], with[HINT_EXPR_SIZE + 16];
    const struct state_ref *ref = find_ref(w, v->ref);
    struct hint_line at;
    struct hint_span span;
    if (ref == NULL || !hint_line_at(w->env->program, ref->pc, &at) ||
        !hint_assigned(at.text, name, sizeof(name)) ||
        !hint_argument(&at, "bpf_ringbuf_reserve", 1, size_text, sizeof(size_text), &span)) {
        return;
    }
    str_format(with, sizeof(with), "sizeof(*%s)", name);
    if (!str_equal(with, size_text)) {
        hint_replace_span(w, &at, &span, with);
        hint_say(w, "the record is smaller than what it is used as: reserve %s bytes", with);
        w->f->related_pc = ref->pc;
    }
}

// What an argument's text names as an object: "x" of "&x" and of "x" itself.
static void object_of(const char *pointer, bool in_stack, char *out, size_t size)
{
    bool member = hint_contains(pointer, "->") || hint_contains(pointer, "."); // an array, most likely
    if (pointer[0] == '&') {
        str_format(out, size, "sizeof(%s)", pointer + 1);
    } else {
        str_format(out, size, in_stack || member ? "sizeof(%s)" : "sizeof(*%s)", pointer);
    }
}

static bool is_size(unsigned type)
{
    return type == ARG_SIZE || type == ARG_SIZE_OR_ZERO;
}

// "sizeof(x)" and nothing more: the author knows what is meant.
static bool is_sizeof(const char *text)
{
    const char *close = text;
    while (*close != ')' && *close != '\0') {
        close++;
    }
    return str_starts_with(text, "sizeof(") && close[0] == ')' && close[1] == '\0';
}

// A constant size that is larger than the memory: say sizeof.
static bool write_size(struct writer *w, unsigned arg)
{
    char pointer[HINT_EXPR_SIZE], given[HINT_EXPR_SIZE], with[HINT_EXPR_SIZE + 16];
    struct hint_span span;
    const char *name = call_name(w);
    if (!hint_argument(&w->at, name, arg, pointer, sizeof(pointer), NULL) ||
        !hint_argument(&w->at, name, arg + 1, given, sizeof(given), &span)) {
        return false;
    }
    object_of(pointer, w->s->regs[arg + 1].kind == VALUE_STACK, with, sizeof(with));
    if (is_sizeof(given)) {
        return false;
    }
    hint_replace_span(w, &w->at, &span, with);
    hint_say(w, "the size has to be that of the memory: %s", with);
    return true;
}

// A size that varies: compare it with its limits.
static void write_size_check(struct writer *w, unsigned arg)
{
    char pointer[HINT_EXPR_SIZE], given[HINT_EXPR_SIZE], limit[HINT_EXPR_SIZE + 24];
    char refuse[3 * HINT_EXPR_SIZE + 40], permit[3 * HINT_EXPR_SIZE + 40];
    const struct helper_row *row = hint_helper(w, w->f->pc);
    const struct value *v = &w->s->regs[arg + 1];
    if (!hint_argument(&w->at, row->name, arg, pointer, sizeof(pointer), NULL) ||
        !hint_argument(&w->at, row->name, arg + 1, given, sizeof(given), NULL)) {
        return;
    }
    if (v->kind == VALUE_STACK) {
        object_of(pointer, true, limit, sizeof(limit));
    } else if (room(w, v) > 0) {
        str_format(limit, sizeof(limit), "%lld", (long long)room(w, v));
    } else {
        return;
    }
    if (row->args[arg + 1] == ARG_SIZE) {
        str_format(refuse, sizeof(refuse), "%s < 1 || %s > %s", given, given, limit);
        str_format(permit, sizeof(permit), "%s >= 1 && %s <= %s", given, given, limit);
    } else {
        str_format(refuse, sizeof(refuse), "(unsigned long)%s > %s", given, limit);
        str_format(permit, sizeof(permit), "(unsigned long)%s <= %s", given, limit);
    }
    insert_check(w, refuse, permit);
    hint_say(w, "bound '%s' from below and above before the call", given);
}

// The memory argument of the call that a size goes with: the first whose size does not fit.
static int sized_argument(const struct writer *w)
{
    const struct helper_row *row = hint_helper(w, w->f->pc);
    for (int arg = 0; row != NULL && arg < 4; arg++) {
        if (is_size(row->args[arg + 1])) {
            const struct value *size = &w->s->regs[arg + 2];
            int64_t fits = room(w, &w->s->regs[arg + 1]);
            if (size->kind == VALUE_SCALAR &&
                ((fits > 0 && size->num.umax > (uint64_t)fits) || !scalar_is_const(&size->num) ||
                 (row->args[arg + 1] == ARG_SIZE && size->num.umin == 0))) {
                return arg;
            }
        }
    }
    return -1;
}

// --- what was never written ----------------------------------------------------------------------

static bool is_init(const struct writer *w, const struct value *v, int64_t size)
{
    const struct state_frame *f = &w->s->frames[v->frame];
    int64_t at = INSN_STACK_SIZE + (int64_t)v->off;
    for (int64_t i = at; i < at + size; i++) {
        if (i < 0 || i >= INSN_STACK_SIZE || (f->init[i / 64] >> (i % 64) & 1) == 0) {
            return false;
        }
    }
    return true;
}

// The map that an argument before `arg` names, or NULL.
static const struct map_def *map_before(const struct writer *w, unsigned arg)
{
    for (unsigned i = arg; i-- > 0;) {
        const struct value *v = &w->s->regs[i + 1];
        if (v->kind == VALUE_MAP_PTR && v->map < w->env->program->map_count) {
            return &w->env->program->maps[v->map];
        }
    }
    return NULL;
}

// Bytes that the helper reads at an argument; 0: none, or not known.
static int64_t read_size(const struct writer *w, const struct helper_row *row, unsigned arg)
{
    const struct map_def *map = map_before(w, arg);
    switch (row->args[arg] & ARG_KIND_MASK) {
    case ARG_MAP_KEY: return map != NULL ? map->key_size : 0;
    case ARG_MAP_VALUE: return map != NULL ? map->value_size : 0;
    case ARG_MEM_READ:
    case ARG_MEM_READ_OR_NULL:
    case ARG_MEM_READ_WRITE:
        return arg < 4 && row->detail[arg] == 0 ? (int64_t)w->s->regs[arg + 2].num.umax : 0;
    case ARG_FIXED_READ: return row->detail[arg];
    default: return 0;
    }
}

static void zero_first(struct writer *w, const char *object, bool array)
{
    struct hint_line start = w->at;
    char zero[2 * HINT_EXPR_SIZE + 40];
    hint_line_start(&start);
    str_format(zero, sizeof(zero), "__builtin_memset(%s%s, 0, sizeof(%s));", array ? "" : "&", object,
               object);
    if (hint_is_bare_body(&start)) {
        hint_edit(w, &start, EDIT_REPLACE, "{ %s %s }", zero, hint_skip_blanks(start.text));
    } else {
        hint_edit(w, &start, EDIT_INSERT_BEFORE, "%s", zero);
    }
    hint_say(w, "'%s' is read before all of it was written: initialise it, padding too", object);
}

// A scalar that is narrower than what the helper reads: its declaration names a wider type.
static bool write_wider_type(struct writer *w, const char *object, int64_t size)
{
    static const char *const types[] = {"uint8_t", "uint16_t", "uint32_t", "__u8", "__u16",
                                        "__u32",   "char",     "short",    "int",  "unsigned char"};
    const char *wide = size == 8 ? "unsigned long long" : size == 4 ? "unsigned int" : "unsigned short";
    struct hint_line line;
    for (uint32_t number = w->at.number; number + 40 > w->at.number && number > 0; number--) {
        const char *name = hint_line_find(&w->at, number, &line) ? hint_find_word(line.text, object) : NULL;
        for (size_t i = 0; name != NULL && i < ARRAY_SIZE(types); i++) {
            const char *text = hint_skip_blanks(line.text);
            if (str_starts_with(text, types[i]) && text[str_len(types[i])] == ' ' &&
                hint_skip_blanks(text + str_len(types[i])) == name) {
                hint_edit(w, &line, EDIT_REPLACE, "%s %s", wide, name);
                hint_say(w, "'%s' is smaller than the %lld bytes that are read", object, (long long)size);
                return true;
            }
        }
    }
    return false;
}

// The declaration, or the first line that writes a member: what is zeroed there is not lost.
static void zero_at_start(struct writer *w, const char *object)
{
    struct hint_line line, first = w->at;
    for (uint32_t number = w->at.number; number + 30 > w->at.number && number > 0; number--) {
        const char *name = hint_line_find(&w->at, number, &line) ? hint_find_word(line.text, object) : NULL;
        if (name != NULL && name[str_len(object)] == '.') {
            first = line;
        }
    }
    w->at = first;
    zero_first(w, object, false);
}

static void write_uninitialized_call(struct writer *w)
{
    const struct helper_row *row = hint_helper(w, w->f->pc);
    for (unsigned arg = 0; row != NULL && arg < 5; arg++) {
        const struct value *v = &w->s->regs[arg + 1];
        int64_t size = read_size(w, row, arg);
        char text[HINT_EXPR_SIZE];
        if (v->kind != VALUE_STACK || size <= 0 || is_init(w, v, size) ||
            !hint_argument(&w->at, row->name, arg, text, sizeof(text), NULL)) {
            continue;
        }
        const char *object = text[0] == '&' ? text + 1 : text;
        bool partly = is_init(w, v, 1);
        if (!is_name(object) || (arg < 4 && is_size(row->args[arg + 1]) && write_size(w, arg))) {
            return;
        }
        if (partly && (size == 2 || size == 4 || size == 8) && write_wider_type(w, object, size)) {
            return;
        }
        if (partly && text[0] == '&') {
            zero_at_start(w, object);
        } else {
            zero_first(w, object, text[0] != '&');
        }
        return;
    }
}

static void write_memory_bounds(struct writer *w)
{
    if (hint_is_call(w)) {
        int arg = sized_argument(w);
        if (arg < 0) {
            write_uninitialized_call(w); // a key or value that is too small
            return;
        }
        bool varies = !scalar_is_const(&w->s->regs[arg + 2].num);
        if (varies || !write_size(w, (unsigned)arg)) {
            write_size_check(w, (unsigned)arg);
        }
        return;
    }
    const struct value *v = base_of(w);
    if (v == NULL) {
        return;
    }
    bool varies = !scalar_is_const(&v->num);
    if (varies || v->kind != VALUE_MEM) {
        (void)write_index(w, v);
    } else {
        write_record_size(w, v);
    }
}

static void write_uninitialized_stack(struct writer *w)
{
    char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE];
    if (hint_is_call(w)) {
        write_uninitialized_call(w);
    } else if (hint_pointer(&w->at, is_store(w), pointer, index, sizeof(pointer)) && is_name(pointer)) {
        zero_first(w, pointer, index[0] != '\0');
    }
}

// --- dispatch ------------------------------------------------------------------------------------

static void write_by_state(struct writer *w)
{
    switch (w->f->rule) {
    case RULE_PACKET_BOUNDS: write_packet_bounds(w); break;
    case RULE_INNER_MAP:
    case RULE_POSSIBLY_NULL: write_null(w); break;
    case RULE_MAP_VALUE_BOUNDS:
    case RULE_MEMORY_BOUNDS:
    case RULE_STACK_BOUNDS:
    case RULE_HELPER_SIZE: write_memory_bounds(w); break;
    case RULE_UNINITIALIZED_STACK: write_uninitialized_stack(w); break;
    case RULE_POINTER_OFFSET: write_offset(w); break;
    case RULE_UNRELEASED_REFERENCE: hint_unreleased(w); break;
    case RULE_EXIT_VALUE: hint_exit_value(w); break;
    case RULE_ATOMIC_MEMORY: (void)write_certain_null(w); break;
    case RULE_UNINITIALIZED_REGISTER:
    case RULE_NOT_A_POINTER:
        if (!write_certain_null(w)) {
            hint_used_after_release(w);
        }
        break;
    default: break;
    }
}

static void write_by_line(struct writer *w)
{
    switch (w->f->rule) {
    case RULE_UNBOUNDED_LOOP: hint_loop(w); break;
    case RULE_INVALID_RELEASE:
        hint_remove_line(w, "what is released here is not held any more: remove the line");
        break;
    case RULE_CONTEXT_READ_ONLY:
    case RULE_CONTEXT_STORE_POINTER:
    case RULE_MAP_READ_ONLY:
    case RULE_MEMORY_READ_ONLY:
    case RULE_PACKET_READ_ONLY:
    case RULE_SPECIAL_FIELD:
        hint_remove_line(w, "this cannot be written: work on a copy, or leave it out");
        break;
    case RULE_LOCK: hint_lock(w); break;
    default: break;
    }
}

void hint_write(const struct domain_env *env, const struct domain_state *s, struct finding *f)
{
    struct writer w = {.env = env, .s = s, .f = f};
    if (f->pc >= env->program->insn_count || !hint_line_at(env->program, f->pc, &w.at)) {
        return;
    }
    if (s != NULL) {
        write_by_state(&w);
    }
    if (f->edit_count == 0) {
        write_by_line(&w);
    }
}
