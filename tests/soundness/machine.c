// SPDX-License-Identifier: MIT
// machine: memory, instructions and local calls; helpers are in machine_helper.c.
#include "tests/soundness/machine.h"

#include <stdlib.h>

#include "tests/concrete.h"
#include "tests/soundness/reads.h"

enum { FILLED = 2048 };             // bytes of a block that are random at first
#define ARGUMENTS ((uint16_t)0x3e)  // r1-r5
#define KEPT      ((uint16_t)0x3c0) // r6-r9

static uint16_t bit(unsigned reg)
{
    return (uint16_t)(1u << reg);
}

uint64_t machine_random(struct machine *m)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return m->seed * 0x2545f4914f6cdd1du;
}

uint32_t machine_pick(struct machine *m, uint32_t below)
{
    return (uint32_t)(machine_random(m) >> 33) % below;
}

uint64_t machine_number(struct machine *m)
{
    uint64_t edge = (uint64_t)1 << machine_pick(m, 64);
    switch (machine_pick(m, 6)) {
    case 0: return machine_pick(m, 16);
    case 1: return edge - machine_pick(m, 2);
    case 2: return 0 - edge + machine_pick(m, 2);
    case 3: return machine_random(m) >> machine_pick(m, 64);
    case 4: return 0;
    default: return machine_random(m);
    }
}

bool machine_fail(struct machine *m, const char *what, uint64_t number)
{
    if (m->fault[0] == '\0') {
        str_format(m->fault, sizeof(m->fault), "at %u: %s (0x%llx)", m->pc, what, (unsigned long long)number);
    }
    return false;
}

// --- memory --------------------------------------------------------------------------------------

struct block *machine_block(struct machine *m, uint64_t address)
{
    uint64_t index = (address + MACHINE_STRIDE / 2 - MACHINE_FIRST) / MACHINE_STRIDE;
    return address + MACHINE_STRIDE / 2 >= MACHINE_FIRST && index < m->block_count ? &m->blocks[index] : NULL;
}

struct block *machine_add(struct machine *m, enum block_kind kind, uint32_t size)
{
    if (m->block_count == MACHINE_BLOCKS) {
        m->unknown = m->ended = true;
        return &m->blocks[MACHINE_BLOCKS - 1];
    }
    struct block *b = &m->blocks[m->block_count];
    *b = (struct block){
        .base = MACHINE_FIRST + m->block_count * MACHINE_STRIDE, .size = size, .kind = (uint8_t)kind};
    m->block_count++;
    b->bytes = kind == BLOCK_MAP      ? NULL
               : kind == BLOCK_PACKET ? m->packet_bytes
                                      : calloc(1, size + (size_t)1);
    for (uint32_t i = 0; b->bytes != NULL && i < size && i < FILLED; i++) {
        b->bytes[i] = (uint8_t)(machine_pick(m, 3) == 0   ? 0
                                : machine_pick(m, 3) == 0 ? machine_pick(m, 16)
                                                          : machine_random(m) >> 20);
    }
    return b;
}

uint64_t machine_data(const struct machine *m)
{
    return m->blocks[m->packet].base + m->meta_size;
}

static struct machine_frame *frame_at(struct machine *m, uint64_t address, uint64_t size, uint32_t *at)
{
    for (uint32_t f = 0; f <= m->depth; f++) {
        uint64_t bottom = machine_top(f) - INSN_STACK_SIZE;
        if (address >= bottom && address - bottom <= INSN_STACK_SIZE &&
            size <= INSN_STACK_SIZE - (address - bottom)) {
            *at = (uint32_t)(address - bottom);
            return &m->frames[f];
        }
    }
    return NULL;
}

void machine_drop_slices(struct machine *m, uint64_t owner)
{
    for (uint32_t i = 0; i < m->block_count; i++) {
        m->blocks[i].dead = m->blocks[i].dead || m->blocks[i].owner == owner;
    }
}

static void spoil_specials(struct machine *m, uint64_t address, uint64_t size)
{
    for (uint32_t i = 0; i < m->special_count; i++) {
        struct special *s = &m->specials[i];
        if (address < s->at + s->size && s->at < address + size) {
            if (s->held) {
                machine_fail(m, "overwrites something that has to be released", s->at);
            }
            machine_drop_slices(m, s->at);
            *s = m->specials[--m->special_count];
            i--;
        }
    }
}

static uint8_t *touch_stack(struct machine *m, struct machine_frame *f, uint32_t at, uint64_t address,
                            uint64_t size, unsigned mode)
{
    for (uint64_t i = 0; i < size; i++) {
        if ((mode & 5) == 1 && !f->init[at + i]) {
            machine_fail(m, "reads stack that was not written", address + i);
            return NULL;
        }
        f->init[at + i] = f->init[at + i] || (mode & 2) != 0;
    }
    if ((mode & 2) != 0) {
        spoil_specials(m, address, size);
    }
    return f->bytes + at;
}

// Direct accesses may not touch locks, timers and their like.
static bool is_special_field(const struct machine *m, const struct block *b, uint64_t off, uint64_t size)
{
    const struct map_facts *facts = m->program->map_facts != NULL ? &m->program->map_facts[b->map] : NULL;
    for (uint32_t i = 0; b->kind == BLOCK_VALUE && facts != NULL && i < facts->field_count; i++) {
        const struct map_field *f = &facts->fields[i];
        if (f->kind != MAP_FIELD_KPTR && off < (uint64_t)f->off + f->size && f->off < off + size) {
            return true;
        }
    }
    return false;
}

uint8_t *machine_touch(struct machine *m, uint64_t address, uint64_t size, unsigned mode)
{
    uint32_t at;
    struct machine_frame *f = frame_at(m, address, size, &at);
    if (f != NULL) {
        return touch_stack(m, f, at, address, size, mode);
    }
    struct block *b = machine_block(m, address);
    if (b == NULL || b->kind == BLOCK_NONE || b->kind == BLOCK_MAP || address < b->base ||
        address - b->base > b->size || size > b->size - (address - b->base)) {
        machine_fail(m, "touches memory that is not the program's", address);
        return NULL;
    }
    if (b->dead) {
        machine_fail(m, "touches memory that was given back", address);
        return NULL;
    }
    if (((mode & 2) != 0 && b->read_only) || ((mode & 1) != 0 && b->write_only)) {
        machine_fail(m, "touches memory in a way that is not permitted", address);
        return NULL;
    }
    if (is_special_field(m, b, address - b->base, size)) {
        machine_fail(m, "touches a special field", address);
        return NULL;
    }
    m->epoch += b->kind != BLOCK_PACKET;
    return b->bytes + (address - b->base);
}

uint64_t machine_map(struct machine *m, uint32_t index)
{
    return m->blocks[index].base;
}

struct block *machine_value(struct machine *m, uint32_t map, uint32_t which)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < m->block_count; i++) {
        if (m->blocks[i].kind == BLOCK_VALUE && m->blocks[i].parent == map && found++ == which) {
            return &m->blocks[i];
        }
    }
    const struct map_def *def = &m->program->maps[m->blocks[map].map];
    struct block *b = machine_add(m, BLOCK_VALUE, def->value_size);
    b->map = m->blocks[map].map;
    b->parent = (uint16_t)map;
    b->read_only = (def->flags & MAP_FLAG_RDONLY_PROG) != 0;
    b->write_only = (def->flags & MAP_FLAG_WRONLY_PROG) != 0;
    const struct map_facts *facts = m->program->map_facts != NULL ? &m->program->map_facts[b->map] : NULL;
    if (facts != NULL && facts->contents != NULL && !m->unknown) {
        memcpy(b->bytes, facts->contents, def->value_size);
    }
    return b;
}

struct block *machine_object(struct machine *m, uint32_t layout, bool again)
{
    for (uint32_t i = 0; i < m->block_count && again; i++) {
        if (m->blocks[i].kind == BLOCK_OBJECT && m->blocks[i].map == layout && !m->blocks[i].held) {
            return &m->blocks[i];
        }
    }
    struct block *b = machine_add(m, BLOCK_OBJECT, 1);
    b->map = (uint16_t)layout;
    return b;
}

void machine_move_packet(struct machine *m)
{
    struct block *old = &m->blocks[m->packet];
    old->dead = true;
    for (uint32_t i = 0; i < m->block_count; i++) {
        m->blocks[i].dead = m->blocks[i].dead || m->blocks[i].of_packet;
    }
    old->bytes = NULL;
    m->meta_size = machine_pick(m, 3) == 0 ? 4 * machine_pick(m, 9) : 0;
    m->data_size = machine_pick(m, MACHINE_PACKET - 40);
    struct block *b = machine_add(m, BLOCK_PACKET, m->meta_size + m->data_size);
    m->packet = (uint32_t)(b - m->blocks);
    b->read_only = m->layout != LAYOUT_NONE && m->spec->layouts[m->layout].data_read_only;
    m->epoch++;
}

void machine_disturb(struct machine *m)
{
    for (uint32_t i = 0; i < m->block_count; i++) {
        struct block *b = &m->blocks[i];
        const struct map_facts *facts =
            b->kind == BLOCK_VALUE && m->program->map_facts != NULL ? &m->program->map_facts[b->map] : NULL;
        if (b->kind != BLOCK_VALUE || b->size == 0 || (facts != NULL && facts->contents != NULL)) {
            continue;
        }
        uint64_t number = machine_number(m);
        uint32_t at = machine_pick(m, b->size);
        memcpy(b->bytes + at, &number, b->size - at < 8 ? b->size - at : 8);
        m->epoch++;
    }
}

// --- arithmetic -----------------------------------------------------------------------------------

static uint64_t swap(const struct insn_info *info, uint64_t d)
{
    if (info->sem == SEM_LE) {
        return info->width == 64 ? d : d & (((uint64_t)1 << info->width) - 1);
    }
    return info->width == 16   ? __builtin_bswap16((uint16_t)d)
           : info->width == 32 ? __builtin_bswap32((uint32_t)d)
                               : __builtin_bswap64(d);
}

static uint64_t get(const uint8_t *at, uint32_t size)
{
    uint64_t value = 0;
    memcpy(&value, at, size);
    return value;
}

static void put(uint8_t *at, uint32_t size, uint64_t value)
{
    memcpy(at, &value, size);
}

static void set(struct machine *m, unsigned reg, uint64_t value)
{
    m->regs[reg] = value;
    m->init |= bit(reg);
}

// --- loads and stores -----------------------------------------------------------------------------

static bool is_context(uint64_t address)
{
    return address + MACHINE_STRIDE / 2 >= MACHINE_CTX && address < MACHINE_CTX + MACHINE_STRIDE / 2;
}

static bool is_kernel(uint64_t address)
{
    return address >= MACHINE_KERNEL - MACHINE_STRIDE && address < MACHINE_KERNEL + MACHINE_STRIDE * 4;
}

// What a field of a context or an object holds, when it is a pointer.
static bool load_field(struct machine *m, const struct field_row *f, uint64_t *out)
{
    switch (f->kind) {
    case FIELD_PACKET: *out = machine_data(m); return true;
    case FIELD_PACKET_END: *out = machine_data(m) + m->data_size; return true;
    case FIELD_PACKET_META: *out = m->blocks[m->packet].base; return true;
    case FIELD_OBJECT: *out = machine_object(m, f->detail, true)->base; return true;
    case FIELD_OBJECT_OR_NULL:
        *out = machine_pick(m, 3) == 0 ? 0 : machine_object(m, f->detail, true)->base;
        return true;
    case FIELD_KERNEL: *out = MACHINE_KERNEL + 8 * (uint64_t)machine_pick(m, 4096); return true;
    default: return false;
    }
}

static bool access_context(struct machine *m, uint64_t address, uint32_t size, bool store, uint64_t *value,
                           bool *whole)
{
    int64_t off = (int64_t)(address - MACHINE_CTX);
    int field = off < 0 || off >= MACHINE_CONTEXT - 8 || m->layout == LAYOUT_NONE
                    ? -1
                    : spec_field_find(m->spec, m->layout, (int32_t)off, size, store);
    if (field < 0) {
        return machine_fail(m, "touches the context beside its fields", (uint64_t)off);
    }
    const struct field_row *f = &m->spec->layouts[m->layout].fields[field];
    if (store) {
        put(m->context + off, size, *value);
        return true;
    }
    *whole = load_field(m, f, value);
    if (!*whole) {
        *value = get(m->context + off, size);
    }
    return true;
}

// Field of one of the object's layouts; NULL: it has none there.
static const struct field_row *find_field(const struct machine *m, const struct block *b, int64_t off,
                                          uint32_t size, bool store)
{
    for (unsigned i = 0; i < 4 && off >= 0 && off <= INT16_MAX; i++) {
        uint32_t layout = i == 0 ? b->map : b->casts[i - 1];
        int field = layout != LAYOUT_NONE ? spec_field_find(m->spec, layout, (int32_t)off, size, store) : -1;
        if (field >= 0) {
            return &m->spec->layouts[layout].fields[field];
        }
    }
    return NULL;
}

static bool is_probed(const struct machine *m, const struct block *b)
{
    bool probed = m->spec->layouts[b->map].is_probed;
    for (unsigned i = 0; i < 3; i++) {
        probed = probed || (b->casts[i] != LAYOUT_NONE && m->spec->layouts[b->casts[i]].is_probed);
    }
    return probed;
}

static bool access_object(struct machine *m, struct block *b, uint64_t address, uint32_t size, bool store,
                          uint64_t *value, bool *whole)
{
    static const struct field_row anything = {.kind = FIELD_KERNEL};
    int64_t off = (int64_t)(address - b->base);
    const struct field_row *f = find_field(m, b, off, size, store);
    if (f == NULL && is_probed(m, b) && !store && off >= 0) {
        f = &anything;
    }
    if (b->dead || f == NULL) {
        return machine_fail(
            m, b->dead ? "touches an object that was given back" : "touches an object beside its fields",
            (uint64_t)off);
    }
    m->epoch++;
    *whole = !store && (f->kind != FIELD_KERNEL || size == 8) && load_field(m, f, value);
    if (!store && !*whole) {
        *value = machine_number(m) & (size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1);
    }
    return true;
}

static bool run_load(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint64_t address = m->regs[in->src] + (uint64_t)(int64_t)in->off, value = 0;
    struct block *b = machine_block(m, address);
    bool whole = false; // a pointer: wider than the field
    if (is_context(address)) {
        if (!access_context(m, address, size, false, &value, &whole)) {
            return false;
        }
    } else if (b != NULL && b->kind == BLOCK_OBJECT) {
        if (!access_object(m, b, address, size, false, &value, &whole)) {
            return false;
        }
    } else if (is_kernel(address)) {
        value = machine_number(m);
        m->epoch++;
    } else {
        const uint8_t *at = machine_touch(m, address, size, 1);
        if (at == NULL) {
            return false;
        }
        value = get(at, size);
    }
    unsigned shift = whole ? 0 : 64 - info->width;
    set(m, in->dst,
        info->sem == SEM_LDXS ? (uint64_t)((int64_t)(value << shift) >> shift) : value << shift >> shift);
    return true;
}

static bool run_store(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint64_t address = m->regs[in->dst] + (uint64_t)(int64_t)in->off;
    uint64_t value = info->form == FORM_STORE_IMM ? (uint64_t)in->imm : m->regs[in->src];
    struct block *b = machine_block(m, address);
    bool whole;
    if (is_context(address)) {
        return access_context(m, address, size, true, &value, &whole);
    }
    if (b != NULL && b->kind == BLOCK_OBJECT) {
        return access_object(m, b, address, size, true, &value, &whole);
    }
    uint8_t *at = machine_touch(m, address, size, 2);
    if (at != NULL) {
        put(at, size, value);
    }
    return at != NULL;
}

static uint64_t atomic_result(const struct machine *m, unsigned sem, uint64_t old, uint64_t s, uint64_t mask)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return old + s;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return old | s;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return old & s;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return old ^ s;
    case SEM_ATOMIC_CMPXCHG: return old == (m->regs[0] & mask) ? s : old;
    default: return s;
    }
}

static bool run_atomic(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint64_t address = m->regs[in->dst] + (uint64_t)(int64_t)in->off, s = m->regs[in->src];
    struct block *b = machine_block(m, address);
    bool shared = b != NULL && b->kind != BLOCK_VALUE && b->kind != BLOCK_STACK && b->kind != BLOCK_MEM;
    if (address % size != 0 || shared) {
        return machine_fail(m, "an atomic operation where none is possible", address);
    }
    uint8_t *at = machine_touch(m, address, size, 3);
    if (at == NULL) {
        return false;
    }
    uint64_t old = get(at, size);
    put(at, size, atomic_result(m, info->sem, old, s, size == 8 ? UINT64_MAX : UINT32_MAX));
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        m->regs[0] = old;
    } else if (info->sem >= SEM_ATOMIC_FETCH_ADD && info->sem <= SEM_ATOMIC_XCHG) {
        m->regs[in->src] = old;
    }
    return true;
}

// Legacy packet loads: big endian; beyond the end the program ends with 0.
static bool run_legacy(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint64_t off = (uint32_t)in->imm + (info->form == FORM_LDIND ? (uint32_t)m->regs[in->src] : 0), value = 0;
    m->init = (uint16_t)(m->init & ~ARGUMENTS);
    if ((uint32_t)off > m->data_size || m->data_size - (uint32_t)off < size) {
        m->ended = true;
        return false;
    }
    for (uint32_t i = 0; i < size; i++) {
        value = value << 8 | m->packet_bytes[m->meta_size + (uint32_t)off + i];
    }
    set(m, 0, value);
    return true;
}

static bool run_lddw(struct machine *m, const struct insn *in)
{
    uint32_t map = (uint32_t)in->imm;
    switch (in->id) {
    case INSN_LDDW: set(m, in->dst, (uint64_t)in->imm); break;
    case INSN_LDDW_MAP: set(m, in->dst, machine_map(m, map)); break;
    case INSN_LDDW_MAP_VALUE: {
        struct block *b = machine_value(m, map, 0);
        set(m, in->dst, b->base + ((uint64_t)in->imm >> 32));
        break;
    }
    case INSN_LDDW_CODE: set(m, in->dst, MACHINE_CODE + 16 * (uint64_t)insn_target(in, m->pc)); break;
    case INSN_LDDW_VAR: set(m, in->dst, machine_number(m)); break;
    default: m->unknown = m->ended = true; return false;
    }
    m->pc += 2;
    return true;
}

// --- calls ----------------------------------------------------------------------------------------

void machine_enter(struct machine *m, uint32_t return_pc)
{
    struct machine_frame *f = &m->frames[m->depth];
    memcpy(f->saved, &m->regs[6], sizeof(f->saved));
    f->saved_init = m->init;
    f = &m->frames[++m->depth];
    memset(f->init, 0, sizeof(f->init));
    f->return_pc = return_pc;
    f->callback = 0;
    memcpy(f->entry, &m->regs[1], sizeof(f->entry));
    m->init = (uint16_t)((m->init & ARGUMENTS) | bit(10));
    m->regs[10] = machine_top(m->depth);
    for (unsigned r = 6; r <= 9; r++) {
        m->regs[r] = 0xbad0bad0bad0bad0u + r;
    }
}

void machine_leave(struct machine *m)
{
    uint64_t bottom = machine_top(m->depth) - INSN_STACK_SIZE;
    spoil_specials(m, bottom, INSN_STACK_SIZE);
    m->pc = m->frames[m->depth].return_pc;
    struct machine_frame *f = &m->frames[--m->depth];
    memcpy(&m->regs[6], f->saved, sizeof(f->saved));
    m->init = (uint16_t)((m->init & bit(0)) | bit(10) | (f->saved_init & KEPT));
    m->regs[10] = machine_top(m->depth);
    for (unsigned r = 1; r <= 5; r++) {
        m->regs[r] = 0xbad0bad0bad0bad0u + r;
    }
}

static bool nothing_is_held(struct machine *m)
{
    for (uint32_t i = 0; i < m->block_count; i++) {
        if (m->blocks[i].held && !m->blocks[i].dead) {
            return machine_fail(m, "ends without giving back", m->blocks[i].base);
        }
    }
    for (uint32_t i = 0; i < m->special_count; i++) {
        if (m->specials[i].held) {
            return machine_fail(m, "ends without giving back", m->specials[i].at);
        }
    }
    return (m->lock == 0 && m->rcu == 0 && m->preempt == 0) ||
           machine_fail(m, "ends inside a critical section", 0);
}

static bool run_exit(struct machine *m)
{
    if (m->depth > 0) {
        if (m->frames[m->depth].callback != 0) {
            return machine_callback_exit(m);
        }
        machine_leave(m);
        return true;
    }
    int64_t min, max, result = (int32_t)m->regs[0];
    if (program_exit_range(m->spec, m->program, &min, &max) &&
        ((m->init & bit(0)) == 0 || result < min || result > max)) {
        machine_fail(m, "returns what it may not", m->regs[0]);
    }
    m->ended = true;
    return m->fault[0] == '\0' && nothing_is_held(m) && false;
}

static bool run_call(struct machine *m, const struct insn *in)
{
    const struct program *p = m->program;
    switch (in->id) {
    case INSN_CALL_LOCAL:
        if (m->depth + 1 == INSN_MAX_FRAMES) {
            return machine_fail(m, "calls are nested too deeply", m->depth);
        }
        machine_enter(m, m->pc + 1);
        m->pc = (uint32_t)insn_target(in, m->pc);
        return true;
    case INSN_CALL:
    case INSN_CALL_BTF: return machine_helper(m, (uint32_t)in->imm);
    case INSN_CALLX:
        return machine_helper(
            m, spec_helper_by_number(m->spec, (enum dialect)p->dialect, p->type, (uint32_t)m->regs[in->dst]));
    default: m->unknown = m->ended = true; return false;
    }
}

// --- instructions ---------------------------------------------------------------------------------

// A budget of any size, most of them small: programs may not rely on it.
static void run_may_goto(struct machine *m, const struct insn *in)
{
    bool goes_on = m->turns > 0;
    m->turns -= goes_on;
    m->pc = goes_on ? m->pc + 1 : (uint32_t)insn_target(in, m->pc);
}

static bool run_simple(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t d = m->regs[in->dst];
    uint64_t s =
        info->form == FORM_ALU_REG || info->form == FORM_JMP_REG ? m->regs[in->src] : (uint64_t)in->imm;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG: set(m, in->dst, concrete(info->sem, info->width, d, s)); break;
    case FORM_ALU_UNARY:
        set(m, in->dst, info->sem == SEM_NEG ? concrete(info->sem, info->width, d, 0) : swap(info, d));
        break;
    case FORM_LOAD: return run_load(m, in, info);
    case FORM_STORE_IMM:
    case FORM_STORE_REG: return run_store(m, in, info);
    case FORM_ATOMIC: return run_atomic(m, in, info);
    case FORM_LDABS:
    case FORM_LDIND: return run_legacy(m, in, info);
    default: return machine_fail(m, "an instruction that this machine does not have", in->id);
    }
    return true;
}

bool machine_step(struct machine *m)
{
    if (m->pc >= m->program->insn_count) {
        return machine_fail(m, "runs past the end", m->pc);
    }
    const struct insn *in = &m->program->insns[m->pc];
    const struct insn_info *info = insn_info(in->id);
    uint16_t missing = (uint16_t)(insn_reads(in) & ~m->init);
    m->steps++;
    m->last = m->pc;
    if (missing != 0) {
        return machine_fail(m, "reads registers that were not written", missing);
    }
    switch (info->form) {
    case FORM_JMP_IMM:
    case FORM_JMP_REG: {
        uint64_t s = info->form == FORM_JMP_REG ? m->regs[in->src] : (uint64_t)in->imm;
        m->pc = concrete(info->sem, info->width, m->regs[in->dst], s) != 0 ? (uint32_t)insn_target(in, m->pc)
                                                                           : m->pc + 1;
        return true;
    }
    case FORM_JA16:
    case FORM_JA32: m->pc = (uint32_t)insn_target(in, m->pc); return true;
    case FORM_MAY_GOTO: run_may_goto(m, in); return true;
    case FORM_CALL:
    case FORM_CALLX: return run_call(m, in);
    case FORM_EXIT: return run_exit(m);
    case FORM_LDDW: return run_lddw(m, in);
    default: break;
    }
    if (!run_simple(m, in, info)) {
        return false;
    }
    m->pc++;
    return m->fault[0] == '\0';
}

// --- a run ----------------------------------------------------------------------------------------

static void begin_packet(struct machine *m)
{
    struct block *b = machine_add(m, BLOCK_PACKET, 0);
    m->packet = (uint32_t)(b - m->blocks);
    machine_move_packet(m);
    if (machine_pick(m, 4) == 0) { // rather none than always some
        m->blocks[m->packet].size = m->meta_size + (m->data_size = machine_pick(m, 24));
    }
    for (uint32_t i = 0; i < MACHINE_PACKET; i++) {
        m->packet_bytes[i] =
            (uint8_t)(machine_pick(m, 3) == 0 ? machine_pick(m, 16) : machine_random(m) >> 20);
    }
}

void machine_begin(struct machine *m, const struct spec_view *spec, const struct program *p, uint64_t seed)
{
    memset(m, 0, offsetof(struct machine, frames));
    memset(m->frames[0].init, 0, sizeof(m->frames[0].init));
    m->block_count = m->special_count = m->lock = m->rcu = m->preempt = 0;
    m->ended = m->unknown = false;
    m->fault[0] = '\0';
    m->spec = spec;
    m->program = p;
    m->seed = seed * 0x9e3779b97f4a7c15u + 1;
    m->last = UINT32_MAX;
    m->layout = program_layout(spec, p);
    for (uint32_t i = 0; i < p->map_count; i++) {
        machine_add(m, BLOCK_MAP, 0)->map = (uint16_t)i;
    }
    begin_packet(m);
    for (uint32_t i = 0; i < MACHINE_CONTEXT; i += 8) {
        uint64_t number = machine_pick(m, 2) == 0 ? machine_pick(m, 20) : machine_number(m);
        memcpy(m->context + i, &number, 8);
    }
    m->regs[1] = m->layout == LAYOUT_NONE ? machine_data(m) : MACHINE_CTX;
    m->regs[2] = m->layout == LAYOUT_NONE ? m->data_size : 0xbad0bad0bad0bad2u;
    m->regs[10] = machine_top(0);
    m->init = (uint16_t)(bit(1) | bit(10) | (m->layout == LAYOUT_NONE ? bit(2) : 0));
    m->frames[0].callback = 0;
    m->turns = machine_pick(m, 3) == 0 ? machine_pick(m, 200) : machine_pick(m, 6);
}

void machine_end(struct machine *m)
{
    for (uint32_t i = 0; i < m->block_count; i++) {
        if (m->blocks[i].kind != BLOCK_PACKET) {
            free(m->blocks[i].bytes);
        }
    }
    m->block_count = 0;
}
