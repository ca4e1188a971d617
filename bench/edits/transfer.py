"""What a method means on a model that it was not published for, as its configuration states it for the model's family:

families: {flux: [{refused: why, where: {control: p2p}}, {approximate: the difference}]}

The first case counts whose conditions the knobs meet, the model's own as `model.<knob>`; none: it means the same. What
is approximate runs only with `transfer=approximate`, and its rows say the difference. No torch.
"""

from typing import Any

from bench.config.matching import matches
from bench.errors import UserError
from bench.models import checkpoint as checkpoints

APPROXIMATE, REFUSED = "approximate", "refused"
SAME = "the same"


def verdict(method: dict[str, Any], model: dict[str, Any]) -> tuple[str, str]:
    """`APPROXIMATE` and the difference, `REFUSED` and why, or `SAME` and nothing.

    Args:
        method: resolved configuration of one operating point.
        model: resolved configuration.

    Raises:
        UserError: the model's class does not exist, or a case is neither.
    """
    family = getattr(checkpoints.kind(model), "family", "") if "model" in method["uses"] else ""
    knobs = method | {f"model.{name}": value for name, value in model.items()}
    for case in (method.get("families") or {}).get(family, []):
        if all(matches(knobs.get(knob), wanted) for knob, wanted in case.get("where", {}).items()):
            kind = next((kind for kind in (APPROXIMATE, REFUSED) if kind in case), None)
            if kind is None:
                raise UserError(f"method.families.{family}: expected {APPROXIMATE} or {REFUSED} in {case}")
            return kind, case[kind]
    return SAME, ""


def check(resolved: dict[str, Any]) -> str | None:
    """What the rows of an operating point must say of its method on its model.

    Raises:
        UserError: it cannot run, or means something else and was not asked to run so.
    """
    kind, said = verdict(resolved["method"], resolved["model"])
    where = f"method={resolved['method']['name']} on model={resolved['model']['name']}"
    if kind == REFUSED:
        raise UserError(f"{where}: {said}")
    if kind == APPROXIMATE and resolved.get("transfer") != APPROXIMATE:
        raise UserError(f"{where} is not what was published: {said}; to run it so, set transfer={APPROXIMATE}")
    return said or None
