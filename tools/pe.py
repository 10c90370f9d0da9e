# SPDX-License-Identifier: MIT
"""Reads what the checks want of a PE file. Source: Microsoft, "PE Format". Raises ValueError for anything else.
pe.py checksum FILE: sets the checksum of a driver, which lld leaves 0 and Windows wants."""
import struct
import sys

DIRECTORY_IMPORT, DIRECTORY_EXCEPTION, DIRECTORY_DEBUG, DIRECTORY_BOUND, DIRECTORY_DELAY = 1, 3, 6, 11, 13
OPTIONAL_SIZE = 112  # of PE32+, without the directories


class Image:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        try:
            self._read_headers()
        except struct.error as error:
            raise ValueError(f"not a PE file: {error}") from None

    def _read_headers(self):
        self.header = self._at("<I", 0x3C)[0]
        if self.data[:2] != b"MZ" or self.data[self.header:self.header + 4] != b"PE\0\0":
            raise ValueError("not a PE file")
        (self.machine, sections, self.timestamp, _, _, optional_size,
         self.characteristics) = self._at("<HHIIIHH", self.header + 4)
        optional = self.header + 24
        if self._at("<H", optional)[0] != 0x20B:
            raise ValueError("not a 64-bit PE file")
        self.entry = self._at("<I", optional + 16)[0]
        self.checksum, self.subsystem, self.dll_characteristics = self._at("<IHH", optional + 64)
        count = min(self._at("<I", optional + 108)[0], 16)
        self.directories = [self._at("<II", optional + OPTIONAL_SIZE + 8 * i) for i in range(count)]
        self._section_headers = optional + optional_size
        self.sections = [self._read_section(self.section_header(i)) for i in range(sections)]

    def section_header(self, index):
        return self._section_headers + 40 * index

    def _at(self, layout, offset):
        return struct.unpack_from(layout, self.data, offset)

    def _read_section(self, offset):
        name, virtual_size, address, raw_size, raw = self._at("<8sIIII", offset)
        return {"name": name.rstrip(b"\0").decode(), "address": address, "size": max(virtual_size, raw_size),
                "raw": raw, "flags": self._at("<I", offset + 36)[0]}

    def _offset(self, address):
        for section in self.sections:
            if section["address"] <= address < section["address"] + section["size"]:
                return address - section["address"] + section["raw"]
        raise ValueError(f"address {address:#x} is in no section")

    def _string(self, address):
        start = self._offset(address)
        return self.data[start:self.data.index(b"\0", start)].decode()

    def directory(self, index):
        return self.directories[index] if index < len(self.directories) else (0, 0)

    def imports(self):
        """Pairs (module, name); an import by number has the name "#number"."""
        found = []
        address, size = self.directory(DIRECTORY_IMPORT)
        descriptor = self._offset(address) if size else None
        while descriptor is not None:
            lookup, _, _, module, thunks = self._at("<IIIII", descriptor)
            if module == 0:
                break
            table = self._offset(lookup or thunks)
            while (entry := self._at("<Q", table)[0]) != 0:
                name = f"#{entry & 0xFFFF}" if entry >> 63 else self._string((entry & 0x7FFFFFFF) + 2)
                found.append((self._string(module), name))
                table += 8
            descriptor += 20
        return found

    def computed_checksum(self):
        """Sum of the 16-bit words with end-around carry, the field itself left out, plus the size."""
        field = self.header + 24 + 64
        data = self.data[:field] + b"\0\0\0\0" + self.data[field + 4:] + b"\0" * (len(self.data) % 2)
        total = sum(struct.unpack(f"<{len(data) // 2}H", data))
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        return total + len(self.data)


def main():
    verb, path = sys.argv[1:]
    if verb != "checksum":
        sys.exit(__doc__)
    image = Image(path)
    data = bytearray(image.data)
    struct.pack_into("<I", data, image.header + 24 + 64, image.computed_checksum())
    with open(path, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
