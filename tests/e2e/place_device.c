// SPDX-License-Identifier: MIT
// place_device: the running ebpfcore.sys (Debug, which counts what it holds) and ebpfsvc.exe. Windows.
#include "tests/e2e/place.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/lib_int.h"
#include "tests/e2e/client.h"
#include "tests/lib/device.h"
#include "tests/lib/scm.h"

const bool place_is_shared = true;
const unsigned place_patience = 1000; // an IRP_MJ_CLOSE may come after the process's end

static struct proto_witness empty;

bool place_start(void)
{
    return device_wait_quiet(&empty);
}

// Whatever has failed: the next test finds a driver.
bool place_stop(void)
{
    DWORD error = scm_start(L"" NAME_DRIVER);
    return error == 0 || error == ERROR_SERVICE_ALREADY_RUNNING;
}

// Drivers come by the service control manager, and the library knows how.
static ebpf_result_t install_module(const char *path, int *fd)
{
    struct bpf_object *obj = bpf_object__open(path);
    if (obj == NULL) {
        return EBPF_INVALID_OBJECT;
    }
    ebpf_result_t result = lib_module_load(obj);
    *fd = obj->module.fd;
    obj->module.fd = -1;
    bpf_object__close(obj);
    return result;
}

ebpf_result_t place_open(struct transport **out)
{
    static char choice[] = "EBPF_TRANSPORT=ioctl"; // of the library
    e2e_install_module = getenv("EBPF_TEST_MODULES") != NULL ? install_module : NULL;
    if (putenv(choice) != 0) {
        return EBPF_NO_MEMORY;
    }
    return transport_open_ioctl(out);
}

bool place_is_idle(void)
{
    return device_wait_witness(&empty);
}

// --- the end and the beginning -------------------------------------------------------------------

static bool succeeds(const char *what, DWORD error)
{
    if (error != 0) {
        printf(NAME_DRIVER " does not %s: error %lu\n", what, error);
    }
    return error == 0;
}

bool place_down(void)
{
    return succeeds("stop", scm_stop(L"" NAME_DRIVER));
}

// All drivers that have just started hold the same.
bool place_up(void)
{
    static uint32_t fresh;
    uint32_t violations =
        empty.violations; // Wine keeps an image, and what the unit tests in it broke on purpose
    bool is_empty = succeeds("start", scm_start(L"" NAME_DRIVER)) && device_wait_quiet(&empty) &&
                    empty.violations <= violations;
    bool is_same = fresh == 0 || fresh == empty.own_allocations;
    fresh = empty.own_allocations;
    return is_empty && is_same;
}
