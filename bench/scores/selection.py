"""Which runs a command is about: `data=`, `method=`, `run=`. No torch."""

import fnmatch
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bench.config.options import Option
from bench.errors import UserError, nearest

OPTIONS = {
    "data": Option(None, "only runs on this data set, or on several: shapes,pie; null: all", several=True),
    "method": Option(None, "only runs of this method, or of several: sdedit,diffedit", several=True),
    "run": Option(None, "only these: folders, or patterns such as 'sdedit/r0.5*' or 'shapes/*/*seed1*'", several=True),
}
OUT = {"out": Option("results/runs", "folder of the runs that are named by data=, method= or a pattern")}


@dataclass(frozen=True)
class Selection:
    """What the runs' names must match, one of several each; nothing means all.

    Attributes:
        data, method: names, or patterns of them.
        run: folders, or patterns of `<run>`, `<method>/<run>` or `<data>/<method>/<run>`.
    """

    data: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    run: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Selection":
        """From a command's options."""
        return cls(**{name: tuple(given[name] or ()) for name in OPTIONS})

    def of_these(self, folders: list[Path], out: Path) -> list[Path]:
        """Those of some runs that match, in their order.

        Args:
            out: the folder that they are under.

        Raises:
            UserError: a name that none of them has, or none that those before it left; with those that there are.
        """
        kept, said = folders, []
        for what, names in (("data", _data), ("method", _method), ("run", _names)):
            for typed in getattr(self, what):
                if not any(_matches(typed, folder, names) for folder in kept):
                    beside = f" with {' '.join(said)}" if said else ""
                    which = f"{what}={typed}{_no_folder(typed) if what == 'run' else ''}"
                    raise UserError(f"no run of {which} under out={out}{beside}; {_offer(typed, kept, names)}")
            if wanted := getattr(self, what):
                kept = [folder for folder in kept if any(_matches(typed, folder, names) for typed in wanted)]
                said.append(f"{what}={','.join(wanted)}")
        return kept


ALL = Selection()


def selected(out: Path, chosen: Selection = ALL) -> list[Path]:
    """Folders of the runs under a folder, scored or not.

    Raises:
        UserError: there is none, or none that is chosen.
    """
    found = sorted({file.parent for name in _MARKS for file in out.glob(f"*/*/*/{name}")})
    if not found and chosen.run:
        raise UserError(f"no run of run={chosen.run[0]}{_no_folder(chosen.run[0])}, nor any other under out={out}")
    if not found:
        raise UserError(f"no run under out={out}; make one with `python -m bench.run {shlex.quote(f'out={out}')}`")
    return chosen.of_these(found, out)


def named(out: Path, chosen: Selection) -> list[Path]:
    """The same in the order of `run=`, where the folder of a run may lie anywhere.

    Raises:
        UserError: there is none, or none that is chosen.
    """
    if not chosen.run:
        return selected(out, chosen)
    others, found = replace(chosen, run=()), []
    for typed in chosen.run:
        if is_run(place := Path(typed)):
            found += others.of_these([place], out)
        elif place.is_dir() and not runs_in(place):
            raise UserError(f"{place} holds no run; expected its folder, such as {out}/shapes/copy/all-...")
        else:
            found += selected(out, replace(chosen, run=(typed,)))
    return list(dict.fromkeys(found))


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return any(any(folder.glob(name)) for name in _MARKS)


def runs_in(folder: Path) -> bool:
    """Whether a folder is that of a run, of a method's or a data set's runs, or of all."""
    return any(any(folder.glob("*/" * deep + name)) for deep in range(4) for name in _MARKS)


_MARKS = ("identity.json", "summary.*.json")


def _no_folder(typed: str) -> str:
    return "" if re.search(r"[*?[]", typed) or Path(typed).exists() else " (there is no such folder)"


def _data(folder: Path) -> list[str]:
    return [unquote(folder.resolve().parts[-3:][0])]


def _method(folder: Path) -> list[str]:
    return [unquote(folder.resolve().parts[-2:][0])]


def _names(folder: Path) -> list[str]:
    return ["/".join(folder.resolve().parts[-count:]) for count in (2, 1, 3)]


def _matches(typed: str, folder: Path, names: Callable[[Path], list[str]]) -> bool:
    if any(fnmatch.fnmatchcase(name, typed) or name == typed for name in names(folder)):
        return True
    return names is _names and folder.resolve().is_relative_to(Path(typed).resolve()) and Path(typed).is_dir()


def _offer(typed: str, folders: list[Path], names: Callable[[Path], list[str]]) -> str:
    """What there is that may have been meant."""
    if names is _names and (count := sum(_matches(f"*{typed}*", folder, names) for folder in folders)):
        return f"'run=*{typed}*' matches {count}"
    return nearest(typed, sorted({names(folder)[0] for folder in folders}))
