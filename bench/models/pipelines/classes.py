"""What pipelines of diffusers take, read from their source: to import one is to import torch. No torch."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from bench.errors import UserError, nearest

CALL = "__call__"
"""The function that makes the edit."""


@dataclass(frozen=True)
class Function:
    """What one function takes.

    Attributes:
        takes: argument -> its annotation, "" where it has none.
        needs: arguments without a default.
    """

    takes: dict[str, str]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class PipelineClass:
    """
    Attributes:
        functions: its own and its bases', by name.
        optional: parts that it can do without.
    """

    name: str
    functions: dict[str, Function]
    optional: tuple[str, ...]

    @property
    def parts(self) -> Function:
        """What it is made of."""
        return self.functions["__init__"]


def version() -> str:
    """Of diffusers."""
    return metadata.version("diffusers")


def find(name: str) -> PipelineClass:
    """A pipeline of diffusers. Raises: UserError: it has none of this name."""
    known = sorted(one for one in offered() if "Pipeline" in one and not re.search("Output$|Modular", one))
    made = _read(name) if name in known else None
    if made is None or CALL not in made.functions:
        raise UserError(f"diffusers {version()} has no pipeline {name}; {nearest(name, known)}")
    return made


def check_scheduler(name: str) -> None:
    """Raises UserError where diffusers has no such scheduler."""
    known = [one for one in offered() if one.endswith("Scheduler")]
    if name not in known:
        raise UserError(f"diffusers {version()} has no {name}; {nearest(name, known)}")


@lru_cache
def offered() -> frozenset[str]:
    """Every name that can be imported from diffusers."""
    return frozenset(re.findall(r'"(\w+)"', (_package() / "__init__.py").read_text(encoding="utf-8")))


def has_module(name: str) -> bool:
    """Whether a module of pipelines brings parts of its own, as `model_index.json` names them."""
    return (_package() / "pipelines" / name).is_dir()


def _package() -> Path:
    return Path(find_spec("diffusers").origin).parent


@lru_cache
def _read(name: str) -> PipelineClass | None:
    node = _definition(name)
    if node is None:
        return None
    bases = [base for one in node.bases if (base := _read(ast.unparse(one).rpartition(".")[2]))]
    functions, optional = {}, ()
    for base in reversed(bases):
        functions |= base.functions
        optional = base.optional or optional
    for line in node.body:
        if isinstance(line, ast.FunctionDef):
            functions[line.name] = _function(line)
        elif isinstance(line, ast.Assign) and "_optional_components" in map(ast.unparse, line.targets):
            optional = tuple(ast.literal_eval(line.value))
    return PipelineClass(name, functions, optional)


def _function(node: ast.FunctionDef) -> Function:
    given = node.args
    places = [*given.posonlyargs, *given.args]
    plain = len(places) - len(given.defaults)
    needs = [one.arg for one in places[:plain]]
    needs += [one.arg for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    takes = {one.arg: ast.unparse(one.annotation) if one.annotation else "" for one in (*places, *given.kwonlyargs)}
    takes.pop("self", None)
    return Function(takes, tuple(one for one in needs if one != "self"))


def _definition(name: str) -> ast.ClassDef | None:
    if (file := _files().get(name)) is None:
        return None
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)


@lru_cache
def _files() -> dict[str, Path]:
    """Class -> the module of the package's pipelines that it is in."""
    start, found = re.compile(r"^class (\w+)", re.MULTILINE), {}
    for file in sorted((_package() / "pipelines").rglob("*.py")):
        found |= dict.fromkeys(start.findall(file.read_text(encoding="utf-8")), file)
    return found
