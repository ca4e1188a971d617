"""One operating point as it is edited and scored. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.config import validate
from bench.data.results import Results
from bench.edits.folder import Store
from bench.files.hashing import sha256_of
from bench.files.paths import file_name, shortened
from bench.models.checkpoint import Checkpoint
from bench.types import EditData


@dataclass
class Run:
    """One operating point: a resolved configuration, its data, and where its results are.

    Attributes:
        cfg: resolved, every list of the method expanded.
        data: the data set.
        checkpoint: of the model; None for a method that uses none.
        identity: everything that decides pixels; `key` is its hash.
        results: pictures made elsewhere, for a method that uses them.
        own: the samples that are this process's, among others; None: every `shard.count`-th.
    """

    cfg: dict[str, Any]
    data: EditData
    checkpoint: Checkpoint | None
    identity: dict[str, Any]
    results: Results | None = None
    own: frozenset[str] | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 of the identity's canonical JSON."""
        return sha256_of(self.identity)

    @cached_property
    def ids(self) -> list[str]:
        """Samples of the current command, in data order."""
        return self.data.ids[: self.cfg["limit"]]

    @property
    def share(self) -> list[str]:
        """Those of this shard."""
        if self.own is not None:
            return [id_ for id_ in self.ids if id_ in self.own]
        return self.ids[self.cfg["shard"]["index"] :: self.cfg["shard"]["count"]]

    @property
    def store(self) -> Store:
        """The run's folder, for this shard of it."""
        return Store(self.folder, (self.cfg["shard"]["index"], self.cfg["shard"]["count"]))

    def pending(self) -> list[str]:
        """Samples of this shard that have neither an edit nor a final failure, in data order.

        A sample that cannot be read has failed for good; one that broke the method (its entry has a traceback) is
        tried again by the next command, after its user has mended the method.
        """
        journal = self.store.journal()
        return [id_ for id_ in self.share if id_ not in journal or "traceback" in journal[id_]]

    @cached_property
    def folder(self) -> Path:
        """`<out>/<data>/<method>/<slug>-<key10>`."""
        cfg = self.cfg
        names = (file_name(cfg[group]["name"]) for group in ("data", "method"))
        return Path(cfg["out"]).joinpath(*names, f"{shortened(self.slug, self.slug, 240)}-{self.key[:10]}")

    @property
    def knobs(self) -> dict[str, Any]:
        """The method's knobs, as tables show them; of a table, such as a pipeline's arguments, each entry by itself."""
        knobs = {name: value for name, value in validate.knobs(self.cfg["method"]).items() if name != "_target_"}
        knobs = dict(entry for name, value in knobs.items() for entry in _flat(name, value))
        if self.results:  # not the place, but a name for it
            return {"label": knobs["label"] or Path(knobs["root"]).resolve().name}
        return knobs

    @property
    def notice(self) -> str | None:
        """What every table and plot of this run must say."""
        notices = [self.cfg["model"]["notice"] if self.identity["model"] else None, self.cfg["data"].get("notice")]
        return "; ".join(filter(None, notices)) or None

    @property
    def slug(self) -> str:
        """The usual knobs, readable; the key tells runs apart."""
        method = self.cfg["method"]
        parts = [file_name(method["label"])] if self.results and method["label"] else []
        parts += [f"{short}{_number(method[k])}" for k, short in _SHORT.items() if method.get(k) is not None]
        return "_".join(parts + ([f"seed{self.cfg['seed']}"] if "noise" in method["uses"] else [])) or "all"


_SHORT = {
    **{"r": "r", "guidance": "w", "w_s": "ws", "w_t": "wt", "control": "", "steps": "s"},
    **{"down": "N", "range_t": "t", "updates": "u"},
}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """`call.prompt` of `{prompt: ...}` in `call`, `call.concepts.0` of a list there; classes are left whole."""
    if isinstance(value, dict) and "_target_" not in value:
        for inner, one in value.items():
            yield from _flat(f"{name}.{inner}", one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _flat(f"{name}.{number}", one)
    else:
        yield name, value


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
