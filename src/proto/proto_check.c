// SPDX-License-Identifier: MIT
// proto_check: the operation table, and the validation of messages against it. Whatever a handler may rely on
// without looking at objects is established here: a request that passes has known sizes, zero reserved
// fields, terminated paths and objects of the permitted kinds.
#include "proto/proto.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "messages are structures of the machine's byte order");

// Fixed structures by row; a row without them does not compile.
#define REQUEST_VERSION          struct proto_version_request
#define REPLY_VERSION            struct proto_version_reply
#define REQUEST_MAP_CREATE       struct proto_map_create_request
#define REPLY_MAP_CREATE         struct proto_new_object
#define REQUEST_MAP_LOOKUP       struct proto_map_lookup_request
#define REPLY_MAP_LOOKUP         struct proto_empty
#define REQUEST_MAP_UPDATE       struct proto_map_update_request
#define REPLY_MAP_UPDATE         struct proto_empty
#define REQUEST_MAP_DELETE       struct proto_map_delete_request
#define REPLY_MAP_DELETE         struct proto_empty
#define REQUEST_MAP_NEXT_KEY     struct proto_map_next_key_request
#define REPLY_MAP_NEXT_KEY       struct proto_empty
#define REQUEST_MAP_FREEZE       struct proto_empty
#define REPLY_MAP_FREEZE         struct proto_empty
#define REQUEST_PROG_LOAD        struct proto_prog_load_request
#define REPLY_PROG_LOAD          struct proto_prog_load_reply
#define REQUEST_PROG_TEST_RUN    struct proto_prog_test_run_request
#define REPLY_PROG_TEST_RUN      struct proto_prog_test_run_reply
#define REQUEST_PROG_BIND_MAP    struct proto_empty
#define REPLY_PROG_BIND_MAP      struct proto_empty
#define REQUEST_LINK_CREATE      struct proto_link_create_request
#define REPLY_LINK_CREATE        struct proto_new_object
#define REQUEST_LINK_UPDATE      struct proto_empty
#define REPLY_LINK_UPDATE        struct proto_empty
#define REQUEST_LINK_REPLACE     struct proto_empty
#define REPLY_LINK_REPLACE       struct proto_empty
#define REQUEST_LINK_DETACH      struct proto_empty
#define REPLY_LINK_DETACH        struct proto_empty
#define REQUEST_OBJECT_PIN       struct proto_path_request
#define REPLY_OBJECT_PIN         struct proto_empty
#define REQUEST_OBJECT_GET       struct proto_path_request
#define REPLY_OBJECT_GET         struct proto_new_object
#define REQUEST_OBJECT_UNPIN     struct proto_path_request
#define REPLY_OBJECT_UNPIN       struct proto_empty
#define REQUEST_PIN_NEXT         struct proto_path_request
#define REPLY_PIN_NEXT           struct proto_pin_next_reply
#define REQUEST_NEXT_ID          struct proto_next_id_request
#define REPLY_NEXT_ID            struct proto_next_id_reply
#define REQUEST_OPEN_ID          struct proto_open_id_request
#define REPLY_OPEN_ID            struct proto_new_object
#define REQUEST_OBJECT_INFO      struct proto_empty
#define REPLY_OBJECT_INFO        struct proto_object_info_reply
#define REQUEST_HOOK_NEXT        struct proto_hook_next_request
#define REPLY_HOOK_NEXT          struct proto_hook_next_reply
#define REQUEST_MAP_LOOKUP_BATCH struct proto_map_lookup_batch_request
#define REPLY_MAP_LOOKUP_BATCH   struct proto_map_batch_reply
#define REQUEST_MAP_UPDATE_BATCH struct proto_map_batch_request
#define REPLY_MAP_UPDATE_BATCH   struct proto_map_batch_reply
#define REQUEST_MAP_DELETE_BATCH struct proto_map_batch_request
#define REPLY_MAP_DELETE_BATCH   struct proto_map_batch_reply
#define REQUEST_MAP_MEMORY       struct proto_map_memory_request
#define REPLY_MAP_MEMORY         struct proto_map_memory_reply
#define REQUEST_HOLDER_NEXT      struct proto_holder_next_request
#define REPLY_HOLDER_NEXT        struct proto_holder_next_reply
#define REQUEST_MAP_SET_PROGRAM  struct proto_map_set_program_request
#define REPLY_MAP_SET_PROGRAM    struct proto_empty
#define REQUEST_PROG_DUMP        struct proto_prog_dump_request
#define REPLY_PROG_DUMP          struct proto_prog_dump_reply
#define REQUEST_MODULE_LOAD      struct proto_module_load_request
#define REPLY_MODULE_LOAD        struct proto_module_load_reply
#define REQUEST_MODULE_OPEN      struct proto_module_open_request
#define REPLY_MODULE_OPEN        struct proto_new_object
#define REQUEST_MODULE_PROGRAM   struct proto_module_program_request
#define REPLY_MODULE_PROGRAM     struct proto_module_program_reply

// No padding travels: the size of each structure is the sum of its members.
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "no padding in " #type)
SIZE(proto_header, 24);
SIZE(map_def, 24 + SPEC_NAME_SIZE);
SIZE(proto_version_reply, 16);
SIZE(proto_map_update_request, 16);
SIZE(proto_prog_load_reply, 32);
SIZE(proto_prog_test_run_request, 24);
SIZE(proto_prog_test_run_reply, 24);
SIZE(proto_link_create_request, 16);
SIZE(proto_pin_next_reply, PROTO_PATH_SIZE + 8);
SIZE(proto_object_info_reply, 20 * 4 + 4 * 8 + 8 + 2 * SPEC_NAME_SIZE + 4 * SPEC_MAX_MAPS);
SIZE(proto_hook_next_reply, 16 + SPEC_NAME_SIZE + PROTO_MAX_COUNTERS * 24 + 16);
SIZE(proto_verify_reply, 32);
SIZE(proto_map_batch_request, 16);
SIZE(proto_map_lookup_batch_request, 16);
SIZE(proto_map_batch_reply, 16);
SIZE(proto_map_memory_reply, 16);
SIZE(proto_holder_next_reply, 20);
SIZE(proto_map_set_program_request, 8);
SIZE(proto_prog_dump_request, 16);
SIZE(proto_prog_dump_reply, 8);
SIZE(proto_module_load_reply, 16);
SIZE(proto_module_open_request, 16);
SIZE(proto_module_program_reply, SPEC_NAME_SIZE + 8);
_Static_assert(PROTO_MAX_OBJECTS <= UINT8_MAX, "object kinds fit small arrays");

enum { NONE = false, BYTES = true, OLD = false, NEW = true, QUICK = false, WAITS = true, ANY_COUNT = -1 };
#define MAP            (1u << PROTO_KIND_MAP)
#define PROGRAM        (1u << PROTO_KIND_PROGRAM)
#define LINK           (1u << PROTO_KIND_LINK)
#define MODULE         (1u << PROTO_KIND_MODULE)
#define KINDS(a, b, c) {(a), (b), (c)}

static const struct proto_op_row rows[] = {
#define OP(id, number, objects, kinds, request_tail, reply_tail, new_object, time)                           \
    {#id,          number,     objects,    KINDS kinds, sizeof(REQUEST_##id), sizeof(REPLY_##id),            \
     request_tail, reply_tail, new_object, time},
#include "proto/ops.def"
#undef OP
};

const struct proto_op_row *proto_op_row(uint16_t op)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].number == op) {
            return &rows[i];
        }
    }
    return NULL;
}

// --- fields that have a rule of their own --------------------------------------------------------

enum field_rule { RULE_ZERO, RULE_TEXT }; // must be zero; must be NUL-terminated

struct checked_field {
    uint8_t op, rule;
    uint16_t off, size;
};

#define FIELD(op, rule, member)                                                                              \
    {PROTO_##op, rule, offsetof(REQUEST_##op, member), sizeof(((REQUEST_##op *)NULL)->member)}

static const struct checked_field checked_fields[] = {
    FIELD(MAP_CREATE, RULE_TEXT, def.name),       FIELD(MAP_LOOKUP, RULE_ZERO, flags),
    FIELD(MAP_UPDATE, RULE_ZERO, reserved),       FIELD(MAP_DELETE, RULE_ZERO, flags),
    FIELD(MAP_DELETE, RULE_ZERO, reserved),       FIELD(MAP_NEXT_KEY, RULE_ZERO, reserved),
    FIELD(MAP_NEXT_KEY, RULE_ZERO, reserved2),    FIELD(MAP_FREEZE, RULE_ZERO, reserved),
    FIELD(PROG_TEST_RUN, RULE_ZERO, flags),       FIELD(PROG_BIND_MAP, RULE_ZERO, reserved),
    FIELD(LINK_CREATE, RULE_ZERO, reserved),      FIELD(LINK_UPDATE, RULE_ZERO, reserved),
    FIELD(LINK_REPLACE, RULE_ZERO, reserved),     FIELD(LINK_DETACH, RULE_ZERO, reserved),
    FIELD(OBJECT_PIN, RULE_TEXT, path),           FIELD(OBJECT_GET, RULE_TEXT, path),
    FIELD(OBJECT_UNPIN, RULE_TEXT, path),         FIELD(PIN_NEXT, RULE_TEXT, path),
    FIELD(OBJECT_INFO, RULE_ZERO, reserved),      FIELD(MAP_MEMORY, RULE_ZERO, reserved),
    FIELD(HOLDER_NEXT, RULE_ZERO, reserved),      FIELD(PROG_DUMP, RULE_ZERO, reserved),
    FIELD(MODULE_LOAD, RULE_ZERO, flags),         FIELD(MODULE_LOAD, RULE_ZERO, reserved),
    FIELD(MODULE_PROGRAM, RULE_ZERO, reserved),   FIELD(MAP_LOOKUP_BATCH, RULE_ZERO, flags),
    FIELD(MAP_UPDATE_BATCH, RULE_ZERO, reserved), FIELD(MAP_DELETE_BATCH, RULE_ZERO, reserved),
};

static bool keeps_rule(const struct checked_field *field, const uint8_t *bytes)
{
    uint8_t seen = 0;
    for (uint16_t i = 0; i < field->size; i++) {
        if (field->rule == RULE_TEXT && bytes[i] == 0) {
            return true;
        }
        seen |= bytes[i];
    }
    return field->rule == RULE_ZERO && seen == 0;
}

static ebpf_result_t check_fields(uint16_t op, const uint8_t *fixed)
{
    for (size_t i = 0; i < ARRAY_SIZE(checked_fields); i++) {
        const struct checked_field *field = &checked_fields[i];
        if (field->op == op && !keeps_rule(field, fixed + field->off)) {
            return EBPF_INVALID_ARGUMENT;
        }
    }
    return EBPF_SUCCESS;
}

// --- messages ------------------------------------------------------------------------------------

ebpf_result_t proto_frame_size(const void *header, size_t *size)
{
    struct proto_header h;
    memcpy(&h, header, sizeof(h));
    if (h.magic != PROTO_MAGIC || h.size < sizeof(h) || h.size > PROTO_MAX_SIZE) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (h.version != PROTO_WIRE_VERSION) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    *size = h.size;
    return EBPF_SUCCESS;
}

static ebpf_result_t check_header(const void *bytes, size_t size, struct proto_header *out)
{
    size_t framed = 0;
    if (size < sizeof(*out)) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(proto_frame_size(bytes, &framed));
    if (framed != size) {
        return EBPF_INVALID_ARGUMENT;
    }
    memcpy(out, bytes, sizeof(*out));
    return EBPF_SUCCESS;
}

static ebpf_result_t check_objects(const struct proto_op_row *row, const struct proto_header *header,
                                   const uint8_t *kinds, unsigned count)
{
    if (header->objects != count || count > PROTO_MAX_OBJECTS) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (row->objects != ANY_COUNT && count != (unsigned)row->objects) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; i < count; i++) {
        uint8_t permitted = row->kinds[row->objects == ANY_COUNT ? 0 : i];
        if (kinds[i] > PROTO_KIND_MODULE || (permitted >> kinds[i] & 1) == 0) {
            return EBPF_INVALID_OBJECT;
        }
    }
    return EBPF_SUCCESS;
}

// The fixed structure follows the header, then the tail where the row permits one.
static ebpf_result_t check_body_size(size_t size, size_t fixed_size, bool tail)
{
    size_t left = size - sizeof(struct proto_header);
    return left == fixed_size || (tail && left > fixed_size) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

ebpf_result_t proto_request_check(const void *bytes, size_t size, const uint8_t *object_kinds,
                                  unsigned object_count, struct proto_request *out)
{
    struct proto_header header;
    const struct proto_op_row *row;
    const uint8_t *fixed = (const uint8_t *)bytes + sizeof(header);
    TRY(check_header(bytes, size, &header));
    row = proto_op_row(header.op);
    if (row == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (header.result != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(check_body_size(size, row->request_size, row->request_tail));
    TRY(check_fields(row->number, fixed));
    TRY(check_objects(row, &header, object_kinds, object_count));
    *out = (struct proto_request){
        .row = row,
        .header = header,
        .fixed = fixed,
        .tail = fixed + row->request_size,
        .tail_size = size - sizeof(header) - row->request_size,
    };
    return EBPF_SUCCESS;
}

ebpf_result_t proto_reply_check(uint16_t op, const void *bytes, size_t size, struct proto_header *header,
                                const void **fixed, const uint8_t **tail, size_t *tail_size)
{
    struct proto_header h;
    const struct proto_op_row *row = proto_op_row(op);
    const uint8_t *body = (const uint8_t *)bytes + sizeof(h);
    TRY(check_header(bytes, size, &h));
    if (row == NULL || h.op != op || h.result >= EBPF_RESULT_COUNT) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (h.objects != (row->new_object && h.result == EBPF_SUCCESS ? 1u : 0u)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (h.result != EBPF_SUCCESS && size == sizeof(h)) {
        *header = h;
        *fixed = NULL;
        *tail = body;
        *tail_size = 0;
        return EBPF_SUCCESS;
    }
    TRY(check_body_size(size, row->reply_size, row->reply_tail));
    *header = h;
    *fixed = body;
    *tail = body + row->reply_size;
    *tail_size = size - sizeof(h) - row->reply_size;
    return EBPF_SUCCESS;
}
