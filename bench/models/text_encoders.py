"""Text encoders of models that read a prompt with several: CLIP's and T5's, each with a tokenizer of its own."""

import logging
from collections.abc import Callable

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from bench.diffusion import prompts
from bench.errors import BadSample, UserError
from bench.models.folder import DiffusersFolder
from bench.models.loading import network
from bench.types import Condition, Query, Token

_log = logging.getLogger(__name__)
_KEPT_TEXTS = 256  # prompts whose conditions are kept for the next batch


class TextEncoder:
    """Prompts are padded and cut to one length. No mask is given to anybody: pads take part.

    Args:
        name: its folder's.
        context: tokens that it reads.
    """

    def __init__(self, name: str, encoder, tokenizer, context: int):
        self.name, self.encoder, self.tokenizer, self.context = name, encoder, tokenizer, context

    @classmethod
    def clip(cls, checkpoint: DiffusersFolder, name: str, projected: bool, device, dtype) -> "TextEncoder":
        """CLIP's of a folder, with its projection or without."""
        kind = CLIPTextModelWithProjection if projected else CLIPTextModel
        encoder = network(checkpoint, kind, name, device, dtype)
        tokenizer = CLIPTokenizer.from_pretrained(checkpoint.folder / _tokenizer(name))
        return cls(name, encoder, tokenizer, encoder.config.max_position_embeddings)

    @classmethod
    def t5(cls, checkpoint: DiffusersFolder, name: str, context: int, device, dtype) -> "TextEncoder":
        """T5's of a folder, which has no positions of its own."""
        encoder = network(checkpoint, T5EncoderModel, name, device, dtype)
        folder = checkpoint.folder / _tokenizer(name)
        try:
            tokenizer = T5TokenizerFast.from_pretrained(folder)
        except (ImportError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{folder} cannot be read ({reason}); without tokenizer.json it needs the packages sentencepiece and "
                "protobuf: install them, or download tokenizer.json too"
            ) from error
        return cls(name, encoder, tokenizer, context)

    def read(self, texts: list[str]):
        """What the encoder says of prompts: every layer's states and what it pools."""
        ids = self.tokenizer(texts, padding="max_length", truncation=True, max_length=self.context, return_tensors="pt")
        return self.encoder(ids.input_ids.to(self.encoder.device), output_hidden_states=True)

    def tokens(self, query: Query) -> list[Token]:
        """See `tokens`."""
        return tokens(self.tokenizer, self.context, query)

    def excess(self, text: str) -> int:
        """Number of tokens beyond the context."""
        return max(0, len(self.tokenizer(text, verbose=False).input_ids) - self.context)


def tokens(tokenizer, context: int, query: Query) -> list[Token]:
    """Ids, characters and spans as an encoder sees them, start and end included."""
    read = tokenizer(query or "", truncation=True, max_length=context, return_offsets_mapping=True)
    places = zip(read.input_ids, read.offset_mapping, strict=True)
    return [(int(id_), tokenizer.decode([id_]).strip(), tuple(span)) for id_, span in places]


def _tokenizer(encoder: str) -> str:
    return encoder.replace("text_encoder", "tokenizer")


class Prompts:
    """The text encoders of one model together.

    Args:
        encoders: those whose states or pooled vectors the model is told.
        encode: texts to conditions, one row a text.
        null: the text that stands for the unconditional model; None: it has none.
        zeros: the unconditional model is told zeros in place of a text.
    """

    def __init__(
        self,
        encoders: list[TextEncoder],
        encode: Callable[[list[str]], Condition],
        null: str | None = "",
        zeros: bool = False,
    ):
        self.encoders, self._encode, self.null, self.zeros = encoders, encode, null, zeros
        self._known: dict[str, Condition] = {}

    def check(self, folder) -> None:
        """Raises UserError where the encoders tell no words apart."""
        prompts.check(lambda texts: self._encode(texts).states, folder)
        if self._encode(["a"]).pooled is not None:
            prompts.check(lambda texts: self._encode(texts).pooled, folder)

    def condition(self, queries: list[Query]) -> Condition:
        """One row a query. Prompts longer than an encoder's context are cut there, with a warning.

        Raises:
            BadSample: what is no text.
            UserError: the model has no unconditional half and is asked for it.
        """
        if not all(isinstance(query, str | None) for query in queries):
            raise BadSample("this model takes text (data=imagenet: data.queries=names)")
        if self.null is None and None in queries:
            raise UserError(
                "this model is distilled and has no unconditional half, which this method needs; choose another method "
                "or model"
            )
        texts = [self.null if query is None else query for query in queries]
        rows = {text: self._known[text] for text in texts if text in self._known}
        if new := [text for text in dict.fromkeys(texts) if text not in rows]:
            for text in new:
                for name, count in self.cuts(text).items():
                    _log.warning("prompt cut by %d tokens in %s: %r", count, name, text)
            made = self._encode(new)
            rows |= {text: made[n : n + 1] for n, text in enumerate(new)}
            self._known = rows if len(self._known) + len(new) > _KEPT_TEXTS else self._known | rows
        found = Condition.cat([rows[text] for text in texts])
        if self.zeros and None in queries:
            kept = torch.tensor([query is not None for query in queries], device=found.states.device)
            states = torch.where(kept[:, None, None], found.states, 0)
            found = Condition(states, torch.where(kept[:, None], found.pooled, 0))
        return found

    def cuts(self, query: Query) -> dict[str, int]:
        """Encoder -> number of a prompt's tokens beyond its context; without those that read all of it."""
        excess = {encoder.name: encoder.excess(query or "") for encoder in self.encoders}
        return {name: count for name, count in excess.items() if count}

    def excess(self, query: Query) -> int:
        """Number of tokens that even the encoder with the largest context has no room for."""
        return min(encoder.excess(query or "") for encoder in self.encoders)
