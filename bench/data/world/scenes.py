"""The shapes world: scenes drawn from a few named attributes, so that the truth of an edit is known.

A scene is a large shape on a coloured ground, sometimes with a companion in the sky. Every attribute has a
word in the caption; position, size, rotation and the ground's shading vary without one, so that keeping them is
what "preserving the source" means here. Lengths are in units of the image's width.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

COLOURS = {
    "red": (215, 40, 40),
    "orange": (245, 135, 25),
    "yellow": (245, 215, 50),
    "green": (45, 170, 70),
    "blue": (40, 85, 215),
    "purple": (150, 55, 185),
}
BACKGROUNDS = {
    "snow": (236, 239, 244),
    "sand": (220, 190, 140),
    "sky": (135, 190, 230),
    "meadow": (95, 130, 75),
    "stone": (125, 122, 125),
    "night": (38, 40, 78),
}
COMPANIONS = {"sun": (255, 205, 60), "cloud": (250, 250, 252), "balloon": (235, 70, 150)}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "cross", "heart"),
    "colour": tuple(COLOURS),
    "fill": ("plain", "striped", "dotted"),
    "background": tuple(BACKGROUNDS),
    "companion": ("none", *COMPANIONS),
    "side": ("left", "right"),
    "style": ("flat", "pastel", "inked"),
}
"""Attribute name -> its values, in the order of the judge's class indices."""

EDITS = {
    "random": None,
    "object": "shape",
    "add": "companion",
    "delete": "companion",
    "content": "companion",
    "pose": "side",
    "colour": "colour",
    "material": "fill",
    "background": "background",
    "style": "style",
}
"""Edit type, named and ordered as PIE-Bench's ten -> the attribute it changes (random: that of any other type)."""


@dataclass(frozen=True)
class Scene:
    """One scene: seven named attributes (see `ATTRIBUTES`) and the nuisances that no caption mentions."""

    shape: str
    colour: str
    fill: str
    background: str
    companion: str
    side: str
    style: str
    x_jitter: float
    y: float
    radius: float
    angle: float  # radians, of the shape and its fill
    companion_x: float
    companion_y: float
    shade_angle: float  # radians, direction in which the ground darkens
    shade: float  # amplitude of that shading, of 255
    hill_x: float
    hill_y: float

    @property
    def attributes(self) -> dict[str, str]:
        """The seven named attributes."""
        return {name: getattr(self, name) for name in ATTRIBUTES}

    @property
    def class_id(self) -> int:
        """Index of (shape, colour): the world's 36 object classes."""
        shapes, colours = ATTRIBUTES["shape"], ATTRIBUTES["colour"]
        return shapes.index(self.shape) * len(colours) + colours.index(self.colour)

    @property
    def x(self) -> float:
        """Horizontal centre of the main shape."""
        return {"left": 0.315, "right": 0.685}[self.side] + self.x_jitter


def random_scene(rng: np.random.Generator, **fixed: str) -> Scene:
    """A scene whose attributes are uniform and independent, apart from those that are fixed."""
    attributes = {name: values[rng.integers(len(values))] for name, values in ATTRIBUTES.items()} | fixed
    return Scene(
        **attributes,
        x_jitter=rng.uniform(-0.03, 0.03),
        y=rng.uniform(0.60, 0.67),
        radius=rng.uniform(0.24, 0.28),
        angle=rng.uniform(-0.30, 0.30),
        companion_x=rng.uniform(0.20, 0.80),
        companion_y=rng.uniform(0.15, 0.18),
        shade_angle=rng.uniform(0, 2 * math.pi),
        shade=rng.uniform(8, 26),
        hill_x=rng.uniform(0, 1),
        hill_y=rng.uniform(0.35, 0.75),
    )


def random_edit(rng: np.random.Generator, type_: str) -> tuple[Scene, Scene]:
    """Source and target scene that differ in the one attribute which `type_` changes (`EDITS`)."""
    source = random_scene(rng)
    if type_ == "random":
        type_ = list(EDITS)[rng.integers(1, len(EDITS))]
    attribute = EDITS[type_]
    present = ATTRIBUTES["companion"][1:]
    if type_ == "add":
        source = replace(source, companion="none")
    elif type_ in ("delete", "content") and source.companion == "none":
        source = replace(source, companion=present[rng.integers(len(present))])
    if type_ == "delete":
        return source, replace(source, companion="none")
    options = present if attribute == "companion" else ATTRIBUTES[attribute]
    options = [value for value in options if value != getattr(source, attribute)]
    return source, replace(source, **{attribute: options[rng.integers(len(options))]})


def caption(scene: Scene) -> str:
    """The scene in words; two captions differ exactly where their scenes' attributes do."""
    extra = "" if scene.companion == "none" else f" with a {scene.companion}"
    return (
        f"{_article(scene.style)} drawing of {_article(scene.colour)} {scene.fill} {scene.shape}"
        f" on the {scene.side}{extra} over {scene.background}"
    )


def instruction(source: Scene, target: Scene) -> str:
    """The edit as an order, for methods that are told what to do rather than what to show."""
    name = changed(source, target)[0]
    old, new = getattr(source, name), getattr(target, name)
    if name == "companion":
        if old == "none":
            return f"Add a {new}"
        return f"Remove the {old}" if new == "none" else f"Replace the {old} by a {new}"
    return {
        "shape": f"Turn the {old} into a {new}",
        "colour": f"Make the {source.shape} {new}",
        "fill": f"Make the {source.shape} {new}",
        "side": f"Move the {source.shape} to the {new}",
        "background": f"Change the background to {new}",
        "style": f"Make it {_article(new)} drawing",
    }[name]


def blend_words(source: Scene, target: Scene) -> tuple[str, str] | None:
    """The word of each caption that carries the edit (PIE-Bench's `blended_word`), None where it has none."""
    name = changed(source, target)[0]
    if name in ("shape", "colour", "fill"):
        return source.shape, target.shape
    if name == "companion" and "none" not in (source.companion, target.companion):
        return source.companion, target.companion
    return None


def changed(source: Scene, target: Scene) -> list[str]:
    """Names of the attributes in which two scenes differ."""
    return [name for name in ATTRIBUTES if getattr(source, name) != getattr(target, name)]


def vocabulary() -> list[str]:
    """Every word that a caption or an instruction can hold, lower case, sorted."""
    words = {w for values in ATTRIBUTES.values() for w in values} - {"none"}
    words |= {"a", "an", "the", "it", "drawing", "background", "of", "on", "with", "over", "by", "into", "to"}
    return sorted(words | {"add", "remove", "replace", "turn", "make", "move", "change"})


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
