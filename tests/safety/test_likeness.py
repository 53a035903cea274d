import numpy as np
import pytest
from numpy.typing import NDArray

from mien.engine.swapper import SwapIdentity
from mien.errors import ContentBlocked, FaceUnusable
from mien.safety.gate import Gate
from mien.safety.likeness import BYTES, FaceList, combine, pack


def people(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Embeddings of strangers, float32[count, 1024]."""
    drawn = np.random.default_rng(seed).standard_normal((count, 1024)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def listing(embeddings: NDArray[np.float32]) -> FaceList:
    ids = [f"face-{number}" for number in range(len(embeddings))]
    return FaceList.unpack(ids, b"".join(pack(each) for each in embeddings))


def test_a_face_is_found_among_many() -> None:
    listed = people(2000)
    found = listing(listed).most_alike(listed[1234])
    assert found is not None
    assert found.id == "face-1234"
    assert found.similarity == pytest.approx(1, abs=1e-3)


def test_packing_hardly_changes_a_similarity() -> None:
    one, other = people(2)
    near = (one + 0.2 * other) / np.linalg.norm(one + 0.2 * other)
    assert len(pack(one)) == BYTES
    found = listing(one[None]).most_alike(near)
    assert found is not None
    assert found.similarity == pytest.approx(float(one @ near), abs=1e-3)


def test_nobody_is_like_an_empty_list() -> None:
    assert FaceList.empty().most_alike(people(1)[0]) is None


def test_pictures_of_one_person_become_one_embedding_between_them() -> None:
    middle, left, right = people(3)
    pictures = [middle + 0.5 * side for side in (left, right, -left)]
    together = np.frombuffer(combine([pack(one / np.linalg.norm(one)) for one in pictures]), np.float16)
    assert np.linalg.norm(together.astype(np.float32)) == pytest.approx(1, abs=1e-3)
    assert together @ middle > max(one @ middle / np.linalg.norm(one) for one in pictures)


def test_a_stranger_among_the_pictures_is_named() -> None:
    one, other = people(2)
    with pytest.raises(FaceUnusable) as refused:
        combine([pack(one), pack(one), pack(other)])
    assert refused.value.picture == 2
    assert "number 3" in refused.value.message


@pytest.mark.parametrize(("role", "param"), [("source", "source"), ("target", "target")])
def test_a_swap_of_a_listed_face_or_onto_one_is_refused(role: str, param: str) -> None:
    listed, stranger, other = people(3)
    gate = Gate(None, alike_from=0.78)
    gate.listed = listing(listed[None])
    gate.check_identities([SwapIdentity(stranger, other)])
    guilty = SwapIdentity(**({"source": stranger, "target": stranger} | {role: listed}))
    with pytest.raises(ContentBlocked) as refused:
        gate.check_identities([SwapIdentity(stranger, other), guilty])
    assert (refused.value.param, refused.value.swap) == (param, 1)


def test_the_threshold_decides() -> None:
    listed, other = people(2)
    near = (listed + other) / np.linalg.norm(listed + other)  # a similarity of 0.7
    for alike_from, is_refused in ((0.65, True), (0.75, False)):
        gate = Gate(None, alike_from)
        gate.listed = listing(listed[None])
        if is_refused:
            with pytest.raises(ContentBlocked):
                gate.check_identities([SwapIdentity(near, other)])
        else:
            gate.check_identities([SwapIdentity(near, other)])
