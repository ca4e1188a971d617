"""The papers' statements against whatever has been run: supported, contradicted, inconclusive or not run.

    python -m bench.claims [out=results/runs] [data=shapes] [to=<folder>]

Reads scores only: no model, no metric, no torch. The statements are in `conf/claims.yaml`, the tests in docs/claims.md.
"""

import sys
from pathlib import Path

from bench import cli, options
from bench.claim import file, tables
from bench.claim.verdicts import evaluate, intact
from bench.errors import UserError, nearest
from bench.report import collect
from bench.store import atomic, write

OPTIONS = {"out": "results/runs", "data": None, "to": None}
"""Folder of the runs, the data set to look at (null: each), folder to write to (null: `out`)."""


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        out, data = Path(given["out"]), given["data"]
        claims, table = file.load(), collect(out)
        if data is not None:
            if data not in set(table.data):
                raise UserError(f"no run of data={data} under out={out}; {nearest(str(data), sorted(set(table.data)))}")
            table = table[table.data == data]
        table, left_out = intact(table)
        results = evaluate(claims, table)
        to = Path(given["to"]) if given["to"] else out
        print(tables.printed(results), *left_out, sep="\n", end="\n\n")
        to.mkdir(parents=True, exist_ok=True)
        write(
            to / "claims.md", "\n".join([tables.readable(results), *(f"- {said}" for said in left_out)]).rstrip() + "\n"
        )
        with atomic(to / "claims.csv") as temporary:
            tables.tidy(results).to_csv(temporary, index=False)
        print(f"written: {to / 'claims.md'}\nwritten: {to / 'claims.csv'}")
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
