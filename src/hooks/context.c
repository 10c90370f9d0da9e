// SPDX-License-Identifier: MIT
// context: the rows of contexts.def say where each field lives on both sides, so this file knows no program
// type.
#include "hooks/context.h"
#include "plat/plat.h"

// Takes over the scalar fields of the client's context.
static void read_fields(struct test_context *context, const struct layout_row *row, const uint8_t *bytes)
{
    for (unsigned i = 0; i < row->field_count; i++) {
        const struct field_row *field = &row->fields[i];
        if (field->kind == FIELD_SCALAR) {
            memcpy((uint8_t *)&context->native + field->native_off, bytes + field->off,
                   min_u32(field->size, field->native_size));
        }
    }
}

ebpf_result_t context_create(const struct context_buffer *in, uint32_t layout, const void *ctx_in,
                             size_t ctx_in_size, struct test_context **out)
{
    const struct layout_row *row = &spec_builtin()->layouts[layout];
    if (in->headroom > in->capacity || in->size > in->capacity - in->headroom) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (ctx_in_size != 0 && ctx_in_size != row->size) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct test_context *context = plat_alloc(sizeof(*context), POOL_TAG_HOOK);
    if (context == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (ctx_in_size != 0) {
        read_fields(context, row, ctx_in);
        context->layout = layout;
    }
    struct run_data *data = &context->native.data;
    data->data = data->data_meta = in->buffer + in->headroom;
    data->data_end = data->data + in->size;
    *out = context;
    return EBPF_SUCCESS;
}

static void write_fields(const struct test_context *context, const struct layout_row *row, uint8_t *bytes)
{
    memset(bytes, 0, row->size);
    for (unsigned i = 0; i < row->field_count; i++) {
        const struct field_row *field = &row->fields[i];
        if (field->kind == FIELD_SCALAR) {
            memcpy(bytes + field->off, (const uint8_t *)&context->native + field->native_off,
                   min_u32(field->size, field->native_size));
        }
    }
}

void context_destroy(void *provider_context, void *context, const uint8_t **data, size_t *size, void *ctx_out,
                     size_t *ctx_out_size)
{
    UNUSED(provider_context);
    struct test_context *made = context;
    const struct layout_row *row = &spec_builtin()->layouts[made->layout];
    bool is_wanted = made->layout != LAYOUT_NONE && ctx_out != NULL && *ctx_out_size >= row->size;
    if (is_wanted) {
        write_fields(made, row, ctx_out);
    }
    *ctx_out_size = is_wanted ? row->size : 0;
    *data = made->native.data.data;
    *size = (size_t)(made->native.data.data_end - made->native.data.data);
    plat_free(made);
}
