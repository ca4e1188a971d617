"""What may lie where, and what may import what."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from bench.files.paths import ROOT

PACKAGES = ("bench", "methods", "metrics", "scripts")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


TREES = {_name(file): ast.parse(file.read_text()) for file in FILES}


def _imports(module: str) -> set[str]:
    """What a module imports anywhere in it, in functions and under TYPE_CHECKING too: `from package import module`
    names the module, `from module import thing` the module."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & TREES.keys()) | ({node.module} if inner - TREES.keys() else set())
    return found


IMPORTS = {module: _imports(module) for module in TREES}


def _is_in(module: str, *packages: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _arrows(sources: tuple[str, ...], targets: tuple[str, ...], but: tuple[str, ...] = ()) -> list[str]:
    """Imports that lead from modules of some packages to some others, except to some of these."""
    return [
        f"{module} -> {name}"
        for module, names in IMPORTS.items()
        if _is_in(module, *sources)
        for name in sorted(names)
        if _is_in(name, *targets) and not _is_in(name, *but)
    ]


# --- what may import what ---


def test_no_import_circle():
    arrows = {module: names & TREES.keys() for module, names in IMPORTS.items()}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


PURE = ("bench.types", "bench.errors", "bench.diffusion", "bench.statistics")


def test_methods_and_metrics_know_no_runner():
    """They import types, errors and pure mathematics, and so do these."""
    assert not _arrows(("methods", "metrics", *PURE), ("bench",), but=PURE)


def test_bench_reaches_methods_and_metrics_through_configurations_alone():
    assert not _arrows(("bench",), ("methods", "metrics"))


def test_what_is_installed_imports_nothing_that_is_not():
    assert not _arrows(("bench", "methods", "metrics"), ("scripts", "tests"))


def test_editing_knows_no_scores_and_scoring_no_report():
    assert not _arrows(("bench.edits",), ("bench.scores", "bench.report"))
    assert not _arrows(("bench.scores",), ("bench.report", "bench.claims", "bench.reproduce"))


def test_stored_scores_have_one_reader():
    """No module but those of `bench.scores` spells the names of their files."""
    spelled = re.compile(r'"[*/]*(summary|per_image)\.')
    found = {_name(file) for file in FILES if spelled.search(file.read_text())}
    assert {name for name in found if not _is_in(name, "bench.scores")} == set()


def test_networks_of_libraries_are_behind_models_and_backbones():
    found = _arrows(("bench", "methods"), ("diffusers", "transformers"))
    allowed = ("bench.models", "methods.cross_attention_control")  # its scheduler is the library's
    assert not [arrow for arrow in found if not _is_in(arrow.split()[0], *allowed)]


def test_files_need_no_torch():
    """Neither they nor what they import."""
    reached, due = set(), [module for module in TREES if _is_in(module, "bench.files")]
    while due:
        reached.add(module := due.pop())
        due += (IMPORTS[module] & TREES.keys()) - reached
    heavy = ("torch", "torchvision", "safetensors.torch")
    assert not [f"{module} -> {name}" for module in reached for name in IMPORTS[module] if _is_in(name, *heavy)]


def test_files_are_written_in_one_place():
    """Whoever writes does it within what says why it cannot be done, and leaves nothing half-written."""
    calls = (r"\.write_(text|bytes)\(", r"\.mkdir\(", r"\.to_csv\(\w", r"savefig\(", r"os\.replace\(", "mkdtemp")
    writes = re.compile("|".join([*calls, r"[\"'][wa]b?[\"']\)"]))
    allowed = {"bench.files.write", "bench.files.refused", "bench.report.write"}
    for file in FILES:
        if _is_in(_name(file), "bench") and _name(file) != "bench.files.write" and writes.search(file.read_text()):
            assert IMPORTS[_name(file)] & allowed, file


def test_metrics_and_methods_open_no_files():
    """They are handed what they need; backbones load from a path they are given, through a library."""
    for file in FILES:
        if file.relative_to(ROOT).parts[0] in ("methods", "metrics"):
            assert "open(" not in file.read_text().replace("Image.open(", ""), file


# --- what may lie where ---


def test_beside_the_packages_of_bench_lie_its_commands_and_little_else():
    commands = {"run", "prepare", "score", "compare", "oracle", "inception_stats", "export_flexit"}
    names = {path.name for path in (ROOT / "bench").iterdir() if path.is_file()}
    assert names <= {f"{stem}.py" for stem in {"__init__", "__main__", "api", "errors"} | commands}


def test_every_package_says_what_it_is_for():
    for folder in {file.parent for file in FILES}:
        package = folder.relative_to(ROOT).as_posix().replace("/", ".")
        assert ast.get_docstring(TREES.get(package, ast.Module([]))), package


def test_no_module_of_bench_is_long():
    lengths = {file: len(file.read_text().splitlines()) for file in (ROOT / "bench").rglob("*.py")}
    assert not {file: lines for file, lines in lengths.items() if lines > 300}


def test_tests_follow_the_tree():
    for folder in {file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").rglob("test_*.py")}:
        assert (ROOT / "bench" / folder).is_dir() or folder.parts[0] in ("methods", "metrics", "scripts"), folder
    subjects = [*(ROOT / "bench").glob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    known = {f"test_{file.stem.strip('_').lower()}" for file in subjects} | {"test_house"}
    assert {file.stem for file in (ROOT / "tests").glob("test_*.py")} <= known


# --- commands that are named exist ---


def _commands(folder: str, *endings: str) -> set[str]:
    """Modules after `python -m` in the files under a folder."""
    files = [file for file in (ROOT / folder).rglob("*") if file.suffix in endings and file.is_file()]
    return {name for file in files for name in re.findall(r"python -m ((?:bench|scripts)\.\w+)", file.read_text())}


def test_every_command_that_is_named_exists():
    pages = "\n".join((ROOT / name).read_text() for name in ("README.md", "Makefile", ".ci/run"))
    named = set(re.findall(r"-m ((?:bench|scripts)\.\w+)", pages)) | _commands("docs", ".md")
    named |= set().union(*(_commands(name, ".py", ".yaml", ".md", ".js", ".html") for name in (*PACKAGES, "conf")))
    assert len(named) > 10
    for name in named:
        tree = TREES.get(f"{name}.__main__") or TREES.get(name)
        assert tree, f"python -m {name} does not exist"
        assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body), name


def test_messages_and_configurations_name_no_command_that_is_not_installed():
    for folder in ("bench", "methods", "metrics", "conf"):
        assert not [name for name in _commands(folder, ".py", ".yaml") if name.startswith("scripts.")], folder
