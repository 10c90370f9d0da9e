// SPDX-License-Identifier: MIT
// cmd_prog_dump: `bpftool prog dump xlated|jited`: the instructions of a loaded program as text, JSON or
// graph, and its machine code.
#include <inttypes.h>

#include "cli/cli_int.h"

struct dump {
    struct cli *c;
    bool opcodes, linum, visual;
    const char *file;
    FILE *out; // raw bytes go there
    // visual: instructions are collected first
    struct ebpf_listed_insn *insns;
    size_t count, room;
    int status;
};

// --- text ----------------------------------------------------------------------------------------

static void print_source(const struct dump *d, const struct ebpf_listed_insn *in)
{
    char place[64];
    if (in->source == NULL || in->source[0] == '\0') {
        return;
    }
    cli_put("; ", in->source, "");
    if (d->linum) {
        snprintf(place, sizeof(place), " line_num:%" PRIu32 " line_col:%" PRIu32 "]", in->line, in->column);
        cli_put(" [file:", in->file, place);
    }
    putchar('\n');
}

static void print_bytes(const struct ebpf_listed_insn *in)
{
    printf("       ");
    for (uint32_t i = 0; i < in->size; i++) {
        printf("%02x%s", in->bytes[i], i + 1 < in->size ? " " : "\n");
    }
}

static void list_plain(void *user, const struct ebpf_listed_insn *in)
{
    const struct dump *d = user;
    if (in->function != NULL) {
        cli_put("", in->function, ":\n");
    }
    print_source(d, in);
    printf("%4" PRIu32 ": (%02x) %s\n", in->pc, in->bytes[0], in->text);
    if (d->opcodes) {
        print_bytes(in);
    }
}

// --- JSON ----------------------------------------------------------------------------------------

static void hex_member(struct json *j, const char *name, unsigned value)
{
    char text[8];
    snprintf(text, sizeof(text), "0x%x", value);
    json_string_member(j, name, text);
}

static void hex_array(struct json *j, const char *name, const uint8_t *bytes, uint32_t size)
{
    json_name(j, name);
    json_start_array(j);
    for (uint32_t i = 0; i < size; i++) {
        char text[8];
        snprintf(text, sizeof(text), "0x%02x", bytes[i]);
        json_string(j, text);
    }
    json_end_array(j);
}

static void json_opcodes(struct json *j, const struct ebpf_listed_insn *in)
{
    json_name(j, "opcodes");
    json_start_object(j);
    hex_member(j, "code", in->bytes[0]);
    hex_member(j, "src_reg", in->bytes[1] >> 4);
    hex_member(j, "dst_reg", in->bytes[1] & 15);
    hex_array(j, "off", in->bytes + 2, 2);
    hex_array(j, "imm", in->bytes + 4, in->size == 16 ? 12 : 4);
    json_end_object(j);
}

static void list_json(void *user, const struct ebpf_listed_insn *in)
{
    const struct dump *d = user;
    struct json *j = &d->c->json;
    char text[256];
    json_start_object(j);
    if (in->function != NULL) {
        json_string_member(j, "proto", in->function);
    }
    if (in->source != NULL && in->source[0] != '\0') {
        json_string_member(j, "src", in->source);
        if (d->linum) {
            json_string_member(j, "file", in->file);
            json_uint_member(j, "line_num", in->line);
            json_uint_member(j, "line_col", in->column);
        }
    }
    snprintf(text, sizeof(text), "(%02x) %s", in->bytes[0], in->text);
    json_string_member(j, "disasm", text);
    if (d->opcodes) {
        json_opcodes(j, in);
    }
    json_end_object(j);
}

// --- raw -----------------------------------------------------------------------------------------

static void list_raw(void *user, const struct ebpf_listed_insn *in)
{
    struct dump *d = user;
    if (fwrite(in->bytes, 1, in->size, d->out) != in->size) {
        d->status = -1;
    }
}

// --- graph (DOT): a node for each run of instructions that is entered at its start only ----------

static void collect(void *user, const struct ebpf_listed_insn *in)
{
    struct dump *d = user;
    if (d->count == d->room) {
        size_t room = d->room != 0 ? d->room * 2 : 256;
        struct ebpf_listed_insn *grown = realloc(d->insns, room * sizeof(*grown));
        if (grown == NULL) {
            d->status = -ENOMEM;
            return;
        }
        d->insns = grown;
        d->room = room;
    }
    struct ebpf_listed_insn *copy = &d->insns[d->count];
    *copy = *in;
    copy->text = strdup(in->text);
    copy->function = in->function != NULL ? strdup(in->function) : NULL;
    copy->source = copy->file = NULL;
    d->count++;
}

static void free_collected(struct dump *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free((char *)d->insns[i].text);
        free((char *)d->insns[i].function);
    }
    free(d->insns);
}

static size_t find_slot(const struct dump *d, int64_t pc)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->insns[middle].pc < pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void mark_starts(const struct dump *d, bool *starts)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct ebpf_listed_insn *in = &d->insns[i];
        starts[i] = starts[i] || i == 0 || in->function != NULL;
        if (in->target >= 0) {
            starts[find_slot(d, in->target)] = true;
        }
        if (in->target >= 0 || !in->falls_through) {
            starts[i + 1] = true;
        }
    }
}

// Characters that labels of records give a meaning.
static void put_label(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>{}|\"\\ ", *text) != NULL) {
            putchar('\\');
        }
        putchar(*text);
    }
}

static size_t print_node(const struct dump *d, const bool *starts, size_t first)
{
    size_t end = first;
    printf("\t\tbb_%" PRIu32 " [shape=record,style=filled,label=\"{", d->insns[first].pc);
    do {
        printf("%" PRIu32 ":\\ (%02x)\\ ", d->insns[end].pc, d->insns[end].bytes[0]);
        put_label(d->insns[end].text);
        printf("\\l");
        end++;
    } while (end < d->count && !starts[end]);
    printf("}\"];\n");
    return end;
}

static void print_edges(const struct dump *d, size_t first, size_t last)
{
    const struct ebpf_listed_insn *from = &d->insns[first], *in = &d->insns[last];
    if (in->target >= 0) {
        printf("\t\tbb_%" PRIu32 " -> bb_%" PRId64 " [style=\"solid,bold\",color=black];\n", from->pc,
               in->target);
    }
    if (in->falls_through && last + 1 < d->count) {
        printf("\t\tbb_%" PRIu32 " -> bb_%" PRIu32 " [style=\"solid,bold\",color=black];\n", from->pc,
               d->insns[last + 1].pc);
    }
}

static void print_graph(const struct dump *d, const bool *starts)
{
    unsigned function = 0;
    printf("digraph \"DOT graph for eBPF program\" {\n");
    for (size_t i = 0; i < d->count;) {
        if (d->insns[i].function != NULL) {
            printf("%s\tsubgraph \"cluster_%u\" {\n\t\tstyle=\"dashed\";\n\t\tcolor=\"black\";\n\t\tlabel=\"",
                   function != 0 ? "\t}\n" : "", function);
            put_label(d->insns[i].function);
            printf(" ()\";\n");
            function++;
        }
        size_t end = print_node(d, starts, i);
        print_edges(d, i, end - 1);
        i = end;
    }
    printf("%s}\n", function != 0 ? "\t}\n" : "");
}

static int show_graph(struct dump *d)
{
    bool *starts = d->status == 0 ? calloc(d->count + 2, sizeof(*starts)) : NULL;
    if (starts == NULL) {
        free_collected(d);
        return cli_error(d->c, -ENOMEM, "out of memory");
    }
    mark_starts(d, starts);
    print_graph(d, starts);
    free(starts);
    free_collected(d);
    return 0;
}

// --- the two forms -------------------------------------------------------------------------------

static int dump_failed(struct cli *c, ebpf_result_t result)
{
    return cli_error(c, -ebpf_result_errno(result), "can't get prog info: %s", ebpf_result_text(result));
}

static int list(struct dump *d, int fd, void (*each)(void *user, const struct ebpf_listed_insn *insn))
{
    ebpf_result_t result = ebpf_program_list(fd, each, d);
    return result == EBPF_SUCCESS ? 0 : dump_failed(d->c, result);
}

static int dump_xlated(struct dump *d, int fd)
{
    int status;
    if (d->file != NULL) {
        return list(d, fd, list_raw);
    }
    if (d->visual) {
        status = list(d, fd, collect);
        return status == 0 ? show_graph(d) : status;
    }
    if (!d->c->json_output) {
        return list(d, fd, list_plain);
    }
    json_start_array(&d->c->json);
    ebpf_result_t result = ebpf_program_list(fd, list_json, d);
    json_end_array(&d->c->json);
    return result == EBPF_SUCCESS ? 0 : -1;
}

static ebpf_result_t read_code(int fd, uint8_t **code, size_t *size)
{
    *size = 4096;
    *code = malloc(*size);
    ebpf_result_t result = *code != NULL ? ebpf_program_get_code(fd, *code, size) : EBPF_NO_MEMORY;
    if (result == EBPF_INSUFFICIENT_BUFFER) {
        free(*code);
        *code = malloc(*size);
        result = *code != NULL ? ebpf_program_get_code(fd, *code, size) : EBPF_NO_MEMORY;
    }
    return result;
}

static int dump_jited(struct dump *d, int fd)
{
    uint8_t *code = NULL;
    size_t size;
    struct ebpf_object_info info;
    int status = ref_info(d->c, fd, &info);
    if (status != 0) {
        return status;
    }
    ebpf_result_t result = read_code(fd, &code, &size);
    if (info.module[0] != 0) {
        status = cli_error(d->c, -1,
                           "its code is that of a native module made of %s: disassemble the module's file",
                           info.module);
    } else if (result == EBPF_OPERATION_NOT_SUPPORTED) {
        status = cli_error(d->c, -1, "no instructions returned");
    } else if (result != EBPF_SUCCESS) {
        status = dump_failed(d->c, result);
    } else if (d->out != NULL) {
        d->status = fwrite(code, 1, size, d->out) == size ? 0 : -1;
    } else {
        if (!d->c->json_output) {
            cli_put("", info.name, ":\n");
        }
        cmd_prog_print_code(d->c, code, size, d->opcodes);
    }
    free(code);
    return status;
}

// --- command line --------------------------------------------------------------------------------

static int parse_options(struct dump *d, struct args *a, bool xlated)
{
    while (a->count != 0) {
        if (args_take_word(a, "file")) {
            d->file = args_take(a);
            if (d->file == NULL) {
                return cli_error(d->c, -1, "expected file path");
            }
        } else if (args_take_word(a, "opcodes")) {
            d->opcodes = true;
        } else if (args_take_word(a, "linum")) {
            d->linum = true;
        } else if (xlated && args_take_word(a, "visual")) {
            d->visual = true;
        } else {
            return args_require_end(d->c, a);
        }
    }
    if (d->visual && (d->opcodes || d->linum || d->c->json_output)) {
        return cli_error(d->c, -1, "'visual' is not compatible with 'opcodes', 'linum', or JSON");
    }
    return 0;
}

static int run(struct dump *d, int fd, bool xlated)
{
    if (d->file != NULL && (d->out = fopen(d->file, "wb")) == NULL) {
        return cli_error(d->c, -1, "can't open file %s: %s", d->file, error_text(errno));
    }
    int status = xlated ? dump_xlated(d, fd) : dump_jited(d, fd);
    if (d->out != NULL) {
        bool written = fclose(d->out) == 0 && d->status == 0;
        if (status == 0 && !written) {
            return cli_error(d->c, -1, "can't write all of %s", d->file);
        }
        if (status == 0) {
            cli_done(d->c);
        }
    }
    return status;
}

int cmd_prog_dump(struct cli *c, struct args *a)
{
    struct dump d = {.c = c};
    int fd = -1;
    bool xlated = args_take_word(a, "xlated");
    if (!xlated && !args_take_word(a, "jited")) {
        return a->count != 0 ? cli_error(c, -1, "expected 'xlated' or 'jited', got: %s", a->next[0])
                             : cli_error(c, -1, "expected 'xlated' or 'jited'");
    }
    int status = ref_parse(c, a, EBPF_OBJECT_KIND_PROGRAM, &fd);
    if (status != 0) {
        return status;
    }
    status = parse_options(&d, a, xlated);
    if (status == 0) {
        status = run(&d, fd, xlated);
    }
    ebpf_close_fd(fd);
    return status;
}
