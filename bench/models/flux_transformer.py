"""FLUX.1's transformer, autoencoder and text encoders."""

from dataclasses import dataclass, replace

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

from bench.errors import UserError
from bench.models.flow import FlowModel
from bench.models.loading import autoencoder, network
from bench.models.prompted_folder import PromptedFolder
from bench.models.prompts import Prompts
from bench.models.text_encoders import TextEncoder, Where
from bench.types import Condition, Query


@dataclass(frozen=True)
class _Guided(Condition):
    """Takes any guidance from 0. It is looked at where it is a number: asked of the device, it would be waited for at
    every step."""

    def guided(self, w: float | torch.Tensor) -> "_Guided":
        if (least := float(w.min()) if isinstance(w, torch.Tensor) else w) < 0:
            raise UserError(f"guidance {least:g}, expected at least 0: it is an input of this model")
        return super().guided(w)


@dataclass(frozen=True)
class _Unguided(Condition):
    """Knows no guidance but 1."""

    def guided(self, w: float | torch.Tensor) -> "_Unguided":
        if other := [one for one in (w.flatten().tolist() if isinstance(w, torch.Tensor) else [w]) if one != 1]:
            raise UserError(f"guidance {other[0]:g}, expected 1: this model (schnell) knows no guidance")
        return super().guided(w)


def prompts(checkpoint: PromptedFolder, where: Where) -> Prompts:
    """What words become: T5's last states; CLIP's end token after its final norm, not projected. Raises: UserError: the
    text encoders are not whole."""
    clip = TextEncoder.clip(checkpoint, "text_encoder", False, where)
    t5 = TextEncoder.t5(checkpoint, "text_encoder_2", checkpoint.t5_tokens, where)
    return Prompts(
        [clip, t5],
        lambda first, second: Condition(second.last_hidden_state, first.pooler_output),
        where.device,
        "" if checkpoint.unconditional == "empty" else None,
        own=(checkpoint.negative,) if checkpoint.negative is not None else (),
        stating=[t5],
    )


class FluxModel(FlowModel):
    """Implements `bench.types.DiffusionModel`. States `[t5_tokens, 4096]` are T5's, pooled is CLIP's.

    Args:
        negative: text that every evaluation is guided away from at `true_guidance`; None: none.
    """

    distilled = True
    words_first = True
    even = True

    def __init__(
        self,
        transformer,
        vae,
        prompts: Prompts,
        scheduler,
        size: int,
        words: int,
        negative: str | None = None,
        true_guidance: float | None = None,
    ):
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        super().__init__(size // factor, transformer, vae, prompts, scheduler, words)
        self.negative, self.true_guidance = negative, true_guidance

    @classmethod
    def load(
        cls, checkpoint: PromptedFolder, device: torch.device, dtype: torch.dtype, prompts: Prompts
    ) -> "FluxModel":
        """Reads the folder of a checkpoint; strict. The autoencoder is float32.

        Raises:
            UserError: a part lacks parameters that its architecture has.
        """
        transformer = network(checkpoint, FluxTransformer2DModel, "transformer", device, dtype)
        vae = autoencoder(checkpoint, device, torch.float32)
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(checkpoint.schedule)
        knobs = (checkpoint.size, checkpoint.t5_tokens, checkpoint.negative, checkpoint.true_guidance)
        return cls(transformer, vae, prompts, scheduler, *knobs)

    def condition(self, queries: list[Query]) -> Condition:
        """See `bench.types.DiffusionModel`. Its `guided` raises UserError where guidance is negative, or other than 1
        where the network knows none."""
        kind = _Guided if self.transformer.config.guidance_embeds else _Unguided
        return kind(**vars(super().condition(queries)))

    def eps(self, z, t, condition, values=None, picture=None) -> torch.Tensor:
        """Predicted velocity in the dtype of `z`. Raises: UserError: the condition was not told a guidance."""
        if self.negative is None:
            return self._velocity(z, t, condition)
        away = replace(self.condition([self.negative] * len(z)), guidance=condition.guidance)
        given, free = self._velocity(torch.cat([z, z]), t, Condition.cat([condition, away])).chunk(2)
        return free + self.true_guidance * (given - free)

    def _velocity(self, z: torch.Tensor, t: float, condition: Condition) -> torch.Tensor:
        """Tokens are 2 x 2 cells of the latents, row by row, each with the channels in the order (channel, y, x)."""
        self.rows += len(z)
        dtype, (count, channels, height, width) = self.transformer.dtype, z.shape
        cells = z.view(count, channels, height // 2, 2, width // 2, 2)
        tokens = cells.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, 4 * channels)
        out = self.transformer(
            tokens.to(dtype),
            encoder_hidden_states=condition.states.to(dtype),
            pooled_projections=condition.pooled.to(dtype),
            timestep=torch.full((count,), t / 1000, dtype=torch.float32, device=z.device),
            img_ids=_places(height // 2, width // 2, z.device).to(dtype),
            txt_ids=torch.zeros(condition.states.shape[1], 3, dtype=dtype, device=z.device),
            guidance=self._scale(condition),
        ).sample.to(z.dtype)
        out = out.view(count, height // 2, width // 2, channels, 2, 2)
        return out.permute(0, 3, 1, 4, 2, 5).reshape(z.shape)

    def _scale(self, condition: Condition) -> torch.Tensor | None:
        """The guidance that the network is told."""
        if (asked := condition.guidance) is None:
            raise UserError("this model takes guidance as an input: ask it through bench.diffusion.guidance")
        return asked if self.transformer.config.guidance_embeds else None


def _places(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """(0, row, column) of each token, `[rows * columns, 3]`."""
    row, column = torch.meshgrid(*(torch.arange(n, device=device) for n in (rows, columns)), indexing="ij")
    return torch.stack([torch.zeros_like(row), row, column], -1).reshape(-1, 3)
