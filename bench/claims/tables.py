"""Verdicts as text, as Markdown that a person can read, and as `claims.csv`."""

import textwrap
from itertools import groupby

import pandas as pd

from bench.claims.judging import Row
from bench.claims.verdicts import Result, sentence
from bench.report.words import FEWNESS, borne, few, heading, number
from bench.report.write import grid

COLUMNS = [
    *("id", "statement", "source", "data", "profile", "by", "edits", "metric", "compared", "difference", "lo", "hi"),
    *("margin", "n", "verdict", "why", "notice"),
]
WIDTH = 120
"""Letters in a line of text, in Markdown and on a terminal."""
_GLUE = "\N{NO-BREAK SPACE}"


def tidy(results: list[Result]) -> pd.DataFrame:
    """A line for each comparison, in the columns of `claims.csv`; one that could not be made has no numbers."""
    lines = []
    for result in results:
        shared = {"id": result.claim.name, "statement": result.claim.statement, "source": result.claim.source}
        shared |= {"data": result.data, "profile": result.profile, "verdict": result.verdict}
        shared |= {"by": result.view.by, "edits": result.view.edits} if result.view else {}
        for row in result.rows:
            own = {key: getattr(row, key) for key in ("metric", "compared", "difference", "lo", "hi", "margin", "n")}
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
    """The verdicts as text of a terminal's width: each claim with the reason, and what stands beside it."""
    lines = []
    for (data, profile), own in _by_data(results).items():
        lines += [f"data {data}, profile {profile}", *_cautions(own), ""]
        for _, same in groupby(own, key=lambda result: result.claim.name):
            main, *beside = same
            lines += [f"{main.verdict:13} {main.claim.statement} (n = {main.n})"]
            lines += _wrapped(main.why, " " * 14)
            lines += [f"{'':13} {_place(result)}: {result.verdict}" for result in beside]
        lines.append("")
    for result in results:
        if not result.rows:
            lines += [f"{result.verdict:13} {result.claim.statement}", *_wrapped(result.why, " " * 14)]
    return "\n".join(lines).rstrip()


def readable(results: list[Result], left_out: list[str]) -> str:
    """The claims as Markdown of short lines: for each data set a table of verdicts, then each claim's comparisons.

    Args:
        left_out: a sentence for each run that was left out.
    """
    parts = ["# Claims"]
    for (data, profile), own in _by_data(results).items():
        parts += [f"## Data {data}, profile {profile}", *map(_paragraph, _cautions(own))]
        claims = [list(same) for _, same in groupby(own, key=lambda result: result.claim.name)]
        parts += [_verdicts(claims), *(_claim(same) for same in claims)]
    if any(few(row.groups) for result in results for row in result.rows):
        parts.append(_paragraph(sentence(FEWNESS)))
    if not_run := [result for result in results if not result.rows]:
        parts += ["## Not run", *(_absent(result) for result in not_run)]
    if left_out:
        parts.append("\n".join(line for said in left_out for line in _wrapped(said, "  ", "- ")))
    return "\n\n".join(parts) + "\n"


def _verdicts(claims: list[list[Result]]) -> str:
    """A line for each claim and thing that it is tested on, a column for each kind of edits."""
    kinds = list(dict.fromkeys(result.view.edits for same in claims for result in same))
    rows = []
    for same in claims:
        for by, own in groupby(same, key=lambda result: result.view.by):
            found = {result.view.edits: result.verdict for result in own}
            name = same[0].claim.name if by == same[0].view.by else ""
            rows.append({"claim": name, "tested on": by} | {kind: found.get(kind, "") for kind in kinds})
    return grid(rows)


def _claim(same: list[Result]) -> str:
    main = same[0]
    lines = [f"### {main.claim.name}", "", _paragraph(f"{sentence(main.claim.statement)} ({main.claim.source})"), ""]
    for result in same:
        said = f"{result.verdict.capitalize()} on {_place(result)} (n = {result.n}). {result.summary}"
        lines += _wrapped(said, "  ", "- ")
        for row in result.rows:
            lines += _wrapped(_comparison(row, result), "    ", "  - ")
    return "\n".join(lines)


def _comparison(row: Row, result: Result) -> str:
    said = f"{heading(row.metric, unit=row.unit)} of {row.compared}: {row.interval or 'no value'}, n = {row.n}"
    said += f" ({few(row.groups)})" if few(row.groups) else ""
    said += f", margin {number(row.margin)}" if number(row.margin) else ""
    return " ".join([f"{said}.", *map(sentence, filter(None, [_shows(row, result), row.why]))])


def _absent(result: Result) -> str:
    return "\n".join(
        [
            f"### {result.claim.name}",
            "",
            _paragraph(f"{sentence(result.claim.statement)} ({result.claim.source})"),
            "",
            *_wrapped(result.why, "  ", "- "),
        ]
    )


def _place(result: Result) -> str:
    """What a verdict is of."""
    return result.view.by if result.view.whole else f"{result.view.by}, {result.view.edits}"


def _paragraph(text: str) -> str:
    return "\n".join(_wrapped(text, ""))


def _wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    """Lines of at most `WIDTH` letters; a word that is longer (a folder) is broken. No line starts with a minus, which
    would be an item of a list, or with a number of samples."""
    glued = text.replace(" - ", f"{_GLUE}- ").replace("n = ", f"n{_GLUE}={_GLUE}")
    starts = indent if first is None else first
    lines = textwrap.wrap(glued, WIDTH, initial_indent=starts, subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace(_GLUE, " ") for line in lines]


def _by_data(results: list[Result]) -> dict[tuple[str, str], list[Result]]:
    keys = sorted({(result.data, result.profile) for result in results if result.rows})
    return {key: [result for result in results if (result.data, result.profile) == key] for key in keys}


def _cautions(results: list[Result]) -> list[str]:
    """Notices of the runs, with the claims that they are of, and what a verdict on such runs is not."""
    found = [(result.claim.name, notice) for result in results for notice in result.notices]
    notices = borne(found, {result.claim.name for result in results})
    return notices + ["a verdict here is on these runs, and says nothing of the paper's own numbers"] * bool(notices)
