// SPDX-License-Identifier: MIT
// gen_toolchain: one table of compilers, tried in its order; the first that can be started is it. Modules are
// freestanding, without libraries, and the same bytes whenever and wherever they are made.
#include "cli/gen_toolchain.h"
#include "cli/cli.h"

enum { MAX_NAMES = 3, MAX_WORDS = 40, MAX_LIBRARIES = 3, MAX_FILES = 8 };
enum { NOT_THERE = 1 }; // the program; errors are negative

static const struct gen_target targets[] = {
    {"linux", ".so", false, false},
    {"windows-dll", ".dll", true, false},
    {"windows-driver", ".sys", true, true},
};
static const char *const archs[] = {"x86_64", "arm64"};

const char *const gen_files[] = {
    "module.c",     "ebpf_native.h", "ebpf_native_driver.h", "module.so", "module.dll", "module.sys",
    "ntoskrnl.def", "netio.def",     "ntoskrnl.lib",         "netio.lib", NULL};

// --- compilers -----------------------------------------------------------------------------------

#define COMMON "-O2", "-std=gnu17", "-fno-strict-aliasing", "-ffreestanding", "-nostdlib", "-s"
#define GCC    "-fno-tree-loop-distribute-patterns" // it would make calls of memset out of loops
#define ELF    "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--build-id=none"
#define PE     "-Wl,--no-insert-timestamp", "-Wl,--dynamicbase", "-Wl,--nxcompat", "-Wl,--high-entropy-va"
// GNU ld would take an address from the name of the file, which is another one each time.
#define DLL PE, "-shared", "-Wl,--image-base,0x180000000"
// The kernel has its own rules for floating point. Its stack is all there, and needs no probes, but it is
// small: eight functions, each with the 512 bytes of a program's frame, may be one for a compiler.
#define FRAME "5120"
#define DRIVER                                                                                               \
    PE, "-Wl,--subsystem,native:10.0", "-Wl,--entry,DriverEntry", "-Wl,--image-base,0x140000000",            \
        "-mgeneral-regs-only", "-mno-stack-arg-probe"
#define CLANG       {"clang-19", "clang"}
#define MINGW       {"x86_64-w64-mingw32-gcc"}
#define LLVM        "clang-19 and lld-19"
#define CLANG_FRAME "-Wframe-larger-than=" FRAME, "-Werror=frame-larger-than"
// Windows wants to know how frames are left; lld wants an entry.
#define LLD       "-fuse-ld=lld", "-funwind-tables"
#define DLL_ENTRY "-DEBPF_NATIVE_DLL_ENTRY=ebpf_native_dll", "-Wl,--entry,ebpf_native_dll"

static const struct toolchain {
    const char *target, *arch, *package;
    const char *names[MAX_NAMES]; // of the compiler
    const char *words[MAX_WORDS];
    const char *libraries[MAX_LIBRARIES]; // behind the source
    const char *import_machine;           // import libraries are made for it
} toolchains[] = {
    {"linux", "x86_64", "clang-19 or gcc", CLANG, {"--target=x86_64-linux-gnu", COMMON, ELF}, {0}, NULL},
    {"linux", "x86_64", "clang-19 or gcc", {"x86_64-linux-gnu-gcc"}, {COMMON, GCC, ELF}, {0}, NULL},
    {"linux",
     "arm64",
     "gcc-aarch64-linux-gnu, or " LLVM,
     {"aarch64-linux-gnu-gcc"},
     {COMMON, GCC, "-mno-outline-atomics", ELF},
     {0},
     NULL},
    {"linux",
     "arm64",
     "gcc-aarch64-linux-gnu, or " LLVM,
     CLANG,
     {"--target=aarch64-linux-gnu", "-fuse-ld=lld", "-mno-outline-atomics", COMMON, ELF},
     {0},
     NULL},
    {"windows-dll",
     "x86_64",
     "gcc-mingw-w64-x86-64, or " LLVM,
     MINGW,
     {COMMON, GCC, DLL, "-Wl,--entry,0"},
     {"-lgcc"},
     NULL},
    {"windows-dll",
     "x86_64",
     LLVM,
     CLANG,
     {"--target=x86_64-windows-gnu", LLD, COMMON, DLL, DLL_ENTRY},
     {0},
     NULL},
    {"windows-dll",
     "arm64",
     LLVM,
     CLANG,
     {"--target=aarch64-windows-gnu", LLD, COMMON, DLL, DLL_ENTRY},
     {0},
     NULL},
    {"windows-driver",
     "x86_64",
     "gcc-mingw-w64-x86-64, or " LLVM,
     MINGW,
     {COMMON, GCC, DRIVER, "-Wl,--enable-reloc-section", "-Werror=frame-larger-than=" FRAME},
     {"-lntoskrnl", "-lnetio"},
     NULL},
    {"windows-driver",
     "x86_64",
     LLVM,
     CLANG,
     {"--target=x86_64-windows-gnu", LLD, COMMON, DRIVER, CLANG_FRAME},
     {0},
     "x64"},
    {"windows-driver",
     "arm64",
     LLVM,
     CLANG,
     {"--target=aarch64-windows-gnu", LLD, COMMON, DRIVER, CLANG_FRAME},
     {0},
     "arm64"},
};

static bool serves(const struct toolchain *t, const char *target, const char *arch)
{
    return strcmp(t->target, target) == 0 && strcmp(t->arch, arch) == 0;
}

const struct gen_target *gen_target_find(struct cli *c, const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(targets); i++) {
        if (strcmp(targets[i].name, name) == 0) {
            return &targets[i];
        }
    }
    cli_error(c, -EINVAL, "unknown target '%s': modules are made for linux, windows-dll and windows-driver",
              name);
    return NULL;
}

int gen_arch_check(struct cli *c, const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(archs); i++) {
        if (strcmp(archs[i], name) == 0) {
            return 0;
        }
    }
    return cli_error(c, -EINVAL, "unknown architecture '%s': modules are made for x86_64 and arm64", name);
}

// --- import libraries ----------------------------------------------------------------------------

// For linkers that bring none: what drivers call, and what compilers call by themselves.
static const struct {
    const char *name, *text;
} imports[] = {
    {"ntoskrnl", "LIBRARY ntoskrnl.exe\nEXPORTS\nZwClose\nZwOpenKey\nZwQueryValueKey\nmemcmp\nmemcpy\n"
                 "memmove\nmemset\n"},
    {"netio", "LIBRARY netio.sys\nEXPORTS\nNmrClientAttachProvider\nNmrDeregisterClient\nNmrRegisterClient\n"
              "NmrWaitForClientDeregisterComplete\n"},
};
static const char *const librarians[] = {"lld-link-19", "lld-link"};

static int run_librarian(struct cli *c, const char *def, const char *lib, const char *machine)
{
    char def_word[2 * GEN_PATH_SIZE + 8], lib_word[2 * GEN_PATH_SIZE + 8], machine_word[32];
    snprintf(def_word, sizeof(def_word), "/def:%s", def);
    snprintf(lib_word, sizeof(lib_word), "/out:%s", lib);
    snprintf(machine_word, sizeof(machine_word), "/machine:%s", machine);
    for (size_t i = 0; i < CLI_COUNT(librarians); i++) {
        const char *const words[] = {librarians[i], "/lib", machine_word, def_word, lib_word, NULL};
        int status = cli_host->run(words);
        if (status >= 0) {
            return status == 0 ? 0 : cli_error(c, -EIO, "%s failed", librarians[i]);
        }
    }
    return NOT_THERE;
}

static int make_import(struct cli *c, const char *folder, size_t index, const char *machine, char *lib)
{
    char def[GEN_PATH_SIZE];
    snprintf(def, sizeof(def), "%s/%s.def", folder, imports[index].name);
    snprintf(lib, GEN_PATH_SIZE, "%s/%s.lib", folder, imports[index].name);
    FILE *file = fopen(def, "wb");
    bool failed = file == NULL || fputs(imports[index].text, file) < 0;
    failed = (file != NULL && fclose(file) != 0) || failed;
    return failed ? cli_error(c, -errno, "cannot write %s: %s", def, error_text(errno))
                  : run_librarian(c, def, lib, machine);
}

// --- running -------------------------------------------------------------------------------------

static size_t add_words(const char **words, size_t count, const char *const *more, size_t most)
{
    for (size_t i = 0; i < most && more[i] != NULL; i++) {
        words[count++] = more[i];
    }
    return count;
}

static int run_compiler(struct cli *c, const struct toolchain *t, const char *const *files, size_t file_count)
{
    const char *words[1 + MAX_WORDS + MAX_FILES + MAX_LIBRARIES + 1];
    size_t count = add_words(words, 1, t->words, MAX_WORDS);
    count = add_words(words, count, files, file_count);
    count = add_words(words, count, t->libraries, MAX_LIBRARIES);
    words[count] = NULL;
    for (size_t i = 0; i < MAX_NAMES && t->names[i] != NULL; i++) {
        words[0] = t->names[i];
        int status = cli_host->run(words);
        if (status >= 0) {
            return status == 0 ? 0 : cli_error(c, -EIO, "the compiler %s failed", t->names[i]);
        }
    }
    return NOT_THERE;
}

static int run_toolchain(struct cli *c, const struct toolchain *t, const char *cpu, const char *folder,
                         const char *module)
{
    char source[GEN_PATH_SIZE], libs[CLI_COUNT(imports)][GEN_PATH_SIZE], option[128];
    snprintf(source, sizeof(source), "%s/module.c", folder);
    snprintf(option, sizeof(option), "%s%s",
             strcmp(t->arch, "arm64") == 0 ? "-mcpu=" : "-march=", cpu != NULL ? cpu : "");
    const char *files[MAX_FILES] = {"-I", folder, "-o", module, source};
    size_t count = 5;
    for (size_t i = 0; t->import_machine != NULL && i < CLI_COUNT(imports); i++) {
        int status = make_import(c, folder, i, t->import_machine, libs[i]);
        if (status != 0) {
            return status;
        }
        files[count++] = libs[i];
    }
    files[count] = cpu != NULL ? option : NULL;
    return run_compiler(c, t, files, CLI_COUNT(files));
}

int gen_compile(struct cli *c, const struct gen_target *target, const char *arch, const char *cpu,
                const char *folder, const char *module)
{
    const char *package = NULL;
    for (size_t i = 0; i < CLI_COUNT(toolchains); i++) {
        if (serves(&toolchains[i], target->name, arch)) {
            int status = run_toolchain(c, &toolchains[i], cpu, folder, module);
            if (status != NOT_THERE) {
                return status;
            }
            package = package != NULL ? package : toolchains[i].package;
        }
    }
    return cli_error(c, -ENOENT, "no compiler for %s on %s is there: install %s", target->name, arch,
                     package != NULL ? package : "one");
}
