"""Values of knobs against what is wanted of them: a value, a list of them, or a condition such as ">0.6". No torch."""

import operator
from collections.abc import Callable
from typing import Any

from bench.errors import UserError

_SIGNS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


def matches(value: Any, wanted: Any) -> bool:
    """Whether a knob's value is the wanted one, one of a list, or meets a condition."""
    if isinstance(wanted, list):
        return any(matches(value, one) for one in wanted)
    if met := condition(wanted):
        return isinstance(value, int | float) and not isinstance(value, bool) and met(value)
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return isinstance(value, bool) == isinstance(wanted, bool) and abs(value - wanted) < 1e-8
    return value == wanted


def condition(wanted: Any) -> Callable[[float], bool] | None:
    """What a wanted value such as ">0.6" asks of a number; None for one that is no condition.

    Raises:
        UserError: no number follows the sign.
    """
    if not isinstance(wanted, str) or not (sign := next((s for s in _SIGNS if wanted.startswith(s)), None)):
        return None
    try:
        bound = float(wanted.removeprefix(sign))
    except ValueError:
        raise UserError(f"condition {wanted!r}: expected a number after {sign}") from None
    return lambda value: _SIGNS[sign](value, bound)
