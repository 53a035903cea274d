"""A time-stamp authority after RFC 3161 on loopback, as small as one can be."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mien.marks.certificates import key_usage

_serials = itertools.count(1)


@dataclass
class Authority:
    """`certificate` is PEM, `stamped` what it was asked to stamp, `at` the time that it tells."""

    at: datetime
    address: str = ""
    certificate: str = ""
    stamped: list[bytes] = field(default_factory=list)


@contextmanager
def time_stamp_authority(at: datetime) -> Iterator[Authority]:
    """One whose clock stands at `at`."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root, certificate = _certificates(root_key, key)
    authority = Authority(
        at,
        certificate=b"".join(
            each.public_bytes(serialization.Encoding.PEM) for each in (certificate, root)
        ).decode(),
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            imprint, nonce = _read_request(request)
            authority.stamped.append(imprint)
            answer = _answer(imprint, nonce, authority.at, key, [certificate, root])
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        authority.address = f"http://127.0.0.1:{server.server_port}/stamp"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()


def _certificates(
    root_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, x509.Certificate]:
    def certificate(name: str, own: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Test time root"))
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=3650))
            .not_valid_after(datetime.now(UTC) + timedelta(days=3650))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
            )
        )

    root = certificate("Test time root", root_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    stamper = (
        certificate("Test time stamps", key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    )
    return (
        root.add_extension(key_usage(sign_certificates=True), critical=True).sign(root_key, hashes.SHA256()),
        stamper.sign(root_key, hashes.SHA256()),
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test time"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


# DER: a tag, a length and what's in it ----------------------------------------------------------------------

_INTEGER, _OCTETS, _OID, _TIME, _SEQUENCE, _SET = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31
_CONTEXT_0 = 0xA0

# In DER: SHA-256, ECDSA with it, signed data, time-stamp info, content type, message digest, the signer's
# certificate (version 2), and a policy.
_SHA256 = bytes.fromhex("0609608648016503040201")
_ECDSA = bytes.fromhex("06082a8648ce3d040302")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_STAMP_INFO = bytes.fromhex("060b2a864886f70d0109100104")
_CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
_DIGEST = bytes.fromhex("06092a864886f70d010904")
_CERTIFICATE = bytes.fromhex("060b2a864886f70d010910022f")
_POLICY = bytes.fromhex("06042a030401")


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + body


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _parts(body: bytes) -> list[tuple[int, bytes]]:
    """The tags of what follows each other in `body`, each with its whole DER."""
    found = []
    while body:
        begin, length = 2, body[1]
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(body[2:begin])
        found.append((body[0], body[: begin + length]))
        body = body[begin + length :]
    return found


def _inside(der: bytes) -> bytes:
    return der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :]


def _read_request(request: bytes) -> tuple[bytes, bytes]:
    """What to stamp, and the nonce, if any, as they are."""
    (_, imprint), *others = _parts(_inside(request))[1:]
    return imprint, b"".join(der for tag, der in others if tag == _INTEGER)


def _answer(
    imprint: bytes,
    nonce: bytes,
    at: datetime,
    key: ec.EllipticCurvePrivateKey,
    chain: list[x509.Certificate],
) -> bytes:
    time = _der(_TIME, at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())
    info = _der(_SEQUENCE, _integer(1), _POLICY, imprint, _integer(next(_serials)), time, nonce)
    certificates = [each.public_bytes(serialization.Encoding.DER) for each in chain]
    hashed = _der(_OCTETS, hashlib.sha256(certificates[0]).digest())
    attributes = sorted(
        [
            _der(_SEQUENCE, _CONTENT_TYPE, _der(_SET, _STAMP_INFO)),
            _der(_SEQUENCE, _DIGEST, _der(_SET, _der(_OCTETS, hashlib.sha256(info).digest()))),
            _der(
                _SEQUENCE,
                _CERTIFICATE,
                _der(_SET, _der(_SEQUENCE, _der(_SEQUENCE, _der(_SEQUENCE, hashed)))),
            ),
        ]
    )
    signature = key.sign(_der(_SET, *attributes), ec.ECDSA(hashes.SHA256()))
    hashing = _der(_SEQUENCE, _SHA256)
    signer = _der(
        _SEQUENCE,
        _integer(1),
        _der(_SEQUENCE, chain[0].issuer.public_bytes(), _integer(chain[0].serial_number)),
        hashing,
        _der(_CONTEXT_0, *attributes),
        _der(_SEQUENCE, _ECDSA),
        _der(_OCTETS, signature),
    )
    signed = _der(
        _SEQUENCE,
        _integer(3),
        _der(_SET, hashing),
        _der(_SEQUENCE, _STAMP_INFO, _der(_CONTEXT_0, _der(_OCTETS, info))),
        _der(_CONTEXT_0, *certificates),
        _der(_SET, signer),
    )
    granted = _der(_SEQUENCE, _integer(0))
    return _der(_SEQUENCE, granted, _der(_SEQUENCE, _SIGNED_DATA, _der(_CONTEXT_0, signed)))
