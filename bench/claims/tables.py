"""Verdicts as text and as `claims.csv`."""

import pandas as pd

from bench.claims.comparisons import Row
from bench.claims.verdicts import Result
from bench.report.words import heading
from bench.report.write import Table

COLUMNS = [
    *("id", "statement", "source", "data", "profile", "metric", "compared", "difference", "lo", "hi", "n", "verdict"),
    *("why", "notice"),
]


def tidy(results: list[Result]) -> pd.DataFrame:
    """A line for each comparison, in the columns of `claims.csv`; one that could not be made has no numbers."""
    lines = []
    for result in results:
        shared = {"id": result.claim.name, "statement": result.claim.statement, "source": result.claim.source}
        shared |= {"data": result.data, "profile": result.profile, "verdict": result.verdict}
        for row in result.rows:
            own = {key: getattr(row, key) for key in ("metric", "compared", "difference", "lo", "hi", "n")}
            why = "; ".join(filter(None, [f"this comparison: {_shows(row, result)}", row.why]))
            lines.append(shared | own | {"why": why, "notice": "; ".join(row.notices)})
        if not result.rows or result.lacking:
            lines.append(shared | {"n": 0, "why": "; ".join(result.lacking), "notice": "; ".join(result.notices)})
    return pd.DataFrame(lines, columns=COLUMNS)


def _shows(row: Row, result: Result) -> str:
    if row.shows != "against" or row in result.against:
        return row.shows
    return f"against it alone, not after Holm over {len(result.rows)} comparisons"


def printed(results: list[Result]) -> str:
    """The verdicts as text of a terminal's width."""
    lines = []
    for (data, profile), own in _by_data(results).items():
        lines += [f"data {data}, profile {profile}", *_cautions(own), ""]
        for result in own:
            lines += [f"{result.verdict:13} {result.claim.statement} (n = {result.n})", f"{'':13} {result.why}"]
        lines.append("")
    for result in results:
        if not result.rows:
            lines += [f"{result.verdict:13} {result.claim.statement}", f"{'':13} {result.why}"]
    return "\n".join(lines).rstrip()


def readable(results: list[Result]) -> str:
    """The claims as Markdown: for each data set a table of verdicts and one of the comparisons that they rest on."""
    tables = []
    for (data, profile), own in _by_data(results).items():
        verdicts = [
            {"statement": r.claim.statement, "source": r.claim.source, "verdict": r.verdict, "n": r.n, "why": r.why}
            for r in own
        ]
        compared = [
            {
                "claim": result.claim.name,
                "compared": row.compared,
                "metric": heading(row.metric, unit=row.unit),
                "difference": row.interval,
                "n": f"{row.n}",
                "": "; ".join(filter(None, [_shows(row, result), row.why])),
            }
            for result in own
            for row in result.rows
        ]
        tables.append(Table(pd.DataFrame(verdicts), f"data {data}, profile {profile}", ["; ".join(_cautions(own))]))
        tables.append(Table(pd.DataFrame(compared), "", ["The comparisons, first - second with 95 % intervals:"]))
    if not_run := [result for result in results if not result.rows]:
        missing = [{"statement": r.claim.statement, "source": r.claim.source, "missing": r.why} for r in not_run]
        tables.append(Table(pd.DataFrame(missing), "Not run"))
    return "\n\n".join(["# Claims", *(table.markdown(2) for table in tables)]) + "\n"


def _by_data(results: list[Result]) -> dict[tuple[str, str], list[Result]]:
    keys = sorted({(result.data, result.profile) for result in results if result.rows})
    return {key: [result for result in results if (result.data, result.profile) == key] for key in keys}


def _cautions(results: list[Result]) -> list[str]:
    """Notices of the runs, and what a verdict on such runs is not."""
    notices = list(dict.fromkeys(notice for result in results for notice in result.notices))
    return notices + ["a verdict here is on these runs, and says nothing of the paper's own numbers"] * bool(notices)
