// SPDX-License-Identifier: MIT
// bpftool: main of the command line; makes EBPF_TRANSPORT=inproc work in it, and takes the execution context
// down again, so that whatever it leaks shows. On Windows it speaks UTF-8 (utf8.manifest makes arguments and
// file names so) and writes the bytes that it writes on Linux: no carriage returns, no end of file at Ctrl-Z.
#include "cli/cli.h"
#include "hosts/inproc.h"
#include "hosts/toolchain.h"

#ifdef _WIN32
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <stdio.h>

int _dowildcard = 0; // '*' stays what it is, as in a quoted argument on Linux

static UINT console_was;

static void console_enter(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        _setmode(fd, _O_BINARY);
    }
    console_was = GetConsoleOutputCP();
    if (console_was != 0) { // there is a console
        SetConsoleOutputCP(GetACP());
    }
}

static void console_exit(void)
{
    fflush(NULL);
    if (console_was != 0) {
        SetConsoleOutputCP(console_was);
    }
}
#else
static void console_enter(void)
{
}

static void console_exit(void)
{
}
#endif

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
    console_enter();
    transport_open_inproc = open_and_keep;
    cli_host = &toolchain_host;
    status = cli_main(argc, argv);
    if (opened != NULL) {
        opened->ops->close(opened);
    }
    console_exit();
    return status & 0xff; // what a shell on Linux sees of it
}
