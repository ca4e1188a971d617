"""The command line before Hydra sees it: argument order, names that do not exist, every job of a sweep composed."""

import os
import re
import shlex
import sys
import traceback
from contextlib import suppress

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError

from bench.config import files, words
from bench.config.advice import unknown_knob
from bench.config.knobs import CONF, GROUPS, names
from bench.config.validate import RESERVED
from bench.errors import UserError, close, nearest, one_line
from bench.files import sources
from bench.files.paths import folder_name

RESOLVERS = {
    "otherwise": lambda value, default: default if value is None else value,
    "class_name": sources.class_name,
    "folder_name": folder_name,
}
"""`${name:...}` in `conf/`; the latter two give a name to what has none of its own."""
for resolver, function in RESOLVERS.items():
    OmegaConf.register_new_resolver(resolver, function, replace=True)
LISTS = ("data.types", "model.clips", "metrics.table")
"""Knobs whose value is a list."""
FLAGS = ("-m", "--multirun")


def sweeps(argv: list[str]) -> bool:
    """Whether the words ask for a sweep."""
    return any(word in FLAGS for word in argv)


def flags_first(argv: list[str]) -> list[str]:
    """Moves -m/--multirun before the overrides: Hydra 1.3 refuses a flag between them."""
    return [word for word in argv if word in FLAGS][:1] + [word for word in argv if word not in FLAGS]


def as_hydra_reads(argv: list[str]) -> list[str]:
    """The arguments in the order that Hydra takes, their paths in quotes.

    Raises:
        UserError: a path that is empty or no text.
    """
    argv = flags_first(argv)
    return [_as_typed(word, argv[0] in FLAGS) for word in argv]


def _as_typed(typed: str, sweep: bool) -> str:
    word = words.word(typed)
    if word is None or not word.names_path:
        if word and word.knob not in GROUPS:
            words.check_value(word.mark + word.knob, word.value)
        return typed
    knob = f"{word.knob}="
    if word.knob == "out":  # where results go is one folder, commas or not
        found = [words.path(word.value, knob)]
        try:
            OmegaConf.create(found)
        except GrammarParseError:  # Hydra notes it down
            raise UserError(f"{knob}{found[0]} holds a ${{ without its }}; choose another name") from None
    elif (listed := words.listed(word.value)) is not None:
        return f"{word.mark}{knob}[{','.join(map(_quoted, words.paths(listed, knob)))}]"
    else:
        found = words.paths(word.value, knob) if sweep else [words.path(word.value, knob)]
    return f"{word.mark}{knob}" + ",".join(map(_quoted, found))


def _quoted(path: str) -> str:
    """For Hydra, and for OmegaConf, which would fill in `${...}`; only variables of the shell are meant by that
    and, at the start, the model's folder, which items name."""
    text = re.sub(r"(\\*)\$\{(?!oc\.env:|(?<=^\$\{)model\.path\})", r"\1\1\\${", path)
    return QuotedString(text, Quote.single).with_quotes()


def jobs(argv: list[str], sweeps: bool = True) -> list[DictConfig]:
    """The configuration of every job that the arguments ask for: one, or those of a sweep.

    Args:
        sweeps: whether the command takes -m.

    Raises:
        UserError: an argument that is no override, or a name or knob that does not exist, with the nearest that do.
    """
    argv = as_hydra_reads(argv)
    sweep = argv[:1] in ([flag] for flag in FLAGS)
    overrides = argv[sweep:]
    check_flags(argv, FLAGS if sweeps else ())
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            parsed = _parse(overrides)
            for override in parsed:
                _check_group(override)
                _check_added(override, overrides)
            if not sweep:
                _refuse_several(parsed, sweeps)
            batches = BasicSweeper.split_arguments(parsed, None)[0] if sweep else [overrides]
            return [_compose(batch) for batch in batches]
    except UserError:
        raise
    except Exception as error:  # Hydra's own come in many kinds
        raise _reason(overrides, error) from error


def check_flags(argv: list[str], known: tuple[str, ...]) -> None:
    """Raises UserError for a flag that is none of the known ones."""
    if flags := [word for word in argv if word.startswith("-") and word not in known]:
        bare = flags[0].lstrip("-")
        sweep = ", or -m, for a sweep" if "-m" in known else ""
        raise UserError(f"unknown flag {flags[0]}; knobs have no dashes: {bare if '=' in bare else 'r=0.5'}{sweep}")


def check_single(argv: list[str]) -> None:
    """Raises UserError for an override of several values, for a command that takes no -m."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        _refuse_several(_parse(as_hydra_reads(argv)), sweeps=False)


def _refuse_several(parsed: list[Override], sweeps: bool) -> None:
    if swept := [override for override in parsed if override.is_sweep_override()]:
        raise UserError(_advice(swept[0], sweeps))


def _parse(overrides: list[str]) -> list[Override]:
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # which knows the names that glob() is over
    found = []
    for typed in overrides:
        try:
            found += parser.parse_overrides([typed])
        except OverrideParseException:
            raise UserError(_unreadable(typed, parser)) from None
    return found


def _unreadable(typed: str, parser: OverridesParser) -> str:
    """What is wrong with an override that Hydra cannot read, and the quoting that works where there is one."""
    if word := words.word(typed):
        text = QuotedString(word.value, Quote.double).with_quotes()
        with suppress(HydraException):
            parser.parse_overrides([quoted := f"{word.mark}{word.knob}={text}"])
            return f"{typed!r} has characters with a meaning of their own; if they are text, type {shlex.quote(quoted)}"
    return f"{typed!r} is no override; expected knob=value, such as r=0.5"


def _check_group(override: Override) -> None:
    group = override.get_key_element().lstrip("+~")
    if group not in GROUPS or override.is_delete():
        return
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    for value in values:
        if isinstance(value, list):
            listed = ",".join(map(str, value))
            raise UserError(f"{group} takes no list; several are a sweep, which bench.run makes: -m {group}={listed}")
        name = "null" if value is None else str(value)
        if name not in names(group):
            found = [file for file in (CONF / "paper").glob("*/*.yaml") if group == "experiment" and file.stem == name]
            if len(found) == 1:
                item = f"{found[0].parent.name}/{name}"
                raise UserError(f"experiment={name} is many runs, not one: python -m bench.reproduce {item}")
            raise UserError(f"unknown {group} {name!r}; {nearest(name, names(group))}")
        files.read(CONF / group / f"{name}.yaml")  # Hydra takes a list, or a word, without a word


def _check_added(override: Override, overrides: list[str]) -> None:
    """Raises UserError for a new knob at the top, which nothing would read but another knob's `${...}`."""
    name = override.get_key_element().lstrip("+")
    top = name.split(".")[0]
    if not override.is_add() or top in (*GROUPS, "hydra") or any(f"${{{top}" in typed for typed in overrides):
        return
    known = [key for key in OmegaConf.to_container(_compose([])) if key != "valid"]
    if top not in known:
        meant = f"did you mean {found[0]}=, or" if (found := close(top, known)) else "did you mean"
        raise UserError(f"{override.input_line}: there is no knob {top!r} at the top; {meant} +method.{name}=?")


def _advice(swept: Override, sweeps: bool) -> str:
    """What to type instead of a word with several values and no -m."""
    typed, knob = swept.input_line, swept.get_key_element().lstrip("+")
    ways = ["add -m for a sweep"] if sweeps else []
    if knob not in GROUPS and swept.value_type == ValueType.SIMPLE_CHOICE_SWEEP:
        start, _, value = typed.partition("=")
        cfg = _compose([])
        if knob.startswith("method.") or knob in cfg.method or knob in LISTS:
            ways.append(f"write a list: {start}=[{value}]")
    return f"{typed} names several values; {', or '.join(ways) or 'name one'}"


def _compose(overrides: list[str]) -> DictConfig:
    return compose("config", overrides=overrides)


def _reason(overrides: list[str], error: Exception) -> UserError:
    """The error for what a configuration cannot be composed of: a file, a knob that is not in the configuration that
    the group choices make, else as Hydra says it."""
    for folder in ("", *GROUPS):
        for file in sorted((CONF / folder).glob("*.yaml")):
            files.read(file)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            parsed = _parse(overrides)
            chosen = [o.input_line for o in parsed if o.get_key_element() in GROUPS and not o.is_sweep_override()]
            cfg = _compose(chosen)
    except Exception:
        return UserError(one_line(error))
    composed = OmegaConf.to_container(cfg)
    known = list(_knobs(composed))
    for override in parsed:
        key = override.get_key_element()
        if override.is_add() or key.startswith(("hydra", "+")) or key in GROUPS:
            continue
        key = key.lstrip("~")
        if key not in known and not any(name.startswith(key + ".") for name in known):
            return UserError(unknown_knob(key, override.input_line, known, composed))
    return UserError(one_line(error))


def _knobs(node: dict, prefix: str = ""):
    for name, value in node.items():
        if name in RESERVED:
            continue
        yield prefix + name
        if isinstance(value, dict):
            yield from _knobs(value, f"{prefix}{name}.")


def fail(error: Exception) -> int:
    """Prints the sentence(s) of an error and returns the exit status; with HYDRA_FULL_ERROR=1, as Hydra itself, also
    where it comes from."""
    if error.__cause__ and os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error.__cause__)
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
    return 0
