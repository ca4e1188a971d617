"""What is recorded of the machine, of this program, and of code that is not its own."""

import json
import subprocess
import sys

import pytest

from bench import run
from bench.edits import environment
from bench.edits.folder import Store
from bench.files.hashing import sha256_of
from bench.files.paths import ROOT

METHOD = "import lib\n\n\nclass Same:\n    def __call__(self, model, batch, noise):\n        return lib.result(batch)\n"
LIB = "from bench.types import EditResult\n\n\ndef result(batch):\n    return EditResult(batch.images)\n"


@pytest.fixture(autouse=True)
def _afresh():
    environment.environment.cache_clear()
    yield
    environment.environment.cache_clear()


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a method of one's own and what it imports."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "same.py").write_text(METHOD)
    (folder / "lib.py").write_text(LIB)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in ("same", "lib"):
        sys.modules.pop(name, None)


def state():
    environment.environment.cache_clear()
    (found,) = environment.environment("same.Same")["code"]
    assert found["name"] == "Same"
    assert len(found["sha256"]) == 64
    return found["commit"], found["dirty"]


def test_an_installed_program_has_a_version_and_not_the_commit_of_a_repository_around_it(monkeypatch):
    monkeypatch.setattr(environment, "ROOT", ROOT / "bench")  # inside a checkout and no checkout, as in a user's .venv
    found = environment.environment()
    assert found["commit"] is None
    assert not found["dirty"]
    assert "edit-bench" in found["packages"]


def test_the_state_of_code_of_ones_own_is_that_of_its_own_repository(own):
    assert state() == (None, None)
    git(own, "init", "-q")
    (own / "notes.txt").write_text("no code")
    git(own, "add", "same.py")
    git(own, "commit", "-qm", "one")
    assert state() == (git(own, "rev-parse", "HEAD"), True)  # what it imports was never committed
    git(own, "add", "lib.py")
    git(own, "commit", "-qm", "two")
    assert state() == (git(own, "rev-parse", "HEAD"), False)
    (own / "lib.py").write_text(LIB + "# other\n")
    assert state() == (git(own, "rev-parse", "HEAD"), True)
    (own / ".gitignore").write_text("lib.py\n")
    git(own, "rm", "-q", "--cached", "lib.py")
    git(own, "commit", "-qm", "three")
    assert state() == (git(own, "rev-parse", "HEAD"), True)


def test_code_of_the_project_that_was_never_committed_is_a_local_change(tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    for name in environment.CODE:
        (checkout / name).mkdir(parents=True)
        (checkout / name / "a.py").write_text("1\n")
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "one")
    monkeypatch.setattr(environment, "ROOT", checkout)
    (checkout / "results").mkdir()
    (checkout / "results/picture.png").write_bytes(b"")  # no code
    assert environment.environment()["dirty"] is False
    environment.environment.cache_clear()
    (checkout / "methods/new.py").write_text("1\n")
    found = environment.environment()
    assert (found["commit"], found["dirty"]) == (git(checkout, "rev-parse", "HEAD"), True)


def test_a_run_keeps_each_environment_in_a_file_of_its_own(own, tmp_path, monkeypatch):
    words = ["method=custom", "method._target_=same.Same", "metrics=pixel", f"out={tmp_path / 'out'}"]
    assert run.main([*words, "limit=1"]) == 0
    (folder,) = (tmp_path / "out/shapes/Same").iterdir()
    (first,) = Store(folder).environments()
    assert [one["name"] for one in first["code"]] == ["Same"]
    (file,) = (folder / "env").iterdir()
    assert file.stem == sha256_of(first)[:16]
    stamp = file.stat().st_mtime_ns
    assert run.main([*words, "limit=2"]) == 0
    monkeypatch.setattr(environment.platform, "python_version", lambda: "4.0")
    environment.environment.cache_clear()
    assert run.main([*words, "limit=3"]) == 0
    assert {one["python"] for one in Store(folder).environments()} == {first["python"], "4.0"}
    assert file.stat().st_mtime_ns == stamp


def test_environments_of_earlier_versions_are_read(tmp_path):
    old = {"commit": "a" * 40, "dirty": False, "device": "cpu"}
    (tmp_path / "env.json").write_text(json.dumps([old]))
    store = Store(tmp_path)
    assert store.environments() == [old]
    (tmp_path / "env").mkdir()
    (tmp_path / "env/x.json").write_text(json.dumps(old | {"dirty": True}))
    assert [one["dirty"] for one in store.environments()] == [False, True]
    assert Store(tmp_path / "nowhere").environments() == []
