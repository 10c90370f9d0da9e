// SPDX-License-Identifier: MIT
// helper_map: element calls of programs. A map argument is the address of struct map, which LDDW put there.
#include "runtime/helper_int.h"

HELPER_BODY(MAP_LOOKUP_ELEM)
{
    return (uintptr_t)map_lookup(pointer(a1), pointer(a2));
}

HELPER_BODY(MAP_UPDATE_ELEM)
{
    return helper_result(map_update(pointer(a1), pointer(a2), pointer(a3), a4));
}

HELPER_BODY(MAP_DELETE_ELEM)
{
    return helper_result(map_delete(pointer(a1), pointer(a2)));
}
