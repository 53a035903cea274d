import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.storage.objects import copy, delete, list_objects, open_object, open_store, put, read, size_of


def content_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_an_object_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path / "made" / "on demand")
    await put(store, "results/one/1/face-swap.png", b"pixels")
    assert await read(store, "results/one/1/face-swap.png") == b"pixels"


async def test_an_opened_object_tells_its_size_and_comes_in_pieces(tmp_path: Path) -> None:
    store, data = open_store(tmp_path), bytes(range(256)) * 5000
    await put(store, "large", data)
    opened = await open_object(store, "large")
    pieces = [piece async for piece in opened.chunks]
    assert opened.size == len(data)
    assert len(pieces) > 1
    assert b"".join(pieces) == data


@pytest.mark.parametrize("open_or_read", [read, open_object])
async def test_a_missing_object_is_a_file_not_found(tmp_path: Path, open_or_read: object) -> None:
    assert callable(open_or_read)
    with pytest.raises(FileNotFoundError):
        await open_or_read(open_store(tmp_path), "results/none")


async def test_deleting_leaves_no_empty_folder_and_forgives_what_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await put(store, "inputs/task/image", b"1")
    await put(store, "inputs/task/face_image", b"2")
    await delete(store, ["inputs/task/image", "inputs/never", "inputs/task/face_image"])
    assert content_of(tmp_path) == []


async def test_listing_gives_what_is_below_the_prefix(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for key in ("results/a/1/x.png", "results/b/1/x.png", "inputs/a/image"):
        await put(store, key, b"12345")
    found = [info async for batch in list_objects(store, "results/") for info in batch]
    assert sorted(info.key for info in found) == ["results/a/1/x.png", "results/b/1/x.png"]
    assert {info.size for info in found} == {5}


async def test_no_key_leads_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    store = open_store(tmp_path / "store")
    for key in ("../secret", "a/../../secret", str(tmp_path / "secret")):
        with pytest.raises((ValueError, FileNotFoundError)):
            await read(store, key)


async def test_a_bucket_in_memory_is_opened_by_its_address() -> None:
    store = open_store("memory:///")
    await put(store, "key", b"data")
    assert await read(store, "key") == b"data"


async def test_a_copy_is_as_young_as_any_new_object_and_outlives_what_it_was_made_of(tmp_path: Path) -> None:
    store, data = open_store(tmp_path), bytes(range(256)) * 50_000
    await put(store, "uploads/one", data)
    os.utime(tmp_path / "uploads" / "one", (0, 0))
    before = datetime.now(UTC) - timedelta(seconds=1)
    await copy(store, "uploads/one", "inputs/two")
    (info,) = [info async for batch in list_objects(store, "inputs/") for info in batch]
    assert info.modified > before
    await delete(store, ["uploads/one"])
    assert await read(store, "inputs/two") == data
    with pytest.raises(FileNotFoundError):
        await copy(store, "uploads/one", "inputs/three")


async def test_a_part_of_an_object_can_be_opened(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await put(store, "key", b"0123456789")
    opened = await open_object(store, "key", range(3, 7))
    assert opened.size == await size_of(store, "key") == 10
    assert b"".join([piece async for piece in opened.chunks]) == b"3456"
