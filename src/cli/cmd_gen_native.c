// SPDX-License-Identifier: MIT
// cmd_gen_native: `bpftool gen native`: an object file to a native module, by a compiler of this machine.
// Exit status 0: written, 1: a program was rejected, 2: the object could not be read; others: see the
// message.
#include "cli/cli.h"
#include "cli/cli_int.h"

enum { STATUS_UNREADABLE = 2, PATH_MAX_SIZE = 1024, MAX_WORDS = 32 };

struct gen {
    const char *target, *arch, *output, *type, *dialect, *btf;
};

static const struct keyword rows[] = {
    {"--target", "{ linux | windows-dll }", KEYWORD_TEXT, false, false, "target",
     offsetof(struct gen, target), NULL},
    {"--arch", "{ x86_64 | arm64 }", KEYWORD_TEXT, false, false, "architecture", offsetof(struct gen, arch),
     NULL},
    {"-o", "FILE", KEYWORD_TEXT, false, false, "output", offsetof(struct gen, output), NULL},
    {"type", "TYPE", KEYWORD_TEXT, false, false, "program type", offsetof(struct gen, type), NULL},
    {"dialect", "{ linux | windows }", KEYWORD_TEXT, false, false, "dialect", offsetof(struct gen, dialect),
     NULL},
    {"--btf", "FILE", KEYWORD_TEXT, false, false, "BTF file", offsetof(struct gen, btf), NULL},
};
const struct keywords cmd_gen_native_keywords = KEYWORDS(rows);
const struct cli_host *cli_host;

// --- compilers -----------------------------------------------------------------------------------

#define COMMON "-O2", "-std=gnu17", "-fno-strict-aliasing", "-ffreestanding", "-nostdlib", "-shared", "-s"
#define GCC    "-fno-tree-loop-distribute-patterns" // it would make calls of memset out of loops
#define ELF    "-fPIC", "-fvisibility=hidden", "-Wl,--build-id=none"
#define PE     "-Wl,--entry,0", "-Wl,--no-insert-timestamp", "-Wl,--dynamicbase", "-Wl,--nxcompat"

// Tried in this order; the first that can be started is it.
static const struct toolchain {
    const char *target, *arch, *package;
    const char *words[MAX_WORDS];
} toolchains[] = {
    {"linux", "x86_64", "clang or gcc", {"clang", "--target=x86_64-linux-gnu", COMMON, ELF}},
    {"linux", "x86_64", "clang or gcc", {"x86_64-linux-gnu-gcc", COMMON, GCC, ELF}},
    {"linux",
     "arm64",
     "gcc-aarch64-linux-gnu",
     {"aarch64-linux-gnu-gcc", COMMON, GCC, "-mno-outline-atomics", ELF}},
    {"linux",
     "arm64",
     "gcc-aarch64-linux-gnu, or clang and lld",
     {"clang", "--target=aarch64-linux-gnu", "-fuse-ld=lld", "-mno-outline-atomics", COMMON, ELF}},
    {"windows-dll", "x86_64", "gcc-mingw-w64-x86-64", {"x86_64-w64-mingw32-gcc", COMMON, GCC, PE}},
};

static const char *extension(const char *target)
{
    return strcmp(target, "linux") == 0 ? ".so" : ".dll";
}

static bool serves(const struct toolchain *t, const struct gen *g)
{
    return strcmp(t->target, g->target) == 0 && strcmp(t->arch, g->arch) == 0;
}

static int run_toolchain(const struct toolchain *t, const char *folder, const char *module,
                         const char *source)
{
    const char *words[MAX_WORDS + 6];
    size_t count = 0;
    while (count < MAX_WORDS && t->words[count] != NULL) {
        words[count] = t->words[count];
        count++;
    }
    const char *const rest[] = {"-I", folder, "-o", module, source, NULL};
    memcpy(&words[count], rest, sizeof(rest));
    return cli_host->run(words);
}

static int compile(struct cli *c, const struct gen *g, const char *folder, const char *module,
                   const char *source)
{
    const char *package = NULL;
    for (size_t i = 0; i < CLI_COUNT(toolchains); i++) {
        if (!serves(&toolchains[i], g)) {
            continue;
        }
        int status = run_toolchain(&toolchains[i], folder, module, source);
        if (status >= 0) {
            return status == 0 ? 0 : cli_error(c, -EIO, "the compiler %s failed", toolchains[i].words[0]);
        }
        package = package != NULL ? package : toolchains[i].package;
    }
    return package != NULL
               ? cli_error(c, -ENOENT, "no compiler for %s on %s is there: install %s", g->target, g->arch,
                           package)
               : cli_error(c, -EINVAL, "modules for %s on %s cannot be made yet", g->target, g->arch);
}

// --- files ---------------------------------------------------------------------------------------

static int unwritten(struct cli *c, const char *path)
{
    return cli_error(c, -errno, "cannot write %s: %s", path, error_text(errno));
}

static int write_header(struct cli *c, const char *path)
{
    FILE *file = fopen(path, "wb");
    bool failed = file == NULL || fputs(ebpf_native_header(), file) < 0;
    failed = (file != NULL && fclose(file) != 0) || failed;
    return failed ? unwritten(c, path) : 0;
}

static bool copy_bytes(FILE *from, FILE *to)
{
    char bytes[4096];
    size_t size;
    while ((size = fread(bytes, 1, sizeof(bytes), from)) != 0) {
        if (fwrite(bytes, 1, size, to) != size) {
            return false;
        }
    }
    return ferror(from) == 0;
}

static int copy_file(struct cli *c, const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = in != NULL ? fopen(to, "wb") : NULL;
    bool good = out != NULL && copy_bytes(in, out);
    good = (out == NULL || fclose(out) == 0) && good;
    int status = good ? 0 : unwritten(c, to);
    if (in != NULL) {
        fclose(in);
    }
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
                .sha256 = cli_host->sha256, .user = file);
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
    static const char *const files[] = {"module.c", "ebpf_native.h", "module.so", "module.dll", NULL};
    char source[PATH_MAX_SIZE], header[PATH_MAX_SIZE], module[PATH_MAX_SIZE];
    snprintf(source, sizeof(source), "%s/module.c", folder);
    snprintf(header, sizeof(header), "%s/ebpf_native.h", folder);
    snprintf(module, sizeof(module), "%s/module%s", folder, extension(g->target));
    int status = generate(c, object, g, dialect, source);
    if (status == 0) {
        status = write_header(c, header);
    }
    if (status == 0) {
        status = compile(c, g, folder, module, source);
    }
    if (status == 0) {
        status = copy_file(c, module, g->output);
    }
    cli_host->remove_folder(folder, files);
    return status;
}

// The object's name, beside it.
static int choose_output(struct cli *c, const char *object, struct gen *g, char path[PATH_MAX_SIZE])
{
    size_t size = strlen(object);
    bool has_end = size > 2 && strcmp(object + size - 2, ".o") == 0;
    if (g->output == NULL) {
        int length = snprintf(path, PATH_MAX_SIZE, "%.*s%s", (int)(has_end ? size - 2 : size), object,
                              extension(g->target));
        if (length >= PATH_MAX_SIZE) {
            return cli_error(c, -1, "the name of the output is too long");
        }
        g->output = path;
    }
    return strcmp(g->output, object) == 0 ? cli_error(c, -EINVAL, "the output would replace the object") : 0;
}

static int check_target(struct cli *c, struct gen *g)
{
    g->target = g->target != NULL ? g->target : cli_host->target;
    g->arch = g->arch != NULL ? g->arch : cli_host->arch;
    if (strcmp(g->target, "windows-driver") == 0) {
        return cli_error(c, -1,
                         "drivers cannot be made yet: nothing would load them in the kernel. Targets: linux, "
                         "windows-dll");
    }
    if (strcmp(g->target, "linux") != 0 && strcmp(g->target, "windows-dll") != 0) {
        return cli_error(c, -EINVAL, "expected 'linux' or 'windows-dll', got: '%s'?", g->target);
    }
    return 0;
}

static int choose_dialect(struct cli *c, const char *name, enum ebpf_dialect *out)
{
    *out = name == NULL                   ? EBPF_DIALECT_AUTO
           : strcmp(name, "linux") == 0   ? EBPF_DIALECT_LINUX
           : strcmp(name, "windows") == 0 ? EBPF_DIALECT_WINDOWS
                                          : (enum ebpf_dialect) - 1;
    return (int)*out >= 0 ? 0 : cli_error(c, -EINVAL, "expected 'linux' or 'windows', got: '%s'?", name);
}

static int gen_native(struct cli *c, struct args *a)
{
    struct gen g = {0};
    enum ebpf_dialect dialect;
    char folder[PATH_MAX_SIZE / 2], output[PATH_MAX_SIZE];
    if (args_require(c, a, "native", 1) != 0) {
        return -EINVAL;
    }
    const char *object = args_take(a);
    if (keywords_parse(c, a, &cmd_gen_native_keywords, &g) != 0 ||
        choose_dialect(c, g.dialect, &dialect) != 0) {
        return -EINVAL;
    }
    if (cli_host == NULL) {
        return cli_error(c, -1, "this program cannot start compilers");
    }
    int status = check_target(c, &g);
    if (status == 0) {
        status = choose_output(c, object, &g, output);
    }
    if (status == 0 && !cli_host->make_folder(folder, sizeof(folder))) {
        status = cli_error(c, -EIO, "there is no folder for temporary files");
    }
    status = status == 0 ? make_in(c, object, &g, dialect, folder) : status;
    if (status == 0 && !c->json_output) {
        cli_put("", g.output, " is written; this version makes modules, it does not load them yet\n");
    } else if (status == 0) {
        cli_done(c);
    }
    return status;
}

static const struct command commands[] = {
    {"native", gen_native, "OBJ", &cmd_gen_native_keywords},
};
static const char *const notes[] = {
    "Verifies all programs of OBJ and makes C of them, compiled to a module. This version makes modules; it",
    "does not load them yet (docs/native.md).",
    NULL,
};
const struct command_group cmd_gen_group = {"gen", commands, CLI_COUNT(commands), notes, NULL};
