// SPDX-License-Identifier: MIT
// service: judges the program of a PROG_LOAD request. Invariant: every outcome has a text and a JSON array,
// so that a client always learns why; nothing is kept between requests.
#include "service/service.h"

#include "verifier/verifier.h"

static void say(struct service_verdict *v, ebpf_result_t result, const char *text)
{
    v->result = result;
    v->text = text;
    v->json = "[]";
}

// The service takes requests as clients send them: references to objects do not matter here, maps or not.
static ebpf_result_t check_request(const void *bytes, size_t size, struct proto_request *out)
{
    uint8_t kinds[PROTO_MAX_OBJECTS];
    struct proto_header header;
    memset(kinds, PROTO_KIND_MAP, sizeof(kinds));
    if (size < sizeof(header)) {
        return EBPF_INVALID_ARGUMENT;
    }
    memcpy(&header, bytes, sizeof(header));
    if (header.op != PROTO_PROG_LOAD || header.objects > PROTO_MAX_OBJECTS) {
        return EBPF_INVALID_ARGUMENT;
    }
    return proto_request_check(bytes, size, kinds, header.objects, out);
}

// Text of one of the printers; NULL: no memory.
static char *print(size_t (*printer)(const struct program *, const struct verify_report *, char *, size_t),
                   const struct program *p, const struct verify_report *report, struct arena *arena)
{
    char probe[1];
    size_t size = printer(p, report, probe, sizeof(probe)) + 1;
    char *text = arena_alloc(arena, size);
    if (text != NULL) {
        printer(p, report, text, size);
    }
    return text;
}

static void tell_findings(const struct program *p, const struct verify_report *report, struct arena *arena,
                          struct service_verdict *out)
{
    char *text = print(report_print_text, p, report, arena);
    char *json = print(report_print_json, p, report, arena);
    if (text == NULL || json == NULL) {
        say(out, EBPF_NO_MEMORY, "the service ran out of memory while it wrote its findings\n");
        return;
    }
    out->result = report->accepted ? EBPF_SUCCESS : EBPF_VERIFICATION_FAILED;
    out->text = text;
    out->json = json;
    out->states = report->states;
    out->peak_kb = (uint32_t)((report->peak_bytes + 1023) / 1024);
    if (report->accepted) {
        out->evidence = report->evidence;
        out->evidence_size = report->evidence_size;
    }
}

static void judge(const struct spec_view *spec, const struct program *p, uint32_t log_level,
                  struct arena *arena, struct service_verdict *out)
{
    struct verify_options options = {.spec = spec, .replay = true};
    struct verify_report report;
    memset(&report, 0, sizeof(report));
    ebpf_result_t result = verify_program(p, &options, arena, &report);
    if (result == EBPF_NO_MEMORY) {
        say(out, result,
            "the program is too large or too complex for the memory that the verifier may use\n");
        return;
    }
    if (result != EBPF_SUCCESS && report.finding_count == 0) {
        say(out, result, "the verifier cannot judge this program\n");
        return;
    }
    report.accepted = report.accepted && result == EBPF_SUCCESS;
    if (log_level == 0 && report.finding_count > 1) {
        report.finding_count = 1;
    }
    tell_findings(p, &report, arena, out);
}

void service_verify(const struct spec_view *spec, const void *request, size_t size, struct arena *arena,
                    struct service_verdict *out)
{
    struct proto_request checked;
    struct proto_prog_load_request fixed;
    struct program p;
    memset(out, 0, sizeof(*out));
    ebpf_result_t result = check_request(request, size, &checked);
    if (result != EBPF_SUCCESS) {
        say(out, result, "the load request is malformed\n");
        return;
    }
    result = proto_program_decode(checked.tail, checked.tail_size, arena, &p);
    if (result != EBPF_SUCCESS) {
        say(out, result, "the program of the load request cannot be decoded\n");
        return;
    }
    memcpy(&fixed, checked.fixed, sizeof(fixed));
    judge(spec, &p, fixed.log_level, arena, out);
}
