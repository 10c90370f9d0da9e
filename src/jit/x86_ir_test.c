// SPDX-License-Identifier: MIT
// Random straight-line functions over all operations of the intermediate form, from lowering on: machine code
// under every configuration against the interpreter of the form. Reaches what programs do not: each operation
// with each of its operands in a register, in a spill slot, as a constant, and the same one twice.
#include "jit/x86_fixture.h"

#if defined(X86_RUNS)

enum { TEXT = 1 << 16, DATA = 192, OPERATIONS = 90, FUNCTIONS = 40 };

static uint64_t random_state;

static uint32_t pick(uint32_t count)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % count);
}

static const int64_t numbers[] = {
    0,          1,          -1,
    2,          3,          7,
    31,         32,         63,
    64,         127,        128,
    -128,       -129,       255,
    256,        65535,      65536,
    INT32_MAX,  INT32_MIN,  UINT32_MAX,
    INT64_MAX,  INT64_MIN,  0x123456789abcdef0,
    0x80000000, 0xffff0000, 0x00ff00ff00ff00ff,
};

struct writer {
    char *text;
    uint32_t used, value; // number of the next value
};

__attribute__((format(printf, 2, 3))) static void say(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    w->used += (uint32_t)str_vformat(w->text + w->used, TEXT - w->used, format, args);
    va_end(args);
}

// Any earlier value; the first two are the memory's address, which is no number, and the second argument.
static unsigned any(const struct writer *w)
{
    return 2 + pick(w->value - 2);
}

static void say_index(struct writer *w)
{
    say(w, "  v%u = and64 v%u, #7\n", w->value, any(w));
    w->value++;
}

static void say_binary(struct writer *w)
{
    static const char *const ops[] = {"add", "sub", "mul",  "and",  "or",   "xor",  "shl", "shr",
                                      "sar", "rol", "udiv", "umod", "sdiv", "smod", "andn"};
    unsigned op = pick(ARRAY_SIZE(ops)), width = pick(2) == 0 ? 32 : 64;
    if (op < 10 && pick(3) == 0) {
        int64_t number = numbers[pick(ARRAY_SIZE(numbers))];
        say(w, "  v%u = %s%u v%u, #%lld\n", w->value, ops[op], width, any(w),
            (long long)(op >= 6 ? number & (width - 1) : number));
    } else {
        say(w, "  v%u = %s%u v%u, v%u\n", w->value, ops[op], width, any(w), any(w));
    }
    w->value++;
}

static void say_unary(struct writer *w)
{
    static const char *const ops[] = {"neg", "popcnt", "clz", "ctz"}, *const sized[] = {"sext", "zext",
                                                                                        "bswap"};
    unsigned width = pick(2) == 0 ? 32 : 64, op = pick(8);
    if (op < 4) {
        say(w, "  v%u = %s%u v%u\n", w->value, ops[op], width, any(w));
    } else if (op < 7) {
        unsigned bits = op == 6 ? 16u << pick(3) : 8u << pick(3);
        say(w, "  v%u = %s64 v%u, #%u\n", w->value, sized[op - 4], any(w), bits);
    } else {
        unsigned from = pick(width), bits = 1 + pick(width - from);
        say(w, "  v%u = bits%u v%u, #%u, #%u\n", w->value, width, any(w), bits, from);
    }
    w->value++;
}

static void say_other(struct writer *w)
{
    static const char *const conds[] = {"eq",  "ne",  "ult", "uge", "ule", "ugt",
                                        "slt", "sge", "sle", "sgt", "set", "clear"};
    switch (pick(4)) {
    case 0: say(w, "  v%u = mulhu v%u, v%u\n", w->value, any(w), any(w)); break;
    case 1: say(w, "  v%u = const #%lld\n", w->value, (long long)numbers[pick(ARRAY_SIZE(numbers))]); break;
    case 2:
        say(w, "  v%u = lea%u [v%u + v%u << %u + %u]\n", w->value, pick(2) == 0 ? 32 : 64, any(w), any(w),
            pick(4), pick(1000));
        break;
    default:
        say(w, "  v%u = select64 %s%u v%u, ", w->value, conds[pick(ARRAY_SIZE(conds))],
            pick(2) == 0 ? 32 : 64, any(w));
        if (pick(3) == 0) {
            say(w, "#%lld", (long long)numbers[pick(ARRAY_SIZE(numbers))]);
        } else {
            say(w, "v%u", any(w));
        }
        say(w, " ? v%u : v%u\n", any(w), any(w));
    }
    w->value++;
}

static void say_load(struct writer *w)
{
    static const char *const ops[] = {"load", "loads", "loadbe"};
    unsigned op = pick(3), bits = op == 0 ? 8u << pick(4) : op == 1 ? 8u << pick(3) : 16u << pick(3);
    say_index(w);
    say(w, "  v%u = %s%u [v1 + v%u << %u + %u]\n", w->value, ops[op], bits, w->value - 1, pick(4), pick(100));
    w->value++;
}

static void say_store(struct writer *w)
{
    bool swapped = pick(2) == 0;
    unsigned bits = swapped ? 16u << pick(3) : 8u << pick(4);
    say_index(w);
    say(w, "  %s%u [v1 + v%u << %u + %u], ", swapped ? "storebe" : "store", bits, w->value - 1, pick(4),
        pick(100));
    if (!swapped && pick(3) == 0) {
        say(w, "#%lld\n", (long long)numbers[pick(ARRAY_SIZE(numbers))]);
    } else {
        say(w, "v%u\n", any(w));
    }
}

static void say_atomic(struct writer *w)
{
    static const char *const ops[] = {"atomic_add", "atomic_or", "atomic_and", "atomic_xor", "fetch_add",
                                      "fetch_or",   "fetch_and", "fetch_xor",  "xchg"};
    unsigned op = pick(10), bits = pick(2) == 0 ? 32 : 64, at = 8 * pick(16);
    if (op == 9) {
        say(w, "  v%u = cmpxchg%u [v1 + %u], v%u, v%u\n", w->value, bits, at, any(w), any(w));
    } else if (op < 4) {
        say(w, "  %s%u [v1 + %u], v%u\n", ops[op], bits, at, any(w));
        return;
    } else {
        say(w, "  v%u = %s%u [v1 + %u], v%u\n", w->value, ops[op], bits, at, any(w));
    }
    w->value++;
}

static void write_function(char *text)
{
    static void (*const kinds[])(struct writer *w) = {
        say_binary, say_binary, say_binary, say_unary, say_other, say_other, say_load, say_store, say_atomic};
    struct writer w = {.text = text, .value = 3};
    say(&w, "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n");
    unsigned operations = 3 + pick(OPERATIONS);
    for (unsigned i = 0; i < operations; i++) {
        kinds[pick(ARRAY_SIZE(kinds))](&w);
    }
    unsigned last = w.value;
    for (unsigned i = 3; i < last; i += 1 + pick(6)) { // keeps some of them alive to the end
        say(&w, "  v%u = add64 v%u, v%u\n", w.value, w.value - 1, i);
        w.value++;
    }
    say(&w, "  ret v%u\n", w.value - 1);
}

// --- both ways -----------------------------------------------------------------------------------

static char function_text[TEXT];
static struct jit jit;

static bool parse(const struct jit_options *options)
{
    uint32_t line = 0;
    jit = (struct jit){.options = options, .target = &x86_target, .out = &m.code};
    if (jit_begin(&jit, m.workspace, WORKSPACE) != EBPF_SUCCESS || x86_target.start(&jit) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&jit, 0);
    if (ir_parse(&jit, function_text, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not parse: %s", line, function_text);
        return false;
    }
    return true;
}

static ebpf_result_t run_passes(const struct jit_options *options)
{
    m.code = (struct jit_code){
        .code = m.buffer, .capacity = CODE, .frames = m.frames, .frame_capacity = ARRAY_SIZE(m.frames)};
    if (!parse(options)) {
        return EBPF_FAILED;
    }
    jit.ir.frame_low = m.frame_low;
    return jit_run_passes(&jit, JIT_PASS_DIVIDE, JIT_PASS_COUNT);
}

static bool make_code(const struct jit_options *options)
{
    ebpf_result_t result = run_passes(options);
    if (result == EBPF_SUCCESS) {
        result = x86_target.finish(&jit);
    }
    if (result != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "%s: result %d: %s", m.config->name, (int)result, function_text);
        return false;
    }
    return load_code(options);
}

static void fill_memory(uint8_t seed)
{
    for (unsigned i = 0; i < MEMORY; i++) {
        m.memory[i] = (uint8_t)((i * 67 + 13) ^ seed);
    }
}

static void check_function(void)
{
    uint8_t wanted[MEMORY];
    struct jit_options options = options_of(m.config);
    m.what = "function";
    for (unsigned i = 0; i < 12; i++) {
        uint64_t r2 = (uint64_t)numbers[pick(ARRAY_SIZE(numbers))] + i % 2, result = 0;
        uint64_t memory = (uint64_t)(uintptr_t)m.memory;
        struct ir_machine machine = {.params = {memory, r2}, .steps = 100000};
        unsigned failed = test_state.failed_checks;
        fill_memory((uint8_t)i);
        if (!parse(&options) || ir_run(&jit, &machine, &result) != EBPF_SUCCESS) {
            test_fail(__FILE__, __LINE__, "does not run: %s", function_text);
            return;
        }
        memcpy(wanted, m.memory, sizeof(wanted));
        if (!make_code(&options)) {
            return;
        }
        fill_memory((uint8_t)i);
        expect(run(memory, r2), result, "result");
        CHECK(memcmp(wanted, m.memory, sizeof(wanted)) == 0);
        if (test_state.failed_checks != failed) {
            test_fail(__FILE__, __LINE__, "%s, r2 0x%llx: %s", m.config->name, (unsigned long long)r2,
                      function_text);
            return;
        }
    }
}

static void random_functions_agree_with_the_interpreter(void)
{
    uint32_t count = (uint32_t)test_setting("X86_IR_FUNCTIONS", FUNCTIONS);
    random_state = test_setting("X86_IR_SEED", 1);
    for (uint32_t i = 0; i < count && test_state.failed_checks == 0; i++) {
        write_function(function_text);
        each_config(check_function);
    }
}

// A table of four targets, one of them twice.
static void check_switch(void)
{
    struct jit_options options = options_of(m.config);
    str_format(function_text, TEXT,
               "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = and64 v1, #3\n  v3 = add64 v1, #5\n"
               "  switch v2 -> b2, b3, b4, b2\n"
               "b2: <- b1, b1\n  v4 = mul64 v3, #10\n  ret v4\n"
               "b3: <- b1\n  v5 = add64 v3, v2\n  ret v5\n"
               "b4: <- b1\n  v6 = xor64 v3, v1\n  ret v6\n");
    m.what = "switch";
    if (!make_code(&options)) {
        return;
    }
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t results[] = {(i + 5) * 10, i + 5 + (i & 3), (i + 5) ^ i, (i + 5) * 10};
        expect(run(i, 0), results[i & 3], "result");
    }
}

static void switches_go_through_their_table(void)
{
    each_config(check_switch);
}

// A frame of more than two pages is touched page by page before it is used.
static void check_large_frame(void)
{
    struct jit_options options = options_of(m.config);
    str_format(function_text, TEXT,
               "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = frame\n  store64 [v2 - 8000], v1\n"
               "  v3 = load64 [v2 - 8000]\n  v4 = and64 v2, #15\n  v5 = add64 v3, v4\n  ret v5\n");
    m.what = "large frame";
    m.frame_low = 9000;
    if (make_code(&options)) {
        expect(run(77, 0), 77, "result"); // and the frame is aligned
        static const uint8_t touch[] = {0x85, 0x84, 0x24, 0x00, 0xf0, 0xff, 0xff,
                                        0x85, 0x84, 0x24, 0x00, 0xe0, 0xff, 0xff};
        expect((uint64_t)memcmp(m.code.code + 4, touch, sizeof(touch)), 0, "touches");
    }
    m.frame_low = 100000;
    expect(run_passes(&options) == EBPF_JIT_COMPILATION_FAILED, true, "refused");
    m.frame_low = 0;
}

static void large_frames_are_touched_or_refused(void)
{
    REQUIRE(setup());
    m.config = &configs[0];
    check_large_frame();
}

// The divisor comes from a division, whose result is best left where the next one has its dividend.
static void check_divisors(void)
{
    static const char *const ops[] = {"udiv64", "umod64", "sdiv64", "smod64", "udiv32", "umod32"};
    struct jit_options options = options_of(m.config);
    for (unsigned i = 0; i < ARRAY_SIZE(ops) * ARRAY_SIZE(ops); i++) {
        const char *first = ops[i / ARRAY_SIZE(ops)], *second = ops[i % ARRAY_SIZE(ops)];
        str_format(function_text, TEXT,
                   "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = %s v1, v2\n"
                   "  v4 = %s v1, v3\n  ret v4\n",
                   first, second);
        m.what = second;
        if (!make_code(&options)) {
            return;
        }
        const uint64_t a = 1000003, b = 677, c = first[1] == 'd' ? a / b : a % b;
        expect(run(a, b), second[1] == 'd' ? a / c : a % c, first);
    }
}

static void divisors_stay_out_of_the_way(void)
{
    each_config(check_divisors);
}

// What comes back from the end of the code of a function: pops, addition to rsp.
static uint32_t epilogue_of(const uint8_t *code, uint32_t end, uint32_t pushes)
{
    for (uint32_t i = 0; i < pushes; i++) {
        CHECK(code[end - 1] >= 0x58 && code[end - 1] <= 0x5f);
        end -= end > 1 && code[end - 2] == 0x41 ? 2 : 1;
    }
    CHECK(code[end - 4] == 0x48 && code[end - 3] == 0x83 && code[end - 2] == 0xc4); // add rsp, imm8
    return end - 4;
}

static void check_tail(void)
{
    struct jit_options options = options_of(m.config);
    str_format(function_text, TEXT,
               "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #5\n  v3 = param #6\n  v4 = frame\n"
               "  store64 [v4 - 8], v1\n  v5 = call #4096 (v4, v4, v4, v4, v4, v2)\n"
               "  tail v5, v1, v2, v3\n");
    m.what = "tail";
    m.frame_low = 16;
    bool made = make_code(&options);
    m.frame_low = 0;
    if (!made) {
        return;
    }
    const struct jit_frame *frame = &m.frames[0];
    const uint8_t *code = m.code.code;
    uint32_t end = frame->end, jump = options.retpoline ? 5 : 3;
    CHECK(frame->pushed_count >= 3 || options.registers != 0);
    CHECK(options.retpoline ? code[end - 5] == 0xe9 : memcmp(code + end - 3, "\x49\xff\xe3", 3) == 0);
    end = epilogue_of(code, end - jump, frame->pushed_count);
    CHECK(memcmp(code + end - 3, "\x49\x89\xc3", 3) == 0); // mov r11, rax
}

// Windows' unwinder reads the rest of an epilogue: nothing else may be in it.
static void tail_calls_end_in_an_epilogue(void)
{
    each_config(check_tail);
}

TEST_SUITE(x86_ir)
{
    RUN(divisors_stay_out_of_the_way);
    RUN(tail_calls_end_in_an_epilogue);
    RUN(random_functions_agree_with_the_interpreter);
    RUN(large_frames_are_touched_or_refused);
    RUN(switches_go_through_their_table);
}

#else

static void machine_code(void)
{
    SKIP("runs on x86-64");
}

TEST_SUITE(x86_ir)
{
    RUN(machine_code);
}
#endif
