"""The watermark's error-correcting code: 48 bits in some thousand signs.

A tag is three symbols of 16 bits. Each symbol is one word of a random linear code with 16 bits (a punctured
Hadamard code, MacWilliams & Sloane, "The Theory of Error-Correcting Codes", 1977, chapter 14), whose
best-matching word among all 65,536 is found by one fast Walsh-Hadamard transform. That is the decoding of
maximum likelihood: no threshold is lost on the way, and soft values count with their weight.

The words are scrambled by signs drawn from SHAKE-256, keyed if the caller has a key. To a picture that was
never marked those signs are coin tosses, and from that follows how often chance looks like a mark:
`chance` bounds it for any picture whatsoever.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mien.marks import tags

_SYMBOLS: Final = 3
_SYMBOL_BITS: Final = tags.BITS // _SYMBOLS


@dataclass(frozen=True)
class Decoded:
    """The best-matching tag, and how well it matches: `match` is correlation × √(length), 0 or more.

    Of an unmarked picture `match` is around 9, since it's the best of 2^48 tags.
    """

    tag: int
    match: float


def encode(tag: int, length: int, key: bytes) -> NDArray[np.float32]:
    """Return the word of `tag` (0 … 2^48 − 1): float32[length] of −1 and 1."""
    if not 0 <= tag < 2**tags.BITS:
        raise ValueError(f"a tag has {tags.BITS} bits, not {tag.bit_length()}")
    columns, signs = _code(length, key)
    word = np.empty(length, np.float32)
    for index in range(_SYMBOLS):
        symbol = tag >> index * _SYMBOL_BITS & 2**_SYMBOL_BITS - 1
        parity = np.bitwise_count(columns[index::_SYMBOLS] & np.uint16(symbol)) & 1
        word[index::_SYMBOLS] = 1 - 2 * parity.astype(np.float32)
    return word * signs


def decode(received: NDArray[np.float32], key: bytes) -> Decoded:
    """Return the tag whose word correlates best with `received`, float32[length] of soft signs."""
    columns, signs = _code(len(received), key)
    soft = received * signs
    norm = float(np.linalg.norm(soft))
    if norm == 0:
        return Decoded(0, 0.0)
    tag, total = 0, 0.0
    for index in range(_SYMBOLS):
        spread = np.zeros(2**_SYMBOL_BITS, np.float32)
        np.add.at(spread, columns[index::_SYMBOLS], soft[index::_SYMBOLS])
        correlation = _walsh_hadamard(spread)
        symbol = int(correlation.argmax())
        tag |= symbol << index * _SYMBOL_BITS
        total += float(correlation[symbol])
    return Decoded(tag, max(total / norm, 0.0))


def chance(match: float, tries: int) -> float:
    """Bound the probability that any tag matches this well, in `tries` decodings, where there is no mark.

    For received values r and one word w with random signs, w·r/‖r‖ exceeds z with probability at most
    exp(−z²/2), whatever r is (Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables",
    1963, theorem 2). There are 2^48 words and `tries` decodings; the sum of all is the bound.
    """
    return math.exp(min(0.0, tags.BITS * math.log(2) + math.log(tries) - match**2 / 2))


def match_for(probability: float, tries: int) -> float:
    """Return the match whose `chance` is `probability`."""
    return math.sqrt(2 * (tags.BITS * math.log(2) + math.log(tries) - math.log(probability)))


@lru_cache(maxsize=4)
def _code(length: int, key: bytes) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return for each sign of a word the bits of the symbol that it is the parity of, and its scrambling."""
    stream = hashlib.shake_256(b"mien watermark 1 " + key).digest(3 * length)
    columns = np.frombuffer(stream, "<u2", length).astype(np.uint16)
    signs = 1 - 2 * (np.frombuffer(stream, np.uint8, length, offset=2 * length) & 1).astype(np.float32)
    return columns, signs


def _walsh_hadamard(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Σ_c values[c]·(−1)^|c & s| for all s: the fast transform, for the high and the low half of the
    bits one after the other, which keeps what is added next to each other in memory. `values` is overwritten.
    """
    side = 2 ** (_SYMBOL_BITS // 2)
    now, then = values, np.empty_like(values)
    for _ in range(2):
        half = side
        while half < side * side:
            pairs, sums = now.reshape(-1, 2, half), then.reshape(-1, 2, half)
            np.add(pairs[:, 0], pairs[:, 1], out=sums[:, 0])
            np.subtract(pairs[:, 0], pairs[:, 1], out=sums[:, 1])
            now, then = then, now
            half *= 2
        np.copyto(then.reshape(side, side), now.reshape(side, side).T)
        now, then = then, now
    return now
