"""Is one run better than another, or is it noise? Paired by sample, metric by metric.

    python -m bench.compare results/runs/shapes/sdedit/<run> results/runs/shapes/diffedit/<run>
    python -m bench.compare 'run=[edict/*,diffedit/r0.5*]' data=pie profile=pixel-v1

Of more than two, each is compared with the first. Reads scores only: no model, no metric, no torch.
"""

import sys
from pathlib import Path

import pandas as pd

from bench.config import cli, options
from bench.config import words as words_
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.report import words
from bench.report.pairs import cells, compared, remarks
from bench.report.write import Table
from bench.scores import selection, stored
from bench.scores.selection import Selection

OPTIONS = {
    **selection.OPTIONS,
    **selection.OUT,
    "profile": Option(None, "metric profile, such as pie-v2; null: the only one that both runs have"),
}
COLUMNS = ["metric", "heading", "higher_is_better", "a", "b", "difference", "lo", "hi", "n", "left_out", "groups"]
COLUMNS += ["effect", "p", "p_holm", "verdict"]


def compare(a: Path, b: Path, profile: str | None = None) -> pd.DataFrame:
    """One row for each metric: paired difference B - A of the samples that both have, with its 95 % interval clustered
    by source picture, effect size, sign-flip p, p after Holm over the metrics, and a verdict in words.

    Metrics that depend on something in which the runs differ are left out, and `attrs["apart"]` says why.

    Raises:
        UserError: no such runs or scores, another data set, or no metric that compares.
    """
    name = stored.shared_profile([a, b], profile)
    runs = [stored.read(run, name) for run in (a, b)]
    (found,) = compared([tuple(runs)])
    if isinstance(found, UserError):
        raise found
    table = pd.DataFrame(found.rows, columns=COLUMNS)
    over = ["means over pictures here"] if any(words.averaged(run.summary) for run in runs) else []
    lead = "; ".join([*words.scored_by(runs[0].summary), f"{found.n} samples of both", *over])
    table.attrs["lead"] = [lead, *words.notices(run.summary for run in runs)]
    table.attrs["apart"] = found.apart
    return table


def readable(table: pd.DataFrame, a: Path, b: Path) -> str:
    """The comparison as text."""
    rows = table.to_dict("records")
    lead = [f"A: {a}", f"B: {b}", *table.attrs["lead"]]
    return Table(pd.DataFrame(map(cells, rows)), "", lead, remarks(rows, table.attrs["apart"])).text()


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        own = [word for word in argv if "=" in word and not Path(word).expanduser().is_dir()]
        given = options.parse(own, OPTIONS)
        given["run"] = [words_.path(word, "a folder ") for word in argv if word not in own] + (given["run"] or [])
        if not any(given[name] for name in selection.OPTIONS):
            raise UserError("got no run, expected two: python -m bench.compare <A> <B>, or run=, data=, method=")
        folders = stored.several(Path(given["out"]), Selection.of(given))
        if len(folders) < 2:
            raise UserError(f"these words name only {folders[0]}; expected two runs: python -m bench.compare <A> <B>")
        refused = []
        for folder in folders[1:]:
            try:
                print(readable(compare(folders[0], folder, given["profile"]), folders[0], folder), end="\n\n")
            except UserError as error:
                refused.append(str(error))
        if refused:
            raise UserError("\n".join(refused))
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
