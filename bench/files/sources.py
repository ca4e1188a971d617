"""What a class is made of, read from its source and never imported: the `version` of the project's own classes, the
hash of all others. No torch."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import UserError
from bench.files.hashing import sha256_of

PROJECT = ("bench", "methods", "metrics")
"""The project's packages."""


def is_foreign(target: str) -> bool:
    """Whether a dotted name lies outside the project."""
    return _top(target) not in PROJECT


def class_name(target: str) -> str:
    """The last part of a class's dotted name."""
    return str(target).rpartition(".")[2]


def foreign(node: Any) -> list[str]:
    """The classes outside the project that a configuration names as `_target_`, at any depth."""
    if isinstance(node, list):
        return [name for value in node for name in foreign(value)]
    if not isinstance(node, dict):
        return []
    own = [node["_target_"]] if "_target_" in node and is_foreign(node["_target_"]) else []
    return own + [name for value in node.values() for name in foreign(value)]


def stamps(node: Any) -> list[dict[str, str]]:
    """The `stamp` of each class that `foreign` names."""
    return [stamp(target) for target in foreign(node)]


def stamp(target: str) -> dict[str, str]:
    """What tells a class outside the project from every other: `name`, its own without its module's, and `sha256`, of
    its module, its bases' modules, and the modules that these import by name from the folder or package they are in;
    not where they lie. Bases of the project count by their version, those of installed packages by their package's,
    and what belongs to Python not at all.

    A module that this process has imported keeps the hash that it had until then: its code is what runs.

    Raises:
        UserError: there is no such module, or one of them is not Python.
    """
    module = sys.modules.get(_split(target)[0].name)
    imported, digest = _known.get(target, (None, None))
    if digest is None or module is None or imported not in (None, module):
        digest = sha256_of(sorted(_made_of(target)[0]))
    _known[target] = module, digest
    return {"name": class_name(target), "sha256": digest}


_known: dict[str, tuple[ModuleType | None, str]] = {}
"""Class -> its module as far as it is imported, and its hash."""


def files(target: str) -> list[Path]:
    """The files that `stamp` reads."""
    return _made_of(target)[1]


def class_version(target: str) -> int:
    """The class attribute `version` of a class of the project, or of the nearest of its bases that has one.

    Raises:
        UserError: there is no such class, or none of them has one.
    """
    definitions = [definition for _, _, definition in _lineage(target) if definition]
    if not definitions:
        raise UserError(f"there is no class {target}; expected <module>.<class>")
    numbers = [number for definition in definitions if (number := _version(definition)) is not None]
    if not numbers:
        raise UserError(f"{target} has no version; write `version = 1` into the class, and raise it with its pixels")
    return numbers[0]


@dataclass(frozen=True)
class _Module:
    """A module and where it lies.

    Attributes:
        file: None for a package without code of its own.
        home: the folder that its outermost package, or the module itself, lies in.
    """

    name: str
    file: Path | None
    home: Path

    @property
    def installed(self) -> bool:
        return is_foreign(self.name) and self.home.name in ("site-packages", "dist-packages")


@dataclass(frozen=True)
class _Source:
    """What a module's source says.

    Attributes:
        classes: by name, wherever they are defined.
        names: dotted name of each name that is imported.
        stars: modules all of whose names are imported.
        modules: dotted names of everything imported, modules or not.
    """

    classes: dict[str, ast.ClassDef]
    names: dict[str, str]
    stars: list[str]
    modules: list[str]


def _made_of(target: str) -> tuple[set[str], list[Path]]:
    """Hashes and versions that a class is made of, and the files that were hashed."""
    pieces, read, todo = set(), {}, []
    for module, name, definition in _lineage(target):
        if not is_foreign(module.name):
            pieces.add(f"{name} {definition and _version(definition)}")
        elif module.installed:
            pieces.add(_installation(module, whole=_top(module.name) == _top(target)))
        else:
            todo.append(module)
    while todo:
        module = todo.pop()
        if module.name in read or module.file is None:
            continue
        read[module.name] = module.file
        pieces.add(hashlib.sha256(module.file.read_bytes()).hexdigest())
        names = [name for dotted in (module.name, *_source(module).modules) for name in _prefixes(dotted)]
        found = map(_locate, filter(is_foreign, names))
        todo += [other for other in found if other and other.home == module.home]
    return pieces, list(read.values())


def _lineage(target: str, seen: frozenset[str] = frozenset()) -> Iterator[tuple[_Module, str, ast.ClassDef | None]]:
    """A class and its bases: module, name, definition; also each module that only hands one on, with None. Nothing is
    read of installed packages."""
    module, name = _split(target)
    source = _source(module)
    definition = source.classes.get(name.rpartition(".")[2])
    yield module, name, definition
    for text in [_text(base) for base in definition.bases] if definition else [name]:
        first, _, rest = text.partition(".")
        places = [source.names[first]] if first in source.names else [f"{star}.{first}" for star in source.stars]
        if source.classes.get(first, definition) is not definition:
            places = [f"{module.name}.{first}"]
        for base in {f"{place}.{rest}".rstrip(".") for place in places} - seen - {target}:
            if _locate(_top(base)):
                yield from _lineage(base, seen | {target})


def _text(base: ast.expr) -> str:
    """`Base` of `Base[T]`."""
    return ast.unparse(base.value if isinstance(base, ast.Subscript) else base)


def _version(definition: ast.ClassDef) -> int | None:
    for line in definition.body:
        names = line.targets if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant) else []
        if any(isinstance(name, ast.Name) and name.id == "version" for name in names):
            return line.value.value
    return None


def _split(target: str) -> tuple[_Module, str]:
    """The module of a dotted name, and the rest.

    Raises:
        UserError: there is no such module.
    """
    for prefix in reversed(list(_prefixes(target))[:-1]):
        if module := _locate(prefix):
            return module, target.removeprefix(f"{prefix}.")
    raise UserError(
        f"{target}: Python finds no module {_top(target)!r}; expected <module>.<class>, run where the module lies or "
        "with its folder on PYTHONPATH"
    )


def _prefixes(dotted: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`."""
    parts = dotted.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _top(dotted: str) -> str:
    return dotted.partition(".")[0]


def _locate(name: str) -> _Module | None:
    """A module that is no part of Python. Only the outermost package is sought by Python's own means, which would
    import it in order to find what is in it."""
    top, *inner = name.split(".")
    try:
        spec = find_spec(top) if top not in sys.stdlib_module_names else None
    except (ImportError, ValueError):  # ValueError: the program itself
        spec = None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return _Module(name, Path(spec.origin), Path(spec.origin).parent) if spec.has_location and not inner else None
    for place in map(Path, spec.submodule_search_locations):
        base = place.joinpath(*inner)
        files = [base / "__init__.py", *(base.with_name(base.name + end) for end in (".py", *EXTENSION_SUFFIXES))]
        file = next((file for file in files if file.is_file()), None)
        if file or base.is_dir():
            return _Module(name, file, place.parent)
    return None


def _source(module: _Module) -> _Source:
    if module.installed or module.file is None or module.file.suffix != ".py":
        return _Source({}, {}, [], [])
    stat = module.file.stat()
    return _parsed(module.name, module.file, stat.st_mtime_ns, stat.st_size)


@lru_cache(1024)
def _parsed(name: str, file: Path, *_stamp: int) -> _Source:
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: not Python ({error.msg})") from None
    source = _Source({node.name: node for node in reversed(nodes) if isinstance(node, ast.ClassDef)}, {}, [], [])
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            source.modules.extend(one.name for one in node.names)
            source.names.update((one.asname, one.name) if one.asname else (_top(one.name),) * 2 for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*around, *filter(None, [node.module])])
            source.modules.extend(f"{origin}.{one.name}" for one in node.names)
            source.names.update((one.asname or one.name, f"{origin}.{one.name}") for one in node.names)
            source.stars.extend(origin for one in node.names if one.name == "*")
    return source


@lru_cache
def _installation(module: _Module, whole: bool) -> str:
    """Name and public version of the package that a module was installed with: builds for other machines are alike. If
    `whole`, the hashes of its source too: one's own package is installed again without a new version."""
    if not (names := metadata.packages_distributions().get(_top(module.name))):
        return hashlib.sha256(module.file.read_bytes()).hexdigest() if module.file else module.name
    found = metadata.distribution(names[0])
    record = (found.read_text("RECORD") or "").splitlines() if whole else []
    source = sorted(line for line in record if ".py,sha256=" in line)
    return sha256_of([names[0], found.version.partition("+")[0], source])
