// SPDX-License-Identifier: MIT
// bpf2c: the C file of a native module, on standard output or in a file, by the options that users of the
// Windows ecosystem know. Verifies first; what is rejected is not written.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ebpf_api.h>

#include "cli/cli.h"
#include "hosts/digest.h"

enum mode { MODE_NONE, MODE_RAW, MODE_DLL, MODE_SYS };

struct options {
    const char *object, *output, *type, *hash;
    enum mode mode;
    bool informational, verbose, help;
};

static const char usage[] =
    "Usage: bpf2c --bpf FILE { --raw | --dll | --sys } [OUT] [--type TYPE] [--hash SHA256|none]\n"
    "             [--informational] [--verbose] [--help]\n"
    "\n"
    "Writes the C of a native module with the programs of FILE to OUT, or to standard output.\n"
    "  --raw, --dll      the module; it is the same for .so and .dll (bpftool gen native compiles it)\n"
    "  --sys             the same with what a driver needs\n"
    "  --type TYPE       program type of all programs; default: from the section names\n"
    "  --hash            digest of FILE in the module: SHA256 (default) or none\n"
    "  --informational   all findings of a program that is rejected, not only the first\n"
    "  --verbose         what the verifier did for each program, on standard error\n";

// --- command line --------------------------------------------------------------------------------

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "error: %s%s\n", what, why);
    return 1;
}

static bool is_operand(int argc, char **argv, int i)
{
    return i < argc && strncmp(argv[i], "--", 2) != 0;
}

static const struct {
    const char *name;
    enum mode mode;
} modes[] = {{"--raw", MODE_RAW}, {"--dll", MODE_DLL}, {"--sys", MODE_SYS}};

static bool take_mode(struct options *o, int argc, char **argv, int *i)
{
    for (size_t k = 0; k < sizeof(modes) / sizeof(modes[0]); k++) {
        if (strcmp(argv[*i], modes[k].name) == 0) {
            o->mode = modes[k].mode;
            if (is_operand(argc, argv, *i + 1)) {
                o->output = argv[++*i];
            }
            return true;
        }
    }
    return false;
}

static bool take_flag(struct options *o, const char *word)
{
    bool *flag = strcmp(word, "--informational") == 0                     ? &o->informational
                 : strcmp(word, "--verbose") == 0                         ? &o->verbose
                 : strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ? &o->help
                                                                          : NULL;
    if (flag != NULL) {
        *flag = true;
    }
    return flag != NULL;
}

static bool take_text(struct options *o, int argc, char **argv, int *i)
{
    const char **text = strcmp(argv[*i], "--bpf") == 0    ? &o->object
                        : strcmp(argv[*i], "--type") == 0 ? &o->type
                        : strcmp(argv[*i], "--hash") == 0 ? &o->hash
                                                          : NULL;
    if (text == NULL || !is_operand(argc, argv, *i + 1)) {
        return false;
    }
    *text = argv[++*i];
    return true;
}

static int parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!take_mode(o, argc, argv, &i) && !take_flag(o, argv[i]) && !take_text(o, argc, argv, &i)) {
            return fail(argv[i], argv[i][0] == '-' ? ": unknown option, or one without its operand"
                                                   : ": what is that? OUT follows --raw, --dll or --sys");
        }
    }
    if (o->help) {
        return 0;
    }
    if (o->object == NULL || o->mode == MODE_NONE) {
        return fail("--bpf FILE and one of --raw, --dll, --sys are needed", "");
    }
    if (o->hash != NULL && strcmp(o->hash, "SHA256") != 0 && strcmp(o->hash, "none") != 0) {
        return fail("the digests are SHA256 and none, not ", o->hash);
    }
    if (o->type != NULL && ebpf_get_program_type_by_name(o->type, NULL, NULL) != EBPF_SUCCESS) {
        return fail("unknown program type: ", o->type);
    }
    return 0;
}

static int check_files(const struct options *o)
{
    FILE *file = file_open_input(o->object, "rb");
    if (file == NULL) {
        fprintf(stderr, "error: cannot read %s: %s\n", o->object, strerror(errno));
        return 1;
    }
    fclose(file);
    return file_is_same(o->output, o->object) ? fail("the output would replace the object ", o->object) : 0;
}

// --- verdicts ------------------------------------------------------------------------------------

static void show_program(const struct options *o, const struct ebpf_verify_program *p)
{
    if (o->verbose || !p->accepted) {
        fprintf(stderr, "%s/%s: %s (%u insns, %u states)\n", p->section, p->name,
                p->accepted ? "accepted" : "rejected", p->insn_count, p->states);
    }
    uint32_t shown = o->informational || o->verbose || p->finding_count == 0 ? p->finding_count : 1;
    for (uint32_t i = 0; i < shown; i++) {
        fprintf(stderr, "%s", p->findings[i].text);
    }
}

static int show_report(const struct options *o, const struct ebpf_verify_report *report, const char *message)
{
    if (!report->readable) {
        const char *section = report->error_section;
        fprintf(stderr, "error: %s: %s%s%s\n", o->object, section, section[0] != 0 ? ": " : "",
                report->error_message);
        return 1;
    }
    for (uint32_t i = 0; i < report->program_count; i++) {
        show_program(o, &report->programs[i]);
    }
    if (report->program_count == 0) {
        return fail(o->object, " has no program");
    }
    return message != NULL ? fail(message, "") : report->accepted ? 0 : 1;
}

// --- text ----------------------------------------------------------------------------------------

// Held back until it is known to be good.
struct text {
    char *bytes;
    size_t size, room;
    bool failed;
};

static void put_text(void *user, const char *piece, size_t size)
{
    struct text *t = user;
    if (t->room - t->size < size) {
        size_t room = (t->room + size) * 2;
        char *grown = t->failed ? NULL : realloc(t->bytes, room);
        if (grown == NULL) {
            t->failed = true;
            return;
        }
        t->bytes = grown;
        t->room = room;
    }
    memcpy(t->bytes + t->size, piece, size);
    t->size += size;
}

static int write_out(const struct options *o, const struct text *t)
{
    const char *name = o->output != NULL ? o->output : "the output";
    FILE *file = o->output != NULL ? fopen(o->output, "wb") : stdout;
    if (file == NULL) {
        fprintf(stderr, "error: cannot write %s: %s\n", name, strerror(errno));
        return 1;
    }
    bool good = fwrite(t->bytes, 1, t->size, file) == t->size && fflush(file) == 0;
    good = (file == stdout || fclose(file) == 0) && good;
    return good ? 0 : fail("cannot write all of ", name);
}

static int generate(const struct options *o)
{
    struct ebpf_verify_report *report = NULL;
    const char *message = NULL;
    struct text text = {0};
    LIBBPF_OPTS(ebpf_native_opts, opts, .type = o->type, .lines = true, .write = put_text,
                .sha256 = digest_sha256, .user = &text, .driver = o->mode == MODE_SYS,
                .no_digest = o->hash != NULL && strcmp(o->hash, "none") == 0);
    ebpf_result_t result = ebpf_generate_native(o->object, &opts, &report, &message);
    int status;
    if (result == EBPF_FAILED) {
        status = fail("digests cannot be made: this program was built without a library for them", "");
    } else if (result != EBPF_SUCCESS) {
        fprintf(stderr, "error: cannot read %s: %s\n", o->object, ebpf_result_text(result));
        status = 1;
    } else {
        status = show_report(o, report, message);
    }
    if (status == 0) {
        status = text.failed ? fail("out of memory", "") : write_out(o, &text);
    }
    ebpf_verify_free(report);
    ebpf_free_string(message);
    free(text.bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    int status = parse(&o, argc, argv);
    if (o.help) {
        fputs(usage, stdout);
        return 0;
    }
    status = status == 0 ? check_files(&o) : status;
    return status == 0 ? generate(&o) : status;
}
