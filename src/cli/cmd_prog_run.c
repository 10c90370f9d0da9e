// SPDX-License-Identifier: MIT
// cmd_prog_run: `bpftool prog run`: one program over data and context from files.
#include "cli/cli_int.h"

#define MAX_INPUT    (1u << 20)
#define DEFAULT_SIZE (32u << 10) // of outputs

struct run {
    const char *data_in, *data_out, *ctx_in, *ctx_out;
    uint32_t data_size_out, ctx_size_out, repeat;
};

static const struct keyword rows[] = {
    {"data_in", "FILE", KEYWORD_TEXT, false, false, "data_in", offsetof(struct run, data_in), NULL},
    {"data_out", "FILE", KEYWORD_TEXT, false, false, "data_out", offsetof(struct run, data_out), NULL},
    {"data_size_out", "L", KEYWORD_U32, false, false, "output data size", offsetof(struct run, data_size_out),
     NULL},
    {"ctx_in", "FILE", KEYWORD_TEXT, false, false, "ctx_in", offsetof(struct run, ctx_in), NULL},
    {"ctx_out", "FILE", KEYWORD_TEXT, false, false, "ctx_out", offsetof(struct run, ctx_out), NULL},
    {"ctx_size_out", "M", KEYWORD_U32, false, false, "output context size",
     offsetof(struct run, ctx_size_out), NULL},
    {"repeat", "N", KEYWORD_U32, false, false, "repeat count", offsetof(struct run, repeat), NULL},
};
const struct keywords cmd_prog_run_keywords = KEYWORDS(rows);

struct buffer {
    unsigned char *bytes;
    uint32_t size;
};

// --- files; "-" is standard input or output ------------------------------------------------------

static int read_stream(struct cli *c, FILE *file, const char *name, struct buffer *out)
{
    unsigned char *bytes = malloc(MAX_INPUT + 1);
    size_t size;
    if (bytes == NULL) {
        return cli_error(c, -ENOMEM, "out of memory");
    }
    size = fread(bytes, 1, MAX_INPUT + 1, file);
    if (size > MAX_INPUT || ferror(file)) {
        free(bytes);
        return size > MAX_INPUT ? cli_error(c, -1, "data in %s is longer than %u bytes", name, MAX_INPUT)
                                : cli_error(c, -1, "failed to read %s: %s", name, strerror(errno));
    }
    *out = (struct buffer){bytes, (uint32_t)size};
    return 0;
}

static int read_input(struct cli *c, const char *name, struct buffer *out)
{
    FILE *file;
    int status;
    if (name == NULL) {
        return 0;
    }
    if (strcmp(name, "-") == 0) {
        return read_stream(c, stdin, name, out);
    }
    file = file_open_input(name, "rb");
    if (file == NULL) {
        return cli_error(c, -1, "failed to open %s: %s", name, strerror(errno));
    }
    status = read_stream(c, file, name, out);
    fclose(file);
    return status;
}

static void print_hex_dump(const struct buffer *b)
{
    for (uint32_t i = 0; i < b->size; i += 16) {
        printf("%07x\t", i);
        for (uint32_t k = i; k < i + 16; k++) {
            if (k < b->size) {
                printf("%02x%s", b->bytes[k], k % 2 != 0 ? " " : "");
            } else {
                printf("  %s", k % 2 != 0 ? " " : "");
            }
        }
        printf("| ");
        for (uint32_t k = i; k < i + 16 && k < b->size; k++) {
            printf("%s", k == i + 8 ? " " : "");
            putchar(b->bytes[k] >= ' ' && b->bytes[k] < 0x7f ? b->bytes[k] : '.');
        }
        putchar('\n');
    }
}

static void print_numbers(struct json *j, const char *name, const struct buffer *b)
{
    json_name(j, name);
    json_start_array(j);
    for (uint32_t i = 0; i < b->size; i++) {
        json_uint(j, b->bytes[i]);
    }
    json_end_array(j);
}

// Also what went wrong belongs to the one JSON value.
static int write_failed(struct cli *c, const char *name)
{
    char text[512];
    if (c->json_output) {
        snprintf(text, sizeof(text), "failed to write %s: %s", name, strerror(errno));
        json_string_member(&c->json, "error", text);
        return -1;
    }
    return cli_error(c, -1, "failed to write %s: %s", name, strerror(errno));
}

static int write_output(struct cli *c, const char *name, const char *member, const struct buffer *b)
{
    FILE *file;
    bool written;
    if (name == NULL || b->size == 0) {
        return 0;
    }
    if (strcmp(name, "-") == 0 && c->json_output) {
        print_numbers(&c->json, member, b);
        return 0;
    }
    if (strcmp(name, "-") == 0) {
        print_hex_dump(b);
        return 0;
    }
    file = fopen(name, "wb");
    written = file != NULL && fwrite(b->bytes, 1, b->size, file) == b->size;
    if (file != NULL) {
        written &= fclose(file) == 0;
    }
    return written ? 0 : write_failed(c, name);
}

static int make_output(struct cli *c, const char *name, uint32_t size, struct buffer *out)
{
    if (name == NULL) {
        return 0;
    }
    out->size = size != 0 ? size : DEFAULT_SIZE;
    out->bytes = calloc(1, out->size);
    return out->bytes != NULL ? 0 : cli_error(c, -ENOMEM, "out of memory");
}

// --- the run -------------------------------------------------------------------------------------

struct buffers {
    struct buffer data_in, data_out, ctx_in, ctx_out;
};

static int make_buffers(struct cli *c, const struct run *run, struct buffers *b)
{
    int status = read_input(c, run->data_in, &b->data_in);
    if (status == 0) {
        status = read_input(c, run->ctx_in, &b->ctx_in);
    }
    if (status == 0) {
        status = make_output(c, run->data_out, run->data_size_out, &b->data_out);
    }
    return status == 0 ? make_output(c, run->ctx_out, run->ctx_size_out, &b->ctx_out) : status;
}

static int show_result(struct cli *c, const struct run *run, const struct buffers *b,
                       const struct bpf_test_run_opts *opts)
{
    int status;
    if (c->json_output) {
        json_start_object(&c->json);
    }
    status = write_output(c, run->data_out, "data_out", &b->data_out);
    if (status == 0) {
        status = write_output(c, run->ctx_out, "ctx_out", &b->ctx_out);
    }
    if (c->json_output) {
        json_uint_member(&c->json, "retval", opts->retval);
        json_uint_member(&c->json, "duration", opts->duration);
        json_end_object(&c->json);
    } else {
        printf("Return value: %u, duration%s: %uns\n", opts->retval, run->repeat > 1 ? " (average)" : "",
               opts->duration);
    }
    return status;
}

static int run_program(struct cli *c, int fd, const struct run *run, struct buffers *b)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->data_in.bytes, .data_size_in = b->data_in.size,
                .data_out = b->data_out.bytes, .data_size_out = b->data_out.size, .ctx_in = b->ctx_in.bytes,
                .ctx_size_in = b->ctx_in.size, .ctx_out = b->ctx_out.bytes, .ctx_size_out = b->ctx_out.size,
                .repeat = run->repeat != 0 ? (int)run->repeat : 1);
    if (bpf_prog_test_run_opts(fd, &opts) != 0) {
        return cli_error(c, -errno, "failed to run program: %s", error_text(errno));
    }
    b->data_out.size = opts.data_size_out;
    b->ctx_out.size = opts.ctx_size_out;
    return show_result(c, run, b, &opts);
}

static int check(struct cli *c, const struct run *run)
{
    if (run->data_in == NULL && run->ctx_in == NULL) {
        return cli_error(c, -1, "'run' needs data_in or ctx_in");
    }
    if (run->data_in != NULL && run->ctx_in != NULL && strcmp(run->data_in, "-") == 0 &&
        strcmp(run->ctx_in, "-") == 0) {
        return cli_error(c, -1, "data_in and ctx_in cannot both be read from standard input");
    }
    return run->repeat <= INT32_MAX ? 0 : cli_error(c, -1, "repeat count %u is too large", run->repeat);
}

int cmd_prog_run(struct cli *c, struct args *a)
{
    struct run run = {0};
    struct buffers b = {0};
    int fd = -1, status = args_require(c, a, "run", 4);
    if (status == 0) {
        status = ref_parse(c, a, EBPF_OBJECT_KIND_PROGRAM, &fd);
    }
    if (status != 0) {
        return status;
    }
    status = keywords_parse(c, a, &cmd_prog_run_keywords, &run);
    if (status == 0) {
        status = check(c, &run);
    }
    if (status == 0) {
        status = make_buffers(c, &run, &b);
    }
    if (status == 0) {
        status = run_program(c, fd, &run, &b);
    }
    free(b.data_in.bytes);
    free(b.data_out.bytes);
    free(b.ctx_in.bytes);
    free(b.ctx_out.bytes);
    ebpf_close_fd(fd);
    return status;
}
