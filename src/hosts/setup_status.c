// SPDX-License-Identifier: MIT
// setup_status: what is installed, whether it answers, and what the machine permits; as text or as JSON. It
// is gathered first and printed after.
#include <stdio.h>

#include "core/core.h"
#include "hosts/setup.h"
#include "hosts/setup_error.h"

#define MAX_ROWS 64u

enum exit_status { ALL_WELL = 0, SOMETHING_WRONG = 1, NOT_INSTALLED = 3 };

struct row {
    const char *name;
    enum plan_state state;
    struct plan_note note;
};

struct status {
    struct setup *setup;
    struct plan plan;
    unsigned counts[3], row_count;
    struct row rows[MAX_ROWS];
    struct setup_facts facts;
    struct core_integrity integrity;
};

static const char *const state_names[] = {
    [PLAN_ABSENT] = "missing", [PLAN_PRESENT] = "ok", [PLAN_DIFFERENT] = "different"};

// The plan's `user` is the setup: the rows are found beside it.
static struct status the_status;

static void collect(void *user, enum plan_event event, const struct plan_step *step, enum plan_state state,
                    uint32_t error, const struct plan_note *note)
{
    UNUSED(user);
    UNUSED(event);
    UNUSED(error);
    if (the_status.row_count < MAX_ROWS) {
        the_status.rows[the_status.row_count++] = (struct row){step->name, state, *note};
    }
}

static void gather(struct status *t, struct setup *s)
{
    t->setup = s;
    t->plan = setup_plan(s);
    t->plan.tell = collect;
    plan_check(&t->plan, t->counts);
    setup_probe(&t->facts);
    t->integrity = t->facts.integrity_known ? core_integrity_from_options(t->facts.integrity_options)
                                            : (struct core_integrity){.unknown = true};
}

static enum exit_status judge(const struct status *t)
{
    if (!t->setup->installed && t->counts[PLAN_PRESENT] + t->counts[PLAN_DIFFERENT] == 0) {
        return NOT_INSTALLED;
    }
    bool whole = t->counts[PLAN_ABSENT] + t->counts[PLAN_DIFFERENT] == 0;
    return whole && t->facts.driver_answers && t->facts.service_answers ? ALL_WELL : SOMETHING_WRONG;
}

static const char *hvci_word(const struct core_integrity *i)
{
    if (i->unknown) {
        return "unknown";
    }
    return i->hvci ? "on" : i->hvci_audit ? "audit" : "off";
}

static const char *test_signing_word(const struct core_integrity *i)
{
    return i->unknown ? "unknown" : i->test_signing ? "on" : "off";
}

// --- text ----------------------------------------------------------------------------------------

static void print_answer(const char *what, bool running, bool answers, uint32_t error)
{
    printf("%-15s %s, ", what, running ? "running" : "not running");
    if (answers) {
        printf("answers\n");
    } else {
        printf("no answer (error %u%s)\n", error,
               error == ERROR_ACCESS_DENIED ? ", access denied: ask as an administrator" : "");
    }
}

static void print_text(const struct status *t)
{
    const struct setup *s = t->setup;
    char folder[SETUP_PATH];
    printf("ebpf-setup %s\n", EBPF_VERSION);
    if (s->installed) {
        printf("installed       %s in %s%s\n", s->installed_version,
               setup_utf8(s->installed_folder, folder, sizeof(folder)), s->in_place ? " (in place)" : "");
    } else {
        printf("installed       no\n");
    }
    for (unsigned i = 0; i < t->row_count && judge(t) != NOT_INSTALLED; i++) {
        printf("  %-9s     %-21s %s\n", state_names[t->rows[i].state], t->rows[i].name, t->rows[i].note.text);
    }
    print_answer(NAME_DRIVER, setup_service_is_running(s, SETUP_SERVICE_DRIVER), t->facts.driver_answers,
                 t->facts.driver_error);
    if (t->facts.driver_answers) {
        printf("                protocol %u, %u CPUs\n", t->facts.protocol, t->facts.cpu_count);
    }
    print_answer(NAME_SERVICE, setup_service_is_running(s, SETUP_SERVICE_VERIFIER), t->facts.service_answers,
                 t->facts.service_error);
    printf("memory integrity (HVCI): %s\n", hvci_word(&t->integrity));
    printf("test signing: %s\n", test_signing_word(&t->integrity));
}

// --- JSON ----------------------------------------------------------------------------------------

static void print_string(const char *name, const char *text, const char *end)
{
    printf("\"%s\":\"", name);
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    printf("\"%s", end);
}

static void print_part(const char *name, bool running, bool answers, uint32_t error)
{
    printf("\"%s\":{\"running\":%s,\"answers\":%s,\"error\":%u},", name, running ? "true" : "false",
           answers ? "true" : "false", error);
}

static void print_steps(const struct status *t)
{
    printf("\"steps\":[");
    for (unsigned i = 0; i < t->row_count; i++) {
        printf("%s{", i == 0 ? "" : ",");
        print_string("name", t->rows[i].name, ",");
        print_string("state", state_names[t->rows[i].state], ",");
        print_string("note", t->rows[i].note.text, "}");
    }
    printf("],");
}

static void print_json(const struct status *t)
{
    const struct setup *s = t->setup;
    char folder[SETUP_PATH];
    printf("{");
    print_string("setup_version", EBPF_VERSION, ",");
    printf("\"installed\":%s,", s->installed ? "true" : "false");
    if (s->installed) {
        print_string("version", s->installed_version, ",");
        print_string("folder", setup_utf8(s->installed_folder, folder, sizeof(folder)), ",");
        printf("\"in_place\":%s,", s->in_place ? "true" : "false");
    }
    print_steps(t);
    print_part("driver", setup_service_is_running(s, SETUP_SERVICE_DRIVER), t->facts.driver_answers,
               t->facts.driver_error);
    print_part("service", setup_service_is_running(s, SETUP_SERVICE_VERIFIER), t->facts.service_answers,
               t->facts.service_error);
    printf("\"protocol\":%u,\"cpus\":%u,", t->facts.protocol, t->facts.cpu_count);
    print_string("memory_integrity", hvci_word(&t->integrity), ",");
    print_string("test_signing", test_signing_word(&t->integrity), "}\n");
}

int setup_status(struct setup *s)
{
    gather(&the_status, s);
    (s->options->json ? print_json : print_text)(&the_status);
    return judge(&the_status);
}
