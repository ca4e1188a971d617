"""Every claim on the runs of a folder, as `claims.md` and `claims.csv`. No torch."""

from collections import Counter
from pathlib import Path

from bench.claims import file, tables
from bench.claims.verdicts import evaluate, intact
from bench.files.write import write
from bench.report.write import csv
from bench.scores import stored
from bench.scores.selection import Selection


def write_all(out: Path, chosen: Selection, to: Path) -> tuple[str, str, list[Path]]:
    """Evaluates every claim on the runs under `out` and writes `<to>/claims.md` and `.csv`.

    Returns:
        the table as it is printed, a line that counts the verdicts, and the files.

    Raises:
        UserError: there is no run, or none that is chosen.
    """
    runs, left_out = intact(stored.under(out, chosen))
    results = evaluate(file.load(), runs)
    files = [to / "claims.md", csv(tables.tidy(results), to / "claims")]
    write(files[0], tables.readable(results, left_out))
    verdicts = Counter(result.verdict for result in results if not result.view or result.view.main)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return "\n".join([tables.printed(results), *left_out]), f"claims: {counted}", files
