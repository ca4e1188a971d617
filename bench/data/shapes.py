"""The embedded data set: edits in the drawn world, with their truth."""

from collections import Counter
from typing import Any

import numpy as np

from bench.data.base import Benchmark, Count
from bench.data.world import drawing, scenes
from bench.types import EditSample

WORLD_VERSION = 1
"""Raised whenever the world draws other pixels or words."""


class Shapes(Benchmark):
    """`count` edits, the ten types in turn; sample i depends on (seed, i) alone.

    Args:
        size: pixels a side.
        seed: of the scenes. 0 is the benchmark; the embedded model was trained on 1, its judge tested on 2.
        count: number of samples.
        types: keep only these edit types.
    """

    licence = "drawn by this project"

    def __init__(self, size: int, seed: int = 0, count: int = 256, types: list[str] | None = None):
        self.size, self.seed = size, seed
        names = list(scenes.EDITS)
        self._indices = [i for i in range(count) if types is None or names[i % len(names)] in types]
        self.ids = [f"{i:05d}" for i in self._indices]

    def __getitem__(self, index: int) -> EditSample:
        number = self._indices[index]
        type_ = list(scenes.EDITS)[number % len(scenes.EDITS)]
        source, target = scenes.random_edit(np.random.default_rng([self.seed, number]), type_)
        return EditSample(
            id=self.ids[index],
            image=self._draw(source),
            source=scenes.caption(source),
            target=scenes.caption(target),
            mask=drawing.truth_mask(source, target, self.size),
            type=type_,
            group=self.ids[index],
            classes=(source.class_id, target.class_id),
            blend=scenes.blend_words(source, target),
            instruction=scenes.instruction(source, target),
            truth=self._draw(target),
            attributes=(source.attributes, target.attributes),
        )

    def identity(self) -> dict[str, Any]:
        """Options that decide pixels and words; not `count`, which only ends the list."""
        return {"world": WORLD_VERSION, "seed": self.seed, "size": self.size}

    def counts(self) -> list[Count]:
        """Samples of each edit type."""
        types = list(scenes.EDITS)
        of_type = Counter(types[number % len(types)] for number in self._indices)
        return [Count("samples", len(self.ids)), *(Count(f"type {name}", of_type[name]) for name in types)]

    def real_image(self, class_id: int, rng: np.random.Generator) -> np.ndarray:
        """A fresh scene of the class."""
        shape, colour = divmod(class_id, len(scenes.COLOURS))
        scene = scenes.random_scene(rng, shape=scenes.ATTRIBUTES["shape"][shape], colour=tuple(scenes.COLOURS)[colour])
        return self._draw(scene)

    def _draw(self, scene: scenes.Scene) -> np.ndarray:
        return drawing.draw(scene, self.size).transpose(2, 0, 1).copy()
