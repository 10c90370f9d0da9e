// SPDX-License-Identifier: MIT
// netsh_file: object files: their sections and maps, their instructions, and what the verifier thinks of
// them. Needs no execution context.
#include "cli/netsh_int.h"

// --- show disassembly ----------------------------------------------------------------------------

enum netsh_status netsh_show_disassembly(struct netsh *n, const char *const *values)
{
    enum { FILENAME, SECTION, PROGRAM };
    const char *text = NULL, *error = NULL;
    ebpf_result_t result =
        ebpf_api_elf_disassemble_program(values[FILENAME], values[SECTION], values[PROGRAM], &text, &error);
    if (result == EBPF_SUCCESS) {
        netsh_put(n, text);
        netsh_put(n, "\n");
    } else {
        netsh_print(n, "%s\n", error != NULL ? error : "error: out of memory");
    }
    ebpf_free_string(text);
    ebpf_free_string(error);
    return result == EBPF_SUCCESS ? NETSH_DONE : NETSH_SUPPRESS_OUTPUT;
}

// --- show sections -------------------------------------------------------------------------------

static const char *type_name(const struct bpf_program *prog)
{
    struct ebpf_guid guid;
    const char *name = ebpf_get_ebpf_program_type(bpf_program__type(prog), &guid) == EBPF_SUCCESS
                           ? ebpf_get_program_type_name(&guid)
                           : NULL;
    return name != NULL ? name : "unspec";
}

static void show_section(struct netsh *n, const struct bpf_program *prog, bool verbose)
{
    unsigned slots = (unsigned)bpf_program__insn_cnt(prog);
    if (!verbose) {
        netsh_print(n, "%30s  %24s  %9s  %7u\n", bpf_program__section_name(prog), bpf_program__name(prog),
                    type_name(prog), slots * 8);
        return;
    }
    netsh_print(n, "\nSection      : %s\nProgram      : %s\nProgram Type : %s\n",
                bpf_program__section_name(prog), bpf_program__name(prog), type_name(prog));
    netsh_print(n, "Size         : %u bytes\nInstructions : %u\n", slots * 8, slots);
}

static void show_maps(struct netsh *n, const struct bpf_object *object)
{
    struct bpf_map *map;
    netsh_put(n, "\n"
                 "                     Key  Value      Max\n"
                 "          Map Type  Size   Size  Entries  Name\n"
                 "==================  ====  =====  =======  ========\n");
    bpf_object__for_each_map(map, object)
    {
        const char *type = libbpf_bpf_map_type_str(bpf_map__type(map));
        netsh_print(n, "%18s%6u%7u%9u  %s\n", type != NULL ? type : "unknown", bpf_map__key_size(map),
                    bpf_map__value_size(map), bpf_map__max_entries(map), bpf_map__name(map));
    }
}

static enum netsh_status show_object(struct netsh *n, const struct bpf_object *object, const char *section,
                                     bool verbose)
{
    struct bpf_program *prog;
    unsigned count = 0;
    if (!verbose) {
        netsh_put(n, "\n"
                     "                                                                     Size\n"
                     "                       Section                   Program       Type  (bytes)\n"
                     "==============================  ========================  =========  =======\n");
    }
    bpf_object__for_each_program(prog, object)
    {
        if (section == NULL || strcmp(section, bpf_program__section_name(prog)) == 0) {
            show_section(n, prog, verbose);
            count++;
        }
    }
    if (section != NULL && count == 0) {
        return netsh_refuse(n, "error: Section not found");
    }
    show_maps(n, object);
    return NETSH_DONE;
}

enum netsh_status netsh_show_sections(struct netsh *n, const char *const *values)
{
    enum { FILENAME, SECTION, LEVEL };
    static const char *const levels[] = {"normal", "verbose"};
    unsigned verbose = values[SECTION] != NULL;
    struct bpf_object *object;
    enum netsh_status status =
        netsh_parse_word(n, "level", values[LEVEL], levels, NETSH_COUNT(levels), &verbose);
    if (status != NETSH_DONE) {
        return status;
    }
    object = bpf_object__open(values[FILENAME]);
    if (object == NULL) {
        char why[128];
        libbpf_strerror(errno, why, sizeof(why));
        return netsh_refuse(n, "error: %s opening %s", why, values[FILENAME]);
    }
    status = show_object(n, object, values[SECTION], verbose);
    bpf_object__close(object);
    return status;
}

// --- show verification ---------------------------------------------------------------------------

enum level { NORMAL, INFORMATIONAL, VERBOSE };

static void show_more(struct netsh *n, const char *name, const char *text)
{
    if (text[0] != 0) {
        netsh_print(n, "   %s: %s\n", name, text);
    }
}

static void show_finding(struct netsh *n, const struct ebpf_verify_finding *f, unsigned level)
{
    if (f->file[0] != 0) {
        netsh_print(n, "; %s:%u\n; %s\n\n", f->file, f->line, f->source);
    }
    if (f->pc >= 0) {
        netsh_print(n, "%lld: ", (long long)f->pc);
    }
    netsh_print(n, "%s [%s]\n", f->message, f->rule);
    if (level != NORMAL) {
        show_more(n, "needed", f->needed);
        show_more(n, "known", f->known);
        show_more(n, "hint", f->hint);
    }
    netsh_put(n, "\n");
}

static void show_verdict(struct netsh *n, const struct ebpf_verify_program *p, unsigned level)
{
    if (level == VERBOSE) {
        netsh_print(n, "%s/%s: %u instructions, %u states, %u KB, %llu us\n", p->section, p->name,
                    p->insn_count, p->states, p->peak_kb, (unsigned long long)p->time_us);
    }
    if (p->accepted) {
        netsh_put(n, "Verification succeeded\n");
        return;
    }
    netsh_put(n, "Verification failed\n\nVerification report:\n\n");
    for (uint32_t i = 0; i < p->finding_count; i++) {
        show_finding(n, &p->findings[i], level);
    }
    netsh_print(n, "%u errors\n\n", p->finding_count);
}

static enum netsh_status show_report(struct netsh *n, const struct ebpf_verify_report *report,
                                     const char *file, unsigned level)
{
    if (!report->readable) {
        return report->error_section[0] != 0
                   ? netsh_refuse(n, "error: %s: %s", report->error_section, report->error_message)
                   : netsh_refuse(n, "error: %s: %s", file, report->error_message);
    }
    for (uint32_t i = 0; i < report->program_count; i++) {
        show_verdict(n, &report->programs[i], level);
    }
    return report->accepted ? NETSH_DONE : NETSH_SUPPRESS_OUTPUT;
}

enum netsh_status netsh_show_verification(struct netsh *n, const char *const *values)
{
    enum { FILENAME, SECTION, PROGRAM, TYPE, LEVEL };
    static const char *const levels[] = {"normal", "informational", "verbose"};
    LIBBPF_OPTS(ebpf_verify_opts, opts, .section = values[SECTION], .program = values[PROGRAM],
                .type = values[TYPE]);
    struct ebpf_verify_report *report = NULL;
    ebpf_result_t result;
    unsigned level = NORMAL;
    enum netsh_status status =
        netsh_parse_word(n, "level", values[LEVEL], levels, NETSH_COUNT(levels), &level);
    if (status == NETSH_DONE && opts.type != NULL &&
        ebpf_get_program_type_by_name(opts.type, NULL, NULL) != EBPF_SUCCESS) {
        status = netsh_refuse(n, "'%s' is no program type.", opts.type);
    }
    if (status != NETSH_DONE) {
        return status;
    }
    result = ebpf_verify_file(values[FILENAME], &opts, &report);
    if (result != EBPF_SUCCESS) {
        return netsh_fail(n, (int)result, "%s", ebpf_result_text(result));
    }
    status = show_report(n, report, values[FILENAME], level);
    ebpf_verify_free(report);
    return status;
}
