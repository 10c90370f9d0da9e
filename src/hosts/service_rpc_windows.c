// SPDX-License-Identifier: MIT
// service_rpc: calls of ebpfsvc.idl, each in a thread of the RPC runtime: request to a worker, verdict to the
// driver, reply back. Invariant: `judges` is not NULL while calls can arrive; `active` counts those inside.
#include "hosts/service_rpc.h"

#include <windows.h>
#include <sddl.h>
#include <stdlib.h>

#include "ebpfsvc_rpc.h"
#include "hosts/service_access.h"
#include "hosts/service_deliver.h"
#include "hosts/service_log.h"
#include "hosts/service_modules.h"
#include "plat/plat.h"

#define MAX_CALLS  32                      // at once; each may hold a request of PROTO_MAX_SIZE
#define MAX_INPUT  (PROTO_MAX_SIZE + 1024) // of a call, marshalled
#define TICK_MS    50u
#define MANY_CALLS RPC_C_PROTSEQ_MAX_REQS_DEFAULT

// Who may connect at all: the local system and administrators, as with the device. The callback below decides
// again, where the runtime calls it.
#define ENDPOINT_SDDL L"D:P(A;;GA;;;SY)(A;;GA;;;BA)"

static struct service_process *judges;
static volatile LONG active;

// --- one call ------------------------------------------------------------------------------------

// A message that is none is not worth a worker's time; the execution context says what is wrong with it.
static void judge(const void *request, size_t size, struct arena *arena, struct core_verdict *out)
{
    char why[SERVICE_MODULES_WHY];
    size_t framed = 0;
    if (proto_frame_size(request, &framed) != EBPF_SUCCESS || framed != size) {
        *out = (struct core_verdict){
            .result = EBPF_INVALID_ARGUMENT, .text = "the load request is malformed\n", .json = "[]"};
        return;
    }
    if (!service_modules_allow(request, size, why)) {
        const char *text = arena_strdup(arena, why);
        *out = (struct core_verdict){
            .result = EBPF_BLOCKED_BY_POLICY, .text = text != NULL ? text : "", .json = "[]"};
        return;
    }
    service_process_judge(judges, request, size, arena, out);
}

static void log_failure(ebpf_result_t result)
{
    if (result == EBPF_ACCESS_DENIED) {
        log_line(LOG_ERROR, "ebpfcore does not take verdicts from this service: it lacks its service SID");
    }
}

static ebpf_result_t load(const struct proto_token *token, const void *request, size_t size, void **reply,
                          size_t *reply_size)
{
    struct arena arena;
    struct core_verdict verdict;
    if (size < sizeof(struct proto_header) || size > PROTO_MAX_SIZE) {
        return EBPF_INVALID_ARGUMENT;
    }
    arena_init(&arena, plat_mem_source(), 0);
    judge(request, size, &arena, &verdict);
    ebpf_result_t result = service_deliver(token, &verdict, request, size, reply, reply_size);
    arena_fini(&arena);
    log_failure(result);
    return result;
}

unsigned int ebpfsvc_load(handle_t binding, unsigned char token[16], unsigned int request_size,
                          const unsigned char *request, unsigned int *reply_size, unsigned char **reply)
{
    struct proto_token copy;
    void *bytes = NULL;
    size_t size = 0;
    ebpf_result_t result = EBPF_OUT_OF_SPACE;
    UNUSED(binding);
    memcpy(copy.bytes, token, sizeof(copy.bytes));
    if (InterlockedIncrement(&active) <= MAX_CALLS) {
        result = load(&copy, request, request_size, &bytes, &size);
    }
    InterlockedDecrement(&active);
    *reply_size = (unsigned int)size;
    *reply = bytes; // the RPC stub sends it and frees it with MIDL_user_free
    return result;
}

// --- who calls -----------------------------------------------------------------------------------

static bool is_member(HANDLE token, WELL_KNOWN_SID_TYPE group)
{
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD size = sizeof(sid);
    BOOL member = FALSE;
    return CreateWellKnownSid(group, NULL, sid, &size) && CheckTokenMembership(token, sid, &member) && member;
}

static void read_token(HANDLE token, struct service_caller *out)
{
    DWORD size = sizeof(DWORD), container = 0;
    // A system without app containers has no caller in one.
    GetTokenInformation(token, TokenIsAppContainer, &container, sizeof(container), &size);
    out->app_container = container != 0 || IsTokenRestricted(token);
    out->system = is_member(token, WinLocalSystemSid);
    out->administrator = is_member(token, WinBuiltinAdministratorsSid);
    out->identified = true;
}

static void read_caller(void *context, struct service_caller *out)
{
    RPC_CALL_ATTRIBUTES_V2_W attributes = {.Version = 2};
    HANDLE token = NULL;
    memset(out, 0, sizeof(*out));
    out->anonymous = true;
    if (RpcServerInqCallAttributesW(context, &attributes) == RPC_S_OK) {
        out->local = attributes.IsClientLocal == rcclLocal;
        out->anonymous = attributes.NullSession;
    }
    if (RpcImpersonateClient(context) != RPC_S_OK) {
        return;
    }
    if (OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &token)) {
        read_token(token, out);
        CloseHandle(token);
    }
    RpcRevertToSelfEx(context);
}

static RPC_STATUS RPC_ENTRY check_caller(RPC_IF_HANDLE which, void *context)
{
    struct service_caller caller;
    UNUSED(which);
    read_caller(context, &caller);
    return service_access_decide(&caller) == EBPF_SUCCESS ? RPC_S_OK : RPC_S_ACCESS_DENIED;
}

// --- the server ----------------------------------------------------------------------------------

static RPC_STATUS use_endpoint(void)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    unsigned char sequence[] = NAME_RPC_SEQUENCE, endpoint[] = NAME_RPC_ENDPOINT;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(ENDPOINT_SDDL, SDDL_REVISION_1, &descriptor,
                                                              NULL)) {
        return (RPC_STATUS)GetLastError();
    }
    RPC_STATUS status = RpcServerUseProtseqEpA(sequence, MANY_CALLS, endpoint, descriptor);
    LocalFree(descriptor);
    return status;
}

// The callback is to see every caller, also those that the runtime would turn away for want of
// authentication, which local RPC does not need.
static RPC_STATUS register_interface(void)
{
    return RpcServerRegisterIf2(ebpfsvc_rpc_v1_0_s_ifspec, NULL, NULL,
                                RPC_IF_ALLOW_LOCAL_ONLY | RPC_IF_ALLOW_CALLBACKS_WITH_NO_AUTH, MANY_CALLS,
                                MAX_INPUT, check_caller);
}

uint32_t service_rpc_start(struct service_process *process)
{
    const char *what = "endpoint " NAME_RPC_ENDPOINT " (is another instance running?)";
    judges = process;
    RPC_STATUS status = use_endpoint();
    if (status == RPC_S_OK) {
        what = "interface";
        status = register_interface();
    }
    if (status == RPC_S_OK) {
        what = "listener";
        status = RpcServerListen(1, MANY_CALLS, TRUE);
    }
    if (status != RPC_S_OK) {
        log_line(LOG_ERROR, "local RPC cannot be served: %s: error %ld", what, (long)status);
    }
    return (uint32_t)status;
}

bool service_rpc_stop(uint32_t wait_ms, void (*tick)(void))
{
    RpcMgmtStopServerListening(NULL);
    RpcServerUnregisterIf(ebpfsvc_rpc_v1_0_s_ifspec, NULL, FALSE);
    for (uint32_t waited = 0; active != 0 && waited < wait_ms; waited += TICK_MS) {
        Sleep(TICK_MS);
        tick();
    }
    return active == 0;
}
