"""Keys and certificates by which provenance is signed.

Who reads a signed picture trusts it when its certificate leads to an authority on their trust list. Such
certificates are bought or applied for. Until an operator has one, a chain of one's own says truthfully that
nothing has changed since signing, but not who signed: readers call it untrusted, and so does Mien.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mien.errors import SetupError

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"

_PURPOSES: Final = (
    ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),  # c2pa-kp-claimSigning
    ObjectIdentifier("1.3.6.1.5.5.7.3.4"),  # id-kp-emailProtection
)
"""What the signer's certificate is for. C2PA has a purpose of its own by now, but readers without a trust
list, `c2pa-python`'s among them, call a certificate invalid that hasn't one of the older ones, too."""

_YEARS: Final = 10


PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class SigningIdentity:
    """Who signs: PEM of the certificates, the signer's first and the root's last or left out; the signer's
    key, and C2PA's name of its algorithm. `development` says that nobody outside trusts it.

    `time_stamp_authority` is the http(s) address of an RFC 3161 service, which is then asked at every
    signing; without one, signatures can't be told from later ones once the certificate has expired.
    """

    certificates: str
    algorithm: str
    private_key: PrivateKey = field(repr=False)
    development: bool = False
    time_stamp_authority: str | None = None

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data` in the form that `c2pa` asks its callers for."""
        match self.private_key:
            case ec.EllipticCurvePrivateKey() as key:
                return key.sign(data, ec.ECDSA(_HASHES[self.algorithm]))
            case ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)
            case rsa.RSAPrivateKey() as key:
                salted = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
                return key.sign(data, salted, hashes.SHA256())


@dataclass(frozen=True)
class Trust:
    """Whose signatures are believed, all of it PEM and none of it secret.

    `own` are the certificates that one signs with oneself, the signer's first; `development` says that
    nobody else trusts them. `anchors` are authorities to trust, such as those of the C2PA trust list.
    """

    own: str = ""
    development: bool = False
    anchors: str = ""

    @classmethod
    def of(cls, identity: SigningIdentity | None, anchors: str = "") -> "Trust":
        if identity is None:
            return cls(anchors=anchors)
        return cls(identity.certificates, identity.development, anchors)


NOBODY: Final = Trust()


def read_identity(
    certificates: str, private_key: str, *, time_stamp_authority: str | None = None
) -> SigningIdentity:
    """Return the identity of a certificate chain and a private key (not encrypted), both PEM.

    Raises `SetupError`.
    """
    return _identity(certificates, private_key, time_stamp_authority, development=False)


def read_development_identity(pem: str, *, time_stamp_authority: str | None = None) -> SigningIdentity:
    """Return the identity that `make_development_identity` made. Raises `SetupError`."""
    private_key, _, chain = pem.partition(_CERTIFICATE)
    return _identity(_CERTIFICATE + chain, private_key, time_stamp_authority, development=True)


def make_development_identity() -> str:
    """Return PEM of a signer's key, its certificate and that of its authority, all made just now."""
    chain, private_key = _make_chain()
    return private_key + chain


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
    if not isinstance(key, PrivateKey) or (algorithm := _algorithm(key)) is None:
        raise SetupError("The signing key must be on the curve P-256, P-384 or P-521, or be Ed25519 or RSA.")
    if key.public_key() != chain[0].public_key():
        raise SetupError("The signing key doesn't belong to the first certificate of the chain.")
    return SigningIdentity(certificates, algorithm, key, development, time_stamp_authority)


def _algorithm(key: PrivateKey) -> str | None:
    """Return C2PA's name of the algorithm that goes with a private key."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name)
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"


_HASHES: Final = {"es256": hashes.SHA256(), "es384": hashes.SHA384(), "es512": hashes.SHA512()}


def _make_chain() -> tuple[str, str]:
    """Return PEM of the certificates of a signer and of its authority, and PEM of the signer's key."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    signer_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Mien development authority (untrusted)")
    key_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())

    authority = (
        _certificate(authority_name, authority_key.public_key(), issuer=authority_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(sign_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    signer = (
        _certificate(
            _name("Mien development signer (untrusted)"), signer_key.public_key(), issuer=authority_name
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False), critical=True)
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


def key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """What a certificate's key is for: to sign certificates, or to sign all else."""
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
