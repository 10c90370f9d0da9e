// SPDX-License-Identifier: MIT
// thresholds: what the program compares with, the sizes of its maps, and powers of two. Sorted, each once.
#include "verifier/thresholds.h"

struct list_of_numbers {
    int64_t *numbers;
    size_t count;
};

// Inserts in order. When there is no room, what comes later is left out: such programs get coarser bounds.
static void add(struct list_of_numbers *l, int64_t number)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->numbers[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if ((low < l->count && l->numbers[low] == number) || l->count == THRESHOLDS_MAX) {
        return;
    }
    memmove(&l->numbers[low + 1], &l->numbers[low], (l->count - low) * sizeof(*l->numbers));
    l->numbers[low] = number;
    l->count++;
}

static void add_around(struct list_of_numbers *l, int64_t number)
{
    add(l, number);
    add(l, number < INT64_MAX ? number + 1 : number);
    add(l, number > INT64_MIN ? number - 1 : number);
}

static void add_insn(struct list_of_numbers *l, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    if (info->form == FORM_JMP_IMM) {
        add_around(l, in->imm);
        add_around(l, (int64_t)(uint32_t)in->imm);
    } else if (info->form == FORM_LDDW && info->sem == SEM_LDDW) {
        add_around(l, in->imm);
    } else if ((info->form == FORM_ALU_IMM) && (info->sem == SEM_MOV || info->sem == SEM_AND)) {
        add(l, in->imm); // limits that are compared as registers, and masks
    }
}

ebpf_result_t thresholds_collect(const struct program *p, struct arena *arena, struct join_options *options)
{
    static const int64_t always[] = {INT32_MIN,
                                     -4096,
                                     -1,
                                     0,
                                     1,
                                     INT16_MAX,
                                     UINT16_MAX,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     INT32_MAX - 1,
                                     (int64_t)UINT32_MAX - 1};
    struct list_of_numbers l = {arena_array(arena, THRESHOLDS_MAX, sizeof(int64_t)), 0};
    if (l.numbers == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
        add(&l, always[i]);
    }
    for (unsigned k = 1; k < 33; k++) {
        add(&l, (int64_t)1 << k);
    }
    for (uint32_t i = 0; i < p->map_count; i++) {
        add(&l, p->maps[i].value_size);
        add(&l, p->maps[i].max_entries);
    }
    for (uint32_t pc = 0; pc < p->insn_count && l.count < THRESHOLDS_MAX; pc++) {
        add_insn(&l, &p->insns[pc]);
    }
    options->thresholds = l.numbers;
    options->threshold_count = l.count;
    return EBPF_SUCCESS;
}
