"""Stable Diffusion 3's transformer, autoencoder and text encoders."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch.nn.functional import pad

from bench.models.flow import FlowModel
from bench.models.loading import autoencoder, network
from bench.models.prompted_folder import PromptedFolder
from bench.models.prompts import Prompts
from bench.models.text_encoders import TextEncoder, Where
from bench.types import Condition


def prompts(checkpoint: PromptedFolder, where: Where) -> Prompts:
    """What words become: the last layer but one of each CLIP, before its final norm, and T5's last, or zeros without
    T5; the end tokens' projections. Raises: UserError: the text encoders are not whole."""
    clips = [TextEncoder.clip(checkpoint, name, True, where) for name in ("text_encoder", "text_encoder_2")]
    t5 = []
    if "text_encoder_3" in checkpoint.networks:
        t5 = [TextEncoder.t5(checkpoint, "text_encoder_3", checkpoint.t5_tokens, where)]
    width = checkpoint.config["transformer"]["joint_attention_dim"]

    def encode(*read) -> Condition:
        states = torch.cat([one.hidden_states[-2] for one in read[:2]], -1)
        states = pad(states, (0, width - states.shape[-1]))
        said = read[2].last_hidden_state if t5 else states.new_zeros(1, checkpoint.t5_tokens, width)
        return Condition(torch.cat([states, said], 1), torch.cat([one.text_embeds for one in read[:2]], -1))

    return Prompts([*clips, *t5], encode, where.device, checkpoint.negative or "")


class StableDiffusion3Model(FlowModel):
    """Implements `bench.types.DiffusionModel`. States `[77 + t5_tokens, 4096]`: both CLIPs' beside each other, filled
    up with zeros, then T5's; pooled: what both CLIPs pool.

    Args:
        largest: pixels a side that there are positions for.
    """

    words_first = False
    even = False

    def __init__(self, transformer, vae, prompts: Prompts, scheduler, words: int, largest: int):
        super().__init__(transformer.config.sample_size, transformer, vae, prompts, scheduler, words)
        self.largest = largest

    @classmethod
    def load(
        cls, checkpoint: PromptedFolder, device: torch.device, dtype: torch.dtype, prompts: Prompts
    ) -> "StableDiffusion3Model":
        """Reads the folder of a checkpoint; strict. The autoencoder is float32.

        Raises:
            UserError: a part lacks parameters that its architecture has.
        """
        transformer = network(checkpoint, SD3Transformer2DModel, "transformer", device, dtype)
        vae = autoencoder(checkpoint, device, torch.float32)
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(checkpoint.schedule)
        words = prompts.encoders[0].context + checkpoint.t5_tokens
        return cls(transformer, vae, prompts, scheduler, words, checkpoint.largest)

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Predicted velocity in the dtype of `z`."""
        self.rows += len(z)
        dtype, times = self.transformer.dtype, torch.full((len(z),), t, dtype=torch.float32, device=z.device)
        told = {"encoder_hidden_states": condition.states.to(dtype), "pooled_projections": condition.pooled.to(dtype)}
        return self.transformer(z.to(dtype), timestep=times, **told).sample.to(z.dtype)
