// SPDX-License-Identifier: MIT
// points: arrivals are dropped, joined or kept. Nothing here decides about soundness: an arrival is always
// entailed by a state that stays.
#include "verifier/points.h"

#include "verifier/verifier.h"

struct arrival {
    struct points *t;
    struct point *at;
    uint32_t pc;
    const struct points_origin *origin;
};

// --- nodes ---------------------------------------------------------------------------------------

static struct packed *copy_state(struct points *t, const struct packed *p)
{
    struct packed *copy = pool_alloc(t->pool, p->size);
    if (copy != NULL) {
        memcpy(copy, p, p->size);
        t->work += p->size / 8;
    }
    return copy;
}

static struct node *new_node(struct points *t, uint32_t pc, const struct packed *p)
{
    struct node *n = pool_alloc(t->pool, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    memset(n, 0, sizeof(*n));
    n->state = copy_state(t, p);
    n->pc = pc;
    n->nearest_distance = -1;
    return n->state != NULL ? n : NULL;
}

// A node for an arrival, not yet at the point.
static struct node *arriving_node(const struct arrival *a, const struct packed *p)
{
    struct node *n = new_node(a->t, a->pc, p);
    if (n == NULL) {
        return NULL;
    }
    uint32_t count = a->origin->step_count;
    n->parent = a->origin->parent;
    n->from = a->origin->from;
    n->key = join_key(n->state, &a->at->hints);
    if (count != 0) {
        struct finding_step *steps = arena_array(a->t->arena, count, sizeof(*steps));
        if (steps == NULL) {
            return NULL;
        }
        memcpy(steps, a->origin->steps, count * sizeof(*steps));
        n->steps = steps;
        n->step_count = count;
    }
    return n;
}

static void insert(struct points *t, struct point *at, struct node *n)
{
    n->serial = ++t->next_serial;
    n->next = at->nodes;
    at->nodes = n;
    at->live_count++;
    t->stored++;
}

static void kill(struct points *t, struct point *at, struct node *n)
{
    n->dead = true;
    at->live_count--;
    t->stored--;
}

static struct node *next_live(struct node *n)
{
    while (n != NULL && n->dead) {
        n = n->next;
    }
    return n;
}

// The state of a node that will not be explored any more is of use to findings only.
static void forget_state(struct points *t, struct node *n)
{
    t->dead_bytes += n->state->size;
    if (t->dead_bytes > POINTS_KEEP_DEAD) {
        pool_free(t->pool, (struct packed *)n->state, n->state->size);
        n->state = NULL;
    }
}

#define EACH_LIVE(n, at) for (struct node *n = next_live((at)->nodes); n != NULL; n = next_live(n->next))

// Dead nodes leave the list, so that it stays short. Whoever points to them keeps them.
static void unlink_dead(struct point *at)
{
    for (struct node **link = &at->nodes; *link != NULL;) {
        if ((*link)->dead) {
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}

static bool entails(struct points *t, const struct node *outer, const struct packed *inner)
{
    t->work += 8 + outer->state->entry_count;
    return packed_entails(t->scratch, outer->state, inner);
}

// --- joins ---------------------------------------------------------------------------------------

// Where bounds stop that have passed many thresholds already: what numbers of 8, 16 and 32 bits can be
// compared with.
static const int64_t coarse[] = {INT32_MIN, -65536,     -256,          -1,        0,
                                 UINT8_MAX, UINT16_MAX, INT32_MAX - 1, INT32_MAX, (int64_t)UINT32_MAX - 1,
                                 UINT32_MAX};

static struct join_options options_for(const struct points *t, const struct point *at, uint32_t joins)
{
    struct join_options o = t->join;
    uint32_t at_threshold = at->is_head ? POINTS_THRESHOLD_AT : POINTS_WIDEN_AT;
    uint32_t at_end = at->is_head ? POINTS_WIDEN_AT : 2 * POINTS_WIDEN_AT;
    o.head = at->is_head && !at->unroll;
    o.widen = !at->unroll && joins >= at_threshold;
    if (joins >= at_end) {
        o.threshold_count = 0;
    } else if (joins >= at_end - POINTS_COARSE) {
        o.thresholds = coarse;
        o.threshold_count = ARRAY_SIZE(coarse);
    }
    return o;
}

// `old`, which is at the point, and `n`, which need not be, become one new node. NULL in *out: they cannot be
// joined.
static ebpf_result_t merge(const struct arrival *a, struct node *old, struct node *n, struct node **out)
{
    struct points *t = a->t;
    uint32_t joins = (old->joins > n->joins ? old->joins : n->joins) + 1;
    struct join_options options = options_for(t, a->at, joins);
    const struct packed *p = join_states(t->scratch, old->state, n->state, &options);
    *out = NULL;
    if (p == NULL) {
        return EBPF_SUCCESS;
    }
    struct node *joined = new_node(t, a->pc, p);
    if (joined == NULL) {
        return EBPF_NO_MEMORY;
    }
    // The way that is told is the newer one.
    joined->parent = n->parent;
    joined->steps = n->steps;
    joined->step_count = n->step_count;
    joined->from = n->from;
    joined->other = old;
    joined->partner = n;
    joined->joins = joins;
    joined->key = join_key(joined->state, &a->at->hints);
    kill(t, a->at, old);
    if (n->serial != 0 && !n->dead) {
        kill(t, a->at, n);
    }
    insert(t, a->at, joined);
    EACH_LIVE(other, a->at)
    {
        if (other != joined && entails(t, joined, other->state)) {
            kill(t, a->at, other);
            forget_state(t, other);
        }
    }
    forget_state(t, old);
    forget_state(t, n);
    unlink_dead(a->at);
    *out = joined;
    return EBPF_SUCCESS;
}

// --- the closest pair ----------------------------------------------------------------------------

static int measure(struct points *t, const struct point *at, const struct node *x, const struct node *y,
                   int *important)
{
    t->work += 8 + x->state->entry_count;
    return join_distance(x->state, y->state, &at->hints, important);
}

static void note_near(struct node *n, const struct node *other, int distance)
{
    if (n->nearest_distance < 0 || distance < n->nearest_distance) {
        n->nearest_distance = distance;
        n->nearest = other;
    }
}

// Measures `n`, which is not at the point yet, against all that are. The closest one with at most one
// difference that matters, or NULL; caches of neighbours are brought up to date.
static struct node *find_near(struct points *t, struct point *at, struct node *n)
{
    struct node *best = NULL;
    int best_distance = JOIN_IMPOSSIBLE;
    EACH_LIVE(other, at)
    {
        int important, distance = measure(t, at, n, other, &important);
        if (important <= 1 && distance < best_distance) {
            best = other;
            best_distance = distance;
        }
        note_near(n, other, distance);
    }
    return best;
}

static void find_neighbour(struct points *t, struct point *at, struct node *n)
{
    n->nearest_distance = -1;
    n->nearest = NULL;
    EACH_LIVE(other, at)
    {
        int important;
        if (other != n) {
            note_near(n, other, measure(t, at, n, other, &important));
        }
    }
}

// The two stored states that are closest, closer than `limit`; *x is NULL when there are none.
static void find_pair(struct points *t, struct point *at, int limit, struct node **x, struct node **y)
{
    *x = NULL;
    EACH_LIVE(n, at)
    {
        if (n->nearest_distance < 0 || n->nearest == NULL || n->nearest->dead) {
            find_neighbour(t, at, n);
        }
        if (n->nearest_distance >= 0 && n->nearest_distance < limit) {
            limit = n->nearest_distance;
            *x = n;
            *y = (struct node *)n->nearest;
        }
    }
}

// `n` may be nearer to one that is stored than what it had so far.
static void tell_neighbours(struct points *t, struct point *at, struct node *n)
{
    EACH_LIVE(other, at)
    {
        int important;
        if (other != n && other->nearest_distance >= 0) {
            note_near(other, n, measure(t, at, other, n, &important));
        }
    }
}

// --- arrivals ------------------------------------------------------------------------------------

static uint32_t capacity(const struct points *t, const struct point *at)
{
    uint32_t most = t->per_point;
    if (t->arrivals >= POINTS_FALL_1) {
        most = min_u32(most, t->arrivals >= POINTS_FALL_2 ? 4 : 16);
    }
    return at->is_head && !at->unroll ? min_u32(most, POINTS_AT_HEAD) : most;
}

static ebpf_result_t store(struct points *t, struct point *at, struct node *n, struct node **out,
                           enum points_result *result)
{
    insert(t, at, n);
    tell_neighbours(t, at, n);
    *out = n;
    *result = POINTS_STORED;
    return EBPF_SUCCESS;
}

// No room: the closest pair of all becomes one.
static ebpf_result_t squeeze(const struct arrival *a, struct node *n, struct node **out,
                             enum points_result *result)
{
    struct node *x = NULL, *y = NULL, *near = (struct node *)n->nearest;
    int limit = n->nearest_distance < 0 ? JOIN_IMPOSSIBLE : n->nearest_distance;
    if (!a->at->is_head) {
        find_pair(a->t, a->at, limit, &x, &y);
    }
    if (x != NULL) {
        TRY(merge(a, x, y, out));
        if (*out != NULL) {
            a->t->pending = *out;
            return store(a->t, a->at, n, out, result);
        }
    }
    if (near != NULL && limit != JOIN_IMPOSSIBLE) {
        TRY(merge(a, near, n, out));
        *result = POINTS_JOINED;
        if (*out != NULL) {
            return EBPF_SUCCESS;
        }
    }
    return store(a->t, a->at, n, out, result);
}

// Joins with a state of the same key, or one that differs in one thing. NULL: there is none.
static ebpf_result_t join_like(const struct arrival *a, struct node *n, struct node **out)
{
    *out = NULL;
    EACH_LIVE(other, a->at)
    {
        if (other->key == n->key) {
            TRY(merge(a, other, n, out));
            if (*out != NULL) {
                return EBPF_SUCCESS;
            }
        }
    }
    struct node *near = find_near(a->t, a->at, n);
    return near != NULL ? merge(a, near, n, out) : EBPF_SUCCESS;
}

static struct node *find_known(struct points *t, struct point *at, const struct packed *p)
{
    EACH_LIVE(n, at)
    {
        if (entails(t, n, p)) {
            return n;
        }
    }
    return NULL;
}

ebpf_result_t points_arrive(struct points *t, struct point *at, uint32_t pc, const struct packed *p,
                            const struct points_origin *origin, struct node **out, enum points_result *result)
{
    struct arrival a = {t, at, pc, origin};
    t->arrivals++;
    at->arrivals++;
    t->pending = NULL;
    *result = POINTS_KNOWN;
    *out = find_known(t, at, p);
    if (*out != NULL) {
        return EBPF_SUCCESS;
    }
    at->hints.loops = at->unroll;
    at->hints.offsets = !at->is_head || at->unroll;
    struct node *n = arriving_node(&a, p);
    if (n == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(join_like(&a, n, out));
    if (*out != NULL) {
        *result = POINTS_JOINED;
        return EBPF_SUCCESS;
    }
    return at->live_count < capacity(t, at) ? store(t, at, n, out, result) : squeeze(&a, n, out, result);
}
