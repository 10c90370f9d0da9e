// SPDX-License-Identifier: MIT
// cmd_gen_native: `bpftool gen native`: an object file to a native module, by a compiler of this machine.
// Exit status 0: written, 1: a program was rejected, 2: the object could not be read; others: see the
// message.
#include "cli/cli.h"
#include "cli/cli_int.h"
#include "cli/gen_toolchain.h"

enum { STATUS_UNREADABLE = 2 };

struct gen {
    const char *target, *arch, *cpu, *output, *type, *dialect, *btf;
    const struct gen_target *made;
};

static const struct keyword rows[] = {
    {"--target", "{ linux | windows-dll | windows-driver }", KEYWORD_TEXT, false, false, "target",
     offsetof(struct gen, target), NULL},
    {"--arch", "{ x86_64 | arm64 }", KEYWORD_TEXT, false, false, "architecture", offsetof(struct gen, arch),
     NULL},
    {"--cpu", "CPU", KEYWORD_TEXT, false, false, "processor", offsetof(struct gen, cpu), NULL},
    {"-o", "FILE", KEYWORD_TEXT, false, false, "output", offsetof(struct gen, output), NULL},
    {"type", "TYPE", KEYWORD_TEXT, false, false, "program type", offsetof(struct gen, type), NULL},
    {"dialect", "{ linux | windows }", KEYWORD_TEXT, false, false, "dialect", offsetof(struct gen, dialect),
     NULL},
    {"--btf", "FILE", KEYWORD_TEXT, false, false, "BTF file", offsetof(struct gen, btf), NULL},
};
const struct keywords cmd_gen_native_keywords = KEYWORDS(rows);
const struct cli_host *cli_host;

// --- files ---------------------------------------------------------------------------------------

static int unwritten(struct cli *c, const char *path)
{
    return cli_error(c, -errno, "cannot write %s: %s", path, error_text(errno));
}

static int write_text(struct cli *c, const char *folder, const char *name, const char *text)
{
    char path[GEN_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    bool failed = file == NULL || fputs(text, file) < 0;
    failed = (file != NULL && fclose(file) != 0) || failed;
    return failed ? unwritten(c, path) : 0;
}

// To be given to free. NULL with errno.
static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    bool good = file != NULL && fseek(file, 0, SEEK_END) == 0;
    long end = good ? ftell(file) : -1;
    if (end >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        *size = (size_t)end;
        bytes = malloc(*size + 1);
    }
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static int write_module(struct cli *c, const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool failed = file == NULL || fwrite(bytes, 1, size, file) != size;
    failed = (file != NULL && fclose(file) != 0) || failed;
    return failed ? unwritten(c, path) : 0;
}

static int finish_module(struct cli *c, const struct gen *g, const char *module)
{
    size_t size = 0;
    uint8_t *bytes = read_whole(module, &size);
    int status = bytes != NULL ? 0 : cli_error(c, -errno, "cannot read %s: %s", module, error_text(errno));
    if (status == 0 && g->made->is_pe && !gen_pe_finish(bytes, size)) {
        status = cli_error(c, -EIO, "what the compiler made is no PE image");
    }
    status = status == 0 ? write_module(c, g->output, bytes, size) : status;
    free(bytes);
    return status;
}

static void put_text(void *user, const char *text, size_t size)
{
    fwrite(text, 1, size, user); // errors are found when the file is closed
}

// --- the command ---------------------------------------------------------------------------------

static int say_refused(struct cli *c, const struct ebpf_verify_report *report, const char *message)
{
    return !report->accepted ? verify_show_report(c, report)
           : message != NULL ? cli_error(c, -1, "%s", message)
                             : 0;
}

static int generate(struct cli *c, const char *object, const struct gen *g, enum ebpf_dialect dialect,
                    const char *source)
{
    struct ebpf_verify_report *report = NULL;
    const char *message = NULL;
    FILE *file = fopen(source, "wb");
    if (file == NULL) {
        return unwritten(c, source);
    }
    LIBBPF_OPTS(ebpf_native_opts, opts, .type = g->type, .dialect = dialect, .btf = g->btf, .write = put_text,
                .sha256 = cli_host->sha256, .user = file, .driver = g->made->is_driver);
    ebpf_result_t result = ebpf_generate_native(object, &opts, &report, &message);
    bool failed = ferror(file) != 0;
    failed = fclose(file) != 0 || failed;
    if (result == EBPF_FAILED) {
        return cli_error(c, -1, "digests cannot be made: this program was built without a library for them");
    }
    if (result != EBPF_SUCCESS) {
        return cli_error(c, STATUS_UNREADABLE, "cannot read %s: %s", object, ebpf_result_text(result));
    }
    int status = say_refused(c, report, message);
    ebpf_verify_free(report);
    ebpf_free_string(message);
    return status == 0 && failed ? unwritten(c, source) : status;
}

static int make_in(struct cli *c, const char *object, const struct gen *g, enum ebpf_dialect dialect,
                   const char *folder)
{
    char source[GEN_PATH_SIZE], module[GEN_PATH_SIZE];
    snprintf(source, sizeof(source), "%s/module.c", folder);
    snprintf(module, sizeof(module), "%s/module%s", folder, g->made->extension);
    int status = generate(c, object, g, dialect, source);
    if (status == 0) {
        status = write_text(c, folder, "ebpf_native.h", ebpf_native_header());
    }
    if (status == 0) {
        status = write_text(c, folder, "ebpf_native_driver.h", ebpf_native_driver_header());
    }
    if (status == 0) {
        status = gen_compile(c, g->made, g->arch, g->cpu, folder, module);
    }
    if (status == 0) {
        status = finish_module(c, g, module);
    }
    cli_host->remove_folder(folder, gen_files);
    return status;
}

// Of a name that ends as objects and modules do: the length of the rest.
static size_t stem_size(const char *name)
{
    static const char *const ends[] = {".o", ".so", ".dll", ".sys"};
    size_t size = strlen(name);
    for (size_t i = 0; i < CLI_COUNT(ends); i++) {
        size_t end = strlen(ends[i]);
        if (size > end && strcmp(name + size - end, ends[i]) == 0) {
            return size - end;
        }
    }
    return size;
}

// An input that cannot be read is said before anything is made.
static int check_input(struct cli *c, const char *object)
{
    FILE *file = file_open_input(object, "rb");
    if (file == NULL) {
        return cli_error(c, STATUS_UNREADABLE, "cannot read %s: %s", object, error_text(errno));
    }
    fclose(file);
    return 0;
}

static int check_output(struct cli *c, const char *object, const struct gen *g)
{
    return strcmp(g->output, object) == 0 || file_is_same(g->output, object)
               ? cli_error(c, -EINVAL, "the output would replace the object: name another file with -o")
           : file_is_same(g->output, g->btf)
               ? cli_error(c, -EINVAL, "the output would replace the BTF file: name another file with -o")
               : 0;
}

// The object's name, beside it.
static int choose_output(struct cli *c, const char *object, struct gen *g, char path[GEN_PATH_SIZE])
{
    if (g->output == NULL) {
        int length =
            snprintf(path, GEN_PATH_SIZE, "%.*s%s", (int)stem_size(object), object, g->made->extension);
        if (length >= GEN_PATH_SIZE) {
            return cli_error(c, -1, "the name of the output is too long");
        }
        g->output = path;
    }
    return check_output(c, object, g);
}

static int check_target(struct cli *c, struct gen *g)
{
    g->target = g->target != NULL ? g->target : cli_host->target;
    g->arch = g->arch != NULL ? g->arch : cli_host->arch;
    g->made = gen_target_find(c, g->target);
    return g->made != NULL ? gen_arch_check(c, g->arch) : -EINVAL;
}

static int choose_dialect(struct cli *c, const char *name, enum ebpf_dialect *out)
{
    *out = name == NULL                   ? EBPF_DIALECT_AUTO
           : strcmp(name, "linux") == 0   ? EBPF_DIALECT_LINUX
           : strcmp(name, "windows") == 0 ? EBPF_DIALECT_WINDOWS
                                          : (enum ebpf_dialect) - 1;
    return (int)*out >= 0 ? 0
                          : cli_error(c, -EINVAL, "unknown dialect '%s': there are linux and windows", name);
}

static int gen_native(struct cli *c, struct args *a)
{
    struct gen g = {0};
    enum ebpf_dialect dialect;
    char folder[GEN_PATH_SIZE / 2], output[GEN_PATH_SIZE];
    if (args_require(c, a, "native", 1) != 0) {
        return -EINVAL;
    }
    const char *object = args_take(a);
    if (keywords_parse(c, a, &cmd_gen_native_keywords, &g) != 0 ||
        choose_dialect(c, g.dialect, &dialect) != 0) {
        return -EINVAL;
    }
    if (g.type != NULL && ebpf_get_program_type_by_name(g.type, NULL, NULL) != EBPF_SUCCESS) {
        return cli_error(c, -EINVAL, "unknown program type '%s'", g.type);
    }
    if (cli_host == NULL) {
        return cli_error(c, -1, "this program cannot start compilers");
    }
    int status = check_target(c, &g);
    if (status == 0) {
        status = choose_output(c, object, &g, output);
    }
    if (status == 0) {
        status = check_input(c, object);
    }
    if (status == 0 && !cli_host->make_folder(folder, sizeof(folder))) {
        status = cli_error(c, -EIO, "there is no folder for temporary files");
    }
    status = status == 0 ? make_in(c, object, &g, dialect, folder) : status;
    if (status == 0 && !c->json_output) {
        cli_put("", g.output,
                g.made->is_driver ? " is written; Windows loads it when it is signed (docs/native.md)\n"
                                  : " is written\n");
    } else if (status == 0) {
        cli_done(c);
    }
    return status;
}

static const struct command commands[] = {
    {"native", gen_native, "OBJ", &cmd_gen_native_keywords},
};
static const char *const notes[] = {
    "Verifies all programs of OBJ and makes C of them, compiled to a native module, which is opened, loaded "
    "and",
    "attached wherever an object file is: a shared object (linux), a DLL (windows-dll) or a driver",
    "(windows-driver), for x86_64 or arm64. Default: for this machine, beside OBJ. CPU: what the compiler "
    "calls",
    "the processor that it is for (native: this one); default: all of the architecture. See docs/native.md.",
    NULL,
};
const struct command_group cmd_gen_group = {"gen", commands, CLI_COUNT(commands), notes, NULL};
