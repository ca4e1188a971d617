"""Stable Diffusion 3's transformer, autoencoder and text encoders."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch.nn.functional import pad

from bench.models.flow import FlowModel
from bench.models.loading import autoencoder, network
from bench.models.prompted_folder import PromptedFolder
from bench.models.text_encoders import Prompts, TextEncoder
from bench.types import Condition


class StableDiffusion3Model(FlowModel):
    """Implements `bench.types.DiffusionModel`. States `[77 + t5_tokens, 4096]`: both CLIPs' beside each other, filled
    up with zeros, then T5's; pooled: what both CLIPs pool.

    Args:
        clips: the two of them.
        t5: None: zeros stand for what it says.
        t5_tokens: that it reads.
        null: text that stands for the unconditional model.
        largest: pixels a side that there are positions for.
    """

    words_first = False
    even = False

    def __init__(self, transformer, vae, clips, t5, scheduler, t5_tokens: int, null: str, largest: int):
        self._clips, self._t5, self._t5_tokens = clips, t5, t5_tokens
        prompts = Prompts([*clips, *([t5] if t5 else [])], self._encode, null)
        words = clips[0].context + t5_tokens
        super().__init__(transformer.config.sample_size, transformer, vae, prompts, scheduler, words)
        self.largest = largest

    @classmethod
    def load(cls, checkpoint: PromptedFolder, device: torch.device, dtype: torch.dtype) -> "StableDiffusion3Model":
        """Reads the folder of a checkpoint; strict. The autoencoder is float32.

        Raises:
            UserError: a part lacks parameters that its architecture has, or the text encoders tell no words apart.
        """
        where = (device, dtype)
        transformer = network(checkpoint, SD3Transformer2DModel, "transformer", *where)
        vae = autoencoder(checkpoint, device, torch.float32)
        clips = [TextEncoder.clip(checkpoint, name, True, *where) for name in ("text_encoder", "text_encoder_2")]
        t5 = None
        if "text_encoder_3" in checkpoint.networks:
            t5 = TextEncoder.t5(checkpoint, "text_encoder_3", checkpoint.t5_tokens, *where)
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(checkpoint.schedule)
        null, largest = checkpoint.negative or "", checkpoint.largest
        made = cls(transformer, vae, clips, t5, scheduler, checkpoint.t5_tokens, null, largest)
        made.prompts.check(checkpoint.folder)
        return made

    def _encode(self, texts: list[str]) -> Condition:
        """The last layer but one of each CLIP, before its final norm; the end tokens' projections."""
        width = self.transformer.config.joint_attention_dim
        read = [clip.read(texts) for clip in self._clips]
        states = torch.cat([one.hidden_states[-2] for one in read], -1)
        states = pad(states, (0, width - states.shape[-1]))
        if self._t5:
            said = self._t5.read(texts).last_hidden_state
        else:
            said = states.new_zeros(len(texts), self._t5_tokens, width)
        return Condition(torch.cat([states, said], 1), torch.cat([one.text_embeds for one in read], -1))

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Predicted velocity in the dtype of `z`."""
        self.rows += len(z)
        dtype, times = self.transformer.dtype, torch.full((len(z),), t, dtype=torch.float32, device=z.device)
        told = {"encoder_hidden_states": condition.states.to(dtype), "pooled_projections": condition.pooled.to(dtype)}
        return self.transformer(z.to(dtype), timestep=times, **told).sample.to(z.dtype)
