"""Reading annotation files, and saying in a sentence what is wrong with one."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from bench.errors import UserError, one_line
from bench.files.tensors import check_text


def read_json(file: Path, kind: type, source: str) -> Any:
    """The content of a JSON file whose top level is a `kind`.

    Args:
        source: where a sound copy comes from.

    Raises:
        UserError: it cannot be read, is cut off, no JSON, not UTF-8, names a key twice, or is something else.
    """
    again = f"get it again from {source}"
    text = read_text(file, again)
    try:
        value = parsed(text)
    except RepeatedKeyError as error:
        raise UserError(f"{file} has the key {error.args[0]!r} twice; ids must differ") from None
    except ValueError as error:
        raise UserError(f"{file} is no whole JSON file ({error}); {again}") from None
    if not isinstance(value, kind):
        raise UserError(f"{file} holds a {type(value).__name__}, expected a {kind.__name__}; get it from {source}")
    return value


def read_yaml(file: Path, kind: type, source: str) -> Any:
    """The content of a YAML file whose top level is a `kind`; see `read_json`. Values that go over several lines have
    them joined as YAML says.

    Raises:
        UserError: it cannot be read, is no YAML, not UTF-8, names a key twice, or is something else.
    """
    again = f"get it again from {source}"
    text = read_text(file, again)
    try:
        value = yaml.load(text, get_yaml_loader())  # which refuses a key that is there twice
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no whole YAML file ({one_line(error)}); {again}") from None
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UserError(f"{file} is no whole YAML file ({why}); {again}") from None
    if not isinstance(value, kind):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise UserError(f"{file} holds {found}, expected a {kind.__name__}; get it from {source}")
    return value


def read_text(file: Path, again: str) -> str:
    """The content of a text file, without the byte order mark that some editors put first.

    Args:
        again: what to do about one that is not as it was handed out.

    Raises:
        UserError: it cannot be read, is not UTF-8, or is a pointer or a web page.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); {again}") from None
    if content:
        check_text(file, content[:64])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 ({error}); {again}") from None


def parsed(text: str) -> Any:
    """What JSON says. Raises: ValueError: it is none, or nested too deeply; RepeatedKeyError: it names a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def field(record: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A field of a record.

    Raises:
        UserError: naming the file and record (`where`) that lacks it or has something else there.
    """
    if not isinstance(record, dict) or name not in record:
        raise UserError(f"{where}: field {name!r} is missing")
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(f"{where}: {name} is {value!r:.80}; expected {kinds}")
    return value


def inside(folder: Path, path: str, where: str) -> Path:
    """`folder / path`, for a path that an annotation file names. Links inside the folder may lead anywhere: they are
    the user's own.

    Raises:
        UserError: the path leaves the folder.
    """
    root = os.path.abspath(folder)
    full = os.path.normpath(os.path.join(root, path))
    if os.path.isabs(path) or os.path.commonpath([root, full]) != root:
        raise UserError(f"{where}: the path {path!r} leaves {folder}; it is not read")
    return folder / path


class RepeatedKeyError(ValueError):
    """A JSON object names the key twice that is the first argument."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return made
