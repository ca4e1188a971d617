"""Items of papers: which runs a table or figure is made of, and which published values stand beside them.

One file of `conf/paper/<paper>/` each; its keys are explained in `conf/paper/README.md`. No torch.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from bench.config import cli, files
from bench.errors import UserError, nearest

FOLDER = cli.CONF / "paper"


@dataclass(frozen=True)
class Item:
    """One table or figure.

    Attributes:
        name: `<paper>/<item>`, its place under `conf/paper/`.
        words: what the user of `bench.run` would type for every run of it.
        runs: label -> words of the runs of that label. `{knob}` in a label is filled for each point.
        best_of: label -> rows of which it is the best for each image and metric.
        differences: label -> two rows, of which it is the paired difference.
        reductions: label -> two rows; by how many percent the mean of the first is below the second's.
        samples: how many the paper scored; None: all that the data set has.
        headings: metric -> the paper's name of it, `group, name` where its table has groups of columns.
        metrics: columns, metrics of the profile, `seconds`, `nfe` or knobs; empty: the profile's own table.
        panels: metrics or knobs against each other, `x` and `y`; `of` and `title` where there is one for each kind.
        along: the knob along a curve.
        lines: reference lines of the first panel: `axis` (x or y), a `label`, and where their value is `published`.
        published: `paper`, `item` and, for rows that are called otherwise, `rows`.
        printed: backbones; rows that papers print for the data set with them stand below the item's own.
        absent: rows of the paper that nothing here makes, and why.
        incomparable: why no value of it can be compared with the paper's.
        grid, theory, listing: what else it shows.
        notes: sentences under the table.
    """

    name: str
    title: str
    source: str
    words: list[str] = field(default_factory=list)
    runs: dict[str, list[str]] = field(default_factory=dict)
    best_of: dict[str, list[str]] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)
    reductions: dict[str, list[str]] = field(default_factory=dict)
    samples: int | None = None
    metrics: list[str] = field(default_factory=list)
    headings: dict[str, str] = field(default_factory=dict)
    panels: list[dict[str, str]] = field(default_factory=list)
    along: str = "r"
    lines: list[dict[str, Any]] = field(default_factory=list)
    published: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    incomparable: str | None = None
    grid: dict[str, Any] = field(default_factory=dict)
    theory: dict[str, Any] = field(default_factory=dict)
    listing: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def paper(self) -> str:
        """The folder that the item is in."""
        return self.name.split("/")[0]

    @property
    def scored(self) -> bool:
        """Whether it shows more than pictures, or needs scores to choose them."""
        shows = self.metrics or self.panels or self.differences or self.reductions or self.best_of
        return bool(shows) or self.grid.get("choose") == "lowest"


KEYS = {entry.name for entry in fields(Item)} - {"name"}
GRID = {
    "types": None,
    "per_type": 1,
    "ids": None,
    "prompts": None,
    "masks": True,
    "layout": "runs",
    "choose": "first",
    "by": None,
}
"""Keys of `grid` and what they are when not given."""
CHOICES = {"layout": ("runs", "sweep", "stages"), "choose": ("first", "lowest")}


def names() -> list[str]:
    """Every item, as the user types it."""
    return sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.glob("*/*.yaml"))


def chosen(patterns: list[str]) -> list[str]:
    """The items that words mean: names, a paper (all of its items), or `all`.

    Raises:
        UserError: a word that is no item, with the nearest that are.
    """
    known = names()
    papers = sorted({name.split("/")[0] for name in known})
    found = []
    for word in patterns:
        word = word.removesuffix("/*").removesuffix("/")
        if word == "all":
            found += known
        elif word in papers:
            found += [name for name in known if name.startswith(word + "/")]
        elif word in known:
            found.append(word)
        else:
            raise UserError(f"unknown item {word!r}; {nearest(word, [*known, *papers, 'all'])}")
    return list(dict.fromkeys(found))


def load(name: str) -> Item:
    """One item, with what it takes over from the item that it is `like`.

    Raises:
        UserError: a file that says something that no item has.
    """
    return _checked(name, _read(name))


def _read(name: str) -> dict[str, Any]:
    node = files.read(FOLDER / f"{name}.yaml")
    if unknown := sorted(node.keys() - KEYS - {"like"}):
        raise UserError(f"conf/paper/{name}.yaml: unknown key {unknown[0]!r}; {nearest(unknown[0], sorted(KEYS))}")
    if (other := node.pop("like", None)) is None:
        return node
    if other not in names():
        raise UserError(f"conf/paper/{name}.yaml: like={other} is no item; {nearest(other, names())}")
    before = _read(other)
    return before | node | {"words": merged(before.get("words", []), node.get("words", []))}


def _checked(name: str, node: dict[str, Any]) -> Item:
    where = f"conf/paper/{name}.yaml"
    for key in ("title", "source"):
        if not node.get(key):
            raise UserError(f"{where}: {key} is missing; expected a sentence")
    try:
        item = Item(name=name, **node)
    except TypeError as error:
        raise UserError(f"{where}: {error}") from None
    if not (item.runs or item.theory or item.listing):
        raise UserError(f"{where}: nothing to show; expected runs, theory or listing")
    for key, value in item.grid.items():
        if key not in GRID:
            raise UserError(f"{where}: unknown key grid.{key}; {nearest(key, list(GRID))}")
        if key in CHOICES and value not in CHOICES[key]:
            raise UserError(f"{where}: grid.{key}={value}, {nearest(str(value), list(CHOICES[key]))}")
    if item.grid.get("choose") == "lowest" and not item.grid.get("by"):
        raise UserError(f"{where}: grid.choose=lowest needs grid.by, the metric that is to be low")
    for panel in item.panels:
        if not {"x", "y"} <= set(panel) <= {"x", "y", "of", "title"}:
            raise UserError(
                f"{where}: a panel is {{x: ..., y: ...}}, with of: and title: if there are several, got {panel}"
            )
    for key in ("differences", "reductions"):
        for label, rows in getattr(item, key).items():
            if len(rows) != 2:
                raise UserError(f"{where}: {key}: {label} is made of {len(rows)} rows; expected two, first and second")
    return item


def merged(*lists: list[str]) -> list[str]:
    """Words of which the last one of each knob counts; of several limits, the smallest."""
    words: dict[str, str] = {}
    for word in (word for words_ in lists for word in words_):
        knob = knob_of(word)
        if knob == "limit" and knob in words:
            word = min(words[knob], word, key=_number)
        words[knob] = word
    return list(words.values())


def knob_of(word: str) -> str:
    """`w_s` of `w_s=0.5`."""
    return word.split("=")[0].lstrip("+~")


def _number(word: str) -> float:
    try:
        return float(word.split("=")[1])
    except (IndexError, ValueError):
        return float("-inf")  # not a number: let it through, to be refused where values are checked
