#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The modules that `bpftool gen native` makes, for every target and by every compiler of its table that is there: made
twice in two folders they are the same bytes; they are what their systems want; the object is in them; the C of bpf2c
makes them too. Drivers are signed by a certificate made for it. And what is said when something is missing.

Usage: modules.py BPFTOOL BPF2C SOURCE_FOLDER SAMPLES_FOLDER
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BPFTOOL, BPF2C, SOURCE, SAMPLES = (Path(word).resolve() for word in sys.argv[1:5])
sys.path.insert(0, str(SOURCE / "tools"))
import check_driver  # noqa: E402
import check_imports  # noqa: E402
import check_registers  # noqa: E402
import pe  # noqa: E402

MACHINES = {"x86_64": ("x86_64", 62), "arm64": ("aarch64", 183)}  # by the tools, ELF's e_machine
# Target, architecture, what is there: the compiler first.
TOOLCHAINS = [
    ("linux", "x86_64", ["clang-19"]),
    ("linux", "x86_64", ["x86_64-linux-gnu-gcc"]),
    ("linux", "arm64", ["aarch64-linux-gnu-gcc"]),
    ("linux", "arm64", ["clang-19", "lld-link-19"]),
    ("windows-dll", "x86_64", ["x86_64-w64-mingw32-gcc"]),
    ("windows-dll", "x86_64", ["clang-19", "lld-link-19"]),
    ("windows-dll", "arm64", ["clang-19", "lld-link-19"]),
    ("windows-driver", "x86_64", ["x86_64-w64-mingw32-gcc"]),
    ("windows-driver", "x86_64", ["clang-19", "lld-link-19"]),
    ("windows-driver", "arm64", ["clang-19", "lld-link-19"]),
]
SECTION_EXECUTE, SECTION_WRITE = 0x20000000, 0x80000000
KERNEL = {"ntoskrnl.exe", "netio.sys"}
failures, skipped = [], []


def check(good, what):
    if not good:
        failures.append(what)
        print("FAILED", what)
    return good


def run(*words, path=None, folder=None):
    environment = dict(os.environ, PATH=path) if path is not None else None
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment, cwd=folder)


def generate(target, arch, out, path=None, name="droppacket"):
    return run(BPFTOOL, "gen", "native", SAMPLES / f"{name}.o", "--target", target, "--arch", arch, "-o", out, path=path)


# --- what is in an image -------------------------------------------------------------------------


def check_object(image, offset, size, what, sample):
    magic, length = struct.unpack_from("<8sQ", image, offset)
    good = magic == b"EbFobj\0\1" and 16 + length <= size
    check(good and image[offset + 16:offset + 16 + length] == sample, f"{what}: the object is not in it")


def check_pe(path, arch, what, sample):
    image = pe.Image(path)
    found = [section for section in image.sections if section["name"] == ".ebpfobj"]
    check(len(found) == 1 and not found[0]["flags"] & (SECTION_EXECUTE | SECTION_WRITE), f"{what}: .ebpfobj")
    check_object(image.data, found[0]["raw"], found[0]["size"], what, sample)
    check(len(image.data) % 8 == 0, f"{what}: its size is no multiple of 8, as signatures want it")
    return image


def check_sys(path, arch, what, sample):
    image = check_pe(path, arch, what, sample)
    errors = list(check_driver.check_driver(MACHINES[arch][0], image))
    errors += list(check_imports.check_driver(image, check_imports.read_list(SOURCE / "tests/drivers/imports-1809.txt")))
    check(not errors, f"{what}: {errors}")
    check({module.lower() for module, _ in image.imports()} == KERNEL, f"{what}: imports {image.imports()}")
    if arch == "arm64" and shutil.which("llvm-objdump-19") is None:
        skipped.append(f"registers of {what}: no llvm-objdump-19")
    elif arch == "arm64":
        errors = list(check_registers.check("llvm-objdump-19", path))
        check(not errors, f"{what}: {errors[:3]}")


def check_dll(path, arch, what, sample):
    image = check_pe(path, arch, what, sample)
    check(image.machine == check_driver.MACHINES[MACHINES[arch][0]], f"{what}: machine {image.machine:#x}")
    check(image.imports() == [], f"{what}: imports {image.imports()}")
    check(image.timestamp == 0 and image.checksum == image.computed_checksum(), f"{what}: time stamp or checksum")
    for section in image.sections:
        both = SECTION_EXECUTE | SECTION_WRITE
        check(section["flags"] & both != both, f"{what}: {section['name']} is writable and executable")


def sections_of(data):
    offset, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, offset + size * i) for i in range(count)]
    for name, kind, flags, _, start, length, link, _, _, _ in rows:
        at = rows[names][4] + name
        yield data[at:data.index(b"\0", at)].decode(), kind, flags, start, length


def check_so(path, arch, what, sample):
    data = path.read_bytes()
    check(data[:4] == b"\x7fELF" and struct.unpack_from("<H", data, 18)[0] == MACHINES[arch][1], f"{what}: machine")
    offset, = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    for i in range(count):
        kind, flags = struct.unpack_from("<II", data, offset + size * i)
        check(flags & 3 != 3, f"{what}: segment {i} is writable and executable")
    sections = {name: rest for name, *rest in sections_of(data)}
    _, flags, start, length = sections[".ebpfobj"]
    check(flags & 1 == 0, f"{what}: .ebpfobj is writable")
    check_object(data, start, length, what, sample)
    _, _, start, length = sections[".dynsym"]
    for at in range(start + 24, start + length, 24):
        name, _, _, section = struct.unpack_from("<IBBH", data, at)
        check(section != 0, f"{what}: a symbol is not defined")
    _, _, start, length = sections[".dynamic"]
    check(all(struct.unpack_from("<Q", data, at)[0] != 1 for at in range(start, start + length, 16)),
          f"{what}: it needs libraries")


CHECKS = {"linux": check_so, "windows-dll": check_dll, "windows-driver": check_sys}

# --- by each compiler ----------------------------------------------------------------------------


def path_with(folder, names):
    """A PATH that has these programs and what they start themselves."""
    folder.mkdir()
    for name in names + (["ld", "as"] if "gcc" in names[0] or names == ["clang-19"] else []):
        (folder / name).symlink_to(Path(shutil.which(name)).resolve() if name.startswith(("clang", "lld"))
                                   else shutil.which(name))
    return str(folder)


def time_of(command, *arguments, **options):
    start = time.monotonic()
    done = command(*arguments, **options)
    return time.monotonic() - start, done


def check_toolchain(target, arch, names, folder):
    what = f"{target} {arch} {names[0]}"
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        skipped.append(f"{what}: no {missing[0]}")
        return
    path = path_with(folder / "bin", names)
    outs = []
    for part in "one", "two/deeper":
        (folder / part).mkdir(parents=True)
        outs.append(folder / part / "module")
        seconds, done = time_of(generate, target, arch, outs[-1], path=path)
        if not check(done.returncode == 0, f"{what}: {done.stdout}{done.stderr}"):
            return
    check(outs[0].read_bytes() == outs[1].read_bytes(), f"{what}: two builds differ")
    CHECKS[target](outs[0], arch, what, (SAMPLES / "droppacket.o").read_bytes())
    print(f"{what}: {outs[0].stat().st_size} bytes in {seconds:.2f} s")


# --- signing -------------------------------------------------------------------------------------


def make_certificate(folder):
    done = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test of modules",
               "-addext", "extendedKeyUsage=codeSigning", "-keyout", "key.pem", "-out", "cert.pem", folder=folder)
    check(done.returncode == 0, f"openssl: {done.stderr}")


def check_signing(arch, folder):
    made, signed = folder / f"{arch}.sys", folder / f"{arch}-signed.sys"
    if generate("windows-driver", arch, made).returncode != 0:
        skipped.append(f"signing for {arch}: no driver")
        return
    done = run("osslsigncode", "sign", "-certs", "cert.pem", "-key", "key.pem", "-h", "sha256", "-in", made, "-out", signed,
               folder=folder)
    check(done.returncode == 0, f"signing for {arch}: {done.stdout}{done.stderr}")
    done = run("osslsigncode", "verify", "-CAfile", "cert.pem", "-in", signed, folder=folder)
    check(done.returncode == 0 and "Succeeded" in done.stdout, f"signature for {arch}: {done.stdout}{done.stderr}")
    check_sys(signed, arch, f"signed for {arch}", (SAMPLES / "droppacket.o").read_bytes())
    check(run(BPFTOOL, "prog", "verify", signed).returncode == 0, f"signed for {arch}: its object cannot be opened")
    broken = bytearray(signed.read_bytes())
    broken[0x1000] ^= 1
    (folder / "broken.sys").write_bytes(broken)
    done = run("osslsigncode", "verify", "-CAfile", "cert.pem", "-in", "broken.sys", folder=folder)
    check(done.returncode != 0, f"signature for {arch}: nobody sees that a byte has changed")


def check_signatures(folder):
    missing = [name for name in ("osslsigncode", "openssl") if shutil.which(name) is None]
    if missing:
        skipped.append(f"signing: no {missing[0]}")
        return
    make_certificate(folder)
    for arch in MACHINES:
        check_signing(arch, folder)


# --- messages, and C by bpf2c --------------------------------------------------------------------


def check_overwriting(folder):
    """An input stays what it is, by whatever name it is the output, too."""
    sample = (SAMPLES / "droppacket.o").read_bytes()
    precious, other = folder / "precious.o", folder / "another-name"
    precious.write_bytes(sample)
    (folder / "btf.o").write_bytes(sample)
    other.symlink_to(precious)
    for words in [(BPFTOOL, "gen", "native", precious, "-o", other),
                  (BPFTOOL, "gen", "native", precious, "-o", f"{folder}/./precious.o"),
                  (BPFTOOL, "gen", "native", folder / "btf.o", "--btf", precious, "-o", other),
                  (BPF2C, "--bpf", precious, "--raw", precious), (BPF2C, "--bpf", precious, "--raw", other)]:
        done = run(*words)
        check(done.returncode != 0 and "the output would replace the " in done.stderr, f"{words}: {done.stderr}")
        check(precious.read_bytes() == sample, f"{words}: the input was overwritten")
        precious.write_bytes(sample)


def check_messages(folder):
    sample, out = SAMPLES / "droppacket.o", folder / "none"
    for words, path, status, wanted in [
            (["--arch", "x86_64", "--target", "linux"], str(folder), 254,
             "no compiler for linux on x86_64 is there: install clang-19 or gcc"),
            (["--arch", "arm64", "--target", "windows-driver"], str(folder), 254,
             "no compiler for windows-driver on arm64 is there: install clang-19 and lld-19"),
            (["--arch", "x86_64", "--target", "windows-driver"], str(folder), 254,
             "no compiler for windows-driver on x86_64 is there: install gcc-mingw-w64-x86-64, or clang-19 and lld-19"),
            (["--target", "mars"], None, 234,
             "unknown target 'mars': modules are made for linux, windows-dll and windows-driver"),
            (["--arch", "z80"], None, 234, "unknown architecture 'z80': modules are made for x86_64 and arm64"),
            (["type", "mars"], None, 234, "unknown program type 'mars'"),
            (["dialect", "mars"], None, 234, "unknown dialect 'mars': there are linux and windows")]:
        done = run(BPFTOOL, "gen", "native", sample, "-o", out, *words, path=path)
        check(done.returncode == status and wanted in done.stderr, f"{words}: {done.returncode} {done.stderr}")
        check(not out.exists(), f"{words}: something is left")
    done = run(BPFTOOL, "gen", "native", sample, "-o", "/no/such/folder/x")
    check("cannot write /no/such/folder/x: No such file" in done.stderr, f"unwritable output: {done.stderr}")
    done = run(BPFTOOL, "gen", "native", sample, "-o", sample)
    check("the output would replace the object" in done.stderr, f"output is the object: {done.stderr}")
    check_overwriting(folder)
    for command in (BPFTOOL, "gen", "native"), (BPF2C, "--raw", "--bpf"):
        done = run(*command, folder)
        check(done.returncode != 0 and f"cannot read {folder}: Is a directory" in done.stderr, f"a folder: {done.stderr}")
    done = run(BPF2C, "--raw", "--bpf", sample, "--type", "mars")
    check(done.returncode == 1 and "unknown program type: mars" in done.stderr, f"bpf2c --type: {done.stderr}")
    done = run(BPF2C, "--raw", "--bpf", SOURCE / "LICENSE")
    check(done.returncode == 1 and "LICENSE: this is not an ELF object" in done.stderr, f"no ELF: {done.stderr}")
    done = run(BPFTOOL, "gen", "native", SAMPLES / "bad/no_bounds_check.o", "-o", out)
    check(done.returncode == 1 and "packet-bounds" in done.stdout and not out.exists(), f"rejected: {done.stdout}")
    done = run(BPFTOOL, "gen", "native", "/no/such.o", "-o", out)
    check(done.returncode == 2 and "cannot read /no/such.o" in done.stderr, f"no object: {done.stderr}")


def check_long_name(folder):
    """A program whose name is longer than the context keeps is found in its module."""
    compiler = shutil.which("clang-19")
    if compiler is None:
        skipped.append("long names: no clang-19")
        return
    source, module = folder / "long.c", folder / "long.so"
    source.write_text("".join(f'__attribute__((section("xdp"), used)) int {"n" * 70}{end}(void *context)'
                              f' {{ return {end}; }}\n' for end in (1, 2)))
    done = run(compiler, "-target", "bpf", "-O2", "-g", "-c", "-o", folder / "long.o", source)
    check(done.returncode == 0, f"long names: {done.stderr}")
    done = run(BPFTOOL, "gen", "native", folder / "long.o", "-o", module)
    if "no compiler" in done.stderr:
        return
    (folder / "long.batch").write_text(f"prog loadall {module} long\nprog show\n")
    done = run("env", "EBPF_TRANSPORT=inproc", BPFTOOL, "batch", "file", folder / "long.batch")
    check(done.returncode == 0 and done.stdout.count("native module") == 2, f"long names: {done.stdout} {done.stderr}")


def check_cpu(folder):
    for target, arch, cpu in ("linux", "x86_64", "x86-64-v3"), ("windows-driver", "arm64", "neoverse-n1"):
        done = run(BPFTOOL, "gen", "native", SAMPLES / "counter.o", "--target", target, "--arch", arch, "--cpu", cpu, "-o",
                   folder / "cpu")
        if "no compiler" not in done.stderr:
            check(done.returncode == 0, f"--cpu {cpu}: {done.stderr}")
        done = run(BPFTOOL, "gen", "native", SAMPLES / "counter.o", "--target", target, "--arch", arch, "--cpu", "mars",
                   "-o", folder / "no-cpu")
        check(done.returncode not in (0, 1) and not (folder / "no-cpu").exists(), f"--cpu mars: {done.stderr}")


def check_driver_source(folder):
    """The C of --sys compiles by hand, without a warning."""
    compiler = shutil.which("x86_64-w64-mingw32-gcc")
    if compiler is None:
        skipped.append("bpf2c --sys: no x86_64-w64-mingw32-gcc")
        return
    done = run(BPF2C, "--bpf", SAMPLES / "counter.o", "--sys", folder / "counter.c")
    check(done.returncode == 0, f"bpf2c --sys: {done.stderr}")
    done = run(compiler, "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-I", SOURCE / "include",
               "-c", "-o", folder / "counter.obj", folder / "counter.c")
    check(done.returncode == 0, f"the C of bpf2c --sys: {done.stderr}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, (target, arch, names) in enumerate(TOOLCHAINS):
            (folder / str(i)).mkdir()
            check_toolchain(target, arch, names, folder / str(i))
        check_signatures(folder)
        check_messages(folder)
        check_long_name(folder)
        check_cpu(folder)
        check_driver_source(folder)
    print("\n".join(f"skipped: {what}" for what in skipped))
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
