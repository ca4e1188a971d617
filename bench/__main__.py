"""The commands, with what each is for: `python -m bench` lists them, `python -m bench run ...` is `bench.run ...`."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

from bench.config.command import HELP, guarded
from bench.errors import nearest

FOLDER = Path(__file__).parent


def commands() -> dict[str, str]:
    """Name -> what it is for, of every module and package here that can be run; read, not imported."""
    files = {file.stem: file for file in FOLDER.glob("*.py") if not file.stem.startswith("_")}
    files |= {file.parent.name: file for file in FOLDER.glob("*/__main__.py")}
    trees = {name: ast.parse(file.read_text()) for name, file in sorted(files.items())}
    return {name: _purpose(tree) for name, tree in trees.items() if _runs(tree)}


def _runs(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def _purpose(tree: ast.Module) -> str:
    """The docstring's first sentence, up to a colon if it has one, in a line."""
    text = " ".join(ast.get_docstring(tree).split())
    return re.split(r"(?<=[.?]) |: ", text)[0].removesuffix(".")


@guarded
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    known = commands()
    if name in (*HELP, "list"):
        width = max(map(len, known))
        print("\n".join(f"python -m bench.{name:{width}}  {purpose}" for name, purpose in known.items()))
        return 0
    if name not in known:
        print(f"error: unknown command {name!r}; {nearest(name, list(known))}", file=sys.stderr)
        return 2
    package = (FOLDER / name).is_dir()
    return import_module(f"bench.{name}" + (".__main__" if package else "")).main(words)


if __name__ == "__main__":
    sys.exit(main())
