"""The command line before Hydra sees it: argument order, names that do not exist, every job of a sweep composed."""

import sys

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config.validate import RESERVED
from bench.errors import UserError, nearest, one_line
from bench.files import sources
from bench.files.paths import ROOT, folder_name

CONF = ROOT / "conf"
RESOLVERS = {
    "otherwise": lambda value, default: default if value is None else value,
    "class_name": sources.class_name,
    "folder_name": folder_name,
}
"""`${name:...}` in `conf/`; the latter two give a name to what has none of its own."""
for resolver, function in RESOLVERS.items():
    OmegaConf.register_new_resolver(resolver, function, replace=True)
GROUPS = ("method", "data", "model", "metrics", "experiment")


def flags_first(argv: list[str]) -> list[str]:
    """Moves -m/--multirun before the overrides: Hydra 1.3 refuses a flag between them."""
    flags = [word for word in argv if word in ("-m", "--multirun")]
    return flags[:1] + [word for word in argv if word not in ("-m", "--multirun")]


def names(group: str) -> list[str]:
    """What a user may type after `group=`."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def jobs(argv: list[str]) -> list[DictConfig]:
    """The configuration of every job that the arguments ask for: one, or those of a sweep.

    Raises:
        UserError: an argument that is no override, or a name or knob that does not exist, with the nearest that do.
    """
    sweep = "-m" in argv or "--multirun" in argv
    overrides = [word for word in argv if not word.startswith("-")]
    parsed = _parse(overrides)
    for override in parsed:
        _check_group(override)
    if not sweep and (swept := [o for o in parsed if o.is_sweep_override()]):
        word = swept[0].input_line
        listed = word.replace("=", "=[", 1) + "]"
        raise UserError(f"{word} names several values; add -m for a sweep, or write a list: {listed}")
    batches = BasicSweeper.split_arguments(parsed, None)[0] if sweep else [overrides]
    return [_compose(batch) for batch in batches]


def _parse(overrides: list[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException:
        for word in overrides:
            try:
                OverridesParser.create().parse_overrides([word])
            except OverrideParseException:
                raise UserError(f"{word!r} is no override; expected knob=value, such as r=0.5") from None
        raise


def _check_group(override: Override) -> None:
    group = override.get_key_element().lstrip("+~")
    if group not in GROUPS:
        return
    values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
    for value in values:
        if value is not None and str(value) not in names(group):
            raise UserError(f"unknown {group} {value!r}; {nearest(str(value), names(group))}")


def _compose(overrides: list[str]) -> DictConfig:
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise _unknown_knob(overrides) or UserError(one_line(error)) from None


def _unknown_knob(overrides: list[str]) -> UserError | None:
    """The error for the first override whose knob is not in the configuration that the group choices make."""
    parsed = _parse(overrides)
    chosen = [o.input_line for o in parsed if o.get_key_element() in GROUPS]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", overrides=chosen)
    except (HydraException, OmegaConfBaseException):
        return None
    known = list(_knobs(OmegaConf.to_container(cfg)))
    for override in parsed:
        key = override.get_key_element()
        if override.is_add() or key.startswith(("hydra", "+")) or key in GROUPS:
            continue
        key = key.lstrip("~")
        if key not in known and not any(name.startswith(key + ".") for name in known):
            group = key.rpartition(".")[0]
            beside = [name for name in known if name.rpartition(".")[0] == group] if override.is_delete() else known
            return UserError(f"unknown knob {key!r}; {nearest(key, beside or known)}")
    return None


def _knobs(node: dict, prefix: str = ""):
    for name, value in node.items():
        if name in RESERVED:
            continue
        yield prefix + name
        if isinstance(value, dict):
            yield from _knobs(value, f"{prefix}{name}.")


def fail(error: Exception) -> int:
    """Prints the sentence(s) of an error and returns the exit status."""
    for line in str(error).splitlines():
        print(f"error: {line}", file=sys.stderr)
    return 2


def launch(job, argv: list[str]) -> int:
    """Hands the arguments to Hydra and returns the exit status instead of exiting."""
    sys.argv = [sys.argv[0], *argv]
    try:
        job()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0
