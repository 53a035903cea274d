"""Signed provenance: a C2PA manifest in the file, by the standard's official library.

It says which pictures went in (by their hashes; with their own manifests, if they had any), what was done,
by which software and when, and it's bound to every byte of the file. It names no person: titles are generic,
there are no thumbnails, and the only thing that points anywhere is the task's id.

Specification: https://spec.c2pa.org (2.2 and later).
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import c2pa
from cryptography import x509

from mien.errors import SetupError
from mien.images.containers import read_container
from mien.images.headers import OutputFormat
from mien.marks.certificates import NOBODY, SigningIdentity, Trust
from mien.marks.choices import SignatureState
from mien.marks.metadata import SOFTWARE, SOURCE_TYPE

_MIME: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
}
_UNKNOWN: Final = "application/octet-stream"
_TASK: Final = "mien.task"


@dataclass(frozen=True)
class Signer:
    """How to sign: PEM of the certificates, C2PA's name of the algorithm, and what gives the signature of
    bytes, whose key need not be in this process. See `SigningIdentity` for the time-stamp authority."""

    certificates: str
    algorithm: str
    sign: Callable[[bytes], bytes] = field(repr=False)
    time_stamp_authority: str | None = None

    @classmethod
    def of(cls, identity: SigningIdentity) -> "Signer":
        return cls(identity.certificates, identity.algorithm, identity.sign, identity.time_stamp_authority)


@dataclass(frozen=True)
class Provenance:
    """What a file's manifest says, as far as it's Mien's.

    `state`: "valid" (nothing has changed since signing, and the signer's certificate leads to an authority
    that is trusted), "untrusted" (nothing has changed, but anybody may have signed), "invalid" (the file or
    the manifest was changed) or "absent". `signed_here`: with the certificate that is one's own.
    `made_by_mien`: the manifest, or one of its ingredients', names Mien. `task_id` and `when` are of the
    newest that does; `time_stamped` if a time-stamp authority that is trusted vouches for `when`, which else
    is the manifest's own word.
    """

    state: SignatureState
    signed_here: bool = False
    made_by_mien: bool = False
    task_id: str | None = None
    when: datetime | None = None
    time_stamped: bool = False


def sign(
    data: bytes,
    format: OutputFormat,
    *,
    target: bytes,
    faces: Sequence[bytes],
    task_id: str,
    when: datetime,
    version: str,
    signer: Signer,
    watermarked: bool,
    thumbnails: bool = False,
) -> bytes:
    """Return the encoded picture `data` with a signed manifest in it.

    `target` and `faces` are the files that went in; one that can't be read is named without its history.
    `thumbnails` adds small versions of them and of the result. Nothing is fetched from anywhere, but a
    time-stamp authority is asked if the signer has one. Raises `SetupError` if signing fails.
    """
    face_ids = [f"face-{index}" for index in range(len(faces))]
    definition = {
        "claim_generator_info": [{"name": SOFTWARE, "version": version}],
        "title": f"Face swap {task_id}",
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": _actions(face_ids, when, version, watermarked)},
                "created": True,
            },
            {"label": _TASK, "data": {"task_id": task_id}, "created": True},
        ],
    }
    signed = io.BytesIO()
    try:
        builder = c2pa.Builder(definition, context=_context(_host(signer), thumbnails=thumbnails))
        _add_ingredient(builder, target, "target", "Target picture", "parentOf")
        for face, face_id in zip(faces, face_ids, strict=True):
            _add_ingredient(builder, face, face_id, "Face picture", "componentOf")
        builder.sign(_c2pa_signer(signer), _MIME[format], io.BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise SetupError(
            "The picture can't be signed. Check the signing key, its certificates and the time-stamp "
            f"authority: {error}"
        ) from error
    return signed.getvalue()


def read(data: bytes, trust: Trust = NOBODY) -> Provenance:
    """Return what the manifest in a picture file says.

    Nothing is fetched: manifests that lie elsewhere count as absent.
    """
    mime = _mime(data)
    if mime is None:
        return Provenance("absent")
    store = _read_store(data, mime, trust.own + trust.anchors)
    if isinstance(store, str):
        return Provenance(store)
    signed_here = store["validation_state"] == "Trusted" and _is_signed_with(trust.own, store)
    if signed_here and trust.development:
        state: SignatureState = "untrusted"
    else:
        state = _STATES.get(store["validation_state"], "invalid")
    ours = next((manifest for manifest in _newest_first(store) if _is_ours(manifest)), None)
    if ours is None:
        return Provenance(state, signed_here)
    stamp = _trusted_stamp(store, ours)
    return Provenance(state, signed_here, True, _task_id(ours), stamp or _edited(ours), stamp is not None)


# Writing --------------------------------------------------------------------------------------------------


def _actions(face_ids: list[str], when: datetime, version: str, watermarked: bool) -> list[dict[str, Any]]:
    at = when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    agent = {"name": SOFTWARE, "version": version}
    actions: list[dict[str, Any]] = [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["target"]}},
        *({"action": "c2pa.placed", "parameters": {"ingredientIds": [face_id]}} for face_id in face_ids),
        {
            "action": "c2pa.edited",
            "description": "The face was replaced.",
            "digitalSourceType": SOURCE_TYPE,
            "softwareAgent": agent,
            "when": at,
        },
    ]
    if watermarked:
        actions.append({"action": "c2pa.watermarked.unbound", "softwareAgent": agent, "when": at})
    return actions


def _add_ingredient(builder: Any, data: bytes, label: str, title: str, relationship: str) -> None:
    description = {"title": title, "relationship": relationship, "instance_id": label}
    try:
        builder.add_ingredient(description, _mime(data) or _UNKNOWN, io.BytesIO(data))
    except c2pa.C2paError:
        # What our decoder could read isn't always what this library can; it's still true that it went in.
        builder.add_ingredient(description, _UNKNOWN, io.BytesIO(b""))


def _c2pa_signer(signer: Signer) -> Any:
    algorithm = c2pa.C2paSigningAlg[signer.algorithm.upper()]
    return c2pa.Signer.from_callback(signer.sign, algorithm, signer.certificates, signer.time_stamp_authority)


def _host(signer: Signer) -> list[str]:
    address = signer.time_stamp_authority
    host = urlsplit(address).hostname if address else None
    return [host] if host else []


def _context(hosts: list[str], *, thumbnails: bool = False, anchors: str = "") -> Any:
    """Return the library's settings: no network but `hosts`, no trust but `anchors`, nothing by itself."""
    settings: dict[str, Any] = {
        "core": {"allowed_network_hosts": hosts},
        "verify": {
            "verify_after_sign": False,  # costs as much as signing, and tests hold it
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "builder": {
            "thumbnail": {"enabled": thumbnails},
            "actions": {
                name: {"enabled": False}
                for name in ("auto_created_action", "auto_opened_action", "auto_placed_action")
            },
        },
    }
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    return c2pa.Context.from_dict(settings)


# Reading --------------------------------------------------------------------------------------------------


def _mime(data: bytes) -> str | None:
    try:
        container = read_container(data)
    except Exception:  # whatever comes of stepping over lengths that lie
        return None
    return None if isinstance(container, str) else _MIME[container.format]


def _read_store(data: bytes, mime: str, anchors: str) -> dict[str, Any] | Literal["invalid", "absent"]:
    try:
        reader = c2pa.Reader.try_create(mime, io.BytesIO(data), context=_context([], anchors=anchors))
        if reader is None:
            return "absent"
        with reader:
            store: dict[str, Any] = json.loads(reader.json())
    except (c2pa.C2paError, ValueError):
        return "invalid"
    return store


_STATES: Final[Mapping[str, SignatureState]] = {"Trusted": "valid", "Valid": "untrusted"}
"""What the library's states mean, where trust is what it was told."""


def _is_signed_with(certificates: str, store: dict[str, Any]) -> bool:
    """Whether the active manifest of a store that is trusted was signed with the first of `certificates`.

    An authority whose certificates are among those that are trusted gives no number twice.
    """
    if not certificates:
        return False
    own = x509.load_pem_x509_certificates(certificates.encode())[0]
    active = store["manifests"][store["active_manifest"]]
    return (active.get("signature_info") or {}).get("cert_serial_number") == str(own.serial_number)


def _newest_first(store: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the active manifest, then those of its ingredients, theirs, and so on."""
    manifests = store.get("manifests", {})
    waiting, seen = [store.get("active_manifest")], set[str]()
    while waiting:
        label = waiting.pop(0)
        if label is None or label in seen or label not in manifests:
            continue
        seen.add(label)
        yield manifests[label]
        waiting += [each.get("active_manifest") for each in manifests[label].get("ingredients", ())]


def _is_ours(manifest: dict[str, Any]) -> bool:
    return any(each.get("name") == SOFTWARE for each in manifest.get("claim_generator_info") or ())


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    for each in manifest.get("assertions", ()):
        if each.get("label") == label and isinstance(each.get("data"), dict):
            data: dict[str, Any] = each["data"]
            return data
    return {}


def _task_id(manifest: dict[str, Any]) -> str | None:
    task_id = _assertion(manifest, _TASK).get("task_id")
    return task_id if isinstance(task_id, str) else None


def _trusted_stamp(store: dict[str, Any], manifest: dict[str, Any]) -> datetime | None:
    """Return when the manifest was signed by the word of a time-stamp authority that is trusted.

    Only of the active manifest is it known whether it is.
    """
    if manifest is not store["manifests"][store["active_manifest"]]:
        return None
    results = store.get("validation_results", {}).get("activeManifest", {}).get("success", ())
    if not any(each.get("code") == "timeStamp.trusted" for each in results):
        return None
    return _time((manifest.get("signature_info") or {}).get("time"))


def _edited(manifest: dict[str, Any]) -> datetime | None:
    """Return when the face was replaced by the manifest's own word."""
    for action in _assertion(manifest, "c2pa.actions.v2").get("actions", ()):
        if action.get("action") == "c2pa.edited":
            return _time(action.get("when"))
    return None


def _time(text: object) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(str(text))
    return None
