"""A key is changed without losing anything."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from mien.privacy.resealing import reseal
from mien.resources import Resources
from mien.safety.models import ListedFace
from mien.sealing import Sealing, new_key, parse_keys
from mien.storage import objects
from mien.webhooks.models import Endpoint

OLD, NEW = parse_keys(f"{new_key()} {new_key()}")


def with_keys(resources: Resources, *keys: Any) -> Resources:
    sealing = Sealing(keys)
    return replace(resources, sealing=sealing, store=replace(resources.store, sealing=sealing))


async def test_afterwards_the_old_key_is_needed_no_more(
    make_person: Callable[[str], Awaitable[Any]], resources: Resources
) -> None:
    zelda = await make_person("zelda")  # without any key
    old = with_keys(resources, OLD)
    await objects.put(old.store, "results/old", b"sealed before")
    async with resources.sessions.begin() as session:
        endpoint = (await session.scalars(select(Endpoint))).one()
        endpoint.previous_secret = endpoint.secret
        endpoint.secret = old.sealing.seal_text("whsec_second")
        face = ListedFace(id=uuid4(), secret_hash=b"", by_operator=True, note="")
        face.embedding = old.sealing.seal(b"numbers")
        session.add(face)
        first_secret = endpoint.previous_secret
    assert await reseal(with_keys(resources, NEW, OLD)) > 5
    assert await reseal(with_keys(resources, NEW, OLD)) == 0
    new = with_keys(resources, NEW)
    assert await objects.read(new.store, "results/old") == b"sealed before"
    assert await objects.read(new.store, f"results/{zelda.completed}/1/face-swap.png") == zelda.result
    async with resources.sessions() as session:
        endpoint = (await session.scalars(select(Endpoint))).one()
        face = (await session.scalars(select(ListedFace))).one()
    assert endpoint.previous_secret
    assert new.sealing.open_text(endpoint.secret) == "whsec_second"
    assert new.sealing.open_text(endpoint.previous_secret) == first_secret != endpoint.previous_secret
    assert new.sealing.open(face.embedding) == b"numbers"
    objects.check_keys(new.store)
