"""Who signs."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mien.errors import SetupError
from mien.marks.certificates import SigningIdentity, development_identity, load_identity


def test_the_development_identity_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = development_identity(folder)
    assert first == development_identity(folder)
    assert first.development
    assert "untrusted" not in repr(first.private_key)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 2


def test_the_private_key_is_not_in_the_representation(identity: SigningIdentity) -> None:
    assert "PRIVATE" not in repr(identity)


def test_an_operators_own_identity_is_read(tmp_path: Path, identity: SigningIdentity) -> None:
    (tmp_path / "chain.pem").write_text(identity.certificates)
    (tmp_path / "key.pem").write_text(identity.private_key)
    own = load_identity(tmp_path / "chain.pem", tmp_path / "key.pem", "https://stamp.example")
    assert not own.development
    assert (own.algorithm, own.time_stamp_authority) == ("es256", "https://stamp.example")


def test_a_key_that_belongs_to_another_certificate_is_refused(
    tmp_path: Path, identity: SigningIdentity
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "chain.pem").write_text(identity.certificates)
    (tmp_path / "key.pem").write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(SetupError, match="doesn't belong"):
        load_identity(tmp_path / "chain.pem", tmp_path / "key.pem")


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("hello")
    with pytest.raises(SetupError, match="PEM"):
        load_identity(tmp_path / "chain.pem", tmp_path / "chain.pem")
    with pytest.raises(SetupError, match="can't be read"):
        load_identity(tmp_path / "missing.pem", tmp_path / "chain.pem")
