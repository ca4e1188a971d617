"""The papers' statements against whatever has been run: supported, contradicted, inconclusive or not run.

    python -m bench.claims
    python -m bench.claims out=my/runs data=shapes to=my/claims

Reads scores only: no model, no metric, no torch. The statements are in `conf/claims.yaml`, the tests in docs/claims.md.
"""

import sys
from pathlib import Path

from bench.claims.write import write_all
from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError
from bench.scores import selection
from bench.scores.selection import Selection

OPTIONS = {
    "out": Option("results/runs", "folder of the runs"),
    **selection.OPTIONS,
    "to": Option(None, "folder to write to; null: out"),
}


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        out = Path(given["out"])
        text, _, files = write_all(out, Selection.of(given), Path(given["to"]) if given["to"] else out)
        print(text, *(f"written: {file}" for file in files), sep="\n")
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
