// SPDX-License-Identifier: MIT
// cgen: the whole file: tables to be filled in, programs, tables that say what the module is.
#include "cgen/cgen_int.h"

static ebpf_result_t write_program(struct cgen *c, uint32_t index)
{
    struct unit u;
    TRY(unit_begin(&u, c, index));
    text_put(c, "// ");
    text_comment(c, u.p->section);
    text_put(c, ": ");
    text_comment(c, u.p->name);
    text_write(c, ", %u instructions\n", (unsigned)u.p->insn_count);
    TRY(func_write_all(&u));
    return table_program(&u);
}

ebpf_result_t cgen_write(const struct cgen_input *input, const struct cgen_sink *sink, struct arena *arena,
                         struct cgen_error *error)
{
    struct cgen c = {.in = input, .sink = sink, .arena = arena, .error = error};
    *error = (struct cgen_error){UINT32_MAX, UINT32_MAX, ""};
    TRY(table_collect(&c));
    table_declare(&c);
    for (uint32_t i = 0; i < input->program_count; i++) {
        TRY(write_program(&c, i));
    }
    table_object(&c);
    table_module(&c);
    return EBPF_SUCCESS;
}
