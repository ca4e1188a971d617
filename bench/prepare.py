"""Checks a data set, before any model is loaded, and says what is missing and who gives it; also of its model.

    python -m bench.prepare data=pie data.root=my/pie_bench limit=100
    python -m bench.prepare data=imagenet download=true
    python -m bench.prepare data=imagen generate=true model=sd14

Fetches only what has an open, official address, and only with download=true. Takes every knob of `python -m bench.run
--help` beside its own:
"""

import sys
from inspect import signature
from typing import Any

from omegaconf import OmegaConf
from tabulate import tabulate

from bench.config import cli, validate
from bench.config.command import command
from bench.config.instances import find
from bench.config.options import Option
from bench.data.base import Count, Source
from bench.data.check import check
from bench.data.files.download import fetch
from bench.edits.plan import SOME_SIZE, make_data
from bench.errors import UserError
from bench.files import hashing
from bench.models import checkpoint as checkpoints

OPTIONS = {
    "download": Option(False, "whether to fetch what has an open address"),
    "generate": Option(False, "whether to make the pictures of data=imagen with model=, for data=templated"),
}


def prepare(words: list[str], download: bool = False, generate: bool = False) -> int:
    """Checks the data set that the overrides choose; returns the exit status: 1 if a sample cannot be read.

    Raises:
        UserError: what is missing, or wrong with it.
    """
    cfg = _composed(words)
    if generate:
        from bench.edits.generate import generate as make_pictures

        words = ["data=templated" if word == "data=imagen" else word for word in words]
        cfg = _composed(words)
        make_pictures(cfg)
    node = cfg["data"]
    print(f"data={node['name']}")
    sources = _sources(node)
    if download:
        for source in sources:
            if source.found is None and source.open:
                fetch(source)
    if sources:
        print(_files(sources), end="\n\n")
    try:
        checkpoints.make(cfg["model"])
    except UserError as error:  # the data can be checked without it
        print(f"model={cfg['model']['name']} cannot be used yet: {error}", end="\n\n")
    try:
        data = make_data(node)
    except UserError as error:
        try:
            _tell_listed(node, sources)
        except UserError as more:
            raise UserError("\n".join(dict.fromkeys([*str(error).splitlines(), *str(more).splitlines()]))) from None
        raise
    rows, bad = check(data, cfg["limit"])
    print(_table([*data.counts(), *rows]), end="\n\n")
    for finding in bad[:5]:
        print(f"unreadable: {finding.id}: {finding.error}")
    for file in data.annotations:
        print(f"SHA-256 {hashing.sha256(file)}  {file}")
    hashing.remember()
    print(f"licence: {data.licence}")
    return 1 if bad else 0


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        switches = {name: _switch(argv, name) for name in OPTIONS}
        return prepare([word for word in argv if word.partition("=")[0] not in OPTIONS], **switches)
    except UserError as error:
        return cli.fail(error)


def _composed(words: list[str]) -> dict[str, Any]:
    jobs = cli.jobs(words, sweeps=any(word in cli.FLAGS for word in words))
    if len(jobs) > 1:
        raise UserError(f"{len(jobs)} data sets at once; bench.prepare checks one")
    cfg = OmegaConf.to_container(jobs[0], resolve=True)
    validate.check(cfg)
    model = cfg["model"]
    cfg["data"]["size"] = cfg["data"]["size"] or model["size"] or model.get("made_for") or SOME_SIZE
    return cfg


def _switch(argv: list[str], name: str) -> bool:
    values = [word.partition("=")[2] for word in argv if word.partition("=")[0] == name]
    if values and values[-1] not in ("true", "false"):
        raise UserError(f"{name}={values[-1]}, expected true or false")
    return bool(values) and values[-1] == "true"


def _sources(node: dict[str, Any]) -> list[Source]:
    return _asked(node, "sources")


def _tell_listed(node: dict[str, Any], sources: list[Source]) -> None:
    """What can be said of annotation files where something else is missing."""
    if rows := _asked(node, "listed"):
        print(_table(rows), end="\n\n")
    for source in sources:
        if source.found and source.found.is_file():
            print(f"SHA-256 {hashing.sha256(source.found)}  {source.found}")


def _asked(node: dict[str, Any], what: str) -> list[Any]:
    """What a class says of its options; nothing where it cannot say it, or a place that it needs is not set."""
    kind = find(node["_target_"], f"data={node['name']}")
    if not hasattr(kind, what):
        return []
    options = {name: value for name, value in validate.knobs(node).items() if name != "_target_"}
    needed = [name for name, one in signature(getattr(kind, what)).parameters.items() if one.default is one.empty]
    return [] if any(options.get(name, "") is None for name in needed) else getattr(kind, what)(**options)


def _files(sources: list[Source]) -> str:
    rows = [[s.what, "found" if s.found else "MISSING", s.found or s.place] for s in sources]
    return tabulate(rows, ["file", "", "place"])


def _table(counts: list[Count]) -> str:
    def verdict(count: Count) -> str:
        return "" if count.expected is None else "ok" if count.found == count.expected else "differs"

    rows = [[c.what, c.found, "" if c.expected is None else c.expected, verdict(c)] for c in counts]
    return tabulate(rows, ["check", "found", "expected", ""])


if __name__ == "__main__":
    sys.exit(main())
