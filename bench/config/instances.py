"""Configurations to objects. No torch, unless a class imports it."""

import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra._internal.utils import _locate
from hydra.errors import HydraException
from hydra.utils import instantiate

from bench.config.guard import guard
from bench.errors import UserError, close, nearest


def instance(node: dict[str, Any], where: str) -> Any:
    """What a resolved configuration's `_target_` makes of its other entries.

    Args:
        where: what the configuration is called in messages, such as `data=imagenet`.

    Raises:
        UserError: what the class says is wrong; anything else that goes wrong is the error's cause.
    """
    kind = find(node["_target_"], where)
    with guard(where, kind):
        try:
            return instantiate(_literal(node))
        except HydraException as error:
            cause = error.__cause__ or error
            if isinstance(cause, TypeError) and cause.__traceback__.tb_next is None:  # the call itself: other knobs
                raise UserError(f"{where}: {_wrong_call(cause, kind, where.partition('=')[0])}") from cause
            raise cause from None


def find(target: str, where: str) -> Callable[..., Any]:
    """The class, or function, of a dotted name.

    Raises:
        UserError: it does not exist, or its module cannot be imported; where, and why.
    """
    with guard(f"{where}: {target}"):
        try:
            found = _locate(target)
        except ImportError as error:
            cause = error.__cause__ or error
            module, _, name = target.rpartition(".")
            if getattr(cause, "name", None) == target and module in sys.modules:  # it is there, and has no such name
                known = [name for name, value in vars(sys.modules[module]).items() if inspect.isclass(value)]
                raise UserError(f"{where}: there is no {target}; {nearest(name, known)}") from error
            raise cause from None
        except ValueError:  # no dotted name
            found = None
    if not callable(found):
        raise UserError(f"{where}: {target} is no class; expected <module>.<class>")
    return found


def check_identity(facts: Any, where: str) -> None:
    """Raises UserError where what tells a class's objects apart cannot be hashed."""
    try:
        json.dumps(facts)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: identity() is no JSON ({error}); give hashes and options") from error
    if not isinstance(facts, dict):
        raise UserError(f"{where}: identity() gives {facts!r}; expected a dict of hashes and options")


def _wrong_call(error: TypeError, kind: Callable[..., Any], group: str) -> str:
    """Which knobs a class lacks, or does not have."""
    known = list(inspect.signature(kind).parameters)
    if found := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
        offer = f"{nearest(found[1], known)} " if close(found[1], known) else ""
        return f"{kind.__name__} has no knob {found[1]!r}; {offer}it takes {_arguments(kind)}"
    if (found := re.search(r"missing \d+ required .*?: (.*)", str(error))) and group in ("method", "data", "model"):
        names = re.findall(r"'(\w+)'", found[1])
        return f"{kind.__name__} needs {' '.join(f'+{group}.{name}=<value>' for name in names)}"
    return f"{error}; it takes {_arguments(kind)}"


def _arguments(kind: Callable[..., Any]) -> str:
    return ", ".join(inspect.signature(kind).parameters) or "none"


def _literal(node: Any) -> Any:
    """The node such that Hydra, which fills in `${...}`, gives every text as it is: as a path it does."""
    if isinstance(node, dict):
        return {name: _literal(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_literal(value) for value in node]
    return Path(node) if isinstance(node, str) and "${" in node else node
