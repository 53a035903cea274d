"""Who signs."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mien.errors import SetupError
from mien.marks.certificates import (
    PrivateKey,
    SigningIdentity,
    make_development_identity,
    read_development_identity,
    read_identity,
)


def pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_a_development_identity_says_what_it_is() -> None:
    text = make_development_identity()
    identity = read_development_identity(text)
    assert identity.development
    assert identity.certificates == read_development_identity(text).certificates
    assert "PRIVATE" not in identity.certificates


def test_no_two_development_identities_are_alike() -> None:
    assert make_development_identity() != make_development_identity()


def test_the_private_key_is_not_in_the_representation(identity: SigningIdentity) -> None:
    assert "private" not in repr(identity).lower()


def test_an_operators_own_identity_is_read(identity: SigningIdentity) -> None:
    stamped = "https://stamp.example"
    own = read_identity(identity.certificates, pem(identity.private_key), time_stamp_authority=stamped)
    assert not own.development
    assert (own.algorithm, own.time_stamp_authority) == ("es256", stamped)


def test_a_key_that_belongs_to_another_certificate_is_refused(identity: SigningIdentity) -> None:
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(SetupError, match="doesn't belong"):
        read_identity(identity.certificates, other)


def test_a_key_that_no_algorithm_of_the_standard_goes_with_is_refused(identity: SigningIdentity) -> None:
    with pytest.raises(SetupError, match="P-256"):
        read_identity(identity.certificates, pem(ec.generate_private_key(ec.SECP256K1())))


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE-----\nnonsense"])
def test_what_is_no_certificate_is_refused(text: str, identity: SigningIdentity) -> None:
    with pytest.raises(SetupError, match="PEM"):
        read_identity(text, pem(identity.private_key))
    with pytest.raises(SetupError, match="PEM"):
        read_identity(identity.certificates, text)
