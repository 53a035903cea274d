"""Keys and certificates by which provenance is signed.

Who reads a signed picture trusts it when its certificate leads to an authority on their trust list. Such
certificates are bought or applied for. Until an operator has one, a chain of one's own says truthfully that
nothing has changed since signing, but not who signed: readers call it untrusted, and so does Mien.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mien.errors import SetupError

_CERTIFICATES: Final = "provenance-certificates.pem"
_PRIVATE_KEY: Final = "provenance-key.pem"

_PURPOSES: Final = (
    ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),  # c2pa-kp-claimSigning
    ObjectIdentifier("1.3.6.1.5.5.7.3.4"),  # id-kp-emailProtection
)
"""What the signer's certificate is for. C2PA has a purpose of its own by now, but readers without a trust
list, `c2pa-python`'s among them, call a certificate invalid that hasn't one of the older ones, too."""

_YEARS: Final = 10


@dataclass(frozen=True)
class SigningIdentity:
    """Who signs: PEM of the certificates, the signer's first and the root's last or left out, and PEM of the
    signer's private key (PKCS #8, not encrypted). `development` says that nobody outside trusts it.

    `time_stamp_authority` is the http(s) address of an RFC 3161 service, which is then asked at every
    signing; without one, signatures can't be told from later ones once the certificate has expired.
    """

    certificates: str
    private_key: str = field(repr=False)
    algorithm: str
    development: bool = False
    time_stamp_authority: str | None = None


def load_identity(
    certificates: Path, private_key: Path, time_stamp_authority: str | None = None
) -> SigningIdentity:
    """Read an operator's own key and certificates. Raises `SetupError`."""
    return _identity(*_read(certificates, private_key), time_stamp_authority, development=False)


def development_identity(folder: Path, time_stamp_authority: str | None = None) -> SigningIdentity:
    """Return the self-signed identity in `folder`, which is made there on first use.

    Raises `SetupError`.
    """
    certificates, private_key = folder / _CERTIFICATES, folder / _PRIVATE_KEY
    if not certificates.exists():
        folder.mkdir(parents=True, exist_ok=True)
        chain, key = _make_chain()
        # The certificates come last, and each file all at once: who finds them finds both.
        _write(private_key, key)
        _write(certificates, chain)
    return _identity(*_read(certificates, private_key), time_stamp_authority, development=True)


def _identity(
    certificates: str, private_key: str, time_stamp_authority: str | None, *, development: bool
) -> SigningIdentity:
    try:
        chain = x509.load_pem_x509_certificates(certificates.encode())
        key = serialization.load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SetupError(
            "The signing key or its certificates are not PEM, or the key is encrypted. Give a certificate "
            "chain, the signer's first, and an unencrypted private key."
        ) from error
    if key.public_key() != chain[0].public_key():
        raise SetupError("The signing key doesn't belong to the first certificate of the chain.")
    return SigningIdentity(certificates, private_key, _algorithm(key), development, time_stamp_authority)


def _algorithm(key: object) -> str:
    """Return C2PA's name of the algorithm that goes with a private key."""
    match key:
        case ec.EllipticCurvePrivateKey():
            name = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name)
        case ed25519.Ed25519PrivateKey():
            name = "ed25519"
        case rsa.RSAPrivateKey():
            name = "ps256"
        case _:
            name = None
    if name is None:
        raise SetupError("The signing key must be on the curve P-256, P-384 or P-521, or be Ed25519 or RSA.")
    return name


def _make_chain() -> tuple[str, str]:
    """Return PEM of the certificates of a signer and of its authority, and PEM of the signer's key."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    signer_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Mien development authority (untrusted)")
    key_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())

    authority = (
        _certificate(authority_name, authority_key.public_key(), issuer=authority_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    signer = (
        _certificate(
            _name("Mien development signer (untrusted)"), signer_key.public_key(), issuer=authority_name
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        .add_extension(key_identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (signer, authority))
    key = signer_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return chain.decode(), key.decode()


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mien development"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, *, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(certificates: Path, private_key: Path) -> tuple[str, str]:
    try:
        return certificates.read_text(), private_key.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"The signing key or its certificates can't be read: {error}") from error


def _write(path: Path, text: str) -> None:
    """Write `path` all at once, for its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with suppress(FileNotFoundError):
            draft.unlink()
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise SetupError(f"{path} can't be written: {error}") from error
