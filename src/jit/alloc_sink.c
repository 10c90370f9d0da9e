// SPDX-License-Identifier: MIT
// alloc_sink: makes numbers, map and frame addresses anew near their uses, where that is not more often than
// they were made before, in functions that call and over long distances: they need not live over all that is
// between. Long numbers go the other way, out of the loops that make them again and again.
#include "jit/alloc.h"

#define FAR     16 // blocks
#define CLIMB   8  // dominators that are asked whether they are out of loops
#define OF_LOOP 0x80000000u

// Of a value that may be made anew; ir_value.slot is the number of its record meanwhile.
struct places {
    uint32_t near;  // what takes its place here
    uint32_t epoch; // when `near` was made, or OF_LOOP | loop before which it was
    uint32_t twin;  // what takes its place where it is moved from anyway, and so needs no register
};

struct sink {
    struct jit *j;
    struct ir *ir;
    struct places *places;
    uint32_t place_count;
    uint32_t count; // values with numbers from here on are new
    uint32_t now;   // counts blocks and calls
    struct alloc_survey *survey;
    uint32_t block, before; // before: the value behind which a new one goes
    bool calls;
};

#define CALLS    (OP_BIT(IR_CALL) | OP_BIT(IR_CALL_LOCAL))
#define SINKABLE (ALLOC_REMADE_OPS | OP_BIT(IR_LEA)) // such a LEA: is_frame_address

static inline bool is_in(uint64_t set, const struct ir_value *v)
{
    return (set >> v->op & 1) != 0;
}

static inline void look_at(struct alloc_survey *survey, const struct ir_value *v)
{
    survey->values++;
    survey->operands += ir_operand_count(v);
    survey->calls += is_in(CALLS, v);
    survey->ops |= OP_BIT(v->op);
}

// Up to the first call: with one, there is more to see when all is known.
ALLOC_RARE static void look(const struct ir *ir, struct alloc_survey *survey)
{
    struct alloc_survey seen = {0};
    for (uint32_t i = 0; i < ir->order_count && seen.calls == 0; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
            look_at(&seen, ir_at(ir, v));
        }
    }
    *survey = seen;
}

// A place in the frame: one operation without operands that live.
static bool is_frame_address(const struct ir *ir, const struct ir_value *v)
{
    return v->op == IR_LEA && v->b == IR_NONE && v->a != IR_NONE && ir_at(ir, v->a)->op == IR_FRAME;
}

// It would be made more often than it is now. For an argument that is as good as a move.
static bool is_dearer(const struct ir *ir, uint32_t block, const struct ir_value *user,
                      const struct ir_value *v)
{
    const struct ir_block *a = ir_block_at(ir, block), *b = ir_block_at(ir, v->block);
    return !is_in(CALLS, user) && (a->cold != b->cold ? b->cold : a->depth > b->depth);
}

static bool is_far(const struct ir *ir, uint32_t from, uint32_t to)
{
    return ir_block_at(ir, to)->order > ir_block_at(ir, from)->order + FAR;
}

static uint32_t copy_of(const struct sink *s, uint32_t value, uint32_t block, uint32_t after, uint32_t pc)
{
    const struct ir_value *v = ir_at(s->ir, value);
    uint32_t copy = ir_new_like(s->j, v);
    if (copy != IR_NONE) {
        ir_at(s->ir, copy)->pc = pc;
        ir_at(s->ir, copy)->uses = 0;
        ir_at(s->ir, copy)->slot = 0;
        ir_at(s->ir, v->a)->uses++; // of a frame address; other values have none
        ir_insert_after(s->ir, block, after, copy);
        look_at(s->survey, ir_at(s->ir, copy));
    }
    return copy;
}

static ebpf_result_t use_instead(const struct sink *s, uint32_t *operand, uint32_t value)
{
    if (value == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    struct ir_value *old = ir_at(s->ir, *operand);
    if (--old->uses == 0) {
        ir_block_at(s->ir, old->block)->mark = 1;
    }
    *operand = value;
    ir_at(s->ir, value)->uses++;
    return EBPF_SUCCESS;
}

// The use takes what is made in its own block, behind the last call.
static ebpf_result_t sink_to_block(struct sink *s, const struct ir_value *user, uint32_t *operand)
{
    uint32_t value = *operand;
    if (s->places[ir_at(s->ir, value)->slot].epoch != s->now) {
        s->places[ir_at(s->ir, value)->slot].near = copy_of(s, value, s->block, s->before, user->pc);
        s->places[ir_at(s->ir, value)->slot].epoch = s->now;
        s->before = s->places[ir_at(s->ir, value)->slot].near != IR_NONE
                        ? s->places[ir_at(s->ir, value)->slot].near
                        : s->before;
    }
    return use_instead(s, operand, s->places[ir_at(s->ir, value)->slot].near);
}

// The outermost loop that has the use and not the definition.
static uint32_t loop_between(const struct ir *ir, uint32_t block, const struct ir_value *v)
{
    uint32_t loop = ir_block_at(ir, block)->loop, found = IR_NONE;
    while (loop != IR_NONE &&
           ir_block_at(ir, ir->loops[loop].head)->depth > ir_block_at(ir, v->block)->depth) {
        found = loop;
        loop = ir->loops[loop].parent;
    }
    return found;
}

// The nearest block before the loop that is in fewer loops than its head; IR_NONE: there is none near.
static uint32_t block_before(const struct ir *ir, uint32_t loop)
{
    uint32_t head = ir->loops[loop].head, block = head;
    for (uint32_t i = 0; i < CLIMB && block != IR_NONE; i++) {
        block = ir_block_at(ir, block)->idom;
        if (block != IR_NONE && ir_block_at(ir, block)->depth < ir_block_at(ir, head)->depth) {
            return block;
        }
    }
    return IR_NONE;
}

static ebpf_result_t sink_to_loop(struct sink *s, uint32_t *operand, uint32_t loop, uint32_t block)
{
    uint32_t value = *operand;
    if (s->places[ir_at(s->ir, value)->slot].epoch != (OF_LOOP | loop)) {
        s->places[ir_at(s->ir, value)->slot].near =
            copy_of(s, value, block, IR_NONE, ir_block_at(s->ir, block)->pc);
        s->places[ir_at(s->ir, value)->slot].epoch = OF_LOOP | loop;
    }
    return use_instead(s, operand, s->places[ir_at(s->ir, value)->slot].near);
}

// The use takes what is made before its loop, when that is far from the definition.
static ebpf_result_t sink_far(struct sink *s, uint32_t *operand)
{
    const struct ir_value *v = ir_at(s->ir, *operand);
    uint32_t loop = loop_between(s->ir, s->block, v);
    uint32_t block = loop != IR_NONE ? block_before(s->ir, loop) : IR_NONE;
    bool far = block != IR_NONE && is_far(s->ir, v->block, block);
    return far ? sink_to_loop(s, operand, loop, block) : EBPF_SUCCESS;
}

// A number that takes a long instruction, made again and again in a loop, is made before it.
static bool is_dear_in_loop(const struct sink *s, const struct ir_value *v)
{
    bool dear = v->op == IR_MAP || (v->op == IR_CONST && v->imm != (int64_t)(int32_t)v->imm);
    return dear && !s->calls && ir_block_at(s->ir, v->block)->depth != 0 &&
           ir_block_at(s->ir, s->block)->depth != 0;
}

static ebpf_result_t lift(struct sink *s, uint32_t *operand)
{
    uint32_t loop = ir_block_at(s->ir, s->block)->loop;
    while (s->ir->loops[loop].parent != IR_NONE) {
        loop = s->ir->loops[loop].parent;
    }
    uint32_t block = block_before(s->ir, loop);
    return block != IR_NONE ? sink_to_loop(s, operand, loop, block) : EBPF_SUCCESS;
}

static ebpf_result_t use_twin(struct sink *s, uint32_t *operand)
{
    uint32_t value = *operand;
    if (s->places[ir_at(s->ir, value)->slot].twin == IR_NONE) {
        const struct ir_value *v = ir_at(s->ir, value);
        s->places[ir_at(s->ir, value)->slot].twin = copy_of(s, value, v->block, value, v->pc);
    }
    return use_instead(s, operand, s->places[ir_at(s->ir, value)->slot].twin);
}

static inline ebpf_result_t sink_operand(struct sink *s, struct ir_value *user, uint32_t *operand, uint32_t i)
{
    const struct ir_value *v = ir_at(s->ir, *operand);
    bool frame = v->op == IR_LEA;
    if (*operand >= s->count || (frame && !is_frame_address(s->ir, v))) {
        return EBPF_SUCCESS;
    }
    bool moved = alloc_is_moved(user->op, v->op, i);
    if (moved && !frame) {
        return is_far(s->ir, v->block, s->block) ? use_twin(s, operand) : EBPF_SUCCESS;
    }
    if (!moved && is_dear_in_loop(s, v)) {
        return lift(s, operand);
    }
    if (user->op == IR_PHI || (!s->calls && !is_far(s->ir, v->block, s->block))) {
        return EBPF_SUCCESS;
    }
    return is_dearer(s->ir, s->block, user, v) ? sink_far(s, operand) : sink_to_block(s, user, operand);
}

// A call, or a value that is there by itself from here on.
ALLOC_RARE static void note_value(struct sink *s, uint32_t value, struct ir_value *v)
{
    if (is_in(CALLS, v)) {
        s->survey->calls++;
        s->now++;
    } else if (v->op != IR_LEA || is_frame_address(s->ir, v)) {
        s->places[s->place_count] = (struct places){.near = value, .epoch = s->now};
        v->slot = s->place_count++;
    }
}

ALLOC_RARE static ebpf_result_t sink_operands(struct sink *s, struct ir_value *v, uint32_t count)
{
    uint32_t *operands = ir_operands(s->ir, v);
    for (uint32_t i = 0; i < count; i++) {
        if (is_in(SINKABLE, ir_at(s->ir, operands[i]))) {
            TRY(sink_operand(s, v, &operands[i], i));
        }
    }
    return EBPF_SUCCESS;
}

// *ops: the operations of the operands, and perhaps of IR_NONE; returns how many operands there are. Without
// a loop, which nobody can tell the end of.
static inline uint32_t operands_of(const struct ir *ir, const struct ir_value *v, uint64_t *ops)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    const struct ir_value *top = ir->top;
    uint64_t set = 0;
    if (info->listed) {
        const uint32_t *operand = ir_pool(ir, v);
        for (const uint32_t *end = operand + v->b; operand != end; operand++) {
            set |= OP_BIT((top - *operand)->op);
        }
        *ops = set;
        return v->b;
    }
    uint32_t count = info->count;
    set = OP_BIT((top - alloc_if(count > 0, v->a))->op) | OP_BIT((top - alloc_if(count > 1, v->b))->op);
    if (count > 2) {
        set |= OP_BIT((top - v->c)->op) | OP_BIT((top - alloc_if(count > 3, v->d))->op);
    }
    *ops = set;
    return count;
}

// Copies are made where the walk was already.
static ebpf_result_t sink_block(struct sink *s, uint32_t block)
{
    struct ir_block *b = ir_block_at(s->ir, block);
    uint32_t values = 0, operands = 0;
    uint64_t ops_of_all = 0, ops;
    s->block = block;
    s->before = IR_NONE;
    s->now++;
    b->mark = 0;
    for (uint32_t n = b->first, next; n != IR_NONE; n = next) {
        struct ir_value *v = ir_at(s->ir, n);
        uint64_t bit = OP_BIT(v->op);
        uint32_t count = operands_of(s->ir, v, &ops);
        ir_prefetch(v);
        next = v->next;
        values++;
        operands += count;
        ops_of_all |= bit;
        if ((ops & SINKABLE) != 0) {
            TRY(sink_operands(s, v, count));
        }
        s->before = n;
        if ((bit & (CALLS | SINKABLE)) != 0) {
            note_value(s, n, v);
        }
    }
    s->survey->values += values;
    s->survey->operands += operands;
    s->survey->ops |= ops_of_all;
    return EBPF_SUCCESS;
}

// Those that nobody uses any more go.
static void unlink_unused(const struct sink *s, struct ir_block *b)
{
    uint32_t *link = &b->first;
    while (*link != IR_NONE) {
        struct ir_value *v = ir_at(s->ir, *link);
        bool unused = (v->uses == 0) & is_in(SINKABLE, v); // often either, seldom both
        if (unused && (v->op != IR_LEA || is_frame_address(s->ir, v))) {
            *link = v->next;
            s->survey->values--;
            s->survey->operands -= ir_operand_count(v);
        } else {
            link = &v->next;
        }
    }
}

static ebpf_result_t sink_all(struct sink *s)
{
    struct ir *ir = s->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        TRY(sink_block(s, ir->order[i]));
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        if (ir_block_at(ir, ir->order[i])->mark != 0) {
            unlink_unused(s, ir_block_at(ir, ir->order[i]));
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t alloc_sink(struct jit *j, struct alloc_survey *survey)
{
    look(&j->ir, survey);
    struct sink s = {
        .j = j, .ir = &j->ir, .count = j->ir.value_count, .survey = survey, .calls = survey->calls != 0};
    if (!s.calls && s.ir->order_count <= FAR && s.ir->loop_count <= 1) {
        return EBPF_SUCCESS;
    }
    size_t mark = j->memory.used;
    *survey = (struct alloc_survey){0};
    s.places = jit_room(j, s.count, sizeof *s.places);
    if (s.places == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(sink_all(&s));
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}
