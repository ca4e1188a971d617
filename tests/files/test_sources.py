"""What a class outside the project is made of: which edits of its source change its hash, and which do not."""

import shutil
import sys
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from bench.errors import UserError
from bench.files import sources

FILES = {
    "sourced/__init__.py": "",
    "sourced/mod.py": "import abc\nfrom .base import Base\nfrom . import helper\n\n\nclass Editor(Base, abc.ABC): 1\n",
    "sourced/base.py": "from beside import Root\n\n\nclass Base(Root):\n    pass\n",
    "sourced/helper.py": "def f():\n    from sourced.deep import late\n",
    "sourced/deep/__init__.py": "",
    "sourced/deep/late.py": "from sourced import mod  # a circle\n",
    "sourced/unused.py": "1\n",
    "beside.py": "class Root:\n    pass\n",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes the files of a package, some of them changed; it is found and never imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(**changed):
        for name, text in (FILES | changed).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    written()
    yield written
    assert "sourced" not in sys.modules


def hashed(target="sourced.mod.Editor"):
    return sources.stamp(target)["sha256"]


@pytest.mark.parametrize("name", [name for name in FILES if name != "sourced/unused.py"])
def test_every_module_that_it_is_made_of_counts(write, name):
    before = hashed()
    write(**{name: FILES[name] + "# other\n"})
    assert hashed() != before
    write()
    assert hashed() == before


def test_what_it_does_not_import_and_where_it_lies_do_not_count(write, tmp_path):
    before = hashed()
    write(**{"sourced/unused.py": "2\n"})
    assert hashed() == before
    assert sources.stamp("sourced.mod.Editor")["name"] == "Editor"
    assert {file.relative_to(tmp_path).as_posix() for file in sources.files("sourced.mod.Editor")} == FILES.keys() - {
        "sourced/unused.py"
    }


def test_what_it_is_called_and_where_it_lies_does_not_count(write, tmp_path):
    write(**{"alone.py": "import beside\n\n\nclass Alone:\n    pass\n"})
    (tmp_path / "pack").mkdir()
    shutil.copy(tmp_path / "alone.py", tmp_path / "pack/other.py")
    assert sources.stamp("pack.other.Alone") == sources.stamp("alone.Alone")


def test_a_class_handed_on_is_that_of_its_module(write):
    write(**{"sourced/__init__.py": "from .mod import *\n"})
    before = hashed("sourced.Editor")
    write(**{"sourced/__init__.py": "from .mod import *\n", "beside.py": "class Root:\n    x = 1\n"})
    assert hashed("sourced.Editor") != before


def test_bases_of_the_project_count_by_their_version(write, monkeypatch):
    write(**{"theirs.py": "from methods import ddim\n\n\nclass Mine(ddim.DDIM):\n    pass\n"})
    before = hashed("theirs.Mine")
    assert [file.name for file in sources.files("theirs.Mine")] == ["theirs.py"]
    monkeypatch.setattr(sources, "_version", lambda definition: 7 if definition.name == "DualBranch" else 1)
    assert hashed("theirs.Mine") != before


def test_a_base_may_have_the_same_name(write, monkeypatch):
    write(**{"theirs.py": "from methods.ddim import DDIM\n\n\nclass DDIM(DDIM): ...\n"})
    before = hashed("theirs.DDIM")
    monkeypatch.setattr(sources, "_version", lambda definition: 7)
    assert hashed("theirs.DDIM") != before


def test_bases_of_installed_packages_count_by_their_package(write, monkeypatch):
    write(**{"net.py": "import torch\n\n\nclass Net(torch.nn.Module):\n    pass\n"})
    before = hashed("net.Net")
    assert [file.name for file in sources.files("net.Net")] == ["net.py"]
    monkeypatch.setattr(sources, "_installation", lambda module, whole: f"{module.name} 99")
    assert hashed("net.Net") != before


def test_an_installed_class_counts_by_what_was_installed(monkeypatch):
    target = "torchmetrics.image.PeakSignalNoiseRatio"
    before = hashed(target)
    assert sources.files(target) == []
    monkeypatch.setattr(sources, "_known", {})
    assert hashed(target) == before
    again = SimpleNamespace(version=version("torchmetrics"), read_text=lambda name: "a.py,sha256=other,1")
    monkeypatch.setattr(sources.metadata, "distribution", lambda name: again)
    monkeypatch.setattr(sources, "_known", {})
    sources._installation.cache_clear()
    assert hashed(target) != before
    sources._installation.cache_clear()


def test_a_compiled_module_counts_by_its_bytes(write, tmp_path):
    file = tmp_path / f"fast{sources.EXTENSION_SUFFIXES[0]}"
    file.write_bytes(b"one")
    before = hashed("fast.Editor")
    file.write_bytes(b"two")
    assert hashed("fast.Editor") != before


def test_what_was_imported_keeps_its_hash(write, tmp_path, monkeypatch):
    """Its code is what runs, whatever its file says by now."""
    before = hashed("beside.Root")
    monkeypatch.setitem(sys.modules, "beside", sys)
    monkeypatch.setattr(sources, "_locate", lambda name: sources._Module(name, tmp_path / "beside.py", tmp_path))
    write(**{"beside.py": "2\n"})
    assert hashed("beside.Root") == before
    monkeypatch.delitem(sys.modules, "beside")
    assert hashed("beside.Root") != before


def test_versions_are_read_and_inherited(write):
    assert sources.class_version("methods.ddim.DDIM") == 1
    text = "class A:\n    version = 3\n\n\nclass B(A): ...\n\n\nclass C(B):\n    version = 4\n\n\nclass D: ...\n"
    write(**{"v.py": text})
    assert [sources.class_version(f"v.{name}") for name in "ABC"] == [3, 3, 4]
    with pytest.raises(UserError, match=r"v\.D has no version; write `version = 1` into the class"):
        sources.class_version("v.D")
    with pytest.raises(UserError, match=r"there is no class v\.E"):
        sources.class_version("v.E")


@pytest.mark.parametrize("target", ["nowhere.Thing", "Thing", "types.SimpleNamespace"])
def test_what_is_no_module_of_ones_own_is_said(target):
    with pytest.raises(UserError, match="Python finds no module"):
        sources.stamp(target)


def test_what_is_not_python_is_said(write):
    write(**{"sourced/helper.py": "def\n"})
    with pytest.raises(UserError, match=r"sourced/helper\.py, line 1: not Python"):
        hashed()


def test_classes_are_found_at_any_depth():
    node = {"_target_": "mine.A", "x": {"_target_": "metrics.B", "y": [{"_target_": "mine.C"}]}}
    assert sources.foreign(node) == ["mine.A", "mine.C"]
