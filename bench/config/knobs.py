"""The knobs of every configuration, with what `conf/config.yaml` says of each. No Hydra, no torch."""

import re

from bench.config.options import Option
from bench.files.paths import ROOT

CONF = ROOT / "conf"
GROUPS = ("method", "data", "model", "metrics", "experiment")
_LINE = re.compile(r"(?P<indent> *)(?:- )?(?P<name>\w+):(?: (?P<default>[^#]+?))?(?: # (?P<meaning>.*))?")


def names(group: str) -> list[str]:
    """What a user may type after `group=`."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def options() -> dict[str, Option]:
    """The groups, with what there is to choose, then the other knobs that are explained there, in the file's order."""
    found, above = {}, ""
    for line in filter(None, map(_LINE.fullmatch, (CONF / "config.yaml").read_text(encoding="utf-8").splitlines())):
        name, default, meaning = line["name"], line["default"], line["meaning"]
        above = above if line["indent"] else name
        if above == "defaults" and name in GROUPS:
            found[name] = Option(default, ", ".join(names(name)))
        elif above not in ("defaults", "hydra", "metrics", "valid") and meaning:
            found[f"{above}.{name}" if line["indent"] else name] = Option(_plain(default), meaning)
    return {name: found[name] for name in GROUPS} | found


def _plain(default: str) -> str:
    """`model's` for `${model.guidance}`."""
    return re.sub(r"\$\{(\w+)\..*\}", r"\1's", default)
