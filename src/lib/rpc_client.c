// SPDX-License-Identifier: MIT
// rpc_client: one local RPC call with the runtime's exceptions caught; faults of a program stay faults. Built
// by clang: gcc has no __try. Invariant: what may raise is a call inside the __try body, never an instruction
// of the body itself, because only faults in called functions are guarded with this compiler on this target.
#include "lib/rpc_client.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "ebpfsvc_rpc.h"

// The service may learn who calls it, and nothing more: it cannot act in the caller's name.
static unsigned char security[] = "Security=Identification Dynamic False";

static RPC_STATUS open_binding(handle_t *out)
{
    unsigned char sequence[] = NAME_RPC_SEQUENCE, endpoint[] = NAME_RPC_ENDPOINT;
    RPC_CSTR text = NULL;
    RPC_STATUS status = RpcStringBindingComposeA(NULL, sequence, NULL, endpoint, security, &text);
    if (status != RPC_S_OK) {
        return status;
    }
    status = RpcBindingFromStringBindingA(text, out);
    RpcStringFreeA(&text);
    return status;
}

struct answer {
    unsigned int result, reply_size;
    unsigned char *reply;
};

static RPC_STATUS call(handle_t binding, const struct proto_token *token, const void *request, size_t size,
                       struct answer *out)
{
    RPC_STATUS status = RPC_S_OK;
    struct proto_token copy = *token; // the RPC stub wants it writable
    __try {
        out->result =
            ebpfsvc_load(binding, copy.bytes, (unsigned int)size, request, &out->reply_size, &out->reply);
    } __except (status = (RPC_STATUS)GetExceptionCode(), I_RpcExceptionFilter((unsigned long)status)) {
        return status;
    }
    return RPC_S_OK;
}

// The runtime allocates what really came; a size beside it that says more would lead past the end.
static RPC_STATUS check_answer(const struct answer *a)
{
    if (a->result != EBPF_SUCCESS) {
        return RPC_S_OK;
    }
    return a->reply != NULL && a->reply_size <= _msize(a->reply) ? RPC_S_OK : RPC_S_PROTOCOL_ERROR;
}

static RPC_STATUS call_service(const struct proto_token *token, const void *request, size_t size,
                               struct answer *out)
{
    handle_t binding = NULL;
    RPC_STATUS status = open_binding(&binding);
    if (status != RPC_S_OK) {
        return status;
    }
    status = call(binding, token, request, size, out);
    RpcBindingFree(&binding);
    return status == RPC_S_OK ? check_answer(out) : status;
}

uint32_t rpc_client_load(const struct proto_token *token, const void *request, size_t size,
                         ebpf_result_t *result, void **reply, size_t *reply_size)
{
    struct answer a = {0};
    RPC_STATUS status = size <= PROTO_MAX_SIZE ? call_service(token, request, size, &a) : RPC_S_INVALID_BOUND;
    if (status != RPC_S_OK) {
        free(a.reply);
        return (uint32_t)status;
    }
    *result = (ebpf_result_t)a.result;
    if (a.result == EBPF_SUCCESS) {
        *reply = a.reply;
        *reply_size = a.reply_size;
    } else {
        free(a.reply);
    }
    return RPC_S_OK;
}
