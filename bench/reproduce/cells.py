"""The cells of an item: values of its runs, rows derived from them, published rows that nothing makes. No torch."""

from bench.config.profile import metrics
from bench.report.words import COSTS, finite, notice
from bench.reproduce import derived, printed, tolerance
from bench.reproduce.items import Item, knob_of
from bench.reproduce.outcomes import Point, Rows
from bench.reproduce.verdicts import NOT_RUN, Cell, judge
from bench.scores import protocol
from bench.scores.stored import Fact

NEUTRAL = (
    *("out", "device", "batch_size", "cache", "shard.index", "shard.count", "limit"),
    *("data.root", "data.annotations", "data.captions", "data.bison"),
    *("metrics.columns", "metrics.batch_size"),
)
"""Knobs that change no score, beside the paths of metric weights; `limit` shows in the number of images."""


def of_item(item: Item, rows: list[Rows], words: list[str]) -> list[Cell]:
    """Every cell of an item's runs and of the rows derived from them, with verdicts.

    Raises:
        UserError: a derived row that names rows which do not exist.
    """
    points = [point for one in rows for point in one.points]
    if not points:
        return []
    columns = _columns(item, points)
    facts = _facts(points)
    cells = [_of_point(item, point, column, facts) for point in points for column in columns]
    reasons = {id(point): _reasons(item, point, words) for point in points}
    scored = {id(point): run for point in points if (run := point.scored)}
    apart = {column: protocol.apart(list(scored.values()), column) for column in columns}
    for cell, point in zip(cells, (point for point in points for _ in columns), strict=True):
        if unlike := apart[cell.metric].get(scored.get(id(point))):
            cell.apart = f"scored with {unlike}, as most rows are"
        judge(item, cell, [*reasons[id(point)], *filter(None, [cell.apart])])
    cells += derived.rows(derived.Sources(item, points, columns, facts, reasons))
    cells += _only_published(item, cells, columns)
    return cells + (printed.rows(item, points, columns, facts) if item.printed else [])


def _columns(item: Item, points: list[Point]) -> list[str]:
    """The item's metrics, or the profile's own table where it has none of them, and what the plots show beside."""
    profile = points[0].cfg["metrics"]
    known = list(metrics(profile))
    there = {*known, *COSTS, *(knob for point in points for knob in point.values)}
    columns = item.metrics if there & set(item.metrics) else [*(profile["table"] or known), "nfe"]
    plotted = [panel[side] for panel in item.panels for side in "xy" if panel[side] in there]
    return list(dict.fromkeys([*columns, *plotted]))


def _facts(points: list[Point]) -> dict[str, Fact]:
    """What is said of each metric, by the profile's name of it."""
    summaries = [point.summary for point in points if point.summary]
    return {name.removesuffix("_random"): fact for summary in summaries for name, fact in summary.metrics.items()}


def _of_point(item: Item, point: Point, column: str, facts: dict) -> Cell:
    cell = Cell.new(item, point.row, point.name, column, facts)
    cell.data, cell.profile = point.cfg["data"]["name"], point.cfg["metrics"]["name"]
    if column not in facts and column in point.values:
        cell.kind, cell.ours = "knob", point.values[column]
        return cell
    if point.summary is None:
        cell.why = point.why or ""
        return cell
    summary = point.summary
    cell.n, cell.n_expected = summary.n, summary.n_expected
    cell.run = "/".join(point.run.folder.parts[-3:])
    cell.notice = notice(summary) or ""
    cell.tolerance, cell.tolerated = tolerance.of_point(point, column)
    if column == "seconds":
        cell.kind, cell.ours, cell.why = "cost", point.cost(column), point.untimed
        if point.seconds:
            (cell.lo, cell.hi), cell.n = map(finite, point.seconds[1:3]), point.seconds[3]
    elif column in COSTS:
        cell.kind, cell.ours = "cost", point.cost(column)
    elif fact := summary.fact(column):
        cell.kind, cell.why = fact.kind, fact.reason or ""
        cell.ours, cell.lo, cell.hi, cell.n, cell.groups = fact.value, fact.lo, fact.hi, fact.n, fact.groups
    else:
        cell.why = f"profile {summary.profile} has no {column}"
    return cell


def _reasons(item: Item, point: Point, words: list[str]) -> list[str]:
    """Why a point's values cannot stand beside the paper's, if anything."""
    found = [*([item.incomparable] if item.incomparable else []), *changes(item, words)]
    if (summary := point.summary) is None:
        return found
    found += [said] if (said := notice(summary)) else []
    wanted = item.samples or len(point.run.data.ids)
    if summary.n != wanted or summary.n_failed:
        failed = f", {summary.n_failed} failed" if summary.n_failed else ""
        found.append(f"{summary.n} of {wanted} images{failed}")
    return found


def changes(item: Item, words: list[str]) -> list[str]:
    """What the user's words make different from what the paper ran, in sentences."""
    composed = [*item.words, *(word for mine in item.runs.values() for word in mine)]
    return [f"{word} is not what the paper ran" for word in words if word not in composed and not _neutral(word)]


def _neutral(word: str) -> bool:
    knob = knob_of(word)
    return knob in NEUTRAL or (knob.startswith("metrics.weights.") and knob.endswith(".path"))


def _only_published(item: Item, cells: list[Cell], columns: list[str]) -> list[Cell]:
    """Rows of the paper that no run here makes."""
    present = {cell.row for cell in cells} | {f"{cell.row}, {cell.point}" for cell in cells}
    rows = dict.fromkeys([*item.absent, *(row for row in item.published.get("rows", {}) if row not in present)])
    found = []
    for row in rows:
        for column in columns:
            cell = Cell.new(item, row, "", column, {})
            cell.heading = next((other.heading for other in cells if other.metric == column), cell.heading)
            judge(item, cell, [])
            cell.why = item.absent.get(row, "nothing here makes it")
            cell.verdict = NOT_RUN
            found.append(cell)
    return found
