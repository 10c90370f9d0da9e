// SPDX-License-Identifier: MIT
// cmd_map_elem: elements of maps: dump, lookup, update, delete, getnext.
#include "cli/cli_int.h"

// A map being worked on, with room for one key and one value as the element calls see them.
struct element {
    int fd;
    struct ebpf_object_info info;
    unsigned char *key, *value;
    bool has_key, has_value;
    uint64_t flags;
    bool has_flags;
};

static void close_element(struct element *e)
{
    free(e->key);
    free(e->value);
    ebpf_close_fd(e->fd);
}

static int prepare(struct cli *c, int fd, struct element *out)
{
    struct element e = {.fd = fd};
    int status = ref_info(c, fd, &e.info);
    if (status != 0) {
        return status;
    }
    e.key = calloc(1, (size_t)e.info.key_size + 1);
    e.value = calloc(1, (size_t)e.info.user_value_size + 1);
    if (e.key == NULL || e.value == NULL) {
        free(e.key);
        free(e.value);
        return cli_error(c, -ENOMEM, "out of memory");
    }
    *out = e;
    return 0;
}

static int open_element(struct cli *c, struct args *a, struct element *out)
{
    int fd = -1, status = ref_parse(c, a, EBPF_OBJECT_KIND_MAP, &fd);
    if (status != 0) {
        return status;
    }
    status = prepare(c, fd, out);
    if (status != 0) {
        ebpf_close_fd(fd);
    }
    return status;
}

// --- show ----------------------------------------------------------------------------------------

static uint32_t cpu_stride(const struct ebpf_object_info *info)
{
    return (info->value_size + 7) & ~7u;
}

static uint32_t cpu_count(const struct ebpf_object_info *info)
{
    return cpu_stride(info) != 0 ? info->user_value_size / cpu_stride(info) : 0;
}

static void show_per_cpu_plain(const struct element *e)
{
    printf("key:\n");
    cli_print_hex(e->key, e->info.key_size, " ");
    putchar('\n');
    for (uint32_t cpu = 0; cpu < cpu_count(&e->info); cpu++) {
        printf("value (CPU %02u):%c", cpu, e->info.value_size > 16 ? '\n' : ' ');
        cli_print_hex(e->value + (size_t)cpu * cpu_stride(&e->info), e->info.value_size, " ");
        putchar('\n');
    }
}

static void show_plain(const struct element *e)
{
    uint32_t key = e->info.key_size, value = e->info.value_size;
    bool broken = key > 16 || value > 16, one_line = key + value <= 24 && !broken;
    if (e->info.per_cpu) {
        show_per_cpu_plain(e);
        return;
    }
    printf("key:%c", broken ? '\n' : ' ');
    cli_print_hex(e->key, key, " ");
    printf("%svalue:%c", one_line ? "  " : "\n", broken ? '\n' : ' ');
    cli_print_hex(e->value, value, " ");
    putchar('\n');
}

static void show_json(struct cli *c, const struct element *e)
{
    struct json *j = &c->json;
    json_start_object(j);
    json_name(j, "key");
    json_bytes(j, e->key, e->info.key_size);
    if (!e->info.per_cpu) {
        json_name(j, "value");
        json_bytes(j, e->value, e->info.value_size);
        json_end_object(j);
        return;
    }
    json_name(j, "values");
    json_start_array(j);
    for (uint32_t cpu = 0; cpu < cpu_count(&e->info); cpu++) {
        json_start_object(j);
        json_uint_member(j, "cpu", cpu);
        json_name(j, "value");
        json_bytes(j, e->value + (size_t)cpu * cpu_stride(&e->info), e->info.value_size);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static void show(struct cli *c, const struct element *e)
{
    if (c->json_output) {
        show_json(c, e);
    } else {
        show_plain(e);
    }
}

// --- DATA := [hex] BYTES -------------------------------------------------------------------------

static bool parse_byte(const char *text, int base, unsigned char *out)
{
    char *end = NULL;
    unsigned long value;
    if (text[0] == '-' || text[0] == '+' || text[0] == ' ') {
        return false;
    }
    value = strtoul(text, &end, base);
    if (end == text || *end != 0 || value > 255) {
        return false;
    }
    *out = (unsigned char)value;
    return true;
}

// Bytes up to the next word that starts no number.
static int parse_data(struct cli *c, struct args *a, const char *what, unsigned char *out, uint32_t size)
{
    int base = args_take_word(a, "hex") ? 16 : 0;
    uint32_t count = 0;
    while (a->count != 0 && count < size) {
        if (!parse_byte(a->next[0], base, &out[count])) {
            bool digit = a->next[0][0] >= '0' && a->next[0][0] <= '9';
            if (digit || count == 0 || a->count == 1) {
                return cli_error(c, -1, "error parsing byte: %s", a->next[0]);
            }
            break;
        }
        args_take(a);
        count++;
    }
    return count == size ? 0 : cli_error(c, -1, "%s expected %u bytes got %u", what, size, count);
}

static int parse_key(struct cli *c, struct args *a, void *out)
{
    struct element *e = out;
    e->has_key = true;
    return parse_data(c, a, "key", e->key, e->info.key_size);
}

// One value; for a per-CPU map every CPU gets it.
static int parse_value(struct cli *c, struct args *a, void *out)
{
    struct element *e = out;
    int status = parse_data(c, a, "value", e->value, e->info.value_size);
    e->has_value = true;
    for (uint32_t cpu = 1; status == 0 && e->info.per_cpu && cpu < cpu_count(&e->info); cpu++) {
        memcpy(e->value + (size_t)cpu * cpu_stride(&e->info), e->value, e->info.value_size);
    }
    return status;
}

static int set_flags(struct cli *c, struct element *e, uint64_t flags)
{
    if (e->has_flags) {
        return cli_error(c, -1, "flags already specified");
    }
    e->has_flags = true;
    e->flags = flags;
    return 0;
}

static int parse_any(struct cli *c, struct args *a, void *out)
{
    (void)a;
    return set_flags(c, out, BPF_ANY);
}

static int parse_noexist(struct cli *c, struct args *a, void *out)
{
    (void)a;
    return set_flags(c, out, BPF_NOEXIST);
}

static int parse_exist(struct cli *c, struct args *a, void *out)
{
    (void)a;
    return set_flags(c, out, BPF_EXIST);
}

static const struct keyword key_rows[] = {
    {"key", "DATA", KEYWORD_CALL, true, false, "key", 0, parse_key},
};
static const struct keyword next_rows[] = {
    {"key", "DATA", KEYWORD_CALL, false, false, "key", 0, parse_key},
};
static const struct keyword update_rows[] = {
    {"key", "DATA", KEYWORD_CALL, true, false, "key", 0, parse_key},
    {"value", "DATA", KEYWORD_CALL, true, false, "value", 0, parse_value},
    {"any", NULL, KEYWORD_CALL, false, false, "flags", 0, parse_any},
    {"exist", NULL, KEYWORD_CALL, false, false, "flags", 0, parse_exist},
    {"noexist", NULL, KEYWORD_CALL, false, false, "flags", 0, parse_noexist},
};
const struct keywords cmd_map_key_keywords = KEYWORDS(key_rows);
const struct keywords cmd_map_update_keywords = KEYWORDS(update_rows);
static const struct keywords next_keywords = KEYWORDS(next_rows);

// --- commands ------------------------------------------------------------------------------------

// Opens the map, reads the keywords, runs `body`, cleans up.
static int with_element(struct cli *c, struct args *a, const struct keywords *keywords,
                        int (*body)(struct cli *c, struct element *e))
{
    struct element e;
    int status = open_element(c, a, &e);
    if (status != 0) {
        return status;
    }
    status = keywords_parse(c, a, keywords, &e);
    if (status == 0) {
        status = body(c, &e);
    }
    close_element(&e);
    return status;
}

#define BATCH_BYTES (1u << 20)

// Elements that one call fetches.
struct batch {
    uint32_t room;
    unsigned char *keys, *values, *position;
};

static void close_batch(struct batch *b)
{
    free(b->keys);
    free(b->values);
    free(b->position);
}

static int open_batch(struct cli *c, const struct element *e, uint32_t room, struct batch *b)
{
    uint32_t key = e->info.key_size, value = e->info.user_value_size;
    *b = (struct batch){.room = room,
                        .keys = calloc(room, (size_t)key + 1),
                        .values = calloc(room, (size_t)value + 1),
                        .position = calloc(1, (size_t)key + sizeof(uint32_t))};
    if (b->keys == NULL || b->values == NULL || b->position == NULL) {
        close_batch(b);
        return cli_error(c, -ENOMEM, "out of memory");
    }
    return 0;
}

static uint32_t first_room(const struct ebpf_object_info *info)
{
    uint32_t fit = BATCH_BYTES / (info->key_size + info->user_value_size + 1);
    fit = fit < info->max_entries ? fit : info->max_entries;
    return fit != 0 ? fit : 1;
}

static void show_batch(struct cli *c, struct element *e, const struct batch *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        memcpy(e->key, b->keys + (size_t)i * e->info.key_size, e->info.key_size);
        memcpy(e->value, b->values + (size_t)i * e->info.user_value_size, e->info.user_value_size);
        show(c, e);
    }
}

// What is between two positions of a hash map and does not fit needs more room; nothing was lost then.
static int grow_batch(struct cli *c, const struct element *e, struct batch *b)
{
    struct batch larger;
    int status = b->room <= UINT32_MAX / 2 ? open_batch(c, e, b->room * 2, &larger)
                                           : cli_error(c, -ENOMEM, "out of memory");
    if (status == 0) {
        memcpy(larger.position, b->position, (size_t)e->info.key_size + sizeof(uint32_t));
        close_batch(b);
        *b = larger;
    }
    return status;
}

static int dump_batches(struct cli *c, struct element *e, struct batch *b, unsigned *count)
{
    bool started = false;
    int status = 0;
    while (status == 0) {
        uint32_t n = b->room;
        status = bpf_map_lookup_batch(e->fd, started ? b->position : NULL, b->position, b->keys, b->values,
                                      &n, NULL);
        if (status == -ENOSPC) {
            status = grow_batch(c, e, b);
        } else if (status == 0 || status == -ENOENT) {
            show_batch(c, e, b, n);
            *count += n;
            started = true;
        } else {
            cli_error(c, status, "can't read elements: %s", error_text(-status));
        }
    }
    return status == -ENOENT ? 0 : status;
}

static int dump_elements(struct cli *c, struct element *e, unsigned *count)
{
    struct batch b;
    int status = open_batch(c, e, first_room(&e->info), &b);
    if (status == 0) {
        status = dump_batches(c, e, &b, count);
        close_batch(&b);
    }
    return status;
}

static int dump_one(struct cli *c, int fd, void *user)
{
    const bool *header = user;
    struct element e;
    unsigned count = 0;
    int status = prepare(c, fd, &e);
    if (status != 0) {
        return status;
    }
    if (c->json_output) {
        json_start_array(&c->json);
    } else if (*header) {
        printf("%u: %s  ", e.info.id, e.info.type);
        cli_put("name ", e.info.name, "  ");
        printf("flags 0x%x\n", e.info.map_flags);
    }
    status = dump_elements(c, &e, &count);
    if (c->json_output) {
        json_end_array(&c->json);
    } else if (status == 0) {
        printf("Found %u element%s\n", count, count != 1 ? "s" : "");
    }
    free(e.key);
    free(e.value);
    return status;
}

int cmd_map_dump(struct cli *c, struct args *a)
{
    struct fds fds = {0};
    int status = args_require(c, a, "dump", 2);
    if (status == 0) {
        status = ref_parse_only(c, a, EBPF_OBJECT_KIND_MAP, &fds);
    }
    bool header = fds.count > 1;
    return status == 0 ? fds_for_each(c, &fds, dump_one, &header) : status;
}

static void show_not_found(struct cli *c, const struct element *e)
{
    if (c->json_output) {
        json_null(&c->json);
        return;
    }
    printf("key:\n");
    cli_print_hex(e->key, e->info.key_size, " ");
    printf("\n\nNot found\n");
}

static int look_up(struct cli *c, struct element *e)
{
    int status = bpf_map_lookup_elem(e->fd, e->key, e->value);
    if (status == 0) {
        show(c, e);
    } else if (status == -ENOENT) {
        show_not_found(c, e);
    } else {
        cli_error(c, status, "lookup failed: %s", error_text(-status));
    }
    return status;
}

int cmd_map_lookup(struct cli *c, struct args *a)
{
    int status = args_require(c, a, "lookup", 2);
    return status == 0 ? with_element(c, a, &cmd_map_key_keywords, look_up) : status;
}

static int update(struct cli *c, struct element *e)
{
    int status = bpf_map_update_elem(e->fd, e->key, e->value, e->flags);
    if (status != 0) {
        return cli_error(c, status, "update failed: %s", error_text(-status));
    }
    cli_done(c);
    return 0;
}

int cmd_map_update(struct cli *c, struct args *a)
{
    int status = args_require(c, a, "update", 2);
    return status == 0 ? with_element(c, a, &cmd_map_update_keywords, update) : status;
}

static int delete_element(struct cli *c, struct element *e)
{
    int status = bpf_map_delete_elem(e->fd, e->key);
    if (status != 0) {
        return cli_error(c, status, "delete failed: %s", error_text(-status));
    }
    cli_done(c);
    return 0;
}

int cmd_map_delete(struct cli *c, struct args *a)
{
    int status = args_require(c, a, "delete", 2);
    return status == 0 ? with_element(c, a, &cmd_map_key_keywords, delete_element) : status;
}

static void show_next(struct cli *c, const struct element *e, const unsigned char *next)
{
    struct json *j = &c->json;
    if (c->json_output) {
        json_start_object(j);
        json_name(j, "key");
        if (e->has_key) {
            json_bytes(j, e->key, e->info.key_size);
        } else {
            json_null(j);
        }
        json_name(j, "next_key");
        json_bytes(j, next, e->info.key_size);
        json_end_object(j);
        return;
    }
    printf("key:%s", e->has_key ? "\n" : " None");
    cli_print_hex(e->key, e->has_key ? e->info.key_size : 0, " ");
    printf("\nnext key:\n");
    cli_print_hex(next, e->info.key_size, " ");
    putchar('\n');
}

static int get_next(struct cli *c, struct element *e)
{
    unsigned char *next = malloc((size_t)e->info.key_size + 1);
    int status;
    if (next == NULL) {
        return cli_error(c, -ENOMEM, "out of memory");
    }
    status = bpf_map_get_next_key(e->fd, e->has_key ? e->key : NULL, next);
    if (status == 0) {
        show_next(c, e, next);
    } else {
        cli_error(c, status, "can't get next key: %s", error_text(-status));
    }
    free(next);
    return status;
}

int cmd_map_getnext(struct cli *c, struct args *a)
{
    int status = args_require(c, a, "getnext", 2);
    return status == 0 ? with_element(c, a, &next_keywords, get_next) : status;
}
