"""Latents that several runs need (an inversion's trajectory), kept in this process and, if asked for, on disk.

They are kept image by image with what they cost, so that a run that finds them is billed as if it had made them.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bench.files.write import keep
from bench.types.bill import Shared

_BYTES = 2**30  # kept in memory at most
_memory: OrderedDict[str, tuple[torch.Tensor, int, float]] = OrderedDict()


class Cache:
    """For one batch of one run.

    Args:
        where: `none`, `memory` or `disk` (memory too).
        folder: of the files.
        names: for each sample, everything that latents of it depend on, apart from the key: model, data, id.
        shared: the batch's bill.
        device: where latents are wanted.
    """

    def __init__(self, where: str, folder: Path, names: list[str], shared: Shared, device: torch.device):
        self.where, self.folder, self.names, self.shared, self.device = where, folder, names, shared, device

    def __call__(self, key: Hashable, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Latents `[B, ...]` kept under `key` for every sample of the batch, or made. The key's representation must
        name all that they depend on besides the sample and the model."""
        if self.where == "none":
            return make()
        ids = [hashlib.sha256(f"{name}\0{key!r}".encode()).hexdigest() for name in self.names]
        found = [self._find(id_) for id_ in ids]
        if all(found):
            value = torch.stack([one for one, _, _ in found])
            self.shared.credit(sum(rows for _, rows, _ in found), sum(seconds for *_, seconds in found))
            return value.to(self.device)
        rows, seconds = self.shared.rows, self.shared.seconds
        value = make()
        rows, seconds = (self.shared.rows - rows) // len(ids), (self.shared.seconds - seconds) / len(ids)
        for id_, one in zip(ids, value.cpu(), strict=True):
            self._keep(id_, (one.clone(), rows, seconds))
        return value

    def _find(self, id_: str) -> tuple[torch.Tensor, int, float] | None:
        if id_ in _memory:
            _memory.move_to_end(id_)
            return _memory[id_]
        file = self.folder / f"{id_}.safetensors"
        if self.where != "disk" or not file.is_file():
            return None
        try:
            with safe_open(file, "pt") as stored:
                facts = stored.metadata()
                return stored.get_tensor("latents"), int(facts["rows"]), float(facts["seconds"])
        except (SafetensorError, OSError, KeyError):
            return None  # torn; it is made again

    def _keep(self, id_: str, entry: tuple[torch.Tensor, int, float]) -> None:
        _memory[id_] = entry
        while sum(one.nbytes for one, *_ in _memory.values()) > _BYTES:
            _memory.popitem(last=False)
        if self.where == "disk":
            latents, rows, seconds = entry
            content = save({"latents": latents.contiguous()}, {"rows": str(rows), "seconds": repr(seconds)})
            keep(self.folder / f"{id_}.safetensors", content)


def forget() -> None:
    """Empties the memory."""
    _memory.clear()
