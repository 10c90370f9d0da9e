# SPDX-License-Identifier: MIT
"""inf: rules for the INF of a primitive driver, of those that Microsoft's InfVerif checks with /w (documentation: "Creating a
new primitive driver", "InfVerif /w"). errors_of(bytes, version) lists what is wrong."""
import re

SERVICE_RULES = {"ServiceType": "1", "StartType": "2", "ErrorControl": "1", "LoadOrderGroup": "eBPF"}
DIRECTIVES_THAT_NAME_SECTIONS = {"copyfiles", "delfiles"}


def parse(text):
    """{section: [(key or None, value)]}, comments gone."""
    sections, current = {}, None
    for line in text.splitlines():
        line = line.split(";")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], [])
        elif line and current is not None:
            key, equals, value = line.partition("=")
            current.append((key.strip(), value.strip()) if equals else (None, line))
    return sections


def version_errors(sections, version):
    entries = dict(sections.get("Version", []))
    wanted = {"Signature": r'"\$WINDOWS NT\$"', "Class": r"System", "Provider": r"%\w+%", "CatalogFile": r"ebpfcore\.cat",
              "ClassGuid": r"\{4D36E97D-E325-11CE-BFC1-08002BE10318\}", "PnpLockdown": "1",
              "DriverVer": r"\d\d/\d\d/\d{4}," + re.escape(version) + r"\.0"}
    for key, pattern in wanted.items():
        if not re.fullmatch(pattern, entries.get(key, "")):
            yield f"[Version] {key} = {entries.get(key, '')!r}"


def section_errors(sections):
    for name in sections:
        if re.match(r"Default(Un)?[Ii]nstall", name) and ".NTamd64" not in name:
            yield f"[{name}] is not for one architecture"
        if name in ("Manufacturer", "Models") or "CoInstallers" in name:
            yield f"[{name}] does not belong into the INF of a primitive driver"
    for name in ("DefaultInstall.NTamd64", "DefaultInstall.NTamd64.Services", "DestinationDirs", "SourceDisksFiles"):
        if name not in sections:
            yield f"no [{name}]"
    if dict(sections.get("DefaultUninstall.NTamd64", [])).get("LegacyUninstall") != "1":
        yield "[DefaultUninstall.NTamd64] without LegacyUninstall = 1"


def reference_errors(sections):
    files = set()
    for name, entries in sections.items():
        for key, value in entries:
            if key and key.lower() in DIRECTIVES_THAT_NAME_SECTIONS:
                if value not in sections:
                    yield f"[{name}] {key} names no section {value}"
                files |= {v for _, v in sections.get(value, [])}
            if key == "AddService" and value.split(",")[-1].strip() not in sections:
                yield f"[{name}] AddService names no section {value}"
    known = {k for k, _ in sections.get("SourceDisksFiles", [])}
    for file in sorted(files - known):
        yield f"{file} is not in [SourceDisksFiles]"


def string_errors(sections):
    defined = {k for k, _ in sections.get("Strings", [])}
    used = set()
    for name, entries in sections.items():
        for _, value in entries:
            used |= {s for s in re.findall(r"%(\w+)%", value) if not s.isdigit()}
    yield from (f"%{s}% has no string" for s in sorted(used - defined))
    yield from (f"the string {s} is not used" for s in sorted(defined - used))


def service_errors(sections):
    names = [v for k, v in sections.get("DefaultInstall.NTamd64.Services", []) if k == "AddService"]
    if len(names) != 1 or names[0].split(",")[0] != "ebpfcore":
        yield f"services {names}, not ebpfcore alone"
        return
    service = dict(sections.get(names[0].split(",")[-1].strip(), []))
    for key, value in SERVICE_RULES.items():
        if service.get(key) != value:
            yield f"service: {key} = {service.get(key)!r}, not {value!r}"
    if service.get("ServiceBinary") != r"%12%\ebpfcore.sys":
        yield f"service: ServiceBinary = {service.get('ServiceBinary')!r}"


def errors_of(data, version):
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        return [f"not ASCII: {error}"]
    errors = ["lines end without CR LF"] if text.count("\n") != text.count("\r\n") else []
    sections = parse(text)
    for rule in (section_errors, reference_errors, string_errors, service_errors):
        errors += rule(sections)
    return errors + list(version_errors(sections, version))
