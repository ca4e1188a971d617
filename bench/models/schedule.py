"""The table of noise levels that a scheduler's configuration stands for, and whether samplers can work with it. No
torch."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError

_BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")


def alphas_cumprod(config: dict[str, Any], file: Path) -> np.ndarray:
    """alpha-bar at every timestep, float64 `[T]`, as diffusers' DDIMScheduler makes it.

    Args:
        file: that holds `config`, for messages.

    Raises:
        UserError: a value is no number or out of range, or the name of the schedule is not known.
    """
    count, betas = config["num_train_timesteps"], config.get("trained_betas")
    if type(count) is not int or count < 2:
        raise UserError(f"{file} has num_train_timesteps {count!r}; expected a whole number of at least 2")
    if betas is None:
        betas = _betas(config, count, file)
    elif not isinstance(betas, list) or not all(_is_share(beta) for beta in betas) or len(betas) != count:
        raise UserError(f"{file} has trained_betas that are not {count} numbers between 0 and 1")
    table = np.cumprod(1 - np.array(betas))
    return _rescaled(table) if config.get("rescale_betas_zero_snr") else table


def _betas(config: dict[str, Any], count: int, file: Path) -> np.ndarray:
    name, first, last = (config[key] for key in ("beta_schedule", "beta_start", "beta_end"))
    if name not in _BETAS:
        raise UserError(f"{file} has the beta_schedule {name!r}; expected {', '.join(_BETAS)}")
    for key in ("beta_start", "beta_end"):
        if not _is_share(config[key]):
            raise UserError(f"{file} has {key} {config[key]!r}; expected a number between 0 and 1")
    if last < first:
        raise UserError(f"{file} has beta_end {last}, below beta_start {first}; noise must grow")
    if name == "linear":
        return np.linspace(first, last, count)
    if name == "scaled_linear":
        return np.linspace(first**0.5, last**0.5, count) ** 2
    curve = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.minimum(1 - curve[1:] / curve[:-1], 0.999)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def _rescaled(alphas: np.ndarray) -> np.ndarray:
    """The last one 0, the first one as it was (Lin et al. 2024, Algorithm 1)."""
    roots = np.sqrt(alphas)
    return ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
