"""Stable Diffusion XL's UNet, autoencoder and text encoders."""

from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from bench.models.loading import autoencoder, network
from bench.models.prompted_folder import PromptedFolder
from bench.models.text_encoders import Prompts, TextEncoder
from bench.models.unet import UNetModel
from bench.types import Condition, Query, Token


class StableDiffusionXLModel(UNetModel):
    """Implements `bench.types.DiffusionModel`. States are those of both encoders beside each other, `[77, 2048]`; what
    the second one pools, and sizes, go in with the timestep.

    Attributes:
        widths: numbers of a word's state that are each encoder's.

    Args:
        encoders: the two of them.
        null: text that stands for the unconditional model; None: zeros do.
        original_size: pixels a side that the picture is said to have had; None: its own.
    """

    def __init__(self, unet, vae, encoders: list[TextEncoder], scheduler, null: str | None, original_size: int | None):
        super().__init__(unet, vae, scheduler)
        self.original_size = original_size
        self.widths = tuple(encoder.encoder.config.hidden_size for encoder in encoders)
        self.prompts = Prompts(encoders, self._encode, null or "", zeros=null is None)

    @classmethod
    def load(cls, checkpoint: PromptedFolder, device: torch.device, dtype: torch.dtype) -> "StableDiffusionXLModel":
        """Reads the folder of a checkpoint; strict. The autoencoder is float32 (it overflows in float16).

        Raises:
            UserError: a part lacks parameters that its architecture has, or the text encoders tell no words apart.
        """
        where = (device, dtype)
        unet = network(checkpoint, UNet2DConditionModel, "unet", *where).to(memory_format=torch.channels_last)
        vae = autoencoder(checkpoint, device, torch.float32)
        encoders = [
            TextEncoder.clip(checkpoint, name, projected, *where)
            for name, projected in (("text_encoder", False), ("text_encoder_2", True))
        ]
        # An Euler file that diffusers saved again lacks these two keys, and DDIM's own defaults are others
        scheduler = DDIMScheduler.from_config(checkpoint.schedule, clip_sample=False, set_alpha_to_one=False)
        null = checkpoint.negative
        if null is None and not checkpoint.index.get("force_zeros_for_empty_prompt", True):
            null = ""
        made = cls(unet, vae, encoders, scheduler, null, checkpoint.original_size)
        made.prompts.check(checkpoint.folder)
        return made

    def _encode(self, texts: list[str]) -> Condition:
        """The last layer but one of each, before its final norm; the end token's projection of the second one."""
        first, second = (encoder.read(texts) for encoder in self.prompts.encoders)
        return Condition(torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds)

    def _beside(self, condition: Condition, z: torch.Tensor) -> dict[str, Any]:
        height, width = (self.factor * side for side in z.shape[-2:])
        original = (self.original_size,) * 2 if self.original_size else (height, width)
        ids = torch.tensor([[*original, 0, 0, height, width]] * len(z), dtype=self.unet.dtype)
        ids = ids.to(z.device, non_blocking=True)
        told = {"text_embeds": condition.pooled.to(self.unet.dtype), "time_ids": ids}
        return {"added_cond_kwargs": told}

    def condition(self, queries: list[Query]) -> Condition:
        """States and pooled vectors. None is all zeros, or the negative prompt."""
        return self.prompts.condition(queries)

    def tokens(self, query: Query) -> list[Token]:
        """Of the first encoder, whose positions are the second one's too."""
        return self.prompts.encoders[0].tokens(query)

    def excess(self, query: Query) -> int:
        return self.prompts.excess(query)

    def cuts(self, query: Query) -> dict[str, int]:
        return self.prompts.cuts(query)
