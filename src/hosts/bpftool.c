// SPDX-License-Identifier: MIT
// bpftool: main of the command line; makes EBPF_TRANSPORT=inproc work in it, and takes the execution context
// down again, so that whatever it leaks shows.
#include "cli/cli.h"
#include "hosts/inproc.h"

static struct transport *opened;

static ebpf_result_t open_and_keep(struct transport **out)
{
    ebpf_result_t result = inproc_open(out);
    if (result == EBPF_SUCCESS) {
        opened = *out;
    }
    return result;
}

int main(int argc, char **argv)
{
    int status;
    transport_open_inproc = open_and_keep;
    status = cli_main(argc, argv);
    if (opened != NULL) {
        opened->ops->close(opened);
    }
    return status;
}
