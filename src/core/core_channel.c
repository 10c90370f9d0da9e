// SPDX-License-Identifier: MIT
// core_channel: the channels that open handles of the device are: which object a request is about, and how
// several objects meet in one request.
//
// Invariants: every channel is in the list until its memory goes, and in the bucket of its token while it has
// one. Lists are walked at DISPATCH, so that there is a limit to channels. What a channel holds changes under
// the one spin lock only, but for the lent objects of a busy channel, which belong to whoever made it busy.
// No object is released under the lock, because the last release of a link waits for runs. A channel's memory
// outlives its handle while a verdict for it is under way, a request waits for its turn, or a sweep over all
// channels looks at it: that is what `references` counts. Memory is let go of at any level up to DISPATCH, as
// a cancelled request does.
#include "core/core_int.h"

enum channel_state { CHANNEL_EMPTY, CHANNEL_OBJECT, CHANNEL_SHUT };

#define MAX_CHANNELS  65536u // far more than anybody opens; a walk over them takes some milliseconds
#define TOKEN_BUCKETS 1024u

struct channels {
    struct core *core;
    struct plat_spinlock lock;
    struct list list;
    uint64_t count; // handles open
    uint32_t in_list;
    struct list by_token[TOKEN_BUCKETS]; // by the token's first bytes, which are random
};

struct channel {
    struct list node;
    struct list token_node; // alone without a token
    struct channels *all;
    uint32_t references;
    uint32_t rights, pid;
    enum channel_state state;
    bool busy;      // a request or verdict uses `lent` and may make the object
    bool has_token; // until the channel is shut
    struct proto_token token;
    struct object *object; // of CHANNEL_OBJECT
    unsigned lent_count;
    struct object *lent[PROTO_MAX_OBJECTS];
};

// --- all channels --------------------------------------------------------------------------------

ebpf_result_t channels_create(struct core *core, struct channels **out)
{
    struct channels *all = plat_alloc(sizeof(*all), POOL_TAG_CORE);
    if (all == NULL) {
        return EBPF_NO_MEMORY;
    }
    all->core = core;
    plat_spinlock_init(&all->lock);
    list_init(&all->list);
    for (unsigned i = 0; i < TOKEN_BUCKETS; i++) {
        list_init(&all->by_token[i]);
    }
    core->channels = all;
    *out = all;
    return EBPF_SUCCESS;
}

static void lock(struct channels *all)
{
    plat_spinlock_acquire(&all->lock);
}

static void unlock(struct channels *all)
{
    plat_spinlock_release(&all->lock);
}

static struct channel *channel_of(struct list *node)
{
    return CONTAINER_OF(node, struct channel, node);
}

void channels_witness(struct channels *all, struct proto_witness *out)
{
    for (unsigned kind = PROTO_KIND_MAP; kind <= PROTO_KIND_MODULE; kind++) {
        out->objects[kind] = object_count(all->core->runtime, (enum object_kind)kind);
    }
    lock(all);
    out->channels = all->count;
    unlock(all);
}

// --- life ----------------------------------------------------------------------------------------

// False: there are too many.
static bool add(struct channels *all, struct channel *c)
{
    lock(all);
    bool room = all->in_list < MAX_CHANNELS;
    if (room) {
        list_push_back(&all->list, &c->node);
        all->in_list++;
        all->count++;
    }
    unlock(all);
    return room;
}

ebpf_result_t channel_open(struct channels *all, uint32_t rights, uint32_t pid, struct channel **out)
{
    struct channel *c = plat_alloc(sizeof(*c), POOL_TAG_CORE);
    if (c == NULL) {
        return EBPF_NO_MEMORY;
    }
    c->all = all;
    c->references = 1;
    c->rights = rights;
    c->pid = pid;
    list_init(&c->token_node);
    if (!add(all, c)) {
        plat_free(c);
        return EBPF_OUT_OF_SPACE;
    }
    *out = c;
    return EBPF_SUCCESS;
}

void channel_acquire(struct channel *c)
{
    lock(c->all);
    c->references++;
    unlock(c->all);
}

void channel_release(struct channel *c)
{
    struct channels *all = c->all;
    lock(all);
    bool last = --c->references == 0;
    if (last) {
        list_remove(&c->node);
        all->in_list--;
    }
    unlock(all);
    if (last) {
        plat_free(c);
    }
}

static void release_lent(struct channel *c)
{
    while (c->lent_count != 0) {
        object_release(c->lent[--c->lent_count]);
    }
}

// Whether the channel was open until now; then *object (or NULL) is the caller's to release, and so is what
// was lent, unless whoever is busy with that does it. The caller holds the lock.
static bool shut_locked(struct channel *c, struct object **object, bool *lent)
{
    if (c->state == CHANNEL_SHUT) {
        return false;
    }
    *object = c->object;
    *lent = !c->busy;
    c->object = NULL;
    c->has_token = false;
    list_remove(&c->token_node);
    c->state = CHANNEL_SHUT;
    return true;
}

void channel_shut(struct channel *c)
{
    struct object *object = NULL;
    bool lent = false;
    lock(c->all);
    bool was_open = shut_locked(c, &object, &lent);
    unlock(c->all);
    if (!was_open) {
        return;
    }
    if (object != NULL) {
        object_release(object);
    }
    if (lent) {
        release_lent(c);
    }
}

void channel_close(struct channel *c)
{
    struct channels *all = c->all;
    channel_shut(c);
    lock(all);
    all->count--;
    unlock(all);
    channel_release(c);
}

// An open channel with a reference for the caller, or NULL. Those found go to the end of the list, behind
// what is left to find.
static struct channel *any_open(struct channels *all)
{
    struct channel *found = NULL;
    lock(all);
    LIST_FOR_EACH (node, &all->list) {
        if (channel_of(node)->state != CHANNEL_SHUT) {
            found = channel_of(node);
            found->references++;
            list_remove(node);
            list_push_back(&all->list, node);
            break;
        }
    }
    unlock(all);
    return found;
}

void channels_shut_all(struct channels *all)
{
    struct channel *c;
    while ((c = any_open(all)) != NULL) {
        channel_shut(c);
        channel_release(c);
    }
}

void channels_destroy(struct channels *all)
{
    while (!list_is_empty(&all->list)) {
        channel_close(channel_of(all->list.next));
    }
    all->core->channels = NULL;
    plat_free(all);
}

// --- holders -------------------------------------------------------------------------------------

static uint32_t next_pid(struct channels *all, uint32_t after)
{
    uint32_t pid = 0;
    LIST_FOR_EACH (node, &all->list) {
        const struct channel *c = channel_of(node);
        if (c->state != CHANNEL_SHUT && c->pid > after && (pid == 0 || c->pid < pid)) {
            pid = c->pid;
        }
    }
    return pid;
}

static void count_handle(const struct channel *c, struct proto_holder_next_reply *out)
{
    enum object_kind kind = c->object != NULL ? object_kind(c->object) : OBJECT_KIND_COUNT;
    out->maps += kind == OBJECT_MAP;
    out->programs += kind == OBJECT_PROGRAM;
    out->links += kind == OBJECT_LINK;
    out->others += kind == OBJECT_MODULE || kind == OBJECT_KIND_COUNT;
}

ebpf_result_t channels_next_holder(struct channels *all, uint32_t after_pid,
                                   struct proto_holder_next_reply *out)
{
    struct proto_holder_next_reply reply = {0};
    lock(all);
    reply.pid = next_pid(all, after_pid);
    LIST_FOR_EACH (node, &all->list) {
        const struct channel *c = channel_of(node);
        if (c->state != CHANNEL_SHUT && c->pid == reply.pid) {
            count_handle(c, &reply);
        }
    }
    unlock(all);
    if (reply.pid == 0) {
        return EBPF_NO_MORE_KEYS;
    }
    *out = reply;
    return EBPF_SUCCESS;
}

ebpf_result_t handle_HOLDER_NEXT(struct execution *x)
{
    struct proto_holder_next_request request;
    struct proto_holder_next_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    if (x->core->channels == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    return channels_next_holder(x->core->channels, request.after_pid, reply);
}

// --- tokens --------------------------------------------------------------------------------------

// In constant time: how long a comparison takes must not tell how much of a guess was right.
static bool is_token(const struct channel *c, const struct proto_token *token)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < sizeof(token->bytes); i++) {
        difference |= c->token.bytes[i] ^ token->bytes[i];
    }
    return c->has_token && difference == 0;
}

static struct list *bucket_of(struct channels *all, const struct proto_token *token)
{
    unsigned number = token->bytes[0] | (unsigned)token->bytes[1] << 8;
    return &all->by_token[number % TOKEN_BUCKETS];
}

// The caller holds the lock. NULL: nobody has it. Which bucket is looked into may be seen by the time it
// takes; the other 118 bits may not.
static struct channel *find_token(struct channels *all, const struct proto_token *token)
{
    struct channel *found = NULL;
    LIST_FOR_EACH (node, bucket_of(all, token)) {
        struct channel *c = CONTAINER_OF(node, struct channel, token_node);
        if (is_token(c, token)) {
            found = c;
        }
    }
    return found;
}

// The caller holds the lock.
static void give_token(struct channel *c, const struct proto_token *token)
{
    c->token = *token;
    c->has_token = true;
    list_push_back(bucket_of(c->all, token), &c->token_node);
}

static ebpf_result_t offer(struct channel *c, struct channel_call *call)
{
    struct proto_token *out = arena_alloc(call->arena, sizeof(*out));
    struct proto_token fresh;
    ebpf_result_t result = EBPF_INVALID_STATE;
    if (out == NULL) {
        return EBPF_NO_MEMORY;
    }
    plat_random_bytes(&fresh, sizeof(fresh));
    lock(c->all);
    if (c->state == CHANNEL_EMPTY && !c->busy) {
        if (!c->has_token) {
            give_token(c, &fresh);
        }
        *out = c->token;
        result = EBPF_SUCCESS;
    }
    unlock(c->all);
    TRY(result);
    call->output = out;
    call->output_size = sizeof(*out);
    return EBPF_SUCCESS;
}

// --- lending -------------------------------------------------------------------------------------

// The caller holds the lock.
static ebpf_result_t lend_locked(struct channel *from, const struct proto_token *token)
{
    if (from->state == CHANNEL_SHUT) {
        return EBPF_INVALID_STATE;
    }
    if (from->object == NULL) {
        return EBPF_INVALID_OBJECT;
    }
    struct channel *to = find_token(from->all, token);
    if (to == NULL) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    if (to->state != CHANNEL_EMPTY || to->busy) {
        return EBPF_INVALID_STATE;
    }
    if (to->lent_count == PROTO_MAX_OBJECTS) {
        return EBPF_OUT_OF_SPACE;
    }
    object_acquire(from->object);
    to->lent[to->lent_count++] = from->object;
    return EBPF_SUCCESS;
}

static ebpf_result_t lend(struct channel *c, struct channel_call *call)
{
    struct proto_token token;
    if (call->input_size != sizeof(token)) {
        return EBPF_INVALID_ARGUMENT;
    }
    memcpy(&token, call->input, sizeof(token));
    lock(c->all);
    ebpf_result_t result = lend_locked(c, &token);
    unlock(c->all);
    return result;
}

// --- executing -----------------------------------------------------------------------------------

static ebpf_result_t execute(struct channels *all, struct channel_call *call, struct core_call *core_call)
{
    core_call->arena = call->arena;
    core_call->reply_capacity = call->output_capacity;
    core_call->is_abandoned = call->is_abandoned;
    core_call->user = call->user;
    TRY(core_execute(all->core, core_call));
    call->output = core_call->reply;
    call->output_size = core_call->reply_size;
    return EBPF_SUCCESS;
}

// A reply that did not fit, so that nothing was done, neither with what was lent.
static bool is_undone(const struct channel_call *call)
{
    struct proto_header header = {0};
    if (call->output_size == sizeof(header)) {
        memcpy(&header, call->output, sizeof(header));
    }
    return header.result == EBPF_INSUFFICIENT_BUFFER && header.size > call->output_capacity;
}

// Ends what begin_locked began: the new object is the channel's, unless that was shut meanwhile.
static void finish(struct channel *c, struct object *new_object, bool undone)
{
    lock(c->all);
    bool open = c->state == CHANNEL_EMPTY;
    bool keep_lent = open && undone;
    if (open && new_object != NULL) {
        c->object = new_object;
        c->state = CHANNEL_OBJECT;
    }
    c->busy = !keep_lent;
    unlock(c->all);
    if (keep_lent) {
        return;
    }
    if (!open && new_object != NULL) {
        object_release(new_object);
    }
    release_lent(c); // still busy, so ours alone
    lock(c->all);
    c->busy = false;
    unlock(c->all);
}

static ebpf_result_t begin_locked(struct channel *c)
{
    if (c->state != CHANNEL_EMPTY || c->busy) {
        return EBPF_INVALID_STATE;
    }
    c->busy = true;
    return EBPF_SUCCESS;
}

// Executes with what was lent to `c`, which is busy, and gives it the new object.
static ebpf_result_t execute_with_lent(struct channel *c, struct channel_call *call,
                                       struct core_call *core_call)
{
    core_call->objects = c->lent;
    core_call->object_count = c->lent_count;
    ebpf_result_t result = execute(c->all, call, core_call);
    finish(c, core_call->new_object, result == EBPF_SUCCESS && is_undone(call));
    return result;
}

// --- requests ------------------------------------------------------------------------------------

enum request_way { WAY_ALONE, WAY_WITH_OBJECT, WAY_WITH_LENT };

static const struct proto_op_row *row_of(const struct proto_header *header)
{
    return proto_op_row(header->op);
}

// How the request is to be executed; *object gets a reference with WAY_WITH_OBJECT. The caller holds the
// lock.
static ebpf_result_t choose_way_locked(struct channel *c, const struct proto_header *header,
                                       enum request_way *way, struct object **object)
{
    const struct proto_op_row *row = row_of(header);
    bool makes_object = row != NULL && row->new_object;
    *way = WAY_ALONE;
    if (c->state == CHANNEL_SHUT || c->busy || (c->object != NULL && makes_object)) {
        return EBPF_INVALID_STATE;
    }
    if (c->object != NULL && header->objects != 0) {
        *way = WAY_WITH_OBJECT;
        *object = c->object;
        object_acquire(c->object);
    } else if (makes_object || c->lent_count != 0) {
        *way = WAY_WITH_LENT;
        return begin_locked(c);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t request(struct channel *c, struct channel_call *call)
{
    struct core_call core_call = {.request = call->input, .request_size = call->input_size, .memory_fd = -1};
    struct object *object = NULL;
    enum request_way way;
    struct proto_header header;
    memcpy(&header, call->input, sizeof(header));
    lock(c->all);
    ebpf_result_t result = choose_way_locked(c, &header, &way, &object);
    unlock(c->all);
    TRY(result);
    if (way == WAY_WITH_LENT) {
        return execute_with_lent(c, call, &core_call);
    }
    core_call.objects = &object;
    core_call.object_count = way == WAY_WITH_OBJECT;
    result = execute(c->all, call, &core_call);
    if (object != NULL) {
        object_release(object);
    }
    return result;
}

// --- verdicts ------------------------------------------------------------------------------------

// The busy channel that waits for the verdict, with a reference for the caller.
static ebpf_result_t begin_verdict(struct channels *all, const struct proto_token *token,
                                   struct channel **out)
{
    ebpf_result_t result = EBPF_OBJECT_NOT_FOUND;
    lock(all);
    struct channel *to = find_token(all, token);
    if (to != NULL) {
        result = begin_locked(to);
    }
    if (result == EBPF_SUCCESS) {
        to->references++;
        *out = to;
    }
    unlock(all);
    return result;
}

static bool is_load(const struct proto_verdict_parts *v)
{
    struct proto_header header = {0};
    if (v->head.request_size >= sizeof(header)) {
        memcpy(&header, v->request, sizeof(header));
    }
    return header.op == PROTO_PROG_LOAD;
}

static struct core_verdict verdict_of(const struct proto_verdict_parts *v)
{
    return (struct core_verdict){.result = (ebpf_result_t)v->head.result,
                                 .evidence = {v->evidence, v->head.evidence_size},
                                 .text = v->text,
                                 .json = v->json,
                                 .states = v->head.states,
                                 .peak_kb = v->head.peak_kb,
                                 .time_us = v->head.time_us};
}

static bool is_shut(struct channel *c)
{
    lock(c->all);
    bool shut = c->state == CHANNEL_SHUT;
    unlock(c->all);
    return shut;
}

static ebpf_result_t verdict(struct channel *c, struct channel_call *call)
{
    struct proto_verdict_parts v;
    struct channel *to = NULL;
    TRY(proto_verdict_check(call->input, call->input_size, &v));
    if (!is_load(&v)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (is_shut(c)) {
        return EBPF_INVALID_STATE;
    }
    TRY(begin_verdict(c->all, &v.head.token, &to));
    struct core_verdict judged = verdict_of(&v);
    struct core_call core_call = {
        .request = v.request, .request_size = v.head.request_size, .verdict = &judged, .memory_fd = -1};
    ebpf_result_t result = execute_with_lent(to, call, &core_call);
    channel_release(to);
    return result;
}

// --- controls ------------------------------------------------------------------------------------

bool channel_call_waits(const struct channel_call *call)
{
    struct proto_header header;
    if (call->function != PROTO_CONTROL_REQUEST || call->input_size < sizeof(header)) {
        return call->function == PROTO_CONTROL_VERDICT || call->function == PROTO_CONTROL_SELFTEST;
    }
    memcpy(&header, call->input, sizeof(header));
    const struct proto_op_row *row = row_of(&header);
    return row != NULL && row->waits;
}

static ebpf_result_t check(const struct channel *c, const struct channel_call *call)
{
    const struct proto_control_row *row = proto_control_row(call->function);
    if (row == NULL || row->debug) { // what only Debug drivers do is theirs
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if ((c->rights & row->right) == 0) {
        return EBPF_ACCESS_DENIED;
    }
    if (call->input_size < row->input_min) {
        return EBPF_INVALID_ARGUMENT;
    }
    return call->output_capacity < row->output_min ? EBPF_INSUFFICIENT_BUFFER : EBPF_SUCCESS;
}

ebpf_result_t channel_control(struct channel *c, struct channel_call *call)
{
    call->output = NULL;
    call->output_size = 0;
    TRY(check(c, call));
    switch (call->function) {
    case PROTO_CONTROL_REQUEST: return request(c, call);
    case PROTO_CONTROL_OFFER: return offer(c, call);
    case PROTO_CONTROL_LEND: return lend(c, call);
    default: return verdict(c, call);
    }
}
