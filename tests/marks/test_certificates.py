"""Who signs."""

import io
from datetime import UTC, datetime, timedelta

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mien.errors import SetupError
from mien.images.codec import encode
from mien.marks.certificates import (
    PrivateKey,
    SigningIdentity,
    make_development_identity,
    read_development_identity,
    read_identity,
)
from mien.marks.provenance import Signer, sign


def pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def certified(key: PrivateKey) -> str:
    """PEM of a certificate as an authority would issue it."""
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An operator")])
    uses = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"],
        False,
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, crl_sign=False, encipher_only=False, decipher_only=False, **uses
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


KEYS: dict[str, PrivateKey] = {
    "es256": ec.generate_private_key(ec.SECP256R1()),
    "es384": ec.generate_private_key(ec.SECP384R1()),
    "es512": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ps256": rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_kind_of_key_signs_so_that_the_stock_reader_agrees(algorithm: str) -> None:
    identity = read_identity(certified(KEYS[algorithm]), pem(KEYS[algorithm]))
    assert identity.algorithm == algorithm
    plain = encode(np.full((64, 64, 3), 90, np.uint8), "jpg")
    signed = sign(
        plain,
        "jpg",
        target=plain,
        faces=[],
        task_id="task",
        when=datetime.now(UTC),
        version="1",
        signer=Signer.of(identity),
        watermarked=False,
    )
    assert c2pa.Reader("image/jpeg", io.BytesIO(signed)).get_validation_state() == "Valid"


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
