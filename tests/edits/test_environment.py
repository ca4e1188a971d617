"""What is recorded of the machine and of this program."""

from bench.edits import environment
from bench.files.paths import ROOT


def test_an_installed_program_has_a_version_and_not_the_commit_of_a_repository_around_it(monkeypatch):
    monkeypatch.setattr(environment, "ROOT", ROOT / "bench")  # inside a checkout and no checkout, as in a user's .venv
    found = environment.environment()
    assert found["commit"] is None
    assert not found["dirty"]
    assert "edit-bench" in found["packages"]
