# SPDX-License-Identifier: MIT
"""archive: folders as files whose bytes depend on names and contents alone."""
import hashlib
import os
import time
import zipfile


def files_of(folder):
    """Relative names with slashes, in the order of their bytes."""
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(folder, path):
    """A manifest as sha256sum writes and checks it, without itself."""
    own = path.relative_to(folder).as_posix()
    path.write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in files_of(folder) if name != own))


def normalize(folder, epoch):
    for name in files_of(folder):
        path = folder / name
        path.chmod(0o755 if path.suffix in (".exe", ".dll", ".sys") else 0o644)
        os.utime(path, (epoch, epoch))


def write_zip(folder, path, epoch):
    """Everything below folder/, under the folder's name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in files_of(folder):
            info = zipfile.ZipInfo(f"{folder.name}/{name}", time.gmtime(epoch)[:6])
            info.create_system = 3  # Unix, so that the permissions below mean something
            info.external_attr = ((folder / name).stat().st_mode & 0xFFFF) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, (folder / name).read_bytes(), compresslevel=9)
    return path
