// SPDX-License-Identifier: MIT
// netsh_args: arguments of a netsh command. "tag=value" names a tag, by its beginning too and in any case;
// what has no tag belongs to the first tag that has nothing yet. As netsh's own PreprocessCommand does it
// (Microsoft's documentation), which helpers usually call: here it is portable, and says what is wrong.
#include <ctype.h>

#include "cli/netsh_int.h"

static bool equal_start(const char *text, size_t size, const char *word)
{
    for (size_t i = 0; i < size; i++) {
        if (word[i] == 0 || tolower((unsigned char)text[i]) != tolower((unsigned char)word[i])) {
            return false;
        }
    }
    return size != 0;
}

// Index of the tag that is meant, or `tag_count`.
static size_t find_tag(const struct netsh_tag *tags, size_t tag_count, const char *name, size_t size)
{
    size_t i = 0;
    while (i < tag_count && !equal_start(name, size, tags[i].name)) {
        i++;
    }
    return i;
}

static size_t find_empty(size_t tag_count, const char *const *values)
{
    size_t i = 0;
    while (i < tag_count && values[i] != NULL) {
        i++;
    }
    return i;
}

static enum netsh_status take_named(struct netsh *n, const struct netsh_tag *tags, size_t tag_count,
                                    const char *argument, const char *equals, const char **values)
{
    int size = (int)(equals - argument);
    size_t i = find_tag(tags, tag_count, argument, (size_t)size);
    if (i == tag_count) {
        netsh_print(n, "'%.*s' is not a tag of this command.\n", size, argument);
        return NETSH_INVALID_OPTION_TAG;
    }
    if (values[i] != NULL) {
        netsh_print(n, "%s is given twice.\n", tags[i].name);
        return NETSH_TAG_ALREADY_PRESENT;
    }
    values[i] = equals + 1;
    return NETSH_DONE;
}

static enum netsh_status take(struct netsh *n, const struct netsh_tag *tags, size_t tag_count,
                              const char *argument, const char **values)
{
    const char *equals = strchr(argument, '=');
    size_t i;
    if (equals != NULL) {
        return take_named(n, tags, tag_count, argument, equals, values);
    }
    i = find_empty(tag_count, values);
    if (i == tag_count) {
        netsh_print(n, "'%s' is one argument too many.\n", argument);
        return NETSH_INVALID_SYNTAX;
    }
    values[i] = argument;
    return NETSH_DONE;
}

enum netsh_status netsh_parse_tags(struct netsh *n, const struct netsh_tag *tags, size_t tag_count, int count,
                                   char *const *arguments, const char **values)
{
    for (int i = 0; i < count; i++) {
        enum netsh_status status = take(n, tags, tag_count, arguments[i], values);
        if (status != NETSH_DONE) {
            return status;
        }
    }
    for (size_t i = 0; i < tag_count; i++) {
        if (tags[i].required && values[i] == NULL) {
            netsh_print(n, "%s is missing.\n", tags[i].name);
            return NETSH_MISSING_OPTION;
        }
    }
    return NETSH_DONE;
}

// --- values --------------------------------------------------------------------------------------

enum netsh_status netsh_parse_word(struct netsh *n, const char *tag, const char *value,
                                   const char *const *words, size_t word_count, unsigned *out)
{
    char list[128] = "";
    for (size_t i = 0; i < word_count; i++) {
        if (value == NULL ||
            (strlen(value) == strlen(words[i]) && equal_start(value, strlen(value), words[i]))) {
            *out = value == NULL ? *out : (unsigned)i;
            return NETSH_DONE;
        }
    }
    for (size_t i = 0; i < word_count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s",
                 i == 0                ? ""
                 : i + 1 == word_count ? " or "
                                       : ", ",
                 words[i]);
    }
    return netsh_refuse(n, "%s is %s, not '%s'.", tag, list, value);
}

enum netsh_status netsh_parse_id(struct netsh *n, const char *value, uint32_t *out)
{
    char *end = NULL;
    unsigned long long number;
    errno = 0;
    number = value[0] >= '0' && value[0] <= '9' ? strtoull(value, &end, 0) : 0;
    if (end == NULL || *end != 0 || errno != 0 || number == 0 || number > UINT32_MAX) {
        return netsh_refuse(n, "id is a number, not '%s'.", value);
    }
    *out = (uint32_t)number;
    return NETSH_DONE;
}
