"""Tables and figures of papers, with the published values beside ours: makes what is missing, writes, judges.

    python -m bench.reproduce list
    python -m bench.reproduce shapes/tradeoff limit=32
    python -m bench.reproduce siminversion/table1 data.root=my/pie_bench --dry-run

An item is a file of `conf/paper/`; `<paper>` means all of its items, `all` those of every paper. Knobs of `python -m
bench.run --help`, such as `limit=`, `data.root=`, `model=`, change every run.

With `shard.count=n shard.index=i` a command edits every n-th sample. While edits of an item wait for other shards
nothing of it is written, which is no error (exit status 0); the last shard to finish, or any later command, writes it.
"""

import sys
from pathlib import Path
from typing import Any

from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.files import hashing
from bench.reproduce import items
from bench.reproduce.make import Made, out_of, reproduce

OPTIONS = {
    "to": Option(None, "folder for tables and figures; null: out"),
    "run": Option(True, "whether to make what is missing"),
    "rescore": Option(False, "whether to score again what an older version of a metric scored"),
    "page": Option(True, "whether to write the report's page"),
    "seconds_per_nfe": Option(None, "for --dry-run: seconds that one evaluation takes"),
}
FLAG = "--dry-run"
SHOWN = 12  # problems printed at the end


def _split(argv: list[str]) -> tuple[list[str], list[str], dict[str, Any]]:
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
        raise UserError(f"expected an item, such as shapes/tradeoff; {_offer()}")
    chosen = items.names() if named == ["list"] else items.chosen(named)
    words = [word for word in argv if "=" in word and word not in own]
    cli.check_single(words)
    return chosen, words, settings


def _offer() -> str:
    return "python -m bench.reproduce list shows all of them"


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    problems: list[str] = []
    try:
        names, words, settings = _split(argv)
        chosen = [items.load(name) for name in names]
        if argv == ["list"]:
            width = max(map(len, names))
            print("\n".join(f"{item.name:{width}}  {item.title}" for item in chosen))
            return 0
        if FLAG in argv:
            from bench.reproduce.cost import estimate

            print(estimate.of_items(chosen, words, settings["seconds_per_nfe"]))
            return 0
        written = False
        for item in chosen:
            try:
                made = reproduce(item, words, settings)
            except UserError as error:
                made = Made([], [str(error)])
            lines = [line for problem in made.problems for line in problem.splitlines()]
            problems = list(dict.fromkeys([*problems, *lines]))
            if made.files:
                print("\n".join(f"written: {file}" for file in made.files), end="\n\n", flush=True)
            written |= bool(made.files)
        hashing.remember()
        if settings["page"] and written:
            _page(words, settings)
    except UserError as error:
        return cli.fail(error)
    more = [f"and {len(problems) - SHOWN} more like these; the tables say all of them"] if len(problems) > SHOWN else []
    return cli.fail(UserError("\n".join(problems[:SHOWN] + more))) if problems else 0


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
