"""Tables and figures of papers, with the published values beside ours: makes what is missing, writes, judges.

    python -m bench.reproduce <paper>/<item> ... [knob=value ...] [--dry-run] [to=<folder>] [run=false] [rescore=true]
    python -m bench.reproduce list

An item is a file of `conf/paper/`; `<paper>` means all of its items, `all` those of every paper. Words such as
`limit=`, `data.root=`, `model=` change every run.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import cli, hashing, options
from bench.errors import UserError
from bench.paper import cells, grids, items, outcomes, tables
from bench.paper.items import Item
from bench.paper.outcomes import Point
from bench.paper.verdicts import Cell, Shown

OPTIONS = {"to": None, "run": True, "rescore": False, "page": True}
"""Folder for tables and figures (null: `out`); whether to make what is missing; whether to score again what an older
version of a metric scored; whether to write the report's page."""
FLAG = "--dry-run"
SHOWN = 12  # problems printed at the end


@dataclass
class Made:
    """An item as far as it could be made."""

    item: Item
    cells: list[Cell]
    files: list[Path]
    problems: list[str]


def reproduce(item: Item, words: list[str], settings: dict[str, Any]) -> Made:
    """Makes one item: its runs as far as they are missing, its table, its figures.

    Raises:
        UserError: words that the item does not take, or a file of it that does not fit together.
    """
    rows = outcomes.compose(item, words)
    points = [point for one in rows for point in one.points]
    to, problems = Path(settings["to"] or _out(words)), []
    pictures_only = bool(item.grid) and not item.scored
    for one in rows:
        only = grids.select(item, one.cfg.limit) if pictures_only else None
        problems += outcomes.complete(one, settings["run"], settings["rescore"], only)
    found = [] if pictures_only else cells.of_item(item, rows, words)
    head = _header(points)
    files: list[Path] = []
    shown: list[Shown] = []
    if item.theory:
        from bench.paper import theory  # torch

        shown.append(theory.make(item, words, to, settings["run"]))
    if item.listing:
        from bench.paper import listings

        shown.append(listings.make(item, words, to))
    for more in shown:
        found += more.cells
        files += more.files
        head += more.header
        problems += more.problems
    if found:
        print(tables.markdown(item, found, head), end="\n\n", flush=True)
        files = tables.write_all(item, found, head, to) + files
    files += _figures(item, points, found, head, to)
    return Made(item, found, files, list(dict.fromkeys(problems)))


def _figures(item: Item, points: list[Point], found: list[Cell], head: list[str], to: Path) -> list[Path]:
    files, stem = [], to / "figures" / item.name
    ready = [point for point in points if point.run and not point.why]
    if item.grid and ready:
        if item.grid.get("choose") == "lowest":
            ids = grids.worst(item, ready)
        elif not item.scored:
            ids = ready[0].run.ids  # chosen before they were edited
        else:
            ids = grids.select(item, ready[0].cfg["limit"])(ready[0].run.data)
        files += grids.draw(item, points, ids, head, to)
    elif found and item.runs:
        from bench.paper import plots  # matplotlib

        draw = plots.curves if item.panels else plots.dots
        files += draw(item, found, head, stem)
    return files


def _header(points: list[Point]) -> list[str]:
    """Data, model, metric profile and versions, as every table and figure says them."""
    if not points:
        return []
    cfgs = [point.cfg for point in points]
    data = ", ".join(sorted({cfg["data"]["name"] for cfg in cfgs}))
    models = ", ".join(sorted({cfg["model"]["name"] for cfg in cfgs if "model" in cfg["method"]["uses"]})) or "none"
    profile = cfgs[0]["metrics"]
    line = f"data {data}; model {models}; profile {profile['name']} ({profile['backbone']})"
    numbers = {fact["version"] for point in points if point.summary for fact in point.summary["metrics"].values()}
    return [line + (f"; metric versions {', '.join(map(str, sorted(numbers)))}" if numbers else "")]


def _out(words: list[str]) -> str:
    return next((word.removeprefix("out=") for word in reversed(words) if word.startswith("out=")), "results/runs")


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
    if bad := [f"{k}={v}" for k, v in settings.items() if isinstance(OPTIONS[k], bool) and not isinstance(v, bool)]:
        raise UserError(f"{bad[0]}, expected true or false")
    if not named:
        raise UserError(f"expected an item, such as shapes/tradeoff; {_offer()}")
    chosen = items.names() if named == ["list"] else items.chosen(named)
    return chosen, [word for word in argv if "=" in word and word not in own], settings


def _offer() -> str:
    return "python -m bench.reproduce list shows all of them"


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
            from bench.paper import estimate  # torch

            print(estimate.of_items(chosen, words))
            return 0
        for item in chosen:
            made = reproduce(item, words, settings)
            lines = [line for problem in made.problems for line in problem.splitlines()]
            problems = list(dict.fromkeys([*problems, *lines]))
            print("\n".join(f"written: {file}" for file in made.files), end="\n\n", flush=True)
        hashing.remember()
        if settings["page"]:
            _page(words, settings)
    except UserError as error:
        return cli.fail(error)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    more = [f"and {len(problems) - SHOWN} more like these; the tables say all of them"] if len(problems) > SHOWN else []
    return cli.fail(UserError("\n".join(problems[:SHOWN] + more))) if problems else 0


def _page(words: list[str], settings: dict[str, Any]) -> None:
    """Claims and the report's page, of everything under `out`, if anything is there."""
    from bench import claims, page
    from bench.report import collect

    out = Path(_out(words))
    made = Path(settings["to"] or out)
    if not any(out.glob("*/*/*/summary.*.json")):
        return
    _, verdicts, _ = claims.write_all(out, None, made)
    to = out / "report"
    to.mkdir(exist_ok=True)
    file = page.make(collect(out), out, to, made=made)
    print(f"{verdicts}: {made / 'claims.md'}\nreport over all runs under {out}: {file}")


if __name__ == "__main__":
    sys.exit(main())
