"""How values, counts, headings and notices are written, wherever they are shown. No torch."""

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from bench.scores.stored import Fact, Scored, Summary
from bench.statistics.intervals import FEW, LEAST

COSTS = {"nfe": "NFE", "seconds": "s/image", "nfe_spent": "NFE spent"}
"""Headings of what an edit costs; less is better."""
COUNTED = ("nfe", "nfe_spent")
"""Those that are known of every run. Seconds are shown where they were clocked for it (`bench.reproduce.timing`)."""
INTERVALS = "95 % intervals"
FEWNESS = f"few: of fewer than {FEW} source pictures (or classes); intervals are Student's t, and none below {LEAST}"
"""What stands below a table that says `few`."""
_ARROWS = {True: "↑", False: "↓"}
_SPELLED = {
    name.lower(): name for name in ("PSNR", "SSIM", "MSE", "LPIPS", "FID", "CSFID", "SFID", "KID", "CMMD", "FD")
}
_SPELLED |= {"iou": "IoU", "clip": "CLIP", "dinov2": "DINOv2", "nfe": "NFE"}
_CALLED = {
    "clip_score": "CLIPScore",
    "r": "encoding ratio r",
    "w_s": "source guidance w_s",
    "w_t": "target guidance w_t",
}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_ALONG = {True: "→", False: "←"}


def heading(name: str, better: bool | None = None, unit: str = "") -> str:
    """A metric's name with its direction (`better`: whether higher is, None: neither) and unit."""
    return " ".join(filter(None, [name, _ARROWS.get(better), f"({unit})" if unit else ""]))


def of(fact: Fact) -> str:
    """The heading of a metric."""
    return heading(fact.name, fact.higher_is_better, fact.unit)


def facts(columns: Iterable[Iterable[Fact]]) -> dict[str, Fact]:
    """Each metric that any of some runs was scored by, given those of each run; in the order of the run with most."""
    found: dict[str, Fact] = {}
    for run in sorted(map(list, columns), key=len, reverse=True):
        found |= {fact.name: fact for fact in run if fact.name not in found}
    return found


def called(name: str) -> str:
    """A metric or knob as tables and figures for people call it; what its name says of the unit is left out."""
    if name in _CALLED:
        return _CALLED[name]
    parts = re.sub(r"_(e\d|percent)$", "", name).split("_")
    return " ".join(_SPELLED.get(part, part) for part in parts)


def printed(fact: Fact, name: str | None = None) -> str:
    """The heading of a metric in tables and figures for people, under a `name` of the paper's own if it has one."""
    bare = fact.name.removesuffix("_random")
    doubt = " [random weights]" if bare != fact.name else ""
    unit = re.sub(r"^x 10\^(\d+)$", lambda power: "10⁻" + power[1].translate(_RAISED), fact.unit)
    return heading((name or called(bare)) + doubt, fact.higher_is_better, unit)


def axis(headed: str, better: bool | None) -> str:
    """A heading as the label of an axis. The label of a y axis is turned, so that what points right points up there."""
    bare = " ".join(word for word in headed.split(" ") if word not in _ARROWS.values())
    return f"{bare}   {_ALONG[bool(better)]} better" if finite(better) is not None else bare


def finite(value: Any) -> float | None:
    """A number, also one that is written as text; None where there is none, or it is NaN or infinite."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def decimals(*sizes: float | None) -> int:
    """Decimals of a value with its interval, by the larger of both: two, one from 100 on, below 1 three significant
    digits."""
    size = max((abs(size) for size in map(finite, sizes) if size is not None), default=0.0)
    if size == 0 or 1 <= size < 100:
        return 2
    return 1 if size >= 100 else min(6, 2 - math.floor(math.log10(size)))


def number(value: float | None, digits: int | None = None, sign: str = "") -> str:
    """A value; empty where there is none. `digits` are decimals (None: by its size), `sign` is `+` for differences."""
    if finite(value) is None:
        return ""
    digits = decimals(value) if digits is None else digits
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # no -0.00


def minus(text: str) -> str:
    """A number's text with a minus sign in place of its hyphen."""
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text


def value(mean: float | None, lo: float | None = None, hi: float | None = None, digits: int | None = None) -> str:
    """A value with half the width of its interval, where it has one."""
    half = _half(lo, hi)
    digits = decimals(mean, half) if digits is None else digits
    return number(mean, digits) + (f" ±{number(half, digits)}" if number(mean) and half is not None else "")


def between(mean: float | None, lo: float | None, hi: float | None, digits: int | None = None, sign: str = "") -> str:
    """A value with both ends of its interval, where it has one that is more than a point: for differences."""
    half = _half(lo, hi)
    digits = decimals(mean, half) if digits is None else digits
    ends = f" [{number(lo, digits, sign)}, {number(hi, digits, sign)}]" if number(mean) and half else ""
    return number(mean, digits, sign) + ends


def _half(lo: float | None, hi: float | None) -> float | None:
    return None if finite(lo) is None or finite(hi) is None else (hi - lo) / 2


def cost(name: str, value: float | None) -> str:
    """Network evaluations, which are counted, or seconds."""
    return number(value, 2 if name == "seconds" else 0)


def knob(value: Any) -> str:
    """The value of a knob as one types it; empty where a run has none."""
    if isinstance(value, list):
        return f"[{','.join(map(knob, value))}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def extent(n: int, expected: int, failed: int = 0) -> str:
    """How many samples a run has, and what it lacks."""
    return (f"{n}" if n >= expected else f"{n}/{expected} incomplete") + (f", {failed} failed" if failed else "")


def span(counts: Iterable[int]) -> str:
    """Numbers of samples of several things."""
    found = sorted({int(count) for count in counts}) or [0]
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"


def own_count(fact: Fact, n: int) -> str:
    """How many images a value is of, where that is not the run's n, and how many have no value."""
    if fact.n is None or fact.n == n:
        return ""
    return f"n={fact.n}" + (f", nan={fact.n_nan}" if fact.n_nan else "")


def few(groups: int | None) -> str:
    """`few` for a value whose interval is of fewer groups (source pictures, or classes) than a bootstrap needs."""
    return "few" if groups is not None and groups < FEW else ""


def some(names: list[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:6]) + (" and others" if len(names) > 6 else "")


def notice(summary: Summary) -> str | None:
    """What everything that is said of a run must say: of its model and data, and of the weights that scored it."""
    doubts = [f"{name} is {why}" for name, why in summary.doubts.items()]
    scored = f"scored with weights that may not compare: {', '.join(doubts)}" if doubts else None
    return "; ".join(filter(None, [summary.notice, scored])) or None


def notices(summaries: Iterable[Summary]) -> list[str]:
    """Those of several runs, each once."""
    return sorted({said for summary in summaries if (said := notice(summary))})


def borne(found: Iterable[tuple[str, str]], names: Collection[str]) -> list[str]:
    """What must be said beside several things: each saying once, with the things that it is of where some have it not.

    Args:
        found: the name of a thing, and what must be said of it, sayings parted by semicolons.
        names: of all the things that are shown.
    """
    bearers: dict[str, dict[str, None]] = {}
    for name, said in found:
        for part in filter(None, said.split("; ")):
            bearers.setdefault(part, {})[name] = None
    alike: dict[tuple[str, ...], list[str]] = {}
    for part, bearing in bearers.items():
        alike.setdefault(tuple(bearing), []).append(part)
    return [
        "; ".join(parts) + (f" ({some(list(bearing))})" if set(names) - set(bearing) else "")
        for bearing, parts in alike.items()
    ]


def commit(environment: dict[str, Any]) -> str:
    """Ten digits of a commit, and whether the code was really that."""
    if not environment.get("commit"):
        return "unknown"
    return environment["commit"][:10] + (" with local changes" if environment["dirty"] else "")


def scored_by(summary: Summary) -> list[str]:
    """Data and metric profile."""
    return [f"data {summary.data}", f"profile {summary.profile} ({summary.backbone})"]


def averaged(summary: Summary) -> list[str]:
    """What a mean is over, where it is not over pictures."""
    return ["means over edit types"] if summary.protocol.get("mean") == "types" else []


def headline(run: Scored | None) -> str:
    """A run's scores in a line, the user's own metrics among them; empty where it has none."""
    if run is None:
        return ""
    facts = [fact for fact in run.summary.metrics.values() if fact.value is not None]
    own = [fact for fact in facts if fact.name in run.summary.own]
    shown = [fact for fact in facts if fact not in own][:4] + own
    return f"{run.summary.profile}: {', '.join(f'{fact.name} {number(fact.value)}' for fact in shown)}"
