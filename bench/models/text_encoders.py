"""Text encoders of models that read a prompt with several: CLIP's and T5's, each with a tokenizer of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from bench.errors import UserError
from bench.models.folder import DiffusersFolder
from bench.models.loading import network
from bench.models.offload import HOST, layer_by_layer
from bench.types import Query, Token


@dataclass(frozen=True)
class Where:
    """Where text encoders work: on a device, in a dtype; `by_layer`: their layers one after the other."""

    device: torch.device
    dtype: torch.dtype
    by_layer: bool = False

    def network(self, checkpoint: DiffusersFolder, kind: type[torch.nn.Module], name: str) -> torch.nn.Module:
        """Reads a part of a folder."""
        made = network(checkpoint, kind, name, HOST if self.by_layer else self.device, self.dtype)
        return layer_by_layer(made, self.device) if self.by_layer else made


class TextEncoder:
    """Prompts are padded and cut to one length. No mask is given to anybody: pads take part.

    Args:
        name: its folder's.
        make: reads the network, which is in memory from the first `read` to `free`.
        tokenizer: its own.
        context: tokens that it reads.
        device: where it works.
    """

    def __init__(self, name: str, make: Callable[[], torch.nn.Module], tokenizer, context: int, device: torch.device):
        self.name, self._make, self.tokenizer, self.context, self.device = name, make, tokenizer, context, device
        self._network: torch.nn.Module | None = None

    @classmethod
    def clip(cls, checkpoint: DiffusersFolder, name: str, projected: bool, where: Where) -> "TextEncoder":
        """CLIP's of a folder, with its projection or without."""
        kind = CLIPTextModelWithProjection if projected else CLIPTextModel
        tokenizer = CLIPTokenizer.from_pretrained(checkpoint.folder / _tokenizer(name))
        context = checkpoint.config[name]["max_position_embeddings"]
        return cls(name, lambda: where.network(checkpoint, kind, name), tokenizer, context, where.device)

    @classmethod
    def t5(cls, checkpoint: DiffusersFolder, name: str, context: int, where: Where) -> "TextEncoder":
        """T5's of a folder, which has no positions of its own."""
        folder = checkpoint.folder / _tokenizer(name)
        try:
            tokenizer = T5TokenizerFast.from_pretrained(folder)
        except (ImportError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{folder} cannot be read ({reason}); without tokenizer.json it needs the packages sentencepiece and "
                "protobuf: install them, or download tokenizer.json too"
            ) from error
        return cls(name, lambda: where.network(checkpoint, T5EncoderModel, name), tokenizer, context, where.device)

    def read(self, text: str):
        """What the encoder says of a prompt: every layer's states and what it pools, one row."""
        if self._network is None:
            self._network = self._make()
        ids = self.tokenizer(text, padding="max_length", truncation=True, max_length=self.context, return_tensors="pt")
        return self._network(ids.input_ids.to(self.device), output_hidden_states=True)

    def free(self) -> None:
        """Lets go of the network."""
        self._network = None

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
