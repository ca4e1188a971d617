"""The samples of one data set as the gallery shows them: their words, and thumbnails of source, truth and true mask."""

import json
from collections.abc import Callable
from typing import Any

from bench.config import files
from bench.data.own import sample
from bench.data.preprocess import NATIVE
from bench.edits.folder import Store
from bench.edits.identity import of_data
from bench.edits.plan import make_data
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256_of
from bench.files.paths import file_name, sample_name
from bench.files.write import write
from bench.report.page.thumbs import TRUE, Thumbs
from bench.scores.stored import Scored
from bench.types import EditData, EditSample, Query

CHUNK = 64
"""Samples read before their thumbnails are written: they are held in memory."""


class Sources:
    """Samples of a data set that runs have edited, found and not read yet. What was read before is not read again: the
    folder of their thumbnails is named by a hash of everything that decides pixels and words.

    Args:
        identity: the data set's, of all these runs.
        limit: so many samples at most; None: all.

    Attributes:
        order: ids of the samples, in which statuses and scores of its runs are listed, too.
        fresh: those of them that are still to be read.
        ending: of its thumbnails.
    """

    def __init__(self, name: str, identity: dict[str, Any], runs: list[Scored], thumbs: Thumbs, limit: int | None):
        folders = list(dict.fromkeys(run.folder for run in runs))
        configs = [files.read(folder / "config.yaml")["data"] for folder in folders]
        readable, self._problems = [], []
        for node in {sha256_of(node): node for node in configs}.values():
            try:
                readable.append(_same(node, identity))
            except UserError as error:
                self._problems.append(str(error))
        readable.sort(key=lambda data: -len(data.ids))  # options that only choose among samples make no other set
        done = {id_ for folder in folders for id_ in Store(folder).journal()}
        self._known = {id_: (data, i) for data in reversed(readable) for i, id_ in enumerate(data.ids)}
        order = [id_ for id_ in dict.fromkeys(id_ for data in readable for id_ in data.ids) if id_ in done]
        self.order = [*order, *sorted(done - set(order))][:limit]
        self._left_out = len(done) - len(self.order)
        self._types = {} if readable else _types(runs)
        size = configs[0]["size"]
        self._side, self._thumbs = thumbs.side if size == NATIVE else size, thumbs
        self.ending = thumbs.ending(self._side)
        self._place = thumbs.use(f"{file_name(name)}/sources/{sha256_of(identity)[:10]}")
        self._file = self._place / "samples.json"
        self._facts = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.fresh = [id_ for id_ in self.order if id_ in self._known and id_ not in self._facts]

    def read(self, tell: Callable[[int], Any]) -> None:
        """Reads what is fresh, and writes its thumbnails.

        Args:
            tell: is given the number of samples that were read.
        """
        for start in range(0, len(self.fresh), CHUNK):
            chunk, samples = self.fresh[start : start + CHUNK], []
            for id_ in chunk:
                data, index = self._known[id_]
                try:
                    samples.append(sample(data, index))
                except BadSample:
                    continue  # its runs have recorded why
            self._thumbs.each(self._save, samples)
            self._facts |= {sample.id: _facts(sample) for sample in samples}
            tell(len(chunk))
        if self.fresh:
            write(self._file, json.dumps(self._facts))

    def contents(self) -> dict[str, Any]:
        """`samples`, each with its words, and why none has any; where their thumbnails are."""
        samples = []
        for id_ in self.order:
            file = sample_name(id_)
            named = {"id": id_} if file == id_ else {"id": id_, "file": file}
            facts = self._facts.get(id_, {}) if id_ in self._known else {}
            samples.append(named | ({"type": self._types[id_]} if id_ in self._types else {}) | facts)
        return {
            "why": None if self._known else "; ".join(dict.fromkeys(self._problems)),
            "side": self._side,
            "left_out": self._left_out,
            "thumbs": self._thumbs.relative(self._place),
            "ending": self.ending,
            "samples": samples,
        }

    def _save(self, sample: EditSample) -> None:
        name = sample_name(sample.id)
        self._thumbs.save(sample.image, self._place / f"sources/{name}.{self.ending}")
        if sample.truth is not None:
            self._thumbs.save(sample.truth, self._place / f"truths/{name}.{self.ending}")
        if sample.mask is not None:
            self._thumbs.save_mask(sample.mask, self._place / f"masks/{name}.png", TRUE, veil=0)


def _same(node: dict[str, Any], identity: dict[str, Any]) -> EditData:
    """The data set of a run's configuration.

    Raises:
        UserError: it cannot be read, or is no longer what was edited.
    """
    data = make_data(node)
    if of_data(node, data) != identity:
        raise UserError(f"data={node['name']} is no longer what these runs edited")
    return data


def _facts(sample: EditSample) -> dict[str, Any]:
    facts = {
        "type": sample.type,
        "source": _words(sample.source),
        "target": _words(sample.target),
        "instruction": sample.instruction,
        "truth": sample.truth is not None,
        "mask": sample.mask is not None,
    }
    return {"seen": True} | {name: value for name, value in facts.items() if value}


def _words(query: Query) -> str | None:
    return f"class {query}" if isinstance(query, int) else query


def _types(runs: list[Scored]) -> dict[str, str]:
    """Edit types as the scores remember them, for a data set that cannot be read."""
    return {id_: kind for run in runs for id_, kind in run.table["type"].dropna().items()}
