"""The do-not-swap list on a real database, without the engine."""

import os
from base64 import b64encode
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from mien.errors import NotFound, PermissionDenied, RateLimited, Unavailable
from mien.resources import Resources
from mien.safety import registry
from mien.safety.likeness import BYTES
from mien.safety.models import ListedFace
from mien.safety.registry import EMPTY, ListReader
from mien.sealing import Sealing, parse_keys

CLIENT = "203.0.113.7"


def embedding() -> bytes:
    return os.urandom(BYTES)


async def test_workers_read_the_list_again_when_it_has_changed(resources: Resources) -> None:
    reader = ListReader()
    assert await reader.current(resources) == EMPTY
    first, second = embedding(), embedding()
    kept = await registry.register(resources, first)
    gone = await registry.register(resources, second)
    listed = await reader.current(resources)
    assert dict(zip(listed.ids, split(listed.embeddings), strict=True)) == {
        str(kept.face.id): first,
        str(gone.face.id): second,
    }
    assert await reader.current(resources) is listed
    await registry.remove(resources, gone.face.id, gone.secret, client=CLIENT)
    left = await reader.current(resources)
    assert (left.ids, left.embeddings) == ((str(kept.face.id),), first)
    assert left.version > listed.version


async def test_only_the_secret_removes_a_face(resources: Resources) -> None:
    registered, other = [await registry.register(resources, embedding()) for _ in range(2)]
    for face_id, secret in ((registered.face.id, other.secret), (uuid4(), registered.secret)):
        with pytest.raises(NotFound):
            await registry.remove(resources, face_id, secret, client=CLIENT)
    await registry.remove(resources, registered.face.id, registered.secret, client=CLIENT)
    with pytest.raises(NotFound):
        await registry.remove(resources, registered.face.id, registered.secret, client=CLIENT)
    assert registered.secret not in repr(registered)


async def test_an_administrator_removes_any_face(resources: Resources) -> None:
    registered = await registry.register_for(resources, embedding(), None, "Asked by letter")
    async with resources.sessions.begin() as session:
        await registry.remove_for(session, registered.face.id, None)
    async with resources.sessions() as session:
        assert (await session.scalars(select(ListedFace))).all() == []
        acts = (await session.execute(text("SELECT act, subject FROM audit_log ORDER BY id"))).all()
    subject = str(registered.face.id)
    assert [tuple(act) for act in acts] == [("face.listed", subject), ("face.unlisted", subject)]


async def test_embeddings_are_sealed_at_rest_if_there_is_a_key(resources: Resources) -> None:
    with_key = replace(resources, sealing=Sealing(parse_keys(b64encode(os.urandom(32)).decode())))
    plain = embedding()
    await registry.register(with_key, plain)
    async with resources.sessions() as session:
        stored = (await session.scalars(select(ListedFace.embedding))).one()
    assert plain not in stored
    assert (await ListReader().current(with_key)).embeddings == plain


async def test_who_may_register_is_a_setting(resources: Resources) -> None:
    with pytest.raises(PermissionDenied):
        await registry.admit(resources, CLIENT)


async def test_one_address_registers_so_many_faces_a_day(resources: Resources) -> None:
    is_open = replace(resources, settings=resources.settings.model_copy(update={"do_not_swap": "open"}))
    for _ in range(10):
        await registry.admit(is_open, CLIENT)
    with pytest.raises(RateLimited):
        await registry.admit(is_open, CLIENT)
    await registry.admit(is_open, "203.0.113.8")


async def test_a_full_list_says_so(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_FACES", 1)
    await registry.register(resources, embedding())
    with pytest.raises(Unavailable):
        await registry.register(resources, embedding())


def split(embeddings: bytes) -> list[bytes]:
    return [embeddings[start : start + BYTES] for start in range(0, len(embeddings), BYTES)]
