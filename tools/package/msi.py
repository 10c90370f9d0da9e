# SPDX-License-Identifier: MIT
"""msi: the package as a Windows Installer database, by wixl. The installer copies the files; what it cannot do (services of
drivers, the record, netsh) ebpf-setup.exe does, run from the folder just filled ("in place")."""
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from xml.sax.saxutils import quoteattr

import archive

# All GUIDs derive from this one, which is random and ours: those of files from their names (they must stay over versions),
# the product's from its version, the package's from its contents.
NAMESPACE = uuid.UUID("5a1fb0f6-6f0c-4d8e-9d33-0b9f0c2f7f61")
MANUFACTURER = "eBPF for Windows, in C"
CABINET = "ebpf.cab"
# An installed program that runs, not as the user, while rolling back, whose status is ignored. Source: Microsoft's
# documentation of custom action types: 18 + 0x40 + 0x100 + 0x400 + 0x800.
ROLLBACK_ACTION = 0xD52
# Among the standard actions InstallInitialize 1500, RemoveFiles 3500, InstallFiles 4000.
SEQUENCE = {"RemoveExistingProducts": 1501, "SetupUninstall": 3400, "SetupUndo": 4001, "SetupInstall": 4002}


TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="{product}" UpgradeCode="{upgrade}" Name="eBPF for Windows" Version="{version}"
           Manufacturer="{manufacturer}" Language="1033">
    <Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine"/>
    <MajorUpgrade DowngradeErrorMessage="A later version of eBPF for Windows is installed."/>
    <Media Id="1" Cabinet="{cabinet}" EmbedCab="yes"/>
    <Property Id="ARPNOMODIFY" Value="1"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Directory Id="ProgramFiles64Folder">
        <Directory Id="INSTALLDIR" Name="ebpf">
{tree}        </Directory>
      </Directory>
    </Directory>
    <Feature Id="Complete" Level="1">
{references}    </Feature>
    <CustomAction Id="SetupUndo" FileKey="{setup}" ExeCommand="uninstall" Execute="deferred" Impersonate="no" Return="ignore"/>
    <CustomAction Id="SetupInstall" FileKey="{setup}" ExeCommand="install --in-place" Execute="deferred" Impersonate="no" Return="check"/>
    <CustomAction Id="SetupUninstall" FileKey="{setup}" ExeCommand="uninstall" Execute="deferred" Impersonate="no" Return="check"/>
    <InstallExecuteSequence>
      <Custom Action="SetupUninstall" Before="RemoveFiles">REMOVE="ALL"</Custom>
      <Custom Action="SetupUndo" After="InstallFiles">NOT Installed</Custom>
      <Custom Action="SetupInstall" After="SetupUndo">NOT Installed</Custom>
    </InstallExecuteSequence>
  </Product>
</Wix>
"""


def guid(name):
    return str(uuid.uuid5(NAMESPACE, name)).upper()


def identifier(name):
    return "f" + uuid.uuid5(NAMESPACE, name).hex[:24]


def component(folder, name, indent):
    pad = " " * indent
    return (f'{pad}<Component Id="c{identifier(name)}" Guid="{guid("file:" + name)}" Win64="yes">\n'
            f'{pad}  <File Id="{identifier(name)}" Name={quoteattr(Path(name).name)} '
            f'Source={quoteattr(f"{folder.name}/{name}")} KeyPath="yes"/>\n{pad}</Component>\n')


def tree_of(folder, names, prefix="", indent=10):
    """The files below `prefix` as nested directories."""
    text, directories, pad = "", {}, " " * indent
    for name in names:
        head, slash, _ = name[len(prefix):].partition("/")
        if slash:
            directories.setdefault(head, []).append(name)
        else:
            text += component(folder, name, indent)
    for directory, inside in sorted(directories.items()):
        path = f"{prefix}{directory}/"
        text += f'{pad}<Directory Id="d{identifier(path)}" Name={quoteattr(directory)}>\n'
        text += tree_of(folder, inside, path, indent + 2) + f"{pad}</Directory>\n"
    return text


def source_of(folder, version):
    names = archive.files_of(folder)
    references = "".join(f'      <ComponentRef Id="c{identifier(name)}"/>\n' for name in names)
    return TEMPLATE.format(
        product=guid("product:" + version), upgrade=guid("upgrade"), version=version,
        manufacturer=MANUFACTURER, cabinet=CABINET, tree=tree_of(folder, names),
        references=references, setup=identifier("ebpf-setup.exe"))


def run(folder, *command, **options):
    environment = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8")
    return subprocess.run(command, check=True, env=environment, cwd=folder, **options)


def read_table(folder, database, table):
    """A table as lists of cells; the first three lines are its head."""
    text = run(folder, "msiinfo", "export", database, table, stdout=subprocess.PIPE).stdout.decode()
    return [line.split("\t") for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]


def summary_of(package, version, epoch):
    date = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(epoch))
    values = {1: "1252", 2: "Installation Database", 3: f"eBPF for Windows {version}", 4: MANUFACTURER, 5: "Installer",
              6: "MIT licence", 7: "x64;1033", 9: "{" + package + "}", 12: date, 13: date,
              14: "500", 15: "2",  # schema 5.00; long names, compressed
              18: "wixl", 19: "2"}
    return [["PropertyId", "Value"], ["i2", "l255"], ["_SummaryInformation", "PropertyId"]] + [
        [str(number), value] for number, value in values.items()]


def set_cell(rows, key, column, value):
    row = next((r for r in rows[3:] if r[0] == key), None)
    if row is None:
        raise OSError(f"wixl made no row {key}")
    row[rows[0].index(column)] = str(value)


def corrected(table, rows):
    """What wixl has no attributes for (a rollback action), does otherwise each time (sequences that are not standard), or
    differently from what is wanted here (when earlier versions are removed). Rows have no order: theirs is the key's."""
    if table == "CustomAction":
        set_cell(rows, "SetupUndo", "Type", ROLLBACK_ACTION)
    elif table == "InstallExecuteSequence":
        for action, sequence in SEQUENCE.items():
            set_cell(rows, action, "Sequence", sequence)
    return rows[:3] + sorted(rows[3:])


def rebuild(folder, raw, made, summary):
    """Makes `made` of the tables of `raw`. wixl's own order of bytes is another each time; ours is that of names."""
    tables = run(folder, "msiinfo", "tables", raw, stdout=subprocess.PIPE).stdout.decode().split()
    imports = ["_SummaryInformation.idt"]
    contents = {"_SummaryInformation": summary}
    for table in sorted(set(tables) - {"_SummaryInformation", "_ForceCodepage"}):
        contents[table] = corrected(table, read_table(folder, raw, table))
        imports.append(f"{table}.idt")
    for table, rows in contents.items():
        text = "".join("\t".join(row) + "\r\n" for row in rows)
        (folder / f"{table}.idt").write_bytes(text.encode("cp1252"))
    cabinet = run(folder, "msiinfo", "extract", raw, CABINET, stdout=subprocess.PIPE).stdout
    (folder / CABINET).write_bytes(cabinet)
    for name in imports:
        run(folder, "msibuild", made, "-i", name)
    run(folder, "msibuild", made, "-a", CABINET, CABINET)


def write_msi(folder, path, version, epoch):
    work = folder.with_name("msi")
    work.mkdir()
    (folder.parent / "ebpf.wxs").write_text(source_of(folder, version))  # wixl looks for files beside it
    run(folder.parent, "wixl", "--arch", "x64", "-o", "msi/raw.msi", "ebpf.wxs")
    package = guid("package:" + archive.sha256(folder / "SHA256SUMS"))
    rebuild(work, "raw.msi", "made.msi", summary_of(package, version, epoch))
    shutil.copyfile(work / "made.msi", path)
    return path
