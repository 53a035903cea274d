"""Things painted before faces, whose place is therefore known to the pixel.

All functions draw on a `Canvas`. Lengths are in face widths unless said otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.topology import LEFT_EYE, LOWER_FACE, OUTER_LIPS, OVAL, RIGHT_EYE

Random = np.random.Generator

NOSE_BRIDGE, NOSE_TIP, CHIN, FOREHEAD = 6, 4, 152, 10
RIGHT_SIDE, LEFT_SIDE = 234, 454
HAIR_COLOURS = np.array(
    [[22, 18, 18], [40, 28, 22], [75, 48, 32], [120, 78, 45], [170, 125, 75], [205, 175, 130],
     [150, 70, 35], [125, 120, 118], [200, 198, 195], [60, 80, 140], [170, 80, 130]],
    np.float32,
)  # fmt: skip
HAIR_SHARES = np.array([5, 5, 4, 3, 3, 2, 2, 2, 1.5, 0.5, 0.5])
BEARD_SHARES = np.array([4, 4, 3, 3, 2.5, 2, 2.5, 3.5, 3.5])
FRAME_COLOURS = np.array(
    [[15, 15, 18], [30, 22, 18], [70, 40, 22], [190, 150, 70], [170, 170, 175], [150, 30, 35], [40, 60, 110],
     [230, 225, 215]],
    np.float32,
)  # fmt: skip
MASK_COLOURS = np.array(
    [[225, 228, 230], [150, 195, 220], [20, 20, 24], [120, 130, 150], [170, 190, 175], [200, 160, 170]],
    np.float32,
)


@dataclass
class Canvas:
    """A face and what is known of it.

    image: float32[s, s, 3] RGB in 0–255. points: float32[468, 2] in its pixels. covers, glasses, beard:
    float32[s, s] in [0, 1]; `covers` holds all that is in front, with frames and dark lenses; `glasses`
    frames and all of their lenses. known: float32[s, s], 0 where nobody knows what the picture shows.
    """

    image: Float
    points: Float
    covers: Float
    glasses: Float
    beard: Float
    known: Float

    @property
    def size(self) -> int:
        return len(self.image)

    @property
    def width(self) -> float:
        """Of the face, in pixels; of the head, if it is turned."""
        across = float(np.linalg.norm(self.points[LEFT_SIDE] - self.points[RIGHT_SIDE]))
        down = float(np.linalg.norm(self.points[CHIN] - self.points[FOREHEAD]))
        return max(across, 0.75 * down)

    def put(self, colour: Float, alpha: Float, shadow: tuple[float, float, float] | None = None) -> None:
        """Lay something over the face. shadow: strength, way to the right and down, in face widths."""
        if shadow:
            strength, right, down = shadow
            cast = shifted(alpha, right * self.width, down * self.width)
            cast = cv2.GaussianBlur(cast, (0, 0), max(0.5, 0.02 * self.width))
            self.image *= (1 - strength * cast)[..., None]
        self.image += (colour - self.image) * alpha[..., None]

    def cover(self, alpha: Float) -> None:
        """Remember that something opaque lies there."""
        self.covers = np.maximum(self.covers, alpha)
        self.known = np.maximum(self.known, (alpha > 0.02).astype(np.float32))
        self.beard = self.beard * (1 - alpha)

    def skin_colour(self) -> Float:
        """Median of both cheeks and the nose, float32[3]."""
        x, y = np.clip(np.round(self.points[[50, 280, 4, 205, 425, 151]]).astype(int), 0, self.size - 1).T
        return np.asarray(np.median(self.image[y, x], axis=0), np.float32)


def shifted(mask: Float, right: float, down: float) -> Float:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(mask, matrix, mask.shape[1::-1]), np.float32)


def polygon(size: int, *outlines: Float) -> Float:
    """Filled, with smooth edges, float32[size, size]."""
    canvas = np.zeros((size, size), np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255


def stroke(size: int, line: Float, thickness: float, closed: bool = False) -> Float:
    """A line of any thickness in pixels, float32[size, size]; drawn four times larger."""
    fine = 4
    canvas = np.zeros((size * fine, size * fine), np.uint8)
    points = np.round((line + 0.5) * fine * 16 - 8).astype(np.int32)
    cv2.polylines(canvas, [points], closed, 255, max(1, round(thickness * fine)), cv2.LINE_8, 4)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def smooth_noise(random: Random, size: int, cells: int) -> Float:
    """Between about −1 and 1, with blobs of size / cells."""
    coarse = random.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def curve(random: Random, start: Float, end: Float, bow: float, count: int = 14) -> Float:
    """A bent line, float32[count, 2]; `bow` in lengths of the line."""
    t = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    across = np.array([start[1] - end[1], end[0] - start[0]], np.float32)
    bend, twist = random.normal(0, bow, 2)
    return np.asarray(
        start + (end - start) * t + across * (bend * t * (1 - t) * 2 + twist * t * (t - 0.5) * (1 - t) * 4),
        np.float32,
    )


def choose(random: Random, colours: Float, shares: Float | None = None) -> Float:
    weights = None if shares is None else shares / shares.sum()
    picked = colours[random.choice(len(colours), p=weights)]
    varied = picked * random.uniform(0.75, 1.25) + random.normal(0, 6, 3)
    return np.asarray(np.clip(varied, 3, 250), np.float32)


# Materials: float32[size, size, 3]


def hair_material(random: Random, size: int, colour: Float, angle: float) -> Float:
    """Strands along `angle` (radians; 0 hangs down)."""
    fine: Float = random.standard_normal((2 * size, 2 * size)).astype(np.float32)
    length = int(random.integers(15, 50))
    fine = cv2.GaussianBlur(fine, (1, 2 * length + 1), 0.01 + random.uniform(0, 0.5), sigmaY=length / 2)
    locks: Float = random.standard_normal((1, 2 * size // int(random.integers(3, 9)))).astype(np.float32)
    locks = cv2.resize(locks, (2 * size, 2 * size), interpolation=cv2.INTER_CUBIC)
    strands = fine / (fine.std() + 1e-6) + 0.8 * locks
    wave = random.uniform(0, 6) * np.sin(np.arange(2 * size) / random.uniform(8, 40) + random.uniform(0, 6))
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    down = np.clip(size + (y - size / 2) * cos + (x - size / 2) * sin, 0, 2 * size - 1)
    across = size + (x - size / 2) * cos - (y - size / 2) * sin + wave[down.astype(int)].astype(np.float32)
    strands = cv2.remap(strands, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    shine = 1 + 0.25 * smooth_noise(random, size, 3)
    contrast = random.uniform(0.12, 0.35)
    shades = (1 + contrast * strands) * shine
    return np.asarray(np.clip(colour * shades[..., None], 0, 255), np.float32)


def cloth_material(random: Random, size: int, scraps: Sequence[RGB]) -> Float:
    """A scrap of a picture, or plain, striped, or knitted stuff, with folds."""
    kind = random.random()
    if kind < 0.5 and len(scraps):
        scrap = scraps[int(random.integers(len(scraps)))]
        stuff = cv2.resize(scrap, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        if random.random() < 0.5:
            stuff = np.ascontiguousarray(stuff[:, ::-1])
        return stuff * np.float32(random.uniform(0.7, 1.3))
    colour = random.uniform(10, 240, 3).astype(np.float32)
    if random.random() < 0.5:
        colour = colour.mean() + 0.35 * (colour - colour.mean())
    stuff = np.broadcast_to(colour, (size, size, 3)).astype(np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    if kind < 0.75:
        other = random.uniform(10, 240, 3).astype(np.float32)
        angle, period = random.uniform(0, np.pi), random.uniform(3, 25)
        phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
        sharp = random.uniform(1, 6)
        stripes = np.clip(0.5 + sharp * np.sin(phase), 0, 1)
        if random.random() < 0.4:
            stripes = stripes * np.clip(0.5 + sharp * np.sin(x * 2 * np.pi / period), 0, 1)
        stuff = stuff + (other - stuff) * (stripes * random.uniform(0.2, 1))[..., None]
    folds = 1 + random.uniform(0.03, 0.25) * smooth_noise(random, size, int(random.integers(2, 8)))
    weave = 1 + random.uniform(0, 0.08) * random.standard_normal((size, size))
    return np.clip(stuff * (folds * weave)[..., None], 0, 255).astype(np.float32)


# Occluders


def strands(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Single hairs and thin locks that fall into the face."""
    points, width, size = canvas.points, canvas.width, canvas.size
    colour = choose(random, HAIR_COLOURS, HAIR_SHARES)
    outline = points[OVAL]
    for _ in range(int(random.integers(1, 4))):
        # The oval starts at the forehead's top and runs over the face's left side.
        place = int(random.choice([*range(10), *range(27, 36)]))
        start = outline[place] + random.normal(0, 0.05, 2) * width
        down = np.array([random.normal(0, 0.12), random.uniform(0.15, 0.8)]) * width
        inwards = (points[NOSE_TIP] - start) * random.uniform(0, 0.4)
        end = (start + down + inwards).astype(np.float32)
        base = curve(random, start.astype(np.float32), end, 0.25)
        spread = random.uniform(0.003, 0.035) * width
        alpha = np.zeros((size, size), np.float32)
        for _ in range(int(random.integers(1, 14))):
            ends = random.normal(0, spread, (2, 2))
            t = np.linspace(0, 1, len(base))[:, None]
            line = base + ends[0] * (1 - t) + ends[1] * t
            cut = int(random.integers(8, len(base) + 1))
            alpha = np.maximum(
                alpha, stroke(size, line[:cut], random.uniform(0.5, 2.2)) * np.float32(random.uniform(0.6, 1))
            )
        light = 1 + 0.25 * smooth_noise(random, size, 6)
        canvas.put(colour * light[..., None], alpha, (random.uniform(0, 0.3), 0.01, 0.015))
        canvas.cover(alpha)


def fringe(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Hair over forehead, temples or half of the face; its end is ragged."""
    size, width, points = canvas.size, canvas.width, canvas.points
    top, chin = points[FOREHEAD], points[CHIN]
    down = (chin - top) / max(float(np.linalg.norm(chin - top)), 1e-3)
    across = np.array([-down[1], down[0]]) * -1
    side = random.random() < 0.5
    steps = np.linspace(-0.75, 0.75, 46)
    wave = np.interp(steps, np.linspace(-0.75, 0.75, 6), random.normal(0, 0.06, 6))
    ragged = np.abs(random.normal(0, random.uniform(0.005, 0.05), 46))
    if side:  # a curtain at one or both sides
        reach = random.uniform(0.05, 0.4)
        middle = random.uniform(-0.1, 0.1)
        edge = 0.62 - reach + wave + ragged
        sign = random.choice([-1, 1])
        height = (steps + 0.75) / 1.5 * 1.6 - 0.25
        edge = edge * np.interp(
            height, [-0.25, 0.1, 1.4], [random.uniform(0.0, 1), 1, random.uniform(0.9, 1.3)]
        )
        inner = [
            top + sign * across * (e + middle) * width + down * h * width
            for e, h in zip(edge, height, strict=True)
        ]
        outer = [top + sign * across * 1.2 * width + down * h * width for h in height]
        outline = np.array([*inner, *outer[::-1]], np.float32)
        angle = sign * random.normal(-0.1, 0.2)
    else:
        depth = random.uniform(0.03, 0.42)
        slope = random.normal(0, 0.25)
        parting = random.uniform(-0.4, 0.4)
        part = random.uniform(0, 0.25) * np.exp(-(((steps - parting) / random.uniform(0.05, 0.3)) ** 2))
        edge = depth + slope * steps + wave - part + ragged * random.choice([-1, 1], 46)
        edge = edge + random.uniform(0, 0.9) * np.maximum(np.abs(steps) - 0.38, 0) * 2
        inner = [top + across * s * width + down * e * width for s, e in zip(steps, edge, strict=True)]
        outer = [top + across * s * width - down * 0.8 * width for s in steps]
        outline = np.array([*inner, *outer[::-1]], np.float32)
        angle = random.normal(0, 0.5)
    alpha = polygon(size, outline)
    if random.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), random.uniform(0.4, 1.5))
    if random.random() < 0.35:  # sparse ends
        comb = hair_material(random, size, np.full(3, 100, np.float32), angle)[..., 0]
        faded = cv2.GaussianBlur(alpha, (0, 0), random.uniform(2, 6))
        alpha = np.clip((faded - 0.5) * 4 + (comb / comb.mean() - 1) * 3 + 0.5, 0, 1) * (faded > 0.05)
    if random.random() < 0.4:
        # The person's own hair, brought down or in.
        shift = random.uniform(0.2, 0.45) * width * (across * -np.sign(angle or 1) if side else down)
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        stuff = cv2.warpAffine(canvas.image, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    else:
        stuff = hair_material(random, size, choose(random, HAIR_COLOURS, HAIR_SHARES), angle)
    canvas.put(stuff, alpha, (random.uniform(0, 0.5), random.normal(0, 0.02), random.uniform(0, 0.05)))
    canvas.cover(alpha)


def hat(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """A brim, cap, hood, headband or scarf over the forehead."""
    size, width, points = canvas.size, canvas.width, canvas.points
    top, chin = points[FOREHEAD], points[CHIN]
    down = (chin - top) / max(float(np.linalg.norm(chin - top)), 1e-3)
    across = np.array([down[1], -down[0]])
    steps = np.linspace(-1, 1, 24)
    depth, bow, slope = random.uniform(-0.02, 0.3), random.normal(0.0, 0.15), random.normal(0, 0.12)
    edge = depth + bow * steps**2 + slope * steps
    lower = [top + across * s * width + down * e * width for s, e in zip(steps, edge, strict=True)]
    height = random.uniform(0.1, 0.25) if random.random() < 0.3 else 1.0
    upper = [point - down * height * width for point in lower]
    alpha = polygon(size, np.array([*lower, *upper[::-1]], np.float32))
    if random.random() < 0.3:  # a hood closes at the sides
        inside = points[OVAL].mean(axis=0) + (points[OVAL] - points[OVAL].mean(axis=0)) * random.uniform(
            0.8, 1.05
        )
        alpha = np.maximum(alpha, 1 - polygon(size, inside))
    stuff = cloth_material(random, size, scraps)
    canvas.put(stuff, alpha, (random.uniform(0, 0.6), random.normal(0, 0.02), random.uniform(0, 0.12)))
    canvas.cover(alpha)


def face_mask(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """A surgical or cloth mask with its straps, on the face or below the nose."""
    points, size, width = canvas.points, canvas.size, canvas.width
    top = int(random.choice([6, 197, 195, 5, 4, 2, 0], p=[0.1, 0.2, 0.25, 0.15, 0.1, 0.12, 0.08]))
    side = (227, 447) if random.random() < 0.4 else (123, 352) if random.random() < 0.6 else (147, 376)
    lower = [377, 152, 148] if random.random() < 0.7 else [175, 171]
    jaw = [points[k] for k in (361, 397, 379, *lower, 150, 172, 132)]
    jaw = [p + (p - points[NOSE_TIP]) * random.uniform(0.0, 0.08) for p in jaw]
    brim = [points[side[0]], (points[side[0]] + points[top]) / 2 + random.normal(0, 0.02, 2) * width]
    brim += [points[top], (points[side[1]] + points[top]) / 2 + random.normal(0, 0.02, 2) * width]
    outline = np.array([*brim, points[side[1]], *jaw], np.float32)
    outline += random.normal(0, 0.008, outline.shape) * width
    alpha = polygon(size, outline)
    if random.random() < 0.6:
        base = np.broadcast_to(choose(random, MASK_COLOURS), (size, size, 3)).astype(np.float32)
        stuff = base * (1 + 0.08 * smooth_noise(random, size, 5))[..., None]
        if random.random() < 0.6:
            y = np.mgrid[:size, :size][0] / width
            stuff = stuff * (1 - 0.12 * (np.sin(y * random.uniform(30, 60)) > 0.8))[..., None]
    else:
        stuff = cloth_material(random, size, scraps)
    grey = cv2.GaussianBlur(canvas.image.mean(axis=2), (0, 0), 0.12 * width)
    relief = np.clip(grey / max(float(grey[alpha > 0.5].mean()) if (alpha > 0.5).any() else 1, 1), 0.4, 1.8)
    rim = cv2.GaussianBlur(alpha, (0, 0), 0.03 * width)
    stuff = stuff * (relief * (0.7 + 0.3 * rim))[..., None]
    straps = np.zeros((size, size), np.float32)
    if random.random() < 0.7:
        for near, ear in ((side[0], 127), (132, 132), (side[1], 356), (361, 361)):
            far = points[ear] + (points[ear] - points[NOSE_BRIDGE]) * 0.25
            line = curve(random, points[near], far.astype(np.float32), 0.06)
            straps = np.maximum(straps, stroke(size, line, random.uniform(0.8, 2.5)))
    both = np.maximum(alpha, straps)
    canvas.put(np.clip(stuff, 0, 255), both, (random.uniform(0, 0.4), 0.0, 0.015))
    canvas.cover(both)


def scarf(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Cloth, a collar or fur from below, up to the nose."""
    points, size, width = canvas.points, canvas.size, canvas.width
    down = points[CHIN] - points[NOSE_BRIDGE]
    down = down / max(float(np.linalg.norm(down)), 1e-3)
    across = np.array([down[1], -down[0]])
    level = points[CHIN] - down * random.uniform(-0.05, 0.55) * width
    steps = np.linspace(-1.1, 1.1, 30)
    rough = random.uniform(0, 0.03)
    edge = np.interp(steps, np.linspace(-1.1, 1.1, 7), random.normal(0, 0.07, 7)) + random.normal(
        0, rough, 30
    )
    edge = edge + random.normal(-0.05, 0.12) * steps**2 + random.normal(0, 0.15) * steps
    upper = [level + across * s * width + down * e * width for s, e in zip(steps, edge, strict=True)]
    lower = [point + down * 1.5 * width for point in upper]
    alpha = polygon(size, np.array([*upper, *lower[::-1]], np.float32))
    if random.random() < 0.4:
        alpha = cv2.GaussianBlur(alpha, (0, 0), random.uniform(0.5, 2.5))
    canvas.put(cloth_material(random, size, scraps), alpha, (random.uniform(0, 0.5), 0.0, -0.02))
    canvas.cover(alpha)


def hand(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Fingers and, mostly, the palm behind them, in a skin colour near the face's."""
    points, size, width = canvas.points, canvas.size, canvas.width
    aim = points[random.integers(468)] + random.normal(0, 0.05, 2) * width
    direction = random.uniform(0, 2 * np.pi)
    if random.random() < 0.75:  # hands come from below
        direction = random.normal(-np.pi / 2, 0.7)
    thickness = random.uniform(0.1, 0.17) * width
    length = random.uniform(0.4, 0.75) * width
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    count = int(random.integers(1, 6))
    gap = random.uniform(0.9, 1.35) * thickness
    bases, shapes, nails = [], [], []
    for k in range(count):
        offset = (k - (count - 1) / 2) * gap
        reach = length * (1 - 0.12 * abs(k - (count - 1) / 2 + random.normal(0, 0.3)))
        fan = (k - (count - 1) / 2) * random.uniform(0, 0.18)
        tip = aim + across * offset + (along * np.cos(fan) + across * np.sin(fan)) * (reach - 0.5 * length)
        base = aim + across * offset - along * 0.5 * length
        bases.append(base)
        line = curve(random, base.astype(np.float32), tip.astype(np.float32), 0.06)
        shapes.append(stroke(size, line, thickness * random.uniform(0.85, 1.05)))
        nails.append((tip, fan))
    palm = np.zeros((size, size), np.float32)
    if random.random() < 0.8:
        low = np.array([bases[0] - across * thickness * 0.6, bases[-1] + across * thickness * 0.6])
        wrist = low - along * random.uniform(0.6, 1.5) * width + across * random.normal(0, 0.1) * width
        outline = np.concatenate([low, wrist[::-1]]).astype(np.float32)
        palm = polygon(size, outline)
        palm = np.maximum(palm, stroke(size, low.astype(np.float32), thickness))
    tone = canvas.skin_colour() if random.random() < 0.8 else random.uniform([90, 55, 40], [240, 200, 180])
    tone = np.asarray(tone * random.uniform(0.75, 1.25) + random.normal(0, 7, 3), np.float32)
    lit = random.uniform(0, 2 * np.pi)
    reflect = canvas.image[..., 1] - cv2.GaussianBlur(canvas.image[..., 1], (0, 0), 2.0)
    grain = random.permutation(reflect.ravel()[: size * size // 2].repeat(2)).reshape(size, size) * 0.4
    depth_total = np.zeros((size, size), np.float32)
    whole = np.zeros((size, size), np.float32)
    for shape in [palm, *shapes]:
        if shape.max() < 0.5:
            continue
        depth = cv2.distanceTransform((shape > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        roundness = np.sqrt(np.clip(1 - (1 - np.clip(depth / (0.5 * thickness), 0, 1)) ** 2, 0, 1))
        dx, dy = (
            cv2.GaussianBlur(cv2.Sobel(roundness, cv2.CV_32F, *way), (0, 0), 1) for way in ((1, 0), (0, 1))
        )
        side_light = 0.12 * (dx * np.cos(lit) + dy * np.sin(lit))
        shade = random.uniform(0.45, 0.75) + (1 - random.uniform(0.45, 0.75)) * roundness + side_light
        shade = shade * (1 + 0.08 * smooth_noise(random, size, 6))
        colour = np.clip(tone * shade[..., None] ** np.array([0.8, 1.0, 1.1]) + grain[..., None], 0, 255)
        canvas.put(colour.astype(np.float32), shape, (random.uniform(0.1, 0.5), random.normal(0, 0.02), 0.02))
        whole = np.maximum(whole, shape)
        depth_total = np.maximum(depth_total, depth)
    if random.random() < 0.5:
        for tip, fan in nails:
            turned = along * np.cos(fan) + across * np.sin(fan)
            centre = tip - turned * thickness * 0.05
            angle = np.degrees(np.arctan2(turned[1], turned[0]))
            nail = np.array(cv2.ellipse2Poly((0, 0), (100, 65), int(angle), 0, 360, 30))
            nail = nail * (0.003 * thickness) + centre
            paint = tone * 1.12 if random.random() < 0.7 else random.uniform(20, 230, 3)
            canvas.put(np.broadcast_to(np.float32(paint), canvas.image.shape), polygon(size, nail) * 0.8)
    canvas.cover(whole)


def thing(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """A cup, a microphone, a telephone, a leaf, anything."""
    points, size, width = canvas.points, canvas.size, canvas.width
    centre = points[random.integers(468)] + random.normal(0, 0.12, 2) * width
    direction = random.uniform(0, 2 * np.pi)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    kind = random.random()
    if kind < 0.3:  # a blob
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = random.uniform(0.06, 0.3) * (
            1
            + random.uniform(0, 0.35)
            * np.interp(
                angles, np.linspace(0, 2 * np.pi, 7), np.append(noise := random.normal(0, 1, 6), noise[0])
            )
        )
        stretch = random.uniform(0.3, 1)
        outline = centre + width * radius[:, None] * (
            np.cos(angles)[:, None] * along + stretch * np.sin(angles)[:, None] * across
        )
        alpha = polygon(size, outline)
    elif kind < 0.65:  # a box or a cup, that comes from one side
        half, length = random.uniform(0.06, 0.28) * width, random.uniform(0.3, 1.5) * width
        narrow = random.uniform(0.7, 1.1)
        far = centre + along * length
        outline = np.array(
            [
                centre - across * half,
                centre + across * half,
                far + across * half * narrow,
                far - across * half * narrow,
            ]
        )
        alpha = polygon(size, outline)
        if random.random() < 0.5:
            alpha = np.maximum(alpha, polygon(size, _ellipse(centre, half, 0.35 * half, across)))
    elif kind < 0.85:  # a microphone or a lollipop
        radius = random.uniform(0.06, 0.18) * width
        alpha = polygon(size, _ellipse(centre, radius, radius * random.uniform(0.7, 1), across))
        stick = np.array([centre, centre + along * 1.5 * width], np.float32)
        alpha = np.maximum(alpha, stroke(size, stick, random.uniform(0.03, 0.16) * width))
    else:  # a stick, a cable, a strap
        start, end = (centre + sign * along * random.uniform(0.1, 1) * width for sign in (-1, 1))
        line = curve(random, start.astype(np.float32), end.astype(np.float32), 0.15)
        alpha = stroke(size, line, random.uniform(0.008, 0.09) * width)
    stuff = cloth_material(random, size, scraps)
    if random.random() < 0.5:
        stuff = stuff * (1 + 0.4 * smooth_noise(random, size, 2))[..., None]
    if random.random() < 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), random.uniform(0.5, 2))
    canvas.put(np.clip(stuff, 0, 255), alpha, (random.uniform(0, 0.5), *random.normal(0, 0.025, 2)))
    canvas.cover(alpha)


def _ellipse(centre: Float, a: float, b: float, axis: Float) -> Float:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)[:, None]
    return np.asarray(centre + a * np.cos(t) * axis + b * np.sin(t) * np.array([-axis[1], axis[0]]))


def eyewear(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Glasses and sunglasses of many shapes, with their arms, shadows, reflections."""
    points, size, width = canvas.points, canvas.size, canvas.width
    # In the plane of the face: turned heads show lenses foreshortened.
    right, left = points[RIGHT_EYE].mean(axis=0), points[LEFT_EYE].mean(axis=0)
    apart = left - right
    down = points[NOSE_TIP] - points[NOSE_BRIDGE]
    down = down / max(float(np.linalg.norm(down)), 1e-3) * width * 0.47
    unit = max(0.6 * float(np.linalg.norm(down)), 0.15 * width)
    half_height = random.uniform(0.2, 0.42)
    bulge, droop = random.uniform(2, 6), random.uniform(-0.15, 0.45)
    half_width = random.uniform(0.36, 0.47)
    lower = random.uniform(-0.04, 0.16)
    lift = random.normal(0, 0.08)
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    shape_x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (2 / bulge)
    shape_y = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (2 / bulge)
    rings = []
    for centre, outwards in ((right, -1), (left, 1)):
        x = shape_x * half_width * (1 + 0.1 * droop * np.maximum(shape_y, 0) * 1)
        y = shape_y * half_height + lower - lift * shape_x * outwards
        y = y * np.where(shape_y > 0, 1 + droop * 0.5 * (1 + shape_x * outwards * 0.3), 1)
        axis = apart / 1.0
        rings.append(
            (centre + x[:, None] * axis * 0.92 + y[:, None] * down + 0.02 * outwards * axis).astype(
                np.float32
            )
        )
    thick = random.uniform(0.5, 1.4) if random.random() < 0.4 else random.uniform(1.2, 5.0)
    thick *= width / 110
    lenses = polygon(size, *rings)
    frame = np.zeros((size, size), np.float32)
    rim = random.random()
    for ring in rings:
        whole = ring if rim < 0.75 else ring[18:] if rim < 0.9 else None  # half rims show the upper half
        if whole is not None:
            frame = np.maximum(frame, stroke(size, whole, thick, closed=rim < 0.75))
            if random.random() < 0.3:
                frame = np.maximum(frame, stroke(size, ring[20:35], thick * 1.8))
    bridge_y = random.uniform(-0.25, 0.05)
    inner_right, inner_left = rings[0][np.argmax(rings[0] @ apart)], rings[1][np.argmin(rings[1] @ apart)]
    bridge = curve(random, inner_right + down * bridge_y * 0.5, inner_left + down * bridge_y * 0.5, 0.02)
    bridge = bridge - down * 0.12 * (1 - np.linspace(-1, 1, len(bridge)) ** 2)[:, None]
    frame = np.maximum(frame, stroke(size, bridge.astype(np.float32), thick * random.uniform(0.8, 1.4)))
    if random.random() < 0.15:
        frame = np.maximum(frame, stroke(size, (bridge - down * 0.2).astype(np.float32), thick))
    for ring, ear, outwards in ((rings[0], 127, -1), (rings[1], 356, 1)):
        hinge = ring[np.argmax(ring @ apart * outwards)] + down * random.uniform(-0.15, 0)
        far = points[ear] + (points[ear] - points[NOSE_BRIDGE]) * 0.2
        if (far - hinge) @ apart * outwards > 0:
            arm = np.array([hinge, far], np.float32)
            frame = np.maximum(frame, stroke(size, arm, thick * random.uniform(0.8, 1.6)))
    colour = choose(random, FRAME_COLOURS)
    metal = 1 + random.uniform(0.05, 0.5) * smooth_noise(random, size, 12)

    dark = random.random() < 0.4
    if random.random() < 0.5:
        canvas.put(
            canvas.image, frame, (random.uniform(0.1, 0.5), random.normal(0, 0.02), random.uniform(0, 0.05))
        )
    y = (np.mgrid[:size, :size][0] - right[1]) / max(unit, 1)
    if dark:
        opacity = np.clip(random.uniform(0.55, 1.0) - random.uniform(0, 0.25) * y, 0.5, 1).astype(np.float32)
        tint = random.uniform(5, 60, 3) if random.random() < 0.75 else random.uniform(20, 200, 3)
        stuff = np.broadcast_to(np.float32(tint), (size, size, 3)).copy()
        if random.random() < 0.5:
            mirrored = cloth_material(random, size, scraps)
            stuff += (mirrored - stuff) * np.float32(random.uniform(0.1, 0.6))
        canvas.put(stuff, lenses * opacity)
    else:
        tint = random.uniform(90, 255, 3).astype(np.float32)
        canvas.put(canvas.image * (tint / tint.max()), lenses * np.float32(random.uniform(0, 0.7)))
        glare = np.clip(
            smooth_noise(random, size, int(random.integers(2, 7))) - random.uniform(0.6, 1.6), 0, 1
        )
        sky = random.uniform([120, 120, 120], 255).astype(np.float32)
        canvas.put(np.broadcast_to(sky, (size, size, 3)), lenses * glare * np.float32(random.uniform(0, 0.6)))
    opacity_of_frame = np.float32(
        random.uniform(0.35, 0.6) if random.random() < 0.1 else random.uniform(0.85, 1)
    )
    canvas.put(np.clip(colour * metal[..., None], 0, 255), frame * opacity_of_frame)
    canvas.cover(np.maximum(frame, lenses) if dark else frame)
    canvas.glasses = np.maximum(canvas.glasses, np.maximum(frame, lenses))


# What is no occluder


def grow_beard(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """A beard, goatee or moustache of any colour and length within the face's outline."""
    points, size, width = canvas.points, canvas.size, canvas.width
    kind = random.random()
    around = [
        57,
        186,
        92,
        165,
        167,
        164,
        393,
        391,
        322,
        410,
        287,
        422,
        430,
        394,
        379,
        400,
        152,
        176,
        150,
        169,
        210,
        202,
    ]
    moustache = [57, 186, 92, 165, 167, 164, 393, 391, 322, 410, 287, 270, 269, 267, 0, 37, 39, 40]
    if kind < 0.65:
        jaw = points[LOWER_FACE].copy()
        away = jaw - points[NOSE_TIP]
        jaw += away * np.linspace(0.02, 0.08, len(jaw))[:, None]
        # the cheek line sinks by a varying amount
        sunk = random.uniform(-0.03, 0.16) * width
        jaw[-5:] += [0, sunk]
        jaw[:2] += [0, sunk]
        jaw[14:16] += [0, sunk]
        region = polygon(size, jaw)
        if random.random() < 0.8:
            region = np.maximum(region, polygon(size, points[moustache]))
    elif kind < 0.85:
        region = polygon(size, points[around])
    else:
        region = polygon(size, points[moustache])
        region = cv2.dilate(region, np.ones((3, 3), np.uint8))
    ragged = region + 0.35 * (smooth_noise(random, size, 40) * 0.5 + smooth_noise(random, size, 10) * 0.5) * (
        cv2.GaussianBlur(region, (0, 0), 0.02 * width)
        * 4
        * (1 - cv2.GaussianBlur(region, (0, 0), 0.02 * width))
    )
    density = cv2.GaussianBlur(np.clip(ragged, 0, 1), (0, 0), random.uniform(0.008, 0.03) * width)
    lips = polygon(size, points[OUTER_LIPS])
    density = density * (1 - cv2.GaussianBlur(lips, (0, 0), 0.7))
    hairs: Float = random.standard_normal((size, size)).astype(np.float32)
    angle = random.uniform(-0.6, 0.6)
    kernel = np.zeros((7, 7), np.float32)
    reach = random.uniform(0.3, 3)
    tip = np.array([np.sin(angle), np.cos(angle)]) * reach
    cv2.line(
        kernel,
        tuple(np.round(3 - tip).astype(int).tolist()),
        tuple(np.round(3 + tip).astype(int).tolist()),
        1.0,
    )
    hairs = cv2.filter2D(hairs, -1, kernel / kernel.sum())
    hairs = hairs / (hairs.std() + 1e-6)
    thickness = random.uniform(0.35, 1.0)
    alpha = np.clip(density * thickness * (1 + 0.3 * hairs), 0, 1).astype(np.float32)
    colour = choose(random, HAIR_COLOURS[:9], BEARD_SHARES)
    grey = cv2.GaussianBlur(canvas.image.mean(axis=2), (0, 0), 0.1 * width)
    relief = np.clip(grey / max(float(grey.mean()), 1), 0.5, 1.6)
    stuff = np.clip(colour * (relief * (1 + 0.3 * hairs * random.uniform(0.3, 1)))[..., None], 0, 255)
    canvas.put(stuff.astype(np.float32), alpha)
    canvas.beard = np.maximum(canvas.beard, np.clip(density * min(1.0, thickness * 1.6), 0, 1)) * (
        1 - canvas.covers
    )


def cast_shadow(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """A hard shadow or a patch of sun: still the face."""
    size, width = canvas.size, canvas.width
    centre = canvas.points[random.integers(468)]
    direction = random.uniform(0, 2 * np.pi)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    if random.random() < 0.6:
        half, bent = random.uniform(0.05, 1.2) * width, np.linspace(-1.5, 1.5, 12)
        wave = random.normal(0, 0.06, 12)
        first = [centre + along * b * width + across * w * width for b, w in zip(bent, wave, strict=True)]
        second = [point + across * half for point in first]
        shade = polygon(size, np.array([*first, *second[::-1]], np.float32))
    else:
        shade = np.clip(smooth_noise(random, size, int(random.integers(2, 8))) * 4, 0, 1)
    shade = cv2.GaussianBlur(shade, (0, 0), random.uniform(0.005, 0.05) * width)
    strength = random.uniform(0.2, 0.75)
    if random.random() < 0.7:
        tint = 1 - strength * shade[..., None] * random.uniform([0.85, 0.9, 0.8], [1, 1, 1])
    else:
        tint = 1 + strength * 1.2 * shade[..., None] * random.uniform([0.9, 0.7, 0.5], [1, 1, 1])
    canvas.image = np.clip(canvas.image * tint, 0, 255).astype(np.float32)


def paint_skin(canvas: Canvas, random: Random, scraps: Sequence[RGB]) -> None:
    """Make-up, freckles, blemishes: still the face."""
    size, width, points = canvas.size, canvas.width, canvas.points
    if random.random() < 0.5:
        colour = random.uniform([90, 10, 10], [230, 90, 120]).astype(np.float32)
        lips = cv2.GaussianBlur(polygon(size, points[OUTER_LIPS]), (0, 0), 0.8)
        canvas.put(np.broadcast_to(colour, canvas.image.shape), lips * np.float32(random.uniform(0.2, 0.7)))
    else:
        for _ in range(int(random.integers(1, 15))):
            centre = points[random.integers(468)] + random.normal(0, 0.03, 2) * width
            radius = random.uniform(0.004, 0.02) * width
            spot = polygon(size, _ellipse(centre, radius, radius, np.array([1.0, 0.0])))
            canvas.put(canvas.skin_colour() * np.float32(random.uniform(0.3, 0.8)), spot * 0.7)


Painter = Callable[[Canvas, Random, Sequence[RGB]], None]

Painters = Sequence[tuple[Painter, float]]
"""In the order in which they work, with how often."""

UNDERNEATH: Painters = ((grow_beard, 0.25), (paint_skin, 0.1), (cast_shadow, 0.25))
IN_FRONT: Painters = (
    (fringe, 0.26), (strands, 0.16), (hat, 0.08), (eyewear, 0.24), (face_mask, 0.08), (scarf, 0.08),
    (hand, 0.28), (thing, 0.14),
)  # fmt: skip
