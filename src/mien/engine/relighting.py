"""Step 7: the source's skin in the target's light, by the quotient of both."""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.geometry import smoothstep
from mien.engine.lighting import Light, Skin, estimate_light
from mien.engine.patches import seam, with_lips, with_patches
from mien.engine.texture import Layers
from mien.engine.topology import mirror

MIN_GAIN, MAX_GAIN = 0.04, 10.0
GLARE = 1.4
"""Skin that becomes lighter by more than this factor loses as much of its highlights."""

MAX_VIVIDNESS = 1.25
"""Chroma grows with luma, but no further: dark colours are noisy."""

PALE, GREY = 0.75, 6.0
"""Skin has from this share on of the usual skin's chroma; hair has less. And the chroma of 255 that tells
nothing."""

OVEREXPOSED = (84.0, 97.0)
"""Lightness of skin between which its drawing fades."""

NEUTRAL = 0.5
"""Where OpenCV puts grey in the chroma planes of float pictures."""


def relight_layers(
    layers: Layers,
    own: Light,
    wanted: Light,
    own_skin: Skin,
    other_skin: Skin,
    beards: tuple[Float, Float],
) -> Float:
    """Texture under the target's light, float32[H, W, 3] RGB in 0–255; `own` is what `layers.own` came with.

    Each half of the source's face is lit in its own way, so each is relit by itself. own_skin, other_skin:
    what is bare of the face and of its mirrored half. beards: float32[rows, columns] in [0, 1], the beard of
    either.
    """
    wanted = with_lips(wanted, own, own_skin.raster)
    if layers.mirrored_side is None:
        return relight(layers.own, with_patches(own, own_skin), wanted, beards[0])
    turned = layers.own_normals[mirror()] * [-1, 1, 1]
    light = estimate_light(layers.mirrored_side, turned, other_skin)
    middle = seam(layers.own_share, own, light, own_skin.candidates & other_skin.candidates)
    face = relight(layers.own, with_patches(own, own_skin, middle), wanted, beards[0])
    other = relight(layers.mirrored_side, with_patches(light, other_skin, middle), wanted, beards[1])
    return np.asarray(other + (face - other) * layers.own_share[..., None])


def relight(image: RGB, own: Light, wanted: Light, beard: Float | None = None) -> Float:
    """`image` under the light of another, float32[H, W, 3] RGB in 0–255.

    In luma and chroma (ITU-R BT.601). Luma of skin and of what is darker is multiplied, like reflectance by
    light; what is brighter than skin keeps its distance, or less, so that highlights and eye whites don't
    blow out. On overexposed skin what is a little darker is nearly as white, as a sensor would have it.
    Chroma is shifted; multiplied it would turn the noise of a shadow into coloured patches. beard: float32[h,
    w] in [0, 1], where the image shows hair, which doesn't change with the skin's colour; None: nowhere.
    """
    smooth, before, after = (
        _luma_chroma(low) for low in (own.low, own.low + own.patches, wanted.low + wanted.patches)
    )
    gain = np.clip(after[..., 0] / before[..., 0], MIN_GAIN, MAX_GAIN)
    vividness = np.minimum(gain, MAX_VIVIDNESS)
    shift = after[..., 1:] - before[..., 1:] * vividness[..., None]

    shape = image.shape[:2]
    luma, red, blue = cv2.split(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2YCrCb))
    skin_luma, full_gain = _enlarge(before[..., 0], shape), _enlarge(gain, shape)
    plain = cv2.min(luma, skin_luma)
    share = plain / skin_luma
    shine = _enlarge(np.minimum(np.minimum(gain, 1), GLARE * smooth[..., 0] / after[..., 0]), shape)
    relit = plain * full_gain + (luma - plain) * shine
    overexposed = smoothstep(wanted.low[..., 0], *OVEREXPOSED)
    if overexposed.any():
        relit *= 1 + _enlarge(overexposed, shape) * (1 - share)
    # Hair and pupils have little colour of their own to shift.
    if beard is not None and beard.any():
        share *= 1 - _enlarge(beard, shape) * (1 - _skin_colour(red, blue, before[..., 1:]))
    full_vividness = np.minimum(full_gain, MAX_VIVIDNESS)
    chroma = [
        (plane - NEUTRAL) * full_vividness + _enlarge(shift[..., k], shape) * share + NEUTRAL
        for k, plane in enumerate((red, blue))
    ]
    return np.asarray(cv2.cvtColor(cv2.merge([relit, *chroma]), cv2.COLOR_YCrCb2RGB), np.float32)


def _skin_colour(red: Float, blue: Float, skin: Float) -> Float:
    """How much of the skin's chroma, float32[h, w, 2] around 0, each pixel has: float32[H, W] in [0, 1].

    red, blue: float32[H, W], the picture's chroma around ½. In grey pictures all have all of it.
    """
    weight = 1 / ((skin**2).sum(axis=2) + GREY**2) / PALE
    to_red, to_blue, rest = (
        _enlarge(plane, red.shape)
        for plane in (skin[..., 0] * weight, skin[..., 1] * weight, GREY**2 * weight)
    )
    rest += (red - NEUTRAL) * to_red
    rest += (blue - NEUTRAL) * to_blue
    return rest.clip(0, 1)


def _luma_chroma(lab: Float) -> Float:
    """Lab to luma in 4–255 (no division by black) and the two chroma differences around 0."""
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB) * 255
    converted = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb) - np.array([0, NEUTRAL, NEUTRAL], np.float32)
    converted[..., 0] = np.maximum(converted[..., 0], 4)
    return np.asarray(converted, np.float32)


def _enlarge(field: Float, shape: tuple[int, int]) -> Float:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_LINEAR))
