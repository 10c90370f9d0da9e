// SPDX-License-Identifier: MIT
// cli: options, command groups, help, suggestions and batches.
#include <stdarg.h>

#include "cli/cli.h"
#include "cli/cli_int.h"

#define VERSION "0.1.0"

// --- output --------------------------------------------------------------------------------------

// Control characters of ASCII, and of Latin-1 in their UTF-8 form (ESC [ is also U+009B); separators of lines
// and marks that turn the direction of what follows (U+2028-202E, U+2066-2069). Their length in bytes, or 0.
static size_t control_length(const unsigned char *s)
{
    bool marks = s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                                  (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
    bool latin = s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
    return marks ? 3 : latin ? 2 : s[0] < ' ' || s[0] == 0x7f ? 1 : 0;
}

static void put_clean(FILE *out, const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + size;
    while (s < end) {
        size_t length = control_length(s);
        fputc(length == 0 ? *s : *s == '\t' ? ' ' : '?', out);
        s += length == 0 ? 1 : length;
    }
}

void cli_put_part(const char *before, const char *text, size_t size, const char *after)
{
    fputs(before, stdout);
    put_clean(stdout, text, size);
    fputs(after, stdout);
}

void cli_put(const char *before, const char *text, const char *after)
{
    cli_put_part(before, text, strlen(text), after);
}

static void show_error(struct cli *c, const char *text)
{
    if (c->json_output) {
        json_start_object(&c->json);
        json_string_member(&c->json, "error", text);
        json_end_object(&c->json);
    } else {
        fflush(stdout); // errors come after what was shown
        fprintf(stderr, "Error: ");
        put_clean(stderr, text, strlen(text)); // it may quote names of an object
        fputc('\n', stderr);
    }
}

int cli_error(struct cli *c, int status, const char *format, ...)
{
    char text[1024], *whole = NULL; // what a long name leaves no room for is often the reason
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length >= (int)sizeof(text)) {
        whole = malloc((size_t)length + 1);
    }
    if (whole != NULL) {
        va_start(args, format);
        vsnprintf(whole, (size_t)length + 1, format, args);
        va_end(args);
    }
    show_error(c, whole != NULL ? whole : text);
    free(whole);
    return status;
}

void cli_done(struct cli *c)
{
    if (c->json_output) {
        json_null(&c->json);
    }
}

void cli_print_hex(const void *bytes, size_t size, const char *separator)
{
    for (size_t i = 0; i < size; i++) {
        if (i != 0 && i % 16 == 0) {
            putchar('\n');
        } else if (i != 0) {
            printf("%s%s", separator, i % 8 == 0 ? separator : "");
        }
        printf("%02x", ((const unsigned char *)bytes)[i]);
    }
}

// --- options -------------------------------------------------------------------------------------

struct option_row {
    char letter;
    const char *word;
    size_t off;        // of the bool in struct cli
    const char *group; // how the help shows it
};

static const struct option_row options[] = {
    {'j', "json", offsetof(struct cli, json_output), "{-j|--json} [{-p|--pretty}]"},
    {'p', "pretty", offsetof(struct cli, pretty), NULL},
    {'d', "debug", offsetof(struct cli, debug), "{-d|--debug}"},
    {'f', "bpffs", offsetof(struct cli, show_pins), "{-f|--bpffs}"},
    {'n', "nomount", offsetof(struct cli, no_mount), "{-n|--nomount}"},
    {'h', "help", offsetof(struct cli, help), "{-h|--help}"},
    {'V', "version", offsetof(struct cli, version), "{-V|--version}"},
};

void cli_print_options(FILE *out)
{
    fprintf(out, "       OPTIONS := {");
    for (size_t i = 0, n = 0; i < CLI_COUNT(options); i++) {
        if (options[i].group != NULL) {
            fprintf(out, "%s %s", n++ != 0 ? " |" : "", options[i].group);
        }
    }
    fprintf(out, " }\n");
}

static void set_option(struct cli *c, const struct option_row *row)
{
    *(bool *)((char *)c + row->off) = true;
    if (row->letter == 'p') {
        c->json_output = true;
    }
}

static bool take_long(struct cli *c, const char *word)
{
    for (size_t i = 0; i < CLI_COUNT(options); i++) {
        if (strcmp(options[i].word, word) == 0) {
            set_option(c, &options[i]);
            return true;
        }
    }
    return false;
}

static bool take_letters(struct cli *c, const char *letters)
{
    for (; *letters != 0; letters++) {
        size_t i = 0;
        while (i < CLI_COUNT(options) && options[i].letter != *letters) {
            i++;
        }
        if (i == CLI_COUNT(options)) {
            return false;
        }
        set_option(c, &options[i]);
    }
    return true;
}

// An option of a single command, which takes it from its keyword table.
static bool is_command_option(const char *word)
{
    const struct keywords *const tables[] = {&cmd_prog_verify_keywords, &cmd_gen_native_keywords};
    for (size_t t = 0; t < CLI_COUNT(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            if (strcmp(tables[t]->rows[i].name, word) == 0) {
                return true;
            }
        }
    }
    return false;
}

// Takes options out of the line wherever they stand, up to "--". Returns the one that is unknown, or NULL.
static const char *take_options(struct cli *c, struct args *a)
{
    int kept = 0;
    bool all = true;
    const char *unknown = NULL;
    for (int i = 0; i < a->count; i++) {
        char *word = a->next[i];
        if (all && strcmp(word, "--") == 0) {
            all = false;
        } else if (all && word[0] == '-' && word[1] != 0 && !is_command_option(word)) {
            bool known = word[1] == '-' ? take_long(c, word + 2) : take_letters(c, word + 1);
            unknown = known || unknown != NULL ? unknown : word;
        } else {
            a->next[kept++] = word;
        }
    }
    a->count = kept;
    return unknown;
}

// --- suggestions ---------------------------------------------------------------------------------

#define MAX_WORD 32

// Edits that turn one word into the other (Levenshtein); long words are far from everything.
static unsigned distance(const char *a, const char *b)
{
    unsigned row[MAX_WORD + 1];
    size_t size_a = strlen(a), size_b = strlen(b);
    if (size_a > MAX_WORD || size_b > MAX_WORD) {
        return MAX_WORD;
    }
    for (size_t k = 0; k <= size_b; k++) {
        row[k] = (unsigned)k;
    }
    for (size_t i = 1; i <= size_a; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= size_b; k++) {
            unsigned best = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            best = best < row[k] + 1 ? best : row[k] + 1;
            row[k] = best < row[k - 1] + 1 ? best : row[k - 1] + 1;
        }
    }
    return row[size_b];
}

const char *cli_suggest(const char *word, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < count; i++) {
        unsigned d = distance(word, names[i]);
        if (d < best && d < strlen(names[i])) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

// --- groups --------------------------------------------------------------------------------------

// "{ show | list }" for rows that share a usage; returns how many.
static size_t print_names(const struct command_group *group, size_t first)
{
    size_t count = 1;
    while (first + count < group->count && group->commands[first + count].usage == NULL) {
        count++;
    }
    fprintf(stderr, "%s", count > 1 ? "{ " : "");
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s%s", i != 0 ? " | " : "", group->commands[first + i].name);
    }
    fprintf(stderr, "%s", count > 1 ? " }" : "");
    return count;
}

static bool print_type(void *user, const char *name)
{
    bool *first = user;
    fprintf(stderr, "%s %s", *first ? "" : " |", name);
    *first = false;
    return true;
}

void group_help(struct cli *c, const struct command_group *group)
{
    size_t i = 0;
    if (c->json_output) {
        json_null(&c->json);
        return;
    }
    while (i < group->count) {
        const struct command *command = &group->commands[i];
        fprintf(stderr, "%s %s %s ", i == 0 ? "Usage:" : "      ", c->name, group->name);
        i += print_names(group, i);
        fprintf(stderr, "%s%s", command->usage[0] != 0 ? " " : "", command->usage);
        if (command->keywords != NULL) {
            keywords_print(stderr, command->keywords);
        }
        fputc('\n', stderr);
    }
    fprintf(stderr, "       %s %s help\n\n", c->name, group->name);
    for (const char *const *note = group->notes; *note != NULL; note++) {
        fprintf(stderr, "       %s\n", *note);
    }
    if (group->enumerate_types != NULL) {
        bool first = true;
        fprintf(stderr, "       TYPE := {");
        group->enumerate_types(print_type, &first);
        fprintf(stderr, " }\n");
    }
    cli_print_options(stderr);
}

static int unknown_command(struct cli *c, const struct command_group *group, const char *word)
{
    const char *names[32], *near;
    size_t count = 0;
    int result;
    for (; count < group->count && count < CLI_COUNT(names); count++) {
        names[count] = group->commands[count].name;
    }
    near = cli_suggest(word, names, count);
    result = near != NULL
                 ? cli_error(c, -1, "unknown command '%s %s', did you mean '%s'?", group->name, word, near)
                 : cli_error(c, -1, "unknown command '%s %s'", group->name, word);
    if (!c->json_output) {
        group_help(c, group);
    }
    return result;
}

int group_run(struct cli *c, const struct command_group *group, struct args *a)
{
    const char *word = args_take(a);
    if (word == NULL) {
        return group->commands[0].run(c, a);
    }
    for (size_t i = 0; i < group->count; i++) {
        if (args_is_prefix(word, group->commands[i].name)) {
            return group->commands[i].run(c, a);
        }
    }
    if (args_is_prefix(word, "help")) {
        group_help(c, group);
        return 0;
    }
    return unknown_command(c, group, word);
}

// --- the commands that belong to no group --------------------------------------------------------

static int run_help(struct cli *c, struct args *a);
static int run_batch(struct cli *c, struct args *a);

static int run_version(struct cli *c, struct args *a)
{
    char libbpf[16];
    (void)a;
    snprintf(libbpf, sizeof(libbpf), "%u.%u", libbpf_major_version(), libbpf_minor_version());
    if (!c->json_output) {
        printf("%s v%s\nusing libbpf v%s\nfeatures: libbpf_strict\n", c->name, VERSION, libbpf);
        return 0;
    }
    json_start_object(&c->json);
    json_string_member(&c->json, "version", VERSION);
    json_string_member(&c->json, "libbpf_version", libbpf);
    json_name(&c->json, "features");
    json_start_object(&c->json);
    json_bool_member(&c->json, "libbpf_strict", true);
    json_end_object(&c->json);
    json_end_object(&c->json);
    return 0;
}

static int run_prog(struct cli *c, struct args *a)
{
    return group_run(c, &cmd_prog_group, a);
}

static int run_map(struct cli *c, struct args *a)
{
    return group_run(c, &cmd_map_group, a);
}

static int run_link(struct cli *c, struct args *a)
{
    return group_run(c, &cmd_link_group, a);
}

static int run_net(struct cli *c, struct args *a)
{
    return group_run(c, &cmd_net_group, a);
}

static int run_gen(struct cli *c, struct args *a)
{
    return group_run(c, &cmd_gen_group, a);
}

struct object_row {
    const char *name;
    int (*run)(struct cli *c, struct args *a);
    bool is_object;
};
static const struct object_row objects[] = {
    {"help", run_help, false}, {"batch", run_batch, false},     {"prog", run_prog, true},
    {"map", run_map, true},    {"link", run_link, true},        {"net", run_net, true},
    {"gen", run_gen, true},    {"version", run_version, false},
};

static int run_help(struct cli *c, struct args *a)
{
    size_t shown = 0;
    (void)a;
    if (c->json_output) {
        json_null(&c->json);
        return 0;
    }
    fprintf(stderr, "Usage: %s [OPTIONS] OBJECT { COMMAND | help }\n", c->name);
    fprintf(stderr, "       %s batch file FILE\n       %s version\n\n       OBJECT := {", c->name, c->name);
    for (size_t i = 0; i < CLI_COUNT(objects); i++) {
        if (objects[i].is_object) {
            fprintf(stderr, "%s %s", shown++ != 0 ? " |" : "", objects[i].name);
        }
    }
    fprintf(stderr, " }\n");
    cli_print_options(stderr);
    return 0;
}

static int run_unknown(struct cli *c, struct args *a, const char *word)
{
    const char *names[CLI_COUNT(objects)], *near;
    for (size_t i = 0; i < CLI_COUNT(objects); i++) {
        names[i] = objects[i].name;
    }
    near = cli_suggest(word, names, CLI_COUNT(objects));
    if (near != NULL) {
        cli_error(c, -1, "unknown object '%s', did you mean '%s'?", word, near);
    } else {
        cli_error(c, -1, "unknown object '%s'", word);
    }
    if (!c->json_output) {
        run_help(c, a);
    }
    return -1;
}

static int run_line(struct cli *c, struct args *a)
{
    const char *word = args_take(a);
    if (word == NULL) {
        run_help(c, a);
        return 0;
    }
    for (size_t i = 0; i < CLI_COUNT(objects); i++) {
        if (args_is_prefix(word, objects[i].name)) {
            return objects[i].run(c, a);
        }
    }
    return run_unknown(c, a, word);
}

// --- batches: one command a line, '#' starts a comment -------------------------------------------

#define MAX_LINE  8192
#define MAX_WORDS 1024

// Cuts a line into words at blanks; quotes hold blanks together. Returns -1 when there are too many, or a
// quote is open.
static int split_line(char *line, char *words[MAX_WORDS])
{
    int count = 0;
    char *p = line;
    for (;;) {
        char quote = 0, *to;
        p += strspn(p, " \t\r\n");
        if (*p == 0 || *p == '#') {
            return count;
        }
        if (count == MAX_WORDS) {
            return -1;
        }
        words[count++] = to = p;
        for (; *p != 0 && (quote != 0 || strchr(" \t\r\n", *p) == NULL); p++) {
            if (*p == quote || (quote == 0 && (*p == '"' || *p == '\''))) {
                quote = quote == 0 ? *p : 0;
            } else {
                *to++ = *p;
            }
        }
        if (quote != 0) {
            return -1;
        }
        p += *p != 0;
        *to = 0;
    }
}

static void show_command(struct cli *c, const struct args *a)
{
    if (c->json_output) {
        json_start_object(&c->json);
        json_name(&c->json, "command");
        json_start_array(&c->json);
        for (int i = 0; i < a->count; i++) {
            json_string(&c->json, a->next[i]);
        }
        json_end_array(&c->json);
        json_name(&c->json, "output");
    }
}

static int run_batch_line(struct cli *c, char *line, unsigned number, unsigned *commands)
{
    char *words[MAX_WORDS];
    struct args a = {split_line(line, words), words};
    int result;
    if (a.count == 0) {
        return 0;
    }
    (*commands)++;
    if (a.count < 0) {
        return cli_error(c, -1, "line %u has too many words or an open quote", number);
    }
    show_command(c, &a);
    result = run_line(c, &a);
    if (c->json_output) {
        json_end_object(&c->json);
    }
    fflush(stdout);
    return result;
}

// Size of the line without its end when the next one continues it, else the whole. Files of Windows end lines
// with a carriage return too.
static size_t line_continued(const char *line, size_t size)
{
    size_t end = size - (size > 0 && line[size - 1] == '\n');
    end -= end > 0 && line[end - 1] == '\r';
    return end > 0 && end < size && line[end - 1] == '\\' ? end - 1 : size;
}

// Reads a line and those that continue it: each but the last ends with a backslash. *more: there was one.
static int read_line(struct cli *c, FILE *file, char line[MAX_LINE], unsigned *number, bool *more)
{
    size_t used = 0;
    *more = false;
    while (fgets(line + used, (int)(MAX_LINE - used), file) != NULL) {
        ++*number;
        used += strlen(line + used);
        if (used == MAX_LINE - 1 && line[used - 1] != '\n') {
            return cli_error(c, -1, "line %u is too long", *number);
        }
        size_t kept = line_continued(line, used);
        *more = kept == used;
        if (*more) {
            return 0;
        }
        used = kept;
    }
    if (ferror(file)) {
        return cli_error(c, -1, "reading batch file failed: %s", strerror(errno));
    }
    return used == 0 ? 0 : cli_error(c, -1, "line %u has no continuation", *number);
}

// The first command that fails ends the batch with its status.
static int run_lines(struct cli *c, FILE *file)
{
    char line[MAX_LINE];
    unsigned number = 0, commands = 0;
    bool more = true;
    int result = 0;
    while (result == 0 && more) {
        result = read_line(c, file, line, &number, &more);
        if (result == 0 && more) {
            result = run_batch_line(c, line, number, &commands);
        }
    }
    if (result == 0 && !c->json_output) {
        printf("processed %u commands\n", commands);
    }
    return result;
}

static int run_batch(struct cli *c, struct args *a)
{
    const char *path;
    FILE *file;
    int result;
    if (!args_take_word(a, "file")) {
        return cli_error(c, -1, "expected 'file', got: %s", a->count != 0 ? a->next[0] : "nothing");
    }
    path = args_take(a);
    if (path == NULL) {
        return cli_error(c, -1, "'batch file' needs FILE");
    }
    if (c->batch) {
        return cli_error(c, -1, "a batch cannot run a batch");
    }
    file = strcmp(path, "-") == 0 ? stdin : file_open_input(path, "rb");
    if (file == NULL) {
        return cli_error(c, -1, "Can't open file (%s): %s", path, strerror(errno));
    }
    c->batch = true;
    if (c->json_output) {
        json_start_array(&c->json);
    }
    result = run_lines(c, file);
    if (c->json_output) {
        json_end_array(&c->json);
    }
    c->batch = false;
    if (file != stdin) {
        fclose(file);
    }
    return result;
}

// --- one run -------------------------------------------------------------------------------------

static int print_all(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    return vfprintf(stderr, format, args);
}

// A full disk must not pass for a short list.
static int end_output(const struct cli *c, int result)
{
    int err = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;
    if (err == 0) {
        return result;
    }
    fprintf(stderr, "Error: can't write the output: %s\n", error_text(err));
    return c->status_unwritten != 0 ? c->status_unwritten : result != 0 ? result : -err;
}

int cli_main(int argc, char **argv)
{
    struct cli c = {.name = "bpftool"};
    struct args a = {argc - 1, argv + 1};
    const char *unknown = take_options(&c, &a);
    int result;
    json_init(&c.json, stdout, c.pretty);
    if (c.debug) {
        libbpf_set_print(print_all);
    }
    if (unknown != NULL) {
        result = cli_error(&c, -1, "unrecognized option '%s'", unknown);
        if (!c.json_output) {
            run_help(&c, &a);
        }
    } else if (c.help || c.version) {
        result = c.version ? run_version(&c, &a) : run_help(&c, &a);
    } else {
        result = run_line(&c, &a);
    }
    if (c.json_output) {
        fputc('\n', stdout);
    }
    result = end_output(&c, result);
    return result < 0 ? -error_number(-result) : result;
}
