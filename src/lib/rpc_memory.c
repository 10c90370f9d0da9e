// SPDX-License-Identifier: MIT
// rpc_memory: where RPC stubs get the memory of what they unmarshal: from the heap of the C runtime, so that
// free() takes it. Windows.
#include <stdlib.h>

#include <rpc.h>
#include <rpcndr.h>

void *__RPC_USER MIDL_user_allocate(SIZE_T size)
{
    return malloc(size != 0 ? size : 1);
}

void __RPC_USER MIDL_user_free(void *ptr)
{
    free(ptr);
}
