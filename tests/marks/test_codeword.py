"""The code in which tags are hidden, and the bound on finding one where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.marks.codeword import chance, decode, encode, match_for

LENGTH = 6000


@given(st.integers(0, 2**48 - 1))
def test_a_tag_comes_back(tag: int) -> None:
    assert decode(encode(tag, LENGTH, b""), b"").tag == tag


def test_a_perfect_word_matches_with_the_root_of_its_length() -> None:
    assert decode(encode(5, LENGTH, b""), b"").match == pytest.approx(math.sqrt(LENGTH), rel=1e-5)


@pytest.mark.parametrize("tag", [-1, 2**48])
def test_a_tag_has_48_bits(tag: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        encode(tag, LENGTH, b"")


def test_a_tag_comes_back_from_noise_that_is_five_times_as_strong() -> None:
    random = np.random.default_rng(1)
    for tag in random.integers(0, 2**48, 20).tolist():
        noisy = encode(tag, LENGTH, b"") + random.normal(0, 5, LENGTH).astype(np.float32)
        assert decode(noisy, b"").tag == tag


def test_another_key_finds_nothing() -> None:
    word = encode(5, LENGTH, b"mine")
    assert decode(word, b"mine").tag == 5
    assert decode(word, b"theirs").match < match_for(1e-6, 24)


def test_silence_matches_nothing() -> None:
    assert decode(np.zeros(LENGTH, np.float32), b"").match == 0


def test_the_threshold_is_where_the_bound_says() -> None:
    match = match_for(1e-7, 24)
    assert chance(match, 24) == pytest.approx(1e-7)
    # 2^48 words × 24 decodings × exp(−match²/2)
    assert 2**48 * 24 * math.exp(-(match**2) / 2) == pytest.approx(1e-7)
    assert chance(0, 24) == 1


def test_one_word_correlates_with_random_signs_as_rarely_as_the_bound_says() -> None:
    """The bound for a single word, where events are frequent enough to be counted."""
    random = np.random.default_rng(2)
    weights = random.gamma(0.5, size=LENGTH)  # few strong values and many weak: the bound holds for any
    signs = random.integers(0, 2, (4000, LENGTH), dtype=np.int8) * 2 - 1
    correlation = (signs @ weights) / np.linalg.norm(weights)
    for z in (1.0, 2.0, 3.0):
        assert np.mean(correlation > z) <= math.exp(-(z**2) / 2)


def test_the_best_of_all_words_stays_below_the_threshold_where_there_is_no_mark() -> None:
    random = np.random.default_rng(3)
    matches = [decode(random.standard_t(3, LENGTH).astype(np.float32), b"").match for _ in range(100)]
    assert max(matches) < match_for(1e-7, 24)
    assert np.median(matches) > 7  # the best of so many words is never far below it
