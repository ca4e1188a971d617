"""Words `name=value` of the commands that compose no configuration. No Hydra, no torch."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import UserError, nearest, one_line


def parse(words: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """The defaults with what the words set.

    Raises:
        UserError: a word that is no option, with the nearest that are.
    """
    try:
        given = OmegaConf.to_container(OmegaConf.from_cli([word for word in words if "=" in word]))
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from None
    unknown = [word for word in words if "=" not in word] + [name for name in given if name not in defaults]
    if unknown:
        raise UserError(f"unknown option {unknown[0]!r}; {nearest(unknown[0], list(defaults))}")
    return defaults | given
