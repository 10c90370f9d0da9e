// SPDX-License-Identifier: MIT
// cmd_prog_code: machine code as text: disassembled by Capstone where the build has it, else hexadecimal.
#include <inttypes.h>

#include "cli/cli_int.h"

// One line or JSON object: `text` is the instruction, or NULL.
static void print_piece(struct cli *c, size_t at, const char *text, const uint8_t *bytes, size_t size,
                        bool opcodes)
{
    struct json *j = &c->json;
    char hex[64] = "", pc[24];
    for (size_t i = 0; i < size && i * 3 + 4 < sizeof(hex); i++) {
        snprintf(hex + strlen(hex), sizeof(hex) - strlen(hex), "%s%02x", i != 0 ? " " : "", bytes[i]);
    }
    if (!c->json_output) {
        printf("%4llx:\t%s\n", (unsigned long long)at, text != NULL ? text : hex);
        if (opcodes && text != NULL) {
            printf("\t%s\n", hex);
        }
        return;
    }
    snprintf(pc, sizeof(pc), "0x%llx", (unsigned long long)at);
    json_start_object(j);
    json_string_member(j, "pc", pc);
    json_string_member(j, "operation", text != NULL ? text : hex);
    if (opcodes && text != NULL) {
        json_string_member(j, "opcodes", hex);
    }
    json_end_object(j);
}

static void print_hex(struct cli *c, const uint8_t *code, size_t from, size_t size)
{
    for (size_t at = from; at < size; at += 16) {
        print_piece(c, at, NULL, code + at, size - at < 16 ? size - at : 16, false);
    }
}

#if defined(CLI_CAPSTONE)
#include <capstone/capstone.h>

static bool open_disassembler(csh *handle)
{
#if defined(__aarch64__)
    return cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, handle) == CS_ERR_OK;
#else
    return cs_open(CS_ARCH_X86, CS_MODE_64, handle) == CS_ERR_OK;
#endif
}

// What is no instruction (landing pads that Capstone does not know, tables) is shown in hexadecimal.
static void disassemble(struct cli *c, csh handle, const uint8_t *code, size_t size, bool opcodes)
{
    cs_insn *insn = cs_malloc(handle);
    const uint8_t *next = code;
    size_t left = size;
    uint64_t address = 0;
    while (left != 0) {
        char text[256];
        size_t at = size - left, skipped = left < 4 ? left : 4;
        if (cs_disasm_iter(handle, &next, &left, &address, insn)) {
            snprintf(text, sizeof(text), "%s%s%s", insn->mnemonic, insn->op_str[0] != '\0' ? " " : "",
                     insn->op_str);
            print_piece(c, at, text, code + at, insn->size, opcodes);
        } else {
            print_piece(c, at, NULL, code + at, skipped, opcodes);
            next += skipped;
            left -= skipped;
            address += skipped;
        }
    }
    cs_free(insn, 1);
}

static void print_all(struct cli *c, const uint8_t *code, size_t size, bool opcodes)
{
    csh handle;
    if (!open_disassembler(&handle)) {
        print_hex(c, code, 0, size);
        return;
    }
    disassemble(c, handle, code, size, opcodes);
    cs_close(&handle);
}
#else
static void print_all(struct cli *c, const uint8_t *code, size_t size, bool opcodes)
{
    (void)opcodes;
    print_hex(c, code, 0, size);
}
#endif

void cmd_prog_print_code(struct cli *c, const uint8_t *code, size_t size, bool opcodes)
{
    if (c->json_output) {
        json_start_array(&c->json);
    }
    print_all(c, code, size, opcodes);
    if (c->json_output) {
        json_end_array(&c->json);
    }
}
