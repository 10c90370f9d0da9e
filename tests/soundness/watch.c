// SPDX-License-Identifier: MIT
// watch: containment of the machine in the verifier's states, and the addresses of all accesses.
#include "tests/soundness/watch.h"

#include <stdlib.h>

#include "tests/soundness/contain.h"
#include "tests/soundness/reads.h"

static bool fail(struct watch *w, uint32_t pc, const char *what, uint64_t number)
{
    str_format(w->fault, sizeof(w->fault), "at %u: %s (0x%llx)", pc, what, (unsigned long long)number);
    w->give_up(w);
    return false;
}

static uint16_t bit(unsigned reg)
{
    return (uint16_t)(1u << reg);
}

// --- the verifier's side -------------------------------------------------------------------------

void watch_verifier(void *user, uint32_t pc, const void *state)
{
    struct watch *w = user;
    const struct packed *p = packed_make(&w->scratch, state, NULL);
    if (w->snapshot_count == WATCH_SNAPSHOTS || pc >= WATCH_INSNS) {
        w->too_many = true;
        return;
    }
    struct packed *copy = malloc(p->size);
    if (copy == NULL) {
        w->too_many = true;
        return;
    }
    memcpy(copy, p, p->size);
    w->snapshots[w->snapshot_count] = (struct snapshot){copy, w->first[pc]};
    w->first[pc] = ++w->snapshot_count;
}

bool watch_begin_program(struct watch *w, const struct evidence *evidence)
{
    uint32_t head[4], mark[2];
    w->marks = malloc(w->program->insn_count * sizeof(*w->marks));
    if (w->marks == NULL) {
        return false;
    }
    for (uint32_t pc = 0; pc < w->program->insn_count; pc++) {
        w->marks[pc] = -1;
    }
    memcpy(head, evidence->bytes, sizeof(head));
    for (uint32_t i = 0; i < head[3]; i++) {
        memcpy(mark, evidence->bytes + sizeof(head) + i * sizeof(mark), sizeof(mark));
        w->marks[mark[0]] = (int32_t)mark[1];
    }
    return true;
}

void watch_end_program(struct watch *w)
{
    while (w->snapshot_count > 0) {
        free(w->snapshots[--w->snapshot_count].state);
    }
    memset(w->first, 0, sizeof(w->first));
    free(w->marks);
    w->marks = NULL;
    w->too_many = false;
}

void watch_begin_run(struct watch *w, struct run_data *packet, uint64_t context)
{
    w->packet = packet;
    w->context = context;
    w->top = 0;
    w->depth = w->steps = w->value_count = 0;
    w->last = UINT32_MAX;
    w->pending = -1;
    w->regs_init = (uint16_t)(bit(1) | bit(10) | (context == 0 ? bit(2) : 0));
    memset(w->init, 0, sizeof(w->init));
}

// --- memory --------------------------------------------------------------------------------------

static uint64_t frame_top(const struct watch *w, uint32_t frame)
{
    return w->top + (uint64_t)frame * INSN_STACK_SIZE;
}

static bool is_inside(uint64_t at, uint64_t size, const uint8_t *from, const uint8_t *to)
{
    uint64_t low = (uintptr_t)from, high = (uintptr_t)to;
    return at >= low && at <= high && size <= high - at;
}

static bool touch_stack(struct watch *w, uint32_t pc, uint32_t frame, uint64_t at, uint64_t size,
                        unsigned mode)
{
    bool *init = w->init[frame] + (at - (frame_top(w, frame) - INSN_STACK_SIZE));
    for (uint64_t i = 0; i < size; i++) {
        if ((mode & 1) != 0 && !init[i]) {
            return fail(w, pc, "reads stack that was not written", at + i);
        }
        init[i] = init[i] || (mode & 2) != 0;
    }
    return true;
}

static bool touch_value(struct watch *w, uint32_t pc, uint64_t at, uint64_t size, unsigned mode, bool *found)
{
    for (uint32_t i = 0; i < w->value_count; i++) {
        const struct map_def *def = &w->program->maps[w->values[i].map];
        uint64_t base = w->values[i].address;
        if (at >= base && at - base <= def->value_size && size <= def->value_size - (at - base)) {
            *found = true;
            return (mode & 2) == 0 || (def->flags & MAP_FLAG_RDONLY_PROG) == 0 ||
                   fail(w, pc, "writes to a read-only map", at);
        }
    }
    return true;
}

// mode: 1 read, 2 write.
static bool touch(struct watch *w, uint32_t pc, uint64_t at, uint64_t size, unsigned mode)
{
    bool found = false;
    if (is_inside(at, size, w->packet->data, w->packet->data_end) ||
        is_inside(at, size, w->packet->data_meta, w->packet->data)) {
        return true;
    }
    for (uint32_t f = 0; f <= w->depth; f++) {
        uint64_t bottom = frame_top(w, f) - INSN_STACK_SIZE;
        if (at >= bottom && at - bottom <= INSN_STACK_SIZE && size <= INSN_STACK_SIZE - (at - bottom)) {
            return touch_stack(w, pc, f, at, size, mode);
        }
    }
    bool good = touch_value(w, pc, at, size, mode, &found);
    return found ? good : fail(w, pc, "touches memory that is not the program's", at);
}

// An access that the evidence says is one of the context: through the unmoved pointer, to that field.
static bool touch_context(struct watch *w, uint32_t pc, const struct insn *in, uint64_t base, bool store)
{
    const struct spec_view *spec = spec_builtin();
    uint32_t layout = program_layout(spec, w->program);
    int64_t off = (int64_t)(base - w->context) + in->off;
    if (off < 0 || off > INT32_MAX ||
        spec_field_find(spec, layout, (int32_t)off, insn_info(in->id)->width / 8u, store) != w->marks[pc]) {
        return fail(w, pc, "touches the context beside its field", (uint64_t)off);
    }
    return true;
}

static bool touch_operand(struct watch *w, uint32_t pc, const uint64_t *r)
{
    const struct insn *in = &w->program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    bool load = info->form == FORM_LOAD;
    uint64_t base = r[load ? in->src : in->dst], at = base + (uint64_t)(int64_t)in->off;
    if (w->marks[pc] >= 0) {
        return touch_context(w, pc, in, base, !load);
    }
    if (info->form == FORM_ATOMIC && at % (info->width / 8u) != 0) {
        return fail(w, pc, "an atomic operation that is not aligned", at);
    }
    return touch(w, pc, at, info->width / 8u, load ? 1 : info->form == FORM_ATOMIC ? 3 : 2);
}

// --- helpers -------------------------------------------------------------------------------------

static int map_of(const struct watch *w, uint64_t address)
{
    for (uint32_t i = 0; i < w->program->map_count; i++) {
        if ((uintptr_t)w->maps[i] == address) {
            return (int)i;
        }
    }
    return -1;
}

// What the helper writes of memory argument `arg` at least.
static uint64_t written(const struct helper_row *row, unsigned arg, const uint64_t *r)
{
    uint64_t size = r[arg + 2];
    for (unsigned i = 0; i < 4 && row->args[arg] == ARG_MEM_COPY; i++) {
        if (row->args[i] == ARG_MEM_READ && r[i + 2] < size) {
            size = r[i + 2];
        }
    }
    return size;
}

static bool touch_argument(struct watch *w, uint32_t pc, const struct helper_row *row, unsigned arg,
                           const uint64_t *r)
{
    uint64_t value = r[arg + 1], size = arg < 4 ? r[arg + 2] : 0;
    int map = map_of(w, r[1]);
    switch (row->args[arg]) {
    case ARG_CTX: return value == w->context || fail(w, pc, "gives a helper another context", value);
    case ARG_MAP:
        return map_of(w, value) >= 0 || fail(w, pc, "gives a helper something else than a map", value);
    case ARG_MAP_KEY: return touch(w, pc, value, w->program->maps[map].key_size, 1);
    case ARG_MAP_VALUE: return touch(w, pc, value, w->program->maps[map].value_size, 1);
    case ARG_MEM_READ:
    case ARG_MEM_READ_OR_NULL: return size == 0 || touch(w, pc, value, size, 1);
    case ARG_MEM_READ_WRITE: return touch(w, pc, value, size, 3);
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY: return touch(w, pc, value, size, 0) && touch(w, pc, value, written(row, arg, r), 2);
    default: return true;
    }
}

static bool touch_call(struct watch *w, uint32_t pc, const uint64_t *r)
{
    const struct insn *in = &w->program->insns[pc];
    uint32_t id = in->id == INSN_CALL
                      ? (uint32_t)in->imm
                      : spec_helper_by_number(spec_builtin(), (enum dialect)w->program->dialect,
                                              w->program->type, (uint32_t)r[in->dst]);
    if (id == HELPER_NONE || id >= HELPER_COUNT) {
        return fail(w, pc, "calls a helper that does not exist", id);
    }
    const struct helper_row *row = &spec_builtin()->helpers[id];
    // What is read comes first: a helper reads before it writes.
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned arg = 0; arg < 5; arg++) {
            bool writes = row->args[arg] == ARG_MEM_WRITE || row->args[arg] == ARG_MEM_COPY;
            if (writes == (pass == 1) && !touch_argument(w, pc, row, arg, r)) {
                return false;
            }
        }
    }
    w->pending = row->ret == RET_MAP_VALUE_OR_NULL ? map_of(w, r[1]) : -1;
    return true;
}

static void add_value(struct watch *w, uint32_t map, uint64_t address)
{
    for (uint32_t i = 0; i < w->value_count; i++) {
        if (w->values[i].address == address) {
            return;
        }
    }
    if (w->value_count < WATCH_VALUES) {
        w->values[w->value_count++] = (struct watch_value){address, map};
    }
}

// --- containment ---------------------------------------------------------------------------------

// Values of maps, and the maps themselves: whatever else a pointer points into has one known base.
static bool base_of(void *user, const struct value *v, uint64_t number, uint32_t index, uint64_t *base)
{
    const struct watch *w = user;
    UNUSED(number);
    if (v->kind == VALUE_MAP_PTR) {
        *base = (uintptr_t)w->maps[v->map];
        return index == 0;
    }
    for (uint32_t i = 0; i < w->value_count && v->kind == VALUE_MAP_VALUE; i++) {
        if (w->values[i].map == v->map && index-- == 0) {
            *base = w->values[i].address;
            return true;
        }
    }
    return false;
}

static void look(struct watch *w, const uint64_t *r, struct contain_view *view)
{
    const struct run_data *p = w->packet;
    *view = (struct contain_view){.program = w->program,
                                  .regs = r,
                                  .regs_init = w->regs_init,
                                  .depth = w->depth,
                                  .context = w->context,
                                  .data = (uintptr_t)p->data,
                                  .data_end = (uintptr_t)p->data_end,
                                  .data_meta = (uintptr_t)p->data_meta,
                                  .held = UINT32_MAX,
                                  .base = base_of,
                                  .user = w};
    for (uint32_t f = 0; f <= w->depth; f++) {
        uint64_t top = frame_top(w, f);
        view->frames[f] = (struct contain_frame){.saved = w->saved[f],
                                                 .bytes = (const uint8_t *)(uintptr_t)top - INSN_STACK_SIZE,
                                                 .init = w->init[f],
                                                 .top = top};
    }
}

static bool was_foreseen(struct watch *w, uint32_t pc, const uint64_t *r)
{
    struct contain_view view;
    char why[CONTAIN_WHY] = "the verifier has no state there";
    look(w, r, &view);
    for (uint32_t i = w->first[pc]; i != 0; i = w->snapshots[i - 1].next) {
        packed_unpack(w->snapshots[i - 1].state, &w->state);
        if (contain_state(&view, &w->state, why)) {
            return true;
        }
    }
    str_format(w->fault, sizeof(w->fault), "at %u: no abstract state contains the machine: %s", pc, why);
    w->give_up(w);
    return false;
}

// --- registers that were written -----------------------------------------------------------------

static uint16_t helper_reads(const struct insn *in)
{
    uint16_t regs = 0;
    const struct helper_row *row = &spec_builtin()->helpers[in->imm];
    for (unsigned arg = 0; arg < 5; arg++) {
        if (row->args[arg] != ARG_NONE && row->args[arg] != ARG_SCALAR_OR_NONE) {
            regs |= bit(arg + 1);
        }
    }
    return regs;
}

static uint16_t regs_read(const struct insn *in)
{
    return in->id == INSN_CALL ? helper_reads(in) : insn_reads(in);
}

#define SCRATCH ((uint16_t)0x3e)  // r1-r5
#define KEPT    ((uint16_t)0x3c0) // r6-r9

// What the instruction does to the set of written registers.
static void follow_registers(struct watch *w, const struct insn *in)
{
    uint16_t was = w->regs_init;
    switch (insn_info(in->id)->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_LOAD:
    case FORM_LDDW: w->regs_init |= bit(in->dst); break;
    case FORM_CALLX: w->regs_init = (uint16_t)((was & ~SCRATCH) | bit(0)); break;
    case FORM_CALL:
        w->saved_init[w->depth] = was;
        w->regs_init = (uint16_t)(in->id == INSN_CALL ? (was & ~SCRATCH) | bit(0) : was & ~(KEPT | bit(0)));
        break;
    case FORM_EXIT:
        if (w->depth > 0) {
            w->regs_init = (uint16_t)((was & bit(0)) | bit(10) | (w->saved_init[w->depth - 1] & KEPT));
        }
        break;
    default: break;
    }
}

static bool touch_registers(struct watch *w, uint32_t pc)
{
    const struct insn *in = &w->program->insns[pc];
    bool last = in->id == INSN_EXIT && w->depth == 0;
    uint16_t missing = (uint16_t)((last ? bit(0) : regs_read(in)) & ~w->regs_init);
    if (missing != 0) {
        return fail(w, pc, "reads registers that were not written", missing);
    }
    follow_registers(w, in);
    return true;
}

// --- following the run ---------------------------------------------------------------------------

// Calls leave nothing in r1-r5, whatever the interpreter does with them.
static void spoil(const struct watch *w, uint64_t *r)
{
    unsigned form = w->last == UINT32_MAX ? FORM_NONE : insn_info(w->program->insns[w->last].id)->form;
    bool local = form == FORM_CALL && w->program->insns[w->last].id == INSN_CALL_LOCAL;
    if ((form == FORM_CALL && !local) || form == FORM_CALLX || form == FORM_EXIT) {
        for (unsigned i = 1; i <= 5; i++) {
            r[i] = 0xbad0bad0bad0bad0u + i;
        }
    }
}

// What the instruction before has done to the frames and to the set of values.
static void follow(struct watch *w, uint32_t pc, const uint64_t *r)
{
    if (w->last == UINT32_MAX) {
        w->top = r[10];
    } else if (w->program->insns[w->last].id == INSN_CALL_LOCAL) {
        w->depth++;
        memset(w->init[w->depth], 0, sizeof(w->init[0]));
    } else if (w->program->insns[w->last].id == INSN_EXIT) {
        w->depth--;
    }
    if (w->pending >= 0 && r[0] != 0) {
        add_value(w, (uint32_t)w->pending, r[0]);
    }
    w->pending = -1;
    w->last = pc;
}

static void prepare(struct watch *w, uint32_t pc, const uint64_t *r)
{
    const struct insn *in = &w->program->insns[pc];
    uint32_t map = (uint32_t)in->imm;
    if (in->id == INSN_CALL_LOCAL) {
        memcpy(w->saved[w->depth], &r[6], sizeof(w->saved[0]));
    } else if (in->id == INSN_LDDW_MAP_VALUE) {
        add_value(w, map, (uintptr_t)w->maps[map]->ops->value_address(w->maps[map], 0));
    }
}

void watch_machine(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT])
{
    struct watch *w = user;
    spoil(w, (uint64_t *)regs); // the interpreter's own, which are not constant
    follow(w, pc, regs);
    if (++w->steps > WATCH_STEPS) {
        w->leave(w); // a bounded loop may be long
        return;
    }
    prepare(w, pc, regs);
    if (regs[10] != frame_top(w, w->depth)) {
        fail(w, pc, "r10 is not the top of the frame", regs[10]);
        return;
    }
    if (!was_foreseen(w, pc, regs) || !touch_registers(w, pc)) {
        return;
    }
    switch (insn_info(w->program->insns[pc].id)->form) {
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: touch_operand(w, pc, regs); break;
    case FORM_CALL:
        if (w->program->insns[pc].id == INSN_CALL) {
            touch_call(w, pc, regs);
        }
        break;
    case FORM_CALLX: touch_call(w, pc, regs); break;
    default: break;
    }
}
