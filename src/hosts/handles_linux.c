// SPDX-License-Identifier: MIT
// handles_linux: object descriptors as socket pairs. The client's end is recognised by its inode, which fstat
// gives and which stays taken as long as any copy is open; the kept end sits in an epoll set that reports its
// hang-up.
//
// Invariants, under the lock: an entry is in the table and in the epoll set, or in neither; it owns the kept
// end and one reference of its object. Objects are released outside the lock.
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hosts/handles.h"
#include "plat/plat.h"

enum { BUCKETS = 4096, EVENTS = 64 };

struct entry {
    struct entry *next;
    dev_t device;
    ino_t inode; // of the client's end
    int kept;    // our end
    struct object *object;
};

struct handles {
    struct plat_mutex lock, sweep_lock; // taken in the order sweep_lock, lock
    int epoll;
    unsigned count;
    struct entry *buckets[BUCKETS];
};

static ebpf_result_t from_errno(int err)
{
    return err == EMFILE || err == ENFILE ? EBPF_OUT_OF_SPACE : EBPF_NO_MEMORY;
}

ebpf_result_t handles_create(struct handles **out)
{
    ebpf_result_t result;
    struct handles *h = plat_alloc(sizeof(*h), POOL_TAG_CORE);
    if (h == NULL) {
        return EBPF_NO_MEMORY;
    }
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll < 0) {
        result = from_errno(errno);
        goto undo_handles;
    }
    plat_mutex_init(&h->lock);
    plat_mutex_init(&h->sweep_lock);
    *out = h;
    return EBPF_SUCCESS;

undo_handles:
    plat_free(h);
    return result;
}

static void destroy_entry(struct entry *e)
{
    close(e->kept); // also leaves the epoll set: no copy of it exists
    object_release(e->object);
    plat_free(e);
}

void handles_destroy(struct handles *h)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct entry *e = h->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            destroy_entry(e);
        }
    }
    close(h->epoll);
    plat_mutex_fini(&h->sweep_lock);
    plat_mutex_fini(&h->lock);
    plat_free(h);
}

static struct entry **bucket_of(struct handles *h, ino_t inode)
{
    return &h->buckets[inode % BUCKETS];
}

// Adds the entry for the pair (kept, client).
static ebpf_result_t add_entry(struct handles *h, struct object *o, int kept, int client)
{
    struct stat st;
    struct epoll_event event = {.events = 0}; // hang-ups are always reported
    struct entry *e = plat_alloc(sizeof(*e), POOL_TAG_CORE);
    if (e == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (fstat(client, &st) != 0) {
        plat_free(e);
        return EBPF_FAILED;
    }
    *e = (struct entry){.device = st.st_dev, .inode = st.st_ino, .kept = kept, .object = o};
    event.data.ptr = e;
    plat_mutex_acquire(&h->lock);
    bool added = epoll_ctl(h->epoll, EPOLL_CTL_ADD, kept, &event) == 0;
    if (added) {
        e->next = *bucket_of(h, e->inode);
        *bucket_of(h, e->inode) = e;
        h->count++;
    }
    plat_mutex_release(&h->lock);
    if (!added) {
        plat_free(e);
    }
    return added ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t handles_open(struct handles *h, struct object *o, int *fd)
{
    int pair[2];
    ebpf_result_t result;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        result = from_errno(errno);
        goto undo_reference;
    }
    TRY_OR(result, add_entry(h, o, pair[0], pair[1]), undo_pair);
    *fd = pair[1];
    return EBPF_SUCCESS;

undo_pair:
    close(pair[0]);
    close(pair[1]);
undo_reference:
    object_release(o);
    return result;
}

ebpf_result_t handles_find(struct handles *h, int fd, struct object **out)
{
    struct stat st;
    struct object *found = NULL;
    if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return EBPF_INVALID_FD;
    }
    plat_mutex_acquire(&h->lock);
    for (struct entry *e = *bucket_of(h, st.st_ino); e != NULL && found == NULL; e = e->next) {
        if (e->inode == st.st_ino && e->device == st.st_dev) {
            found = e->object;
            object_acquire(found);
        }
    }
    plat_mutex_release(&h->lock);
    if (found == NULL) {
        return EBPF_INVALID_FD;
    }
    *out = found;
    return EBPF_SUCCESS;
}

ebpf_result_t handles_dup(struct handles *h, int fd, int *out)
{
    UNUSED(h);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return errno == EBADF ? EBPF_INVALID_FD : from_errno(errno);
    }
    *out = copy;
    return EBPF_SUCCESS;
}

void handles_close(struct handles *h, int fd)
{
    close(fd);
    handles_sweep(h);
}

// Takes `e` out of the table; the lock is held.
static void unlink_entry(struct handles *h, struct entry *e)
{
    struct entry **at = bucket_of(h, e->inode);
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    h->count--;
    epoll_ctl(h->epoll, EPOLL_CTL_DEL, e->kept, NULL);
}

// Takes out up to EVENTS entries whose client is gone, as a list; *more when there may be others.
static struct entry *take_closed(struct handles *h, bool *more)
{
    struct epoll_event events[EVENTS];
    struct entry *closed = NULL;
    plat_mutex_acquire(&h->lock);
    int n = epoll_wait(h->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct entry *e = events[i].data.ptr;
        unlink_entry(h, e);
        e->next = closed;
        closed = e;
    }
    plat_mutex_release(&h->lock);
    *more = n == EVENTS;
    return closed;
}

void handles_sweep(struct handles *h)
{
    bool more = true;
    plat_mutex_acquire(&h->sweep_lock);
    while (more) {
        struct entry *closed = take_closed(h, &more);
        while (closed != NULL) {
            struct entry *next = closed->next;
            destroy_entry(closed);
            closed = next;
        }
    }
    plat_mutex_release(&h->sweep_lock);
}

int handles_poll_fd(const struct handles *h)
{
    return h->epoll;
}

unsigned handles_count(struct handles *h)
{
    plat_mutex_acquire(&h->lock);
    unsigned count = h->count;
    plat_mutex_release(&h->lock);
    return count;
}
