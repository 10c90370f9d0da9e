// SPDX-License-Identifier: MIT
// The intermediate form as machine code of arm64 against its interpreter: random operations on random
// operands, pairs that become one instruction, jump tables.
#include "tests/test.h"

#if defined(__aarch64__)
#include "jit/arm64_fixture.h"

static struct jit jit;
static struct jit_options jit_opts;
static uint64_t state;

static uint32_t pick(uint32_t count)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state * 0x9e3779b97f4a7c15u >> 33) % count);
}

static void begin_ir(void)
{
    jit_opts = options();
    m.funcs[0] = (struct func){.start = 0, .end = 1};
    m.input.func_count = m.input.insn_count = 1;
    m.code = (struct jit_code){.code = m.buffer, .capacity = CODE};
    jit = (struct jit){.input = &m.input, .options = &jit_opts, .target = &arm64_target, .out = &m.code};
    REQUIRE_OK(jit_begin(&jit, workspace, sizeof(workspace)));
    REQUIRE_OK(arm64_target.start(&jit));
    jit_begin_function(&jit, 0);
}

static bool finish_ir(void)
{
    return jit_run_passes(&jit, JIT_PASS_DIVIDE, JIT_PASS_COUNT) == EBPF_SUCCESS &&
           arm64_target.finish(&jit) == EBPF_SUCCESS && publish(&m.pages);
}

static uint64_t no_call(void *user, uint32_t op, int64_t imm, const uint64_t *args, uint32_t count)
{
    UNUSED(user), UNUSED(op), UNUSED(imm), UNUSED(args), UNUSED(count);
    return 0;
}

// What the form itself does, on memory that is restored.
static uint64_t interpret(uint64_t r1, uint64_t r2)
{
    static uint8_t saved[4096];
    memcpy(saved, m.memory, sizeof(saved));
    struct ir_machine machine = {.params = {r1, r2, 0, 0, 0, (uint64_t)m.memory, (uint64_t)m.frame + 512},
                                 .call = no_call,
                                 .steps = 100000};
    uint64_t result = 0;
    CHECK_OK(ir_run(&jit, &machine, &result));
    memcpy(m.memory, saved, sizeof(saved));
    return result;
}

static uint64_t run_ir(uint64_t r1, uint64_t r2)
{
    struct call c = {r1, r2, (uint64_t)m.memory, (uint64_t)m.frame + 512, 0, 0};
    arm64_test_call(m.pages.address, &c);
    CHECK_EQ(c.damage, 0);
    return c.result;
}

static void give_number(struct ir_value *v)
{
    bool shift = v->op == IR_SHL || v->op == IR_SHR || v->op == IR_SAR || v->op == IR_ROL;
    v->flags = IR_IMM;
    v->b = IR_NONE;
    v->imm = shift          ? pick(v->width)
             : pick(2) == 0 ? (int64_t)corners[pick(ARRAY_SIZE(corners))]
                            : imms[pick(ARRAY_SIZE(imms))];
}

// Fields that only some operations have.
static void give_details(struct ir_value *v)
{
    v->cond = (uint8_t)pick(IR_COND_COUNT);
    v->cwidth = pick(2) == 0 ? 32 : 64;
    if (v->op == IR_SEXT || v->op == IR_ZEXT) {
        v->imm = 8 << pick(3);
    } else if (v->op == IR_BSWAP) {
        v->imm = 16 << pick(v->width == 64 ? 3 : 2);
    } else if (v->op == IR_BITS) {
        v->disp = (int32_t)pick(v->width);
        v->imm = 1 + pick(v->width - (uint32_t)v->disp);
    } else if (v->op == IR_LEA) {
        v->scale = (uint8_t)pick(4);
        v->disp = pick(2) == 0 ? 0 : imms[pick(ARRAY_SIZE(imms))];
        v->b = pick(3) == 0 ? IR_NONE : v->b;
    } else if ((ir_op_info(v->op)->flags & IR_IMM_B) != 0 && pick(2) == 0) {
        give_number(v);
    }
    if (v->op == IR_MULHU) {
        v->width = 64;
    }
}

static const uint8_t pure_ops[] = {
    IR_ADD,   IR_SUB,  IR_MUL,  IR_AND,    IR_OR,   IR_XOR,   IR_SHL, IR_SHR,    IR_SAR,
    IR_ROL,   IR_UDIV, IR_UMOD, IR_SDIV,   IR_SMOD, IR_MULHU, IR_NEG, IR_SEXT,   IR_ZEXT,
    IR_BSWAP, IR_ANDN, IR_BITS, IR_POPCNT, IR_CLZ,  IR_CTZ,   IR_LEA, IR_SELECT, IR_CONST,
};

// Values that operations can use; the last ones are used most.
static struct {
    uint32_t list[200], count;
} values;

static uint32_t any_value(void)
{
    uint32_t recent = min_u32(values.count, pick(4) == 0 ? values.count : 10);
    return values.list[values.count - 1 - pick(recent)];
}

static uint32_t append(uint32_t block, uint32_t value)
{
    CHECK(value != IR_NONE);
    ir_append(&jit.ir, block, value);
    return value;
}

static uint32_t with_number(uint32_t block, enum ir_op op, uint32_t a, int64_t imm)
{
    uint32_t v = append(block, ir_new(&jit, op, 64, a, IR_NONE, imm));
    ir_at(&jit.ir, v)->flags = IR_IMM;
    return v;
}

// A load or store of base + (index << scale) + disp inside the memory.
static uint32_t add_memory(uint32_t block, uint32_t base)
{
    static const uint8_t ops[] = {IR_LOAD, IR_LOADS, IR_LOADBE, IR_STORE, IR_STOREBE};
    enum ir_op op = (enum ir_op)ops[pick(ARRAY_SIZE(ops))];
    uint32_t stored = any_value(), index = IR_NONE;
    if (pick(2) == 0) {
        index = with_number(block, IR_AND, any_value(), 15);
    }
    uint32_t v = ir_new(&jit, op, (uint8_t)(8u << pick(op == IR_LOADS ? 3 : 4)), base, index, 0);
    struct ir_value *access = ir_at(&jit.ir, v);
    access->scale = (uint8_t)(index != IR_NONE ? pick(4) : 0);
    access->disp = pick(3) == 0 ? 0 : (int32_t)pick(3000);
    access->c = op == IR_STORE || op == IR_STOREBE ? stored : IR_NONE;
    if (op == IR_STORE && pick(2) == 0) {
        access->flags = IR_IMM;
        access->imm = imms[pick(ARRAY_SIZE(imms))];
        access->c = IR_NONE;
    }
    return append(block, v);
}

static uint32_t add_pure(uint32_t block)
{
    enum ir_op op = (enum ir_op)pure_ops[pick(ARRAY_SIZE(pure_ops))];
    uint32_t v = ir_new(&jit, op, pick(2) == 0 ? 32 : 64, IR_NONE, IR_NONE, 0);
    struct ir_value *value = ir_at(&jit.ir, v);
    for (uint32_t i = 0; i < ir_operand_count(value); i++) {
        *ir_operand(&jit.ir, value, i) = any_value();
    }
    if (op == IR_CONST) {
        value->width = 64;
        value->imm = (int64_t)corners[pick(ARRAY_SIZE(corners))];
    } else {
        give_details(value);
    }
    return append(block, v);
}

// Most values, folded into one: they live until here. Others have one user, or none.
static uint32_t fold(uint32_t block)
{
    uint32_t all = values.list[0];
    for (uint32_t i = 1; i < values.count; i++) {
        if (pick(3) == 0) {
            continue;
        }
        uint32_t turned = with_number(block, IR_ROL, all, 7);
        all = append(block, ir_new(&jit, IR_XOR, 64, turned, values.list[i], 0));
    }
    return all;
}

// One block of random operations on r1, r2 and the memory.
static void make_random(uint32_t length)
{
    uint32_t block = ir_new_block(&jit, 0);
    jit.ir.entry = block;
    values.count = 0;
    values.list[values.count++] = append(block, ir_new(&jit, IR_PARAM, 64, IR_NONE, IR_NONE, 0));
    values.list[values.count++] = append(block, ir_new(&jit, IR_PARAM, 64, IR_NONE, IR_NONE, 1));
    uint32_t base = append(block, ir_new(&jit, IR_PARAM, 64, IR_NONE, IR_NONE, 5));
    while (values.count < length) {
        uint32_t v = pick(4) == 0 ? add_memory(block, base) : add_pure(block);
        if (ir_at(&jit.ir, v)->op != IR_STORE && ir_at(&jit.ir, v)->op != IR_STOREBE) {
            values.list[values.count++] = v;
        }
    }
    append(block, ir_new(&jit, IR_RET, 64, fold(block), IR_NONE, 0));
    ir_at(&jit.ir, ir_block_at(&jit.ir, block)->last)->b = IR_NONE;
}

#define RANDOM_FUNCTIONS 150

// The form is run by its interpreter and as machine code.
static void random_operations(const struct config *config)
{
    begin(config);
    for (unsigned n = 0; n < RANDOM_FUNCTIONS; n++) {
        uint32_t where;
        state = n * 1000003 + 1;
        begin_ir();
        make_random(8 + n % 120);
        REQUIRE_OK(ir_find_order(&jit));
        REQUIRE_OK(ir_find_loops(&jit));
        REQUIRE(ir_check(&jit, &where) == NULL);
        uint64_t wanted[8];
        for (unsigned i = 0; i < 8; i++) {
            wanted[i] = interpret(corners[(n + i * 5) % ARRAY_SIZE(corners)],
                                  corners[(n * 7 + i) % ARRAY_SIZE(corners)]);
        }
        REQUIRE(finish_ir());
        for (unsigned i = 0; i < 8; i++) {
            static uint8_t saved[4096];
            memcpy(saved, m.memory, sizeof(saved));
            uint64_t is = run_ir(corners[(n + i * 5) % ARRAY_SIZE(corners)],
                                 corners[(n * 7 + i) % ARRAY_SIZE(corners)]);
            memcpy(m.memory, saved, sizeof(saved));
            if (is != wanted[i]) {
                test_fail(__FILE__, __LINE__, "%s: function %u is %llx, not %llx", config->name, n,
                          (unsigned long long)is, (unsigned long long)wanted[i]);
                return;
            }
        }
    }
}

// Pairs of operations that become one instruction, or nearly do.
static const char *const pairs[] = {
    "  v3 = mul64 v1, v2\n  v4 = add64 v3, v1\n  ret v4\n",
    "  v3 = mul32 v1, v2\n  v4 = sub32 v1, v3\n  ret v4\n",
    "  v3 = mul64 v1, v2\n  v4 = sub64 v3, v1\n  ret v4\n",
    "  v3 = mul64 v1, v2\n  v4 = sub32 v2, v3\n  ret v4\n",
    "  v3 = shl64 v1, #40\n  v4 = sub64 v2, v3\n  ret v4\n",
    "  v3 = shl64 v1, #40\n  v4 = sub64 v3, v2\n  ret v4\n",
    "  v3 = sar32 v1, #31\n  v4 = add32 v3, v2\n  ret v4\n",
    "  v3 = shr64 v1, #9\n  v4 = andn64 v3, v2\n  ret v4\n",
    "  v3 = rol32 v1, #9\n  v4 = or32 v2, v3\n  ret v4\n",
    "  v3 = rol64 v1, #0\n  v4 = xor64 v3, v2\n  ret v4\n",
    "  v3 = rol64 v1, #60\n  v4 = add64 v3, v2\n  ret v4\n",
    "  v3 = shr64 v1, #32\n  v4 = xor32 v3, v1\n  ret v4\n",
    "  v3 = shl64 v1, #1\n  v4 = and32 v3, #126\n  ret v4\n",
    "  v3 = shl64 v1, #60\n  v4 = and64 v3, #-1152921504606846976\n  ret v4\n",
    "  v3 = shl32 v1, #4\n  v4 = and32 v3, #254\n  ret v4\n",
    "  v3 = shl32 v1, #1\n  v4 = and64 v3, #6\n  ret v4\n",
    "  v3 = shl64 v1, #33\n  v4 = and32 v3, #6\n  ret v4\n",
    "  v3 = shl64 v1, #31\n  v4 = and32 v3, #-2147483648\n  ret v4\n",
    "  v3 = const #1\n  v4 = const #0\n  v5 = select64 ult64 v1, v2 ? v3 : v4\n  ret v5\n",
    "  v3 = const #1\n  v4 = const #0\n  v5 = select32 sgt32 v1, #-7 ? v4 : v3\n  ret v5\n",
};

static void fused_operations(const struct config *config)
{
    begin(config);
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char text[400];
        uint32_t line;
        uint64_t wanted[ARRAY_SIZE(corners)];
        (void)str_format(text, sizeof(text), "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n%s",
                         pairs[i]);
        begin_ir();
        REQUIRE_OK(ir_parse(&jit, text, &line));
        REQUIRE_OK(ir_find_order(&jit));
        REQUIRE_OK(ir_find_loops(&jit));
        for (size_t k = 0; k < ARRAY_SIZE(corners); k++) {
            wanted[k] = interpret(corners[k], corners[(k * 7 + 3) % ARRAY_SIZE(corners)]);
        }
        REQUIRE(finish_ir());
        for (size_t k = 0; k < ARRAY_SIZE(corners); k++) {
            uint64_t is = run_ir(corners[k], corners[(k * 7 + 3) % ARRAY_SIZE(corners)]);
            if (is != wanted[k]) {
                test_fail(__FILE__, __LINE__, "%s: %s of %llx is %llx, not %llx", config->name, pairs[i],
                          (unsigned long long)corners[k], (unsigned long long)is,
                          (unsigned long long)wanted[k]);
            }
        }
    }
}

// Frames of more than a page, whose pages are touched in order, and one that is too large.
static void large_frames(const struct config *config)
{
    static const char text[] = "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = frame\n"
                               "  store64 [v3 - 8], v1\n  store64 [v3 - 12000], v2\n  v4 = load64 [v3 - 8]\n"
                               "  v5 = load64 [v3 - 12000]\n  v6 = sub64 v4, v5\n  ret v6\n";
    static const uint32_t sizes[] = {12000, 12288, 20480, 32752, 32753};
    begin(config);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t line;
        begin_ir();
        jit_opts.native_frame = true;
        REQUIRE_OK(ir_parse(&jit, text, &line));
        REQUIRE_OK(ir_find_order(&jit));
        REQUIRE_OK(ir_find_loops(&jit));
        jit.ir.frame_low = sizes[i];
        if (sizes[i] > 32752) {
            CHECK_EQ(jit_run_passes(&jit, JIT_PASS_DIVIDE, JIT_PASS_COUNT), EBPF_JIT_COMPILATION_FAILED);
            return;
        }
        REQUIRE(finish_ir());
        CHECK_EQ(run_ir(1000, 1), 999);
    }
}

// A jump table, and numbers chosen by conditions.
static void switches(const struct config *config)
{
    static const char text[] =
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, #4 -> b2, b7\n"
        "b2: <- b1\n  switch v1 -> b3, b4, b5, b4\n"
        "b3: <- b2\n  v3 = add64 v2, #100\n  ret v3\n"
        "b4: <- b2, b2\n  v5 = add64 v2, #200\n  jump -> b6\n"
        "b5: <- b2\n  v6 = const #300\n  jump -> b6\n"
        "b6: <- b4, b5\n  v7 = phi v5, v6\n  ret v7\n"
        "b7: <- b1\n  v8 = const #-1\n  ret v8\n";
    static const uint64_t wanted[] = {150, 250, 300, 250, UINT64_MAX, UINT64_MAX};
    uint32_t line;
    begin(config);
    begin_ir();
    REQUIRE_OK(ir_parse(&jit, text, &line));
    REQUIRE_OK(ir_find_order(&jit));
    REQUIRE_OK(ir_find_loops(&jit));
    REQUIRE(finish_ir());
    for (uint64_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        CHECK_EQ(run_ir(i, 50), wanted[i]);
    }
}
#endif

TEST_SUITE(arm64_ir)
{
#if defined(__aarch64__)
    static const struct suite_case cases[] = {
        {"fused_operations", fused_operations},
        {"switches", switches},
        {"large_frames", large_frames},
        {"random_operations", random_operations},
    };
    run_all(cases, ARRAY_SIZE(cases));
#endif
}
