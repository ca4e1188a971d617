"""What a number rests on, in a line to paste into a paper: commit, method, weights, data, metric profile, n, seed.

    python -m bench.cite run=results/runs/shapes/diffedit/<run>
    python -m bench.cite 'run=diffedit/r0.5*' data=pie profile=pie-v2

A line for each metric profile that a run is scored by. Hashes are cut to ten digits; whole ones are in the run's
`identity.json` and summaries. Knobs that are as the method's file has them are left out.
"""

import sys
from pathlib import Path

from bench.cite.line import cite
from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.scores import selection
from bench.scores.selection import Selection

OPTIONS = {
    **selection.OPTIONS,
    **selection.OUT,
    "profile": Option(None, "metric profile, such as pie-v2; null: each"),
}


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        if not any(given[name] for name in selection.OPTIONS):
            raise UserError("expected run=<folder or pattern>, such as run=results/runs/shapes/diffedit/<run>")
        folders = selection.named(Path(given["out"]), Selection.of(given))
    except UserError as error:
        return cli.fail(error)
    status = 0
    for folder in folders:
        try:
            print("\n".join(cite(folder, given["profile"])))
        except UserError as error:  # of one run
            status = cli.fail(error)
    return status


if __name__ == "__main__":
    sys.exit(main())
