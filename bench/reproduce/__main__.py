"""Tables and figures of papers, with the published values beside ours: makes what is missing, writes, judges.

    python -m bench.reproduce list
    python -m bench.reproduce shapes/tradeoff limit=32
    python -m bench.reproduce siminversion/table1 data.root=my/pie_bench --dry-run

An item is a file of `conf/paper/`; `<paper>` means all of its items, `all` those of every paper. Knobs of `python -m
bench.run --help`, such as `limit=`, `data.root=`, `model=`, change every run.

With `shard.count=n shard.index=i` a command edits every n-th sample. While edits of an item wait for other shards
nothing of it is written, which is no error (exit status 0); the last shard to finish, or any later command, writes it.
`hydra/launcher=slurm` or `gpus` with `workers=n` does so by itself (docs/cluster.md).
"""

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.cluster import front as cluster
from bench.cluster import launcher as launchers
from bench.cluster.engines import ENGINES
from bench.cluster.task import Wanted
from bench.config import cli, options, ranks
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError, nearest
from bench.files import hashing
from bench.reproduce import items, outcomes
from bench.reproduce.items import Item
from bench.reproduce.make import Made, out_of, reproduce, samples_of
from bench.scores.complete import shown

OPTIONS = {
    "to": Option(None, "folder for tables and figures; null: out"),
    "run": Option(True, "whether to make what is missing"),
    "rescore": Option(False, "whether to score again what an older version of a metric scored"),
    "page": Option(True, "whether to write the report's page"),
    "seconds_per_nfe": Option(None, "for --dry-run: seconds that one evaluation takes"),
}
FLAG = "--dry-run"
SHOWN = 12  # problems printed at the end


def _split(argv: list[str]) -> tuple[list[Item], list[str], dict[str, Any]]:
    """Items, words for the runs, and this command's own options.

    Raises:
        UserError: no item, or a flag that does not exist.
    """
    flags = [word for word in argv if word.startswith("-")]
    if unknown := [word for word in flags if word != FLAG]:
        raise UserError(f"unknown flag {unknown[0]}; expected {FLAG} or knob=value")
    named = [word for word in argv if "=" not in word and word not in flags]
    own = [word for word in argv if word.split("=")[0] in OPTIONS]
    settings = options.parse(own, OPTIONS)
    switches = [name for name, option in OPTIONS.items() if isinstance(option.default, bool)]
    if bad := [f"{name}={settings[name]}" for name in switches if not isinstance(settings[name], bool)]:
        raise UserError(f"{bad[0]}, expected true or false")
    if (seconds := settings["seconds_per_nfe"]) is not None:
        if FLAG not in flags:
            raise UserError(f"seconds_per_nfe= is for an estimate; add {FLAG}, or leave it out")
        if type(seconds) not in (int, float) or not 0 < seconds < float("inf"):
            raise UserError(f"seconds_per_nfe={seconds}, expected a number above 0, such as 0.04")
    if not named:
        if unknown := [word.partition("=")[2] for word in argv if word.startswith("experiment=")]:
            offered = nearest(unknown[0], [name.split("/")[1] for name in items.names()])
            raise UserError(f"unknown experiment {unknown[0]!r}; {offered}")
        raise UserError(f"expected an item, such as shapes/tradeoff; {_offer()}")
    chosen = [items.load(name) for name in items.chosen(named)]
    words = [word for word in argv if "=" in word and word not in own]
    cli.check_single(words)
    return chosen, words, settings


def _experiment(word: str) -> str | None:
    """The item that `experiment=<its last name>` means, if it is the only one of that name."""
    knob, _, name = word.partition("=")
    found = [item for item in items.names() if item.split("/")[1] == name] if knob == "experiment" else []
    return found[0] if len(found) == 1 else None


def _offer() -> str:
    return "python -m bench.reproduce list shows all of them"


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = [_experiment(word) or word for word in (sys.argv[1:] if argv is None else argv)]
    try:
        if argv == ["list"]:
            chosen = [items.load(name) for name in items.names()]
            width = max(len(item.name) for item in chosen)
            print("\n".join(f"{item.name:{width}}  {item.title}" for item in chosen))
            return 0
        if FLAG in argv:
            _estimate(argv)
            return 0
        typed = cluster.launched("bench.reproduce.__main__", argv, planned, _is_heavy)
        if isinstance(typed, int):
            return typed
        _refuse_other_launcher(typed)
        rank = ranks.own(typed)
        problems, waiting = _make(ranks.shared(typed), first=not (rank and rank.index))
    except UserError as error:
        return cli.fail(error)
    if problems:
        cli.fail(UserError("\n".join(problems)))
    # One rank that fails has the others killed, who are still at work.
    return 2 if problems and not (waiting and rank) else 0


def planned(argv: list[str]) -> list[Wanted]:
    """The runs of the items that the words name, for tasks of a cluster; the last job says of others why not."""
    chosen, words, settings = _split(argv)
    wanted = []
    for item in chosen if settings["run"] else ():
        with suppress(UserError):
            rows, only = outcomes.compose(item, words), samples_of(item)
            outcomes.find(rows, settings["rescore"], only)
            wanted += [Wanted(point.run, scored=only is None) for row in rows for point in row.points if not point.why]
    return wanted


def finished(argv: list[str]) -> list[str]:
    """Scores what tasks have left, and writes tables, figures and page; returns what went wrong."""
    return _make(argv, edited=False)[0]


def _make(argv: list[str], edited: bool = True, first: bool = True) -> tuple[list[str], int]:
    """Every item in turn; a sentence for each thing that went wrong, and the edits that wait for other shards.

    Args:
        first: of the ranks that share the samples, which makes items without samples, too.
    """
    chosen, words, settings = _split(argv)
    problems, written, waiting = [], False, 0
    wanted = cache(lambda: planned(argv))
    with shown(lambda: [one.run for one in wanted()], lambda: [one.run for one in wanted() if one.scored]):
        for item in chosen if first else [item for item in chosen if item.runs]:
            try:
                made = reproduce(item, words, settings, edited)
            except UserError as error:
                made = Made([], [str(error)])
            problems += [line for problem in made.problems for line in problem.splitlines()]
            if made.files:
                print("\n".join(f"written: {file}" for file in made.files), end="\n\n", flush=True)
            written |= bool(made.files)
            waiting += made.waiting
    hashing.remember()
    if settings["page"] and written:
        _page(words, settings)
    problems = list(dict.fromkeys(problems))
    more = [f"and {len(problems) - SHOWN} more like these; the tables say all of them"] if len(problems) > SHOWN else []
    return problems[:SHOWN] + more, waiting


def _estimate(argv: list[str]) -> None:
    from bench.reproduce.cost import estimate

    launcher = launchers.chosen(argv)
    chosen, words, settings = _split(launcher.words if launcher else argv)
    workers = launcher.workers if launcher else 1
    print(estimate.of_items(chosen, words, settings["seconds_per_nfe"], workers))
    if launcher:
        print("\n" + ENGINES[launcher.engine].shown(launcher))


def _is_heavy(argv: list[str]) -> bool:
    """Whether what stands beside the edits needs a model: theory, stages of an edit, seconds clocked for a table."""
    chosen, _, _ = _split(argv)
    return any(item.theory or "seconds" in item.metrics or item.grid.get("layout") == "stages" for item in chosen)


def _refuse_other_launcher(argv: list[str]) -> None:
    if not launchers.is_basic(argv):
        raise UserError("bench.reproduce takes hydra/launcher=slurm or gpus; others run whole jobs of bench.run -m")


def _page(words: list[str], settings: dict[str, Any]) -> None:
    """Claims and the report's page, of everything under `out`, if anything is there."""
    from bench.claims.write import write_all
    from bench.report import page
    from bench.report.tables import collect
    from bench.scores import stored
    from bench.scores.selection import ALL

    out = Path(out_of(words))
    made = Path(settings["to"] or out)
    if not stored.folders(out):
        return
    _, verdicts, _ = write_all(out, ALL, made)
    to = out / "report"
    file = page.make(collect(out), out, to, made=made)
    print(f"{verdicts}: {made / 'claims.md'}\nreport over all runs under {out}: {file}")


if __name__ == "__main__":
    sys.exit(main())
