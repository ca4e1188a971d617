"""The authors' outputs on flow models (golden/flow), case by case."""

import json

import numpy as np
import torch
from PIL import Image

from bench.diffusion.device import to_uint8
from bench.models.flux import Flux
from bench.models.sd3 import StableDiffusion3
from bench.models.sdxl import StableDiffusionXL
from bench.models.stable_diffusion import StableDiffusion
from bench.types import EditSample
from tests.helpers.shared import SHARED

GOLDEN = SHARED / "golden/flow"
_KINDS = {"sdxl": StableDiffusionXL, "sd3": StableDiffusion3, "flux": Flux, "sd15": StableDiffusion}
_models = {}


def names(kind, start=""):
    """Cases of a kind that are here."""
    return sorted(file.stem for file in GOLDEN.glob(f"{kind}/{start}*.npz"))


class Case:
    """One of them."""

    def __init__(self, kind, name):
        file = GOLDEN / f"{kind}/{name}.npz"
        self.arrays, facts = np.load(file), json.loads(file.with_suffix(".json").read_text())
        self.settings, self.rows, self.image = facts["settings"], facts["rows"], facts["image"]
        self.strides, self.stored_features = facts.get("strides") or {}, facts.get("stored_features")
        self.kind, self.tolerance = facts["model"], facts["tolerance"]

    def model(self, **knobs):
        """The tiny model, its count of rows at 0."""
        key = (self.kind, tuple(sorted(knobs.items())))
        if key not in _models:
            folder = str(GOLDEN / "models" / self.kind)
            _models[key] = _KINDS[self.kind](folder, **knobs).load(torch.device("cpu"), torch.float32)
        _models[key].rows = 0
        return _models[key]

    def sample(self, source=None, target=None):
        """Picture and prompts; not those of the settings, if others are given."""
        with Image.open(GOLDEN / f"samples/{self.image}.png") as image:
            pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy()
        source = self.settings.get("source_prompt", "") if source is None else source
        return EditSample("x", pixels, source, target or self.settings["target_prompt"])

    def tensor(self, name):
        """One of its arrays."""
        return torch.from_numpy(self.arrays[name])

    def close(self, found, name, measured=None):
        """Whether an array is as stored.

        Args:
            measured: the array whose difference to float64 is stated; None: its own.
        """
        expected = self.tensor(name)
        relative = 10 * max(2e-6, self.tolerance.get(f"fp64_rel_{measured or name}", 0))
        difference = float((found - expected).abs().max() / expected.abs().max())
        assert difference <= relative, f"{name}: {difference:.2g} > {relative:.2g}"

    def close_pictures(self, model, latents):
        """Whether latents decode as stored, within a grey level."""
        found = to_uint8(model.decode(latents))[0].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(found - self.arrays["decoded"].astype(int)).max() <= 1
