"""What words become in models with several text encoders: read ahead for all of a run, or when they are asked."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache

from bench.config import progress
from bench.diffusion import prompts
from bench.errors import BadSample, UserError
from bench.models.encoded import PARTS, Encoded
from bench.models.offload import HOST
from bench.models.text_encoders import TextEncoder
from bench.types import Condition, Query

_log = logging.getLogger(__name__)
_NEAR = 64  # prompts whose conditions stay on the device for the next batch


class Prompts:
    """The text encoders of one model together. Each prompt is encoded by itself, so that what it becomes depends on no
    other.

    Args:
        encoders: those whose states or pooled vectors the model is told.
        encode: what each of them says of a text to the condition, one row.
        device: where conditions are wanted.
        null: the text that stands for the unconditional model; None: it has none.
        zeros: the unconditional model is told zeros in place of a text.
        own: what the model asks by itself.
        stating: those of the encoders whose states are told; None: all.

    Attributes:
        room: called before the encoders are loaded another time.
    """

    def __init__(
        self,
        encoders: list[TextEncoder],
        encode: Callable[..., Condition],
        device: torch.device,
        null: str | None = "",
        zeros: bool = False,
        own: tuple[str, ...] = (),
        stating: list[TextEncoder] | None = None,
    ):
        self.encoders, self._encode, self.device, self.null, self.zeros = encoders, encode, device, null, zeros
        self.room: Callable[[], None] = lambda: None
        self._own, self._stating = own, stating or encoders
        self._kept, self._near = Encoded(), {}
        self._ahead = False

    def check(self, folder: Path) -> None:
        """Raises UserError where the encoders tell no words apart."""
        for part in ("states", "pooled"):
            prompts.check(lambda texts, part=part: torch.cat([getattr(row, part) for row in self._read(texts)]), folder)

    def unread(self, queries: list[Query]) -> list[str]:
        """The texts among queries, and the model's own, that have not been read yet. What is no text, or none that the
        tokenizers take, is left to `condition`."""
        asked = dict.fromkeys([self.null, "", *self._own, *queries])
        new = [text for text in asked if isinstance(text, str) and text not in self._kept]
        return [text for text in new if self._is_read(text)]

    def read_ahead(self, queries: list[Query], folder: Path | None) -> None:
        """Reads what is `unread`, and frees the text encoders.

        Args:
            folder: see `Encoded.add`.

        Raises:
            NotWritten: see `Encoded.add`.
        """
        if texts := self.unread(queries):
            self.room()
            with progress.line("reading prompts", len(texts), unit="prompt") as line:
                self._add(texts, line.update, folder)
        self._free()
        self._ahead = True

    def condition(self, queries: list[Query]) -> Condition:
        """One row a query. Prompts longer than an encoder's context are cut there, with a warning. One that was not
        read ahead with the others loads the encoders once more, with a warning.

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
        if new := [text for text in dict.fromkeys(texts) if text not in self._kept]:
            self._read_late(new)
        far = dict.fromkeys(text for text in texts if text not in self._near)
        near = self._near | {text: _on(self.device, self._kept[text]) for text in far}
        self._near = near if len(near) <= _NEAR else {text: near[text] for text in dict.fromkeys(texts)}
        found = Condition.cat([near[text] for text in texts])
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
        return min(encoder.excess(query or "") for encoder in self._stating)

    def _is_read(self, text: str) -> bool:
        """Whether the tokenizers take a text."""
        try:
            self.cuts(text)
        except Exception:
            return False
        return True

    def _read_late(self, texts: list[str]) -> None:
        if self._ahead:
            _log.warning("prompt that was not read ahead; loading the text encoders once more: %r", texts[0])
            self.room()
        self._add(texts)
        if self._ahead:
            self._free()

    def _add(self, texts: list[str], step: Callable[[], Any] = lambda: None, folder: Path | None = None) -> None:
        for text in texts:
            for name, count in self.cuts(text).items():
                _log.warning("prompt cut by %d tokens in %s: %r", count, name, text)

        def rows() -> Iterator[Condition]:
            for row in self._read(texts):
                yield _on(HOST, row)
                step()

        self._kept.add(texts, rows(), folder)

    def _read(self, texts: list[str]) -> Iterator[Condition]:
        for text in texts:
            yield self._encode(*(encoder.read(text) for encoder in self.encoders))

    def _free(self) -> None:
        for encoder in self.encoders:
            encoder.free()
        clear_device_cache(garbage_collection=True)  # hooks and their networks hold each other


def _on(device: torch.device, row: Condition) -> Condition:
    """Without waiting for what the device was given before."""
    return Condition(*(getattr(row, part).to(device, non_blocking=device.type != "cpu") for part in PARTS))
