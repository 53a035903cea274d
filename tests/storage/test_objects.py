import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import obstore.exceptions
import pytest

from mien.sealing import HEAD, PIECE, SealBroken, Sealing, new_key, parse_keys
from mien.storage.objects import (
    Store,
    check_keys,
    copy,
    delete,
    forget_old_keys,
    list_objects,
    open_object,
    open_store,
    put,
    read,
    seal_again,
    size_of,
)


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


class TestSealed:
    """With a key, for somebody who looks into the folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(tmp_path, Sealing(parse_keys(new_key())))

    async def test_nothing_can_be_read_without_the_key(self, store: Store, tmp_path: Path) -> None:
        await put(store, "results/one", b"a face" * 100_000)
        assert b"a face" not in (tmp_path / "results" / "one").read_bytes()
        assert await read(store, "results/one") == b"a face" * 100_000

    @pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, 5 * PIECE + 7])
    async def test_every_part_comes_as_it_was_stored(self, store: Store, size: int) -> None:
        data = os.urandom(size)
        await put(store, "key", data)
        assert await size_of(store, "key") == size
        whole = await open_object(store, "key")
        assert (whole.size, b"".join([chunk async for chunk in whole.chunks])) == (size, data)
        edges = sorted({0, 1, size // 2, PIECE - 1, PIECE, PIECE + 1, size - 1, size} & set(range(size + 1)))
        for start in edges:
            for stop in (edge for edge in edges if edge > start):
                opened = await open_object(store, "key", range(start, stop))
                assert opened.size == size
                assert b"".join([chunk async for chunk in opened.chunks]) == data[start:stop], (start, stop)

    async def test_a_part_is_read_without_reading_the_rest(self, store: Store, tmp_path: Path) -> None:
        await put(store, "key", data := os.urandom(10 * PIECE))
        sealed = bytearray((tmp_path / "key").read_bytes())
        sealed[HEAD + 100] ^= 1  # in the first piece
        (tmp_path / "key").write_bytes(sealed)
        opened = await open_object(store, "key", range(3 * PIECE + 5, 4 * PIECE + 5))
        assert b"".join([chunk async for chunk in opened.chunks]) == data[3 * PIECE + 5 : 4 * PIECE + 5]
        with pytest.raises(SealBroken):
            await read(store, "key")

    async def test_what_was_stored_without_a_key_stays_readable(self, store: Store, tmp_path: Path) -> None:
        await put(open_store(tmp_path), "old", b"0123456789")
        assert await read(store, "old") == b"0123456789"
        assert await size_of(store, "old") == 10
        for part in (None, range(2, 4)):
            opened = await open_object(store, "old", part)
            expected = b"0123456789" if part is None else b"23"
            assert b"".join([chunk async for chunk in opened.chunks]) == expected

    async def test_a_copy_is_sealed_as_well(self, store: Store, tmp_path: Path) -> None:
        await put(store, "uploads/one", b"a face")
        await copy(store, "uploads/one", "inputs/two")
        assert b"a face" not in (tmp_path / "inputs" / "two").read_bytes()
        assert await read(store, "inputs/two") == b"a face"

    async def test_sealing_again_brings_everything_to_the_current_key(self, tmp_path: Path) -> None:
        old, new = parse_keys(f"{new_key()} {new_key()}")
        await put(open_store(tmp_path), "plain", b"one")
        await put(open_store(tmp_path, Sealing((old,))), "old", b"two")
        both = open_store(tmp_path, Sealing((new, old)))
        assert [await seal_again(both, key) for key in ("plain", "old", "plain", "old")] == [
            True,
            True,
            False,
            False,
        ]
        only_new = open_store(tmp_path, Sealing((new,)))
        assert [await read(only_new, key) for key in ("plain", "old")] == [b"one", b"two"]


class TestKeys:
    """A service whose key is missing doesn't start."""

    def test_a_key_that_sealed_something_must_not_be_missing(self, tmp_path: Path) -> None:
        first, second = parse_keys(f"{new_key()} {new_key()}")
        check_keys(open_store(tmp_path))
        for keys in ((first,), (first,), (second, first)):
            check_keys(open_store(tmp_path, Sealing(keys)))
        for missing in ((), (first,), (second,)):
            with pytest.raises(SealBroken, match="MIEN_STORAGE_KEY"):
                check_keys(open_store(tmp_path, Sealing(missing)))

    async def test_a_key_that_seals_nothing_any_more_may_go(self, tmp_path: Path) -> None:
        first, second = parse_keys(f"{new_key()} {new_key()}")
        check_keys(open_store(tmp_path, Sealing((first,))))
        both = open_store(tmp_path, Sealing((second, first)))
        check_keys(both)
        await forget_old_keys(both)
        check_keys(open_store(tmp_path, Sealing((second,))))

    def test_a_place_that_cannot_be_reached_holds_up_no_start(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(*_: object) -> None:
            raise obstore.exceptions.GenericError("connection refused")

        monkeypatch.setattr(obstore, "list", fail)
        check_keys(open_store("memory:///", Sealing(parse_keys(new_key()))))
        assert "could not be checked" in capsys.readouterr().out
