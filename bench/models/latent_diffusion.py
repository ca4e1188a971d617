"""A latent diffusion model of Stable Diffusion's parts: UNet, autoencoder, CLIP text encoder."""

import logging
from contextlib import AbstractContextManager

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTokenizer

from bench.errors import BadSample, UserError
from bench.models import attention
from bench.models.base import Model
from bench.models.folder import DiffusersFolder
from bench.types import AttentionHook, AttentionLayer, Condition, Query

_log = logging.getLogger(__name__)
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.disable_progress_bar()
_KEPT_TEXTS = 256  # prompts whose states are kept for the next batch
_DECODE_PIXELS = 2**20  # decoded together; bounds the autoencoder's memory


class LatentDiffusion(Model):
    """Implements `bench.types.DiffusionModel` over a UNet, an autoencoder and a CLIP text encoder.

    Latents stay float32 between calls whatever the dtype of the networks.
    """

    def __init__(self, unet, vae, text_encoder, tokenizer, scheduler):
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        side = unet.config.sample_size
        super().__init__(side * self.factor if isinstance(side, int) else 0, scheduler.alphas_cumprod.double().numpy())
        self.unet, self.vae, self.text_encoder, self.tokenizer = unet, vae, text_encoder, tokenizer
        self.prediction = scheduler.config.prediction_type
        self.latent_scale = vae.config.scaling_factor
        self.picture_channels = unet.config.in_channels - vae.config.latent_channels
        # a tokenizer that states no length would cut nothing, and the text encoder has no positions beyond its own
        self.context = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        self._texts: dict[str, torch.Tensor] = {}
        self._layers: dict[AttentionLayer, torch.nn.Module] | None = None

    @classmethod
    def load(cls, checkpoint: DiffusersFolder, device: torch.device, dtype: torch.dtype) -> "LatentDiffusion":
        """Reads the folder of a checkpoint; strict.

        Raises:
            UserError: a part lacks parameters that its architecture has, or the text encoder tells no words apart.
        """
        folder = checkpoint.folder

        def read(kind, part: str):
            try:
                module, info = kind.from_pretrained(
                    folder / part, use_safetensors=True, variant=checkpoint.variant(part), output_loading_info=True
                )
            except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"{folder / part} cannot be loaded ({reason}); download the model again") from error
            if info["missing_keys"] or info.get("mismatched_keys"):
                lacking = sorted(map(str, info["missing_keys"])) or sorted(map(str, info["mismatched_keys"]))
                raise UserError(
                    f"{folder / part} does not fit its config.json: {lacking[0]} and {len(lacking) - 1} more"
                )
            if module.dtype != dtype:
                module = module.to(dtype)
            return module.to(device).eval().requires_grad_(False)

        unet = read(UNet2DConditionModel, "unet").to(memory_format=torch.channels_last)
        vae = read(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
        text_encoder = read(CLIPTextModel, "text_encoder")
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        made = cls(unet, vae, text_encoder, tokenizer, DDIMScheduler.from_pretrained(folder / "scheduler"))
        with torch.inference_mode():
            one, other = made.condition(["a", "the picture of seven things"]).states
        if torch.equal(one, other):
            raise UserError(
                f"{folder}: the text encoder says the same of every prompt; its tokenizer or its weights are a stub, "
                "download the model again"
            )
        made._texts.clear()
        return made

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.unet.device

    def condition(self, queries: list[Query]) -> Condition:
        """Last hidden states; None is the empty prompt. Prompts longer than the context are cut, with a warning.

        Raises:
            BadSample: what is no text.
        """
        if unfit := [query for query in queries if not isinstance(query, str | None)]:
            raise BadSample(f"this model takes text and got the class index {unfit[0]}; set data.queries=names")
        texts = [query or "" for query in queries]
        states = {text: self._texts[text] for text in texts if text in self._texts}
        new = [text for text in dict.fromkeys(texts) if text not in states]
        if new:
            limit = self.context
            for text in new:
                if excess := self.excess(text):
                    _log.warning("prompt of %d tokens cut to %d: %r", limit + excess, limit, text)
            tokens = self.tokenizer(
                new, padding="max_length", truncation=True, max_length=limit, return_tensors="pt"
            ).input_ids
            states.update(zip(new, self.text_encoder(tokens.to(self.device)).last_hidden_state, strict=True))
            self._texts = states if len(self._texts) + len(new) > _KEPT_TEXTS else self._texts | states
        return Condition(torch.stack([states[text] for text in texts]))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """float `[B, 3, H, W]` in [-1, 1] to scaled latents, the posterior's mean.

        Raises:
            UserError: a side is no multiple of the autoencoder's factor.
        """
        if images.shape[-1] % self.factor or images.shape[-2] % self.factor:
            height, width = images.shape[-2:]
            raise UserError(
                f"images of {width}x{height} px; this model needs multiples of {self.factor}: set data.size"
            )
        parts = [self.vae.encode(part.to(self.vae.dtype)).latent_dist.mode() for part in self._chunks(images, 1)]
        return torch.cat(parts).float() * self.latent_scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents to float `[B, 3, H, W]`, about [-1, 1] (not clipped)."""
        z = (latents / self.latent_scale).to(self.vae.dtype)
        return torch.cat([self.vae.decode(part).sample for part in self._chunks(z, self.factor)]).float()

    def eps(
        self,
        z: torch.Tensor,
        t: float,
        condition: Condition,
        values: torch.Tensor | None = None,
        picture: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predicted noise in the dtype of `z`; a v-prediction is converted.

        Raises:
            UserError: the model needs a picture beside the latents and got none.
        """
        self.rows += len(z)
        dtype, entry = self.unet.dtype, z
        if self.picture_channels:
            if picture is None:
                raise UserError(
                    f"this model's UNet takes {self.picture_channels} channels of a picture beside the latents; it "
                    "edits by instruction: use method=instruct_pix2pix, or another model"
                )
            entry = torch.cat([z, picture], 1)
        extra = None if values is None else {"values": values.to(dtype)}
        out = self.unet(entry.to(dtype), t, condition.states.to(dtype), cross_attention_kwargs=extra).sample.to(z.dtype)
        if self.prediction == "v_prediction":
            a = float(np.interp(t, np.arange(len(self.alphas_cumprod)), self.alphas_cumprod))  # t may lie between two
            out = a**0.5 * out + (1 - a) ** 0.5 * z
        return out

    def tokens(self, query: Query) -> list[tuple[int, str]]:
        """Ids and characters, start and end included, as `condition` sees them."""
        ids = self.tokenizer(query or "", truncation=True, max_length=self.context).input_ids
        return [(int(id_), self.tokenizer.decode([id_]).strip()) for id_ in ids]

    def excess(self, query: Query) -> int:
        """Number of tokens beyond the context."""
        return max(0, len(self.tokenizer(query or "", verbose=False).input_ids) - self.context)

    def attention(self) -> list[AttentionLayer]:
        """Attention layers in call order. Raises: UserError: there is none that can be steered."""
        if self._layers is None:
            self._layers = attention.find(self.unet)
        return list(self._layers)

    def attend(self, hook: AttentionHook) -> AbstractContextManager[None]:
        """See `bench.models.attention.hooked`."""
        self.attention()
        return attention.hooked(self._layers, hook)

    def _chunks(self, x: torch.Tensor, factor: int) -> tuple[torch.Tensor, ...]:
        return x.split(max(1, _DECODE_PIXELS // (x.shape[-1] * x.shape[-2] * factor**2)))
