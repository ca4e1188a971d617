"""Configurations to objects. No torch, unless a class imports it."""

from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate

from bench.errors import UserError, one_line


def instance(node: dict[str, Any], where: str) -> Any:
    """What a resolved configuration's `_target_` makes of its other entries.

    Args:
        where: what the configuration is called in messages, such as `data=imagenet`.

    Raises:
        UserError: what the class says is wrong; anything else that goes wrong is the error's cause.
    """
    try:
        return instantiate(node)
    except HydraException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"{where}: {one_line(cause or error)}") from cause
