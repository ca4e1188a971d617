"""The papers' statements against whatever has been run: supported, contradicted, inconclusive or not run.

    python -m bench.claims [out=results/runs] [data=shapes] [to=<folder>]

Reads scores only: no model, no metric, no torch. The statements are in `conf/claims.yaml`, the tests in docs/claims.md.
"""

import sys
from collections import Counter
from pathlib import Path

from bench import cli, options
from bench.claim import file, tables
from bench.claim.verdicts import evaluate, intact
from bench.errors import UserError, nearest
from bench.report import collect
from bench.store import atomic, write

OPTIONS = {"out": "results/runs", "data": None, "to": None}
"""Folder of the runs, the data set to look at (null: each), folder to write to (null: `out`)."""


def write_all(out: Path, data: str | None, to: Path) -> tuple[str, str, list[Path]]:
    """Evaluates every claim on the runs under `out` and writes `<to>/claims.md` and `.csv`.

    Args:
        data: the only data set to look at, None: each.

    Returns:
        the table as it is printed, a line that counts the verdicts, and the files.

    Raises:
        UserError: there is no run, or none of this data set.
    """
    claims, table = file.load(), collect(out)
    if data is not None:
        if data not in set(table.data):
            raise UserError(f"no run of data={data} under out={out}; {nearest(str(data), sorted(set(table.data)))}")
        table = table[table.data == data]
    table, left_out = intact(table)
    results = evaluate(claims, table)
    to.mkdir(parents=True, exist_ok=True)
    files = [to / "claims.md", to / "claims.csv"]
    lines = [tables.readable(results), *(f"- {said}" for said in left_out)]
    write(files[0], "\n".join(lines).rstrip() + "\n")
    with atomic(files[1]) as temporary:
        tables.tidy(results).to_csv(temporary, index=False)
    verdicts = Counter(result.verdict for result in results)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return "\n".join([tables.printed(results), *left_out]), f"claims: {counted}", files


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        out = Path(given["out"])
        text, _, files = write_all(out, given["data"], Path(given["to"]) if given["to"] else out)
        print(text, *(f"written: {file}" for file in files), sep="\n")
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
