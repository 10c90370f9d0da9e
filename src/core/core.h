// SPDX-License-Identifier: MIT
// core: the door of the execution context: executes requests of the proto table on the runtime. Kernel-safe.
#pragma once

#include "base/base.h"
#include "proto/proto.h"
#include "runtime/runtime.h"

struct core;

// --- policy (core_policy.c): how programs are run, and whether this machine permits it -----------

// CORE_INTERPRETER: in builds that have it (runtime.h); core_create fails elsewhere.
enum core_execution { CORE_JIT, CORE_INTERPRETER, CORE_NATIVE };

// What the system says of its code integrity. All false in user mode, where it restricts nothing.
struct core_integrity {
    bool unknown;      // it could not be asked: what it might forbid is refused
    bool hvci;         // memory integrity is enforced in the kernel
    bool hvci_audit;   // ... or only reported
    bool test_signing; // drivers with a test signature are loaded
};
// From CodeIntegrityOptions of SYSTEM_CODEINTEGRITY_INFORMATION. Source: Microsoft's documentation.
struct core_integrity core_integrity_from_options(uint32_t options);
// EBPF_BLOCKED_BY_POLICY with a sentence in *why, which is left alone otherwise.
ebpf_result_t core_policy_check(enum core_execution mode, const struct core_integrity *facts,
                                const char **why) MUST_CHECK;

// Brings images of native modules into this process, for MODULE_LOAD. Both at PASSIVE.
struct core_module_loader {
    // *table and *image (for unload) with success; otherwise a sentence in `why`. EBPF_FILE_NOT_FOUND,
    // EBPF_INVALID_OBJECT (no module, truncated, for another machine), EBPF_BLOCKED_BY_POLICY (the file is
    // not one whose code this process may run), EBPF_NO_MEMORY.
    ebpf_result_t (*load)(void *user, const char *path, const struct ebpf_native_module **table, void **image,
                          char why[MODULE_WHY_SIZE]);
    void (*unload)(void *user, void *image);
    void *user;
};

struct core_options {
    struct runtime_options runtime;
    struct core_module_loader modules; // load NULL: MODULE_LOAD is not supported here
    struct proto_hasher hasher;        // sha256 NULL: native programs are refused
    uint32_t platform;                 // enum dialect that is the default here
    bool memory_by_fd;                 // of MAP_MEMORY: clients are other processes and get descriptors
    enum core_execution execution;     // of programs that are loaded; runtime.engine follows from it
    struct core_integrity integrity;
    // Fills a HOOK_NEXT reply for a hook's attachment points; NULL: none. EBPF_NO_MORE_KEYS at the end.
    ebpf_result_t (*hook_next)(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply);
    void *hook_user;
};

// What module_register does, for hosts whose images register themselves: checks the host's policy too.
// The caller gets one reference.
ebpf_result_t core_module_register(struct core *core, const struct module_source *source,
                                   char why[MODULE_WHY_SIZE], struct module **out) MUST_CHECK;
ebpf_result_t core_create(const struct core_options *options, struct core **out) MUST_CHECK;
// Drops all pins. Modules that keep themselves registered have been revoked, and all else was released.
void core_destroy(struct core *core);
struct runtime *core_runtime(struct core *core);

// What the service said about a PROG_LOAD request; NULL elsewhere. A PROG_LOAD without a verdict is refused.
struct core_verdict {
    ebpf_result_t result; // EBPF_SUCCESS or EBPF_VERIFICATION_FAILED
    struct evidence evidence;
    const char *text, *json; // findings; may be ""
    uint32_t states, peak_kb;
    uint64_t time_us;
};

struct core_call {
    const void *request; // whole message
    size_t request_size;
    struct object *const *objects;
    unsigned object_count;
    const struct core_verdict *verdict;
    struct arena *arena;   // scratch and reply memory, reset by the caller
    size_t reply_capacity; // what the caller can carry away; 0: anything. A reply that would be larger is a
                           // bare header with EBPF_INSUFFICIENT_BUFFER and the size needed, and nothing was
                           // done
    // Whether nobody waits for the reply any more; long requests ask now and then. NULL: somebody always
    // does.
    bool (*is_abandoned)(void *user);
    void *user;
    // out
    void *reply; // whole message in `arena`
    size_t reply_size;
    struct object *new_object; // one reference for the caller, or NULL
    // MAP_MEMORY in a host that serves other processes: the descriptor to send (the host closes it), or -1.
    int memory_fd;
};
// Executes one request. Fails only when not even an error reply could be made (no memory); every other
// failure is the result in the reply's header. IRQL = PASSIVE.
ebpf_result_t core_execute(struct core *core, struct core_call *call) MUST_CHECK;

// --- channels: what the open handles of the device are (core_channel.c) --------------------------
// A channel begins with nothing. A request that makes an object gives it to the channel, which from then on
// is that object's handle: requests about the object are sent on it. Operations on several objects, or that
// need one and make another, use a fresh channel: its token (OFFER) is shown to the objects' channels (LEND),
// then the request follows. Loading a program: OFFER and LENDs, then the verification service is asked with
// the token, and delivers its VERDICT on a channel of its own, which makes the program and puts it into the
// client's.
//
// So nothing has to be undone when somebody dies: what a channel holds goes with its handle.
//
// States: EMPTY (perhaps with a token and lent objects) -> BUSY (a request or verdict uses what was lent) ->
// EMPTY or OBJECT. Any -> SHUT. Portable; the driver's frame and the tests call it. All calls at PASSIVE,
// from any thread.

struct channels;
struct channel;

ebpf_result_t channels_create(struct core *core, struct channels **out) MUST_CHECK;
// Closes what is still open, for a driver that is unloaded although it has handles. No control may be under
// way and nobody may hold a channel.
void channels_destroy(struct channels *all);
// Shuts every channel: objects are released although handles are open. What channels_destroy begins with.
void channels_shut_all(struct channels *all);
void channels_witness(struct channels *all, struct proto_witness *out); // fills channels and objects
// Next process above `after_pid` that has open channels, for HOLDER_NEXT.
ebpf_result_t channels_next_holder(struct channels *all, uint32_t after_pid,
                                   struct proto_holder_next_reply *out) MUST_CHECK;

// EBPF_OUT_OF_SPACE: so many are open that something must be wrong (65536).
ebpf_result_t channel_open(struct channels *all, uint32_t rights, uint32_t pid,
                           struct channel **out) MUST_CHECK;
// Releases what the channel holds; controls fail with EBPF_INVALID_STATE from now on, one under way finishes
// and leaves nothing. Idempotent. (IRP_MJ_CLEANUP)
void channel_shut(struct channel *c);
// Shuts, and frees unless somebody holds it; no control may follow. (IRP_MJ_CLOSE)
void channel_close(struct channel *c);
// Holds a channel for a control that waits for its turn, so that the handle may be closed first. IRQL <=
// DISPATCH.
void channel_acquire(struct channel *c);
void channel_release(struct channel *c);

struct channel_call {
    uint32_t function; // enum proto_control
    const void *input;
    size_t input_size;
    size_t output_capacity;
    struct arena *arena;              // scratch and output memory
    bool (*is_abandoned)(void *user); // as in core_call
    void *user;
    // out
    const void *output; // in `arena`; output_size <= output_capacity
    size_t output_size;
};
// Whether the call may take long and belongs to a worker thread: looks at the input only.
bool channel_call_waits(const struct channel_call *call);
// Executes one control. Failures of a request travel in its reply; these are failures of the control itself:
// EBPF_OPERATION_NOT_SUPPORTED (unknown control), EBPF_ACCESS_DENIED (no right to it), EBPF_INVALID_ARGUMENT
// (malformed input), EBPF_INSUFFICIENT_BUFFER (less room than the control's row says), EBPF_INVALID_OBJECT
// (LEND by a channel without object), EBPF_OBJECT_NOT_FOUND (no channel has the token), EBPF_INVALID_STATE
// (the channel has an object already, is busy, or is shut), EBPF_OUT_OF_SPACE (PROTO_MAX_OBJECTS are lent),
// EBPF_NO_MEMORY.
ebpf_result_t channel_control(struct channel *c, struct channel_call *call) MUST_CHECK;
