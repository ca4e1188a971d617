"""The shapes world drawn: a scene as pixels, and where two scenes differ. Lengths are in image widths."""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bench.data.world.scenes import BACKGROUNDS, COLOURS, COMPANIONS, Scene, changed

_INK = (25, 22, 28)
_SUPERSAMPLING = 4


def draw(scene: Scene, size: int = 64) -> np.ndarray:
    """The scene as uint8 `[size, size, 3]`."""
    image = _ground(scene, size)
    pastel, inked = scene.style == "pastel", scene.style == "inked"
    if inked:  # hatching, so that the style shows all over the frame
        ys, xs = np.mgrid[:size, :size] / size
        image *= np.where((xs + ys) % 0.1875 < 0.0625, 0.82, 1.0)[..., None]
    if scene.companion != "none":
        body = _companion(scene, size)
        image = _paint(image, _grow(body, size, 0.022 if inked else 0.012), _INK)
        image = _paint(image, body, COMPANIONS[scene.companion])
    body = _shape(scene, size)
    if inked:
        image = _paint(image, _grow(body, size, 0.03), _INK)
    colour = np.array(COLOURS[scene.colour], np.float32)
    image = _paint(image, body, colour)
    if scene.fill != "plain":
        marks = ImageChops.multiply(body, _marks(scene, size))
        image = _paint(image, marks, 255 - 0.25 * (255 - colour))
    if pastel:
        image = 255 - 0.5 * (255 - image)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def truth_mask(source: Scene, target: Scene, size: int = 64) -> np.ndarray:
    """What the edit may touch, bool `[size, size]`: old and new object together; the whole frame for background
    and style, as PIE-Bench has it."""
    name = changed(source, target)[0]
    if name in ("background", "style"):
        return np.ones((size, size), bool)
    outlines = []
    for scene in (source, target):
        if name == "companion" and scene.companion == "none":
            continue
        body, margin = (_companion(scene, size), 0.022) if name == "companion" else (_shape(scene, size), 0.03)
        if name == "companion" or scene.style == "inked":  # the ink belongs to the object
            body = _grow(body, size, margin)
        outlines.append(_coverage(body) > 0)
    return np.logical_or.reduce(outlines)


def _ground(scene: Scene, size: int) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size].astype(np.float32) / size
    slope = (xs - 0.5) * math.cos(scene.shade_angle) + (ys - 0.5) * math.sin(scene.shade_angle)
    hill = np.exp(-((xs - scene.hill_x) ** 2 + (ys - scene.hill_y) ** 2) / 0.045)
    shade = scene.shade * (2 * slope - 1.2 * hill)
    return np.array(BACKGROUNDS[scene.background], np.float32) + shade[..., None]


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    side = size * _SUPERSAMPLING
    image = Image.new("L", (side, side))
    return image, ImageDraw.Draw(image), side


def _shape(scene: Scene, size: int) -> Image.Image:
    image, pen, side = _canvas(size)
    pen.polygon([tuple(p) for p in _place(_OUTLINES[scene.shape], scene) * side], fill=255)
    return image


def _marks(scene: Scene, size: int) -> Image.Image:
    image, pen, side = _canvas(size)
    pitch = 0.78  # of the radius: two or three marks across the shape
    for i in range(-2, 3):
        if scene.fill == "striped":
            corners = np.array([[-2, i - 0.25], [2, i - 0.25], [2, i + 0.25], [-2, i + 0.25]]) * pitch
            pen.polygon([tuple(p) for p in _place(corners, scene) * side], fill=255)
            continue
        for j in range(-2, 3):
            x, y = _place(np.array([[i + 0.5 * (j % 2), j * 0.87]]) * pitch, scene)[0] * side
            r = 0.28 * pitch * scene.radius * side
            pen.ellipse([x - r, y - r, x + r, y + r], fill=255)
    return image


def _companion(scene: Scene, size: int) -> Image.Image:
    image, pen, side = _canvas(size)

    def ellipse(x, y, rx, ry):
        x, y = (scene.companion_x + x) * side, (scene.companion_y + y) * side
        pen.ellipse([x - rx * side, y - ry * side, x + rx * side, y + ry * side], fill=255)

    if scene.companion == "sun":
        ellipse(0, 0, 0.105, 0.105)
    elif scene.companion == "cloud":
        ellipse(-0.09, 0.02, 0.07, 0.055)
        ellipse(0.09, 0.02, 0.07, 0.055)
        ellipse(0, -0.01, 0.085, 0.085)
    else:
        ellipse(0, -0.025, 0.075, 0.095)
        x, y = scene.companion_x * side, scene.companion_y * side
        pen.polygon([(x, y + 0.05 * side), (x - 0.04 * side, y + 0.12 * side), (x + 0.04 * side, y + 0.12 * side)], 255)
    return image


def _grow(body: Image.Image, size: int, margin: float) -> Image.Image:
    """The silhouette with an outline of `margin` image widths around it."""
    radius = margin * size * _SUPERSAMPLING
    # Blur and threshold: a round dilation. Outside a straight edge a blur of sigma s leaves 255 * Phi(-d / s),
    # which is 23 at d = 4/3 s; much faster than a dilation by a disc.
    return body.filter(ImageFilter.GaussianBlur(0.75 * radius)).point(lambda level: 255 if level > 23 else 0)


def _coverage(body: Image.Image) -> np.ndarray:
    return np.asarray(body.reduce(_SUPERSAMPLING), np.float32) / 255


def _paint(image: np.ndarray, body: Image.Image, colour) -> np.ndarray:
    alpha = _coverage(body)[..., None]
    return image * (1 - alpha) + np.asarray(colour, np.float32) * alpha


def _place(points: np.ndarray, scene: Scene) -> np.ndarray:
    """Shape coordinates (radius 1, y down) to image coordinates in [0, 1]."""
    cos, sin = math.cos(scene.angle), math.sin(scene.angle)
    turned = points @ np.array([[cos, sin], [-sin, cos]])
    return turned * scene.radius + (scene.x, scene.y)


def _outlines() -> dict[str, np.ndarray]:
    turn = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    spikes = np.arange(10) * math.pi / 5 - math.pi / 2
    reach = np.where(np.arange(10) % 2 == 0, 1.15, 0.48)
    heart = np.stack(
        [
            16 * np.sin(turn) ** 3,
            -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)) - 2.5,
        ],
        1,
    )
    a, b = 0.32, 1.02
    return {
        "circle": 0.92 * np.stack([np.cos(turn), np.sin(turn)], 1),
        "square": 0.84 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]),
        "triangle": np.array([[0, -1.1], [1.1, 0.85], [-1.1, 0.85]]),
        "star": np.stack([np.cos(spikes) * reach, np.sin(spikes) * reach], 1),
        "cross": np.array(
            [[-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a], [-b, a], [-b, -a], [-a, -a]]
        ),
        "heart": heart / 16.5,
    }


_OUTLINES = _outlines()
