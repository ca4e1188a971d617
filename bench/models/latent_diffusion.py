"""A latent diffusion model of Stable Diffusion's parts: UNet, autoencoder, CLIP text encoder."""

import logging
from collections.abc import Callable

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from bench.diffusion import prompts
from bench.errors import BadSample
from bench.models.folder import DiffusersFolder
from bench.models.loading import autoencoder, network
from bench.models.offload import layer_by_layer
from bench.models.text_encoders import tokens
from bench.models.unet import UNetModel
from bench.types import Condition, Query, Token

_log = logging.getLogger(__name__)
_KEPT_TEXTS = 256  # prompts whose states are kept for the next batch


class LatentDiffusion(UNetModel):
    """Implements `bench.types.DiffusionModel` over a UNet, an autoencoder and a CLIP text encoder."""

    def __init__(self, unet, vae, text_encoder, tokenizer, scheduler):
        super().__init__(unet, vae, scheduler)
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        # a tokenizer that states no length would cut nothing, and the text encoder has no positions beyond its own
        self.context = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        self._texts: dict[str, torch.Tensor] = {}

    @classmethod
    def load(cls, checkpoint: DiffusersFolder, device: torch.device, dtype: torch.dtype) -> "LatentDiffusion":
        """Reads the folder of a checkpoint; strict.

        Raises:
            UserError: a part lacks parameters that its architecture has, or the text encoder tells no words apart.
        """
        folder, where = checkpoint.folder, (device, dtype)
        unet = network(checkpoint, UNet2DConditionModel, "unet", *where).to(memory_format=torch.channels_last)
        vae = autoencoder(checkpoint, *where)
        text_encoder = network(checkpoint, CLIPTextModel, "text_encoder", *where)
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        made = cls(unet, vae, text_encoder, tokenizer, DDIMScheduler.from_pretrained(folder / "scheduler"))
        prompts.check(lambda texts: made.condition(texts).states, folder)
        made._texts.clear()
        return made

    def offload(self, how: str, device: torch.device) -> Callable[[], None]:
        """The text encoder, which is small, does not take turns."""
        if how == "model":
            self.text_encoder.to(device)
        else:
            layer_by_layer(self.text_encoder, device)
        return super().offload(how, device)

    def condition(self, queries: list[Query]) -> Condition:
        """Last hidden states; None is the empty prompt. Prompts longer than the context are cut, with a warning.

        Raises:
            BadSample: what is no text.
        """
        if not all(isinstance(query, str | None) for query in queries):
            raise BadSample("this model takes text (data=imagenet: data.queries=names)")
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

    def tokens(self, query: Query) -> list[Token]:
        """Ids, characters and spans, start and end included, as `condition` sees them."""
        return tokens(self.tokenizer, self.context, query)

    def excess(self, query: Query) -> int:
        """Number of tokens beyond the context."""
        return max(0, len(self.tokenizer(query or "", verbose=False).input_ids) - self.context)
