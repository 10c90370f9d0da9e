// SPDX-License-Identifier: MIT
// session: receives requests, has them executed, replies. Invariants: a session is in the list from its
// accept until it is reaped; its thread owns the connection; descriptors that came with a request are closed
// before its reply leaves, so that a client that has its answer finds no copies of ours left.
#define _GNU_SOURCE // accept4, dup3, struct ucred
#include "hosts/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts/access.h"
#include "hosts/wire.h"
#include "plat/plat.h"

struct session {
    struct list node;
    struct sessions *all;
    struct plat_thread *thread;
    int fd;
    bool done; // under the lock
};

struct sessions {
    struct sessions_options options;
    struct plat_mutex lock;
    struct list list;
    unsigned count;
    int done_fd;  // eventfd, counts ended threads
    int spare_fd; // given up for a moment to turn a client away when descriptors have run out; -1: lost
};

// --- one request ---------------------------------------------------------------------------------

struct job {
    struct sessions *all;
    int fd; // of the connection
    struct wire_message message;
    struct proto_header header;
    struct object *objects[PROTO_MAX_OBJECTS];
    unsigned object_count;
    struct core_verdict verdict;
    struct core_call call;
    struct proto_header bare; // reply of a request that never reached the core
    int new_fd;
};

static ebpf_result_t find_objects(struct job *j)
{
    if (j->message.surplus_fds) {
        return EBPF_INVALID_FD;
    }
    if (j->message.lost_fds) {
        return EBPF_OUT_OF_SPACE;
    }
    for (unsigned i = 0; i < j->message.fd_count; i++) {
        TRY(handles_find(j->all->options.handles, j->message.fds[i], &j->objects[i]));
        j->object_count++;
    }
    return EBPF_SUCCESS;
}

// A client that is gone must not keep a processor busy with its test run, nor the daemon from ending.
static bool is_abandoned(void *user)
{
    const struct job *j = user;
    struct pollfd fds[2] = {{j->fd, 0, 0}, {j->all->options.stop_fd, POLLIN, 0}};
    return poll(fds, 2, 0) > 0;
}

static void release_objects(struct job *j)
{
    while (j->object_count != 0) {
        object_release(j->objects[--j->object_count]);
    }
}

// Only a request that the table accepts is worth the service's time.
static void judge(struct job *j)
{
    struct proto_request request;
    uint8_t kinds[PROTO_MAX_OBJECTS];
    for (unsigned i = 0; i < j->object_count; i++) {
        kinds[i] = (uint8_t)object_kind(j->objects[i]);
    }
    if (proto_request_check(j->message.bytes, j->message.size, kinds, j->object_count, &request) ==
        EBPF_SUCCESS) {
        service_process_judge(j->all->options.service, j->message.bytes, j->message.size, j->call.arena,
                              &j->verdict);
        j->call.verdict = &j->verdict;
    }
}

static ebpf_result_t execute(struct job *j)
{
    const struct proto_op_row *row = proto_op_row(j->header.op);
    TRY(find_objects(j));
    if (row != NULL && (row->new_object || row->objects == 0)) {
        handles_sweep(j->all->options.handles); // what was closed is gone before anything is made or listed
    }
    if (j->header.op == PROTO_PROG_LOAD) {
        judge(j);
    }
    j->call.request = j->message.bytes;
    j->call.request_size = j->message.size;
    j->call.objects = j->objects;
    j->call.object_count = j->object_count;
    j->call.is_abandoned = is_abandoned;
    j->call.user = j;
    TRY(core_execute(j->all->options.core, &j->call));
    if (j->call.new_object != NULL) {
        TRY(handles_open(j->all->options.handles, j->call.new_object, &j->new_fd));
    }
    return EBPF_SUCCESS;
}

static void reply_bare(struct job *j, ebpf_result_t result)
{
    j->bare = (struct proto_header){.magic = PROTO_MAGIC,
                                    .version = PROTO_WIRE_VERSION,
                                    .op = j->header.op,
                                    .size = sizeof(j->bare),
                                    .cookie = j->header.cookie,
                                    .result = result};
    j->call.reply = &j->bare;
    j->call.reply_size = sizeof(j->bare);
}

// Answers one received message.
static ebpf_result_t answer(const struct wire *w, struct job *j)
{
    struct arena arena;
    ebpf_result_t result;
    arena_init(&arena, plat_mem_source(), 0);
    j->call.arena = &arena;
    memcpy(&j->header, j->message.bytes, sizeof(j->header));
    result = execute(j);
    if (result != EBPF_SUCCESS) {
        reply_bare(j, result);
    }
    release_objects(j);
    wire_message_close_fds(&j->message);
    // An object or memory, never both: the operation says which.
    int fd = j->new_fd >= 0 ? j->new_fd : j->call.memory_fd;
    result = wire_send(w, j->call.reply, j->call.reply_size, fd);
    if (fd >= 0) {
        close(fd); // the client has its own now; if it is gone, the object goes with this
    }
    arena_fini(&arena);
    return result;
}

static ebpf_result_t serve_one(struct sessions *all, int fd)
{
    struct wire w = {.fd = fd, .stop_fd = all->options.stop_fd, .message_ms = all->options.slow_ms};
    struct job j = {.all = all, .fd = fd, .call = {.memory_fd = -1}, .new_fd = -1};
    TRY(wire_receive(&w, &j.message));
    ebpf_result_t result = answer(&w, &j);
    wire_message_fini(&j.message);
    return result;
}

static void serve(void *user)
{
    struct session *s = user;
    struct sessions *all = s->all;
    uint64_t one = 1;
    ebpf_result_t result;
    do {
        result = serve_one(all, s->fd);
    } while (result == EBPF_SUCCESS);
    if (result != EBPF_CANCELED && result != EBPF_RPC_EXCEPTION) {
        wire_refuse(s->fd, result); // the peer is there but cannot be followed: garbage, too slow, no memory
    }
    close(s->fd);
    plat_mutex_acquire(&all->lock);
    s->done = true;
    plat_mutex_release(&all->lock);
    if (write(all->done_fd, &one, sizeof(one)) < 0) {
        return; // cannot overflow: as many ends as accepts
    }
}

// --- accepting -----------------------------------------------------------------------------------

static ebpf_result_t check_peer(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    struct access_facts facts = {.daemon_uid = geteuid()};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
        facts.known = true;
        facts.peer_uid = peer.uid;
    }
    return access_decide(&facts);
}

static ebpf_result_t start_session(struct sessions *all, int fd)
{
    ebpf_result_t result;
    struct session *s = plat_alloc(sizeof(*s), POOL_TAG_CORE);
    if (s == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->all = all;
    s->fd = fd;
    plat_mutex_acquire(&all->lock); // the thread waits here before it may call itself done
    result = plat_thread_create(serve, s, &s->thread);
    if (result == EBPF_SUCCESS) {
        list_push_back(&all->list, &s->node);
        all->count++;
    }
    plat_mutex_release(&all->lock);
    if (result != EBPF_SUCCESS) {
        plat_free(s);
    }
    return result;
}

static ebpf_result_t admit(struct sessions *all, int fd)
{
    TRY(check_peer(fd));
    if (all->count >= all->options.limit) {
        return EBPF_OUT_OF_SPACE;
    }
    return start_session(all, fd);
}

static void take_connection(struct sessions *all, int fd)
{
    ebpf_result_t result = admit(all, fd);
    if (result != EBPF_SUCCESS) {
        wire_refuse(fd, result);
        close(fd);
    }
}

// The spare descriptor may have been lost to another thread.
static void restore_spare(struct sessions *all)
{
    if (all->spare_fd < 0) {
        all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

// No descriptor is left for a client: the spare one is freed for as long as it takes to say so. Otherwise the
// connection would stay in the queue and the daemon would wake up for it for ever. The refused connection's
// number becomes the spare in one step, so that nobody can take it in between.
static void turn_away(struct sessions *all, int listen_fd)
{
    if (all->spare_fd >= 0) {
        close(all->spare_fd);
        all->spare_fd = -1;
    }
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        wire_refuse(fd, EBPF_OUT_OF_SPACE);
        all->spare_fd = dup3(all->done_fd, fd, O_CLOEXEC);
    } else {
        plat_sleep_us(10000); // another thread was faster
        restore_spare(all);
    }
}

void sessions_accept(struct sessions *all, int listen_fd)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(all, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            turn_away(all, listen_fd);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

// --- bring-up and teardown -----------------------------------------------------------------------

ebpf_result_t sessions_create(const struct sessions_options *options, struct sessions **out)
{
    ebpf_result_t result = EBPF_OUT_OF_SPACE;
    struct sessions *all = plat_alloc(sizeof(*all), POOL_TAG_CORE);
    if (all == NULL) {
        return EBPF_NO_MEMORY;
    }
    all->options = *options;
    list_init(&all->list);
    all->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->done_fd < 0) {
        goto undo_sessions;
    }
    all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (all->spare_fd < 0) {
        goto undo_done_fd;
    }
    plat_mutex_init(&all->lock);
    *out = all;
    return EBPF_SUCCESS;

undo_done_fd:
    close(all->done_fd);
undo_sessions:
    plat_free(all);
    return result;
}

// Takes one ended session out of the list, or NULL.
static struct session *take_done(struct sessions *all)
{
    struct session *found = NULL;
    plat_mutex_acquire(&all->lock);
    LIST_FOR_EACH (node, &all->list) {
        struct session *s = CONTAINER_OF(node, struct session, node);
        if (s->done) {
            found = s;
            break;
        }
    }
    if (found != NULL) {
        list_remove(&found->node);
        all->count--;
    }
    plat_mutex_release(&all->lock);
    return found;
}

void sessions_reap(struct sessions *all)
{
    uint64_t count;
    if (read(all->done_fd, &count, sizeof(count)) < 0) {
        return; // nobody ended
    }
    for (struct session *s = take_done(all); s != NULL; s = take_done(all)) {
        plat_thread_join(s->thread);
        plat_free(s);
    }
    restore_spare(all);
}

int sessions_poll_fd(const struct sessions *all)
{
    return all->done_fd;
}

bool sessions_destroy(struct sessions *all, uint32_t wait_ms)
{
    uint64_t deadline = plat_time_ns() + (uint64_t)wait_ms * 1000000;
    sessions_reap(all);
    while (all->count != 0) {
        struct pollfd done = {all->done_fd, POLLIN, 0};
        if (plat_time_ns() >= deadline) {
            return false;
        }
        if (poll(&done, 1, 50) > 0) {
            sessions_reap(all);
        }
    }
    plat_mutex_fini(&all->lock);
    if (all->spare_fd >= 0) {
        close(all->spare_fd);
    }
    close(all->done_fd);
    plat_free(all);
    return true;
}
