"""Every claim on the runs of a folder, as `claims.md` and `claims.csv`. No torch."""

from collections import Counter
from pathlib import Path

from bench.claims import file, tables
from bench.claims.verdicts import evaluate, intact
from bench.errors import UserError, nearest
from bench.files.write import atomic, write
from bench.report.tables import collect


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
