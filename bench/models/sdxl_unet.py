"""Stable Diffusion XL's UNet, autoencoder and text encoders."""

from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from bench.models.loading import autoencoder, network
from bench.models.prompted_folder import PromptedFolder
from bench.models.prompts import Prompts
from bench.models.text_encoders import TextEncoder, Where
from bench.models.unet import UNetModel
from bench.types import Condition, Query, Token


def prompts(checkpoint: PromptedFolder, where: Where) -> Prompts:
    """What words become: the last layer but one of each encoder, before its final norm; the end token's projection of
    the second one. Raises: UserError: the text encoders are not whole."""
    clips = [
        TextEncoder.clip(checkpoint, name, projected, where)
        for name, projected in (("text_encoder", False), ("text_encoder_2", True))
    ]
    null = checkpoint.negative
    if null is None and not checkpoint.index.get("force_zeros_for_empty_prompt", True):
        null = ""

    def encode(first, second) -> Condition:
        return Condition(torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds)

    return Prompts(clips, encode, where.device, null or "", zeros=null is None)


class StableDiffusionXLModel(UNetModel):
    """Implements `bench.types.DiffusionModel`. States are those of both encoders beside each other, `[77, 2048]`; what
    the second one pools, and sizes, go in with the timestep.

    Args:
        prompts: what words become.
        widths: numbers of a word's state that are each encoder's.
        original_size: pixels a side that the picture is said to have had; None: its own.
    """

    def __init__(self, unet, vae, prompts: Prompts, scheduler, widths: tuple[int, ...], original_size: int | None):
        super().__init__(unet, vae, scheduler)
        self.prompts, self.widths, self.original_size = prompts, widths, original_size

    @classmethod
    def load(
        cls, checkpoint: PromptedFolder, device: torch.device, dtype: torch.dtype, prompts: Prompts
    ) -> "StableDiffusionXLModel":
        """Reads the folder of a checkpoint; strict. The autoencoder is float32 (it overflows in float16).

        Raises:
            UserError: a part lacks parameters that its architecture has.
        """
        unet = network(checkpoint, UNet2DConditionModel, "unet", device, dtype).to(memory_format=torch.channels_last)
        vae = autoencoder(checkpoint, device, torch.float32)
        # An Euler file that diffusers saved again lacks these two keys, and DDIM's own defaults are others
        scheduler = DDIMScheduler.from_config(checkpoint.schedule, clip_sample=False, set_alpha_to_one=False)
        widths = tuple(checkpoint.config[name]["hidden_size"] for name in ("text_encoder", "text_encoder_2"))
        return cls(unet, vae, prompts, scheduler, widths, checkpoint.original_size)

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
