import hashlib
from pathlib import Path

import huggingface_hub.constants
import pytest

from bench.errors import UserError
from bench.files import weights
from bench.files.paths import ROOT

CONTENT = b"\x80not really a network, but it begins like one"
SUFFIX = hashlib.sha256(CONTENT).hexdigest()[:8]
NAME = f"alexnet-owt-{SUFFIX}.pth"
ENTRY = {"path": None, "file": NAME, "source": "https://example.org/alexnet.pth"}


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (folder := tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return folder


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A hub cache with nothing in it; the hub library reads the environment only when imported."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_file_in_torchs_folder(torch_home):
    (torch_home / NAME).write_bytes(CONTENT)
    assert weights.locate("alexnet", ENTRY) == torch_home / NAME


def test_torchs_folder_is_where_torch_looks(tmp_path, monkeypatch):
    for name, value, expected in [
        ("TORCH_HOME", tmp_path / "a", tmp_path / "a"),
        ("XDG_CACHE_HOME", tmp_path / "b", tmp_path / "b/torch"),
        ("HOME", tmp_path / "c", tmp_path / "c/.cache/torch"),
    ]:
        with monkeypatch.context() as patch:
            for other in ("TORCH_HOME", "XDG_CACHE_HOME"):
                patch.delenv(other, raising=False)
            patch.setenv(name, str(value))
            (expected / "hub/checkpoints").mkdir(parents=True)
            (expected / "hub/checkpoints" / NAME).write_bytes(CONTENT)
            assert weights.locate("alexnet", ENTRY) == expected / "hub/checkpoints" / NAME


def test_missing_file_names_the_place_and_the_command(torch_home):
    with pytest.raises(UserError) as caught:
        weights.locate("alexnet", ENTRY)
    message = str(caught.value)
    assert f"{NAME} was sought in {torch_home}" in message
    assert f"curl -L --create-dirs -o {torch_home / NAME} {ENTRY['source']}" in message
    assert "metrics.weights.alexnet.path=" in message


def test_wrong_file_is_refused(torch_home):
    (torch_home / NAME).write_bytes(CONTENT + b"!")
    with pytest.raises(UserError, match=f"does not start with {SUFFIX}"):
        weights.locate("alexnet", ENTRY)


def test_name_without_a_hash_is_taken_as_it_is(torch_home):
    (torch_home / "inception_stats_256.pt").write_bytes(CONTENT)
    entry = ENTRY | {"file": "inception_stats_256.pt"}
    assert weights.locate("statistics", entry | {"hashed": False}) == torch_home / "inception_stats_256.pt"


def test_given_path_wins(torch_home, tmp_path):
    (torch_home / NAME).write_bytes(CONTENT)
    (tmp_path / "mine.pth").write_bytes(b"mine")
    assert weights.locate("alexnet", ENTRY | {"path": str(tmp_path / "mine.pth")}) == tmp_path / "mine.pth"


def test_given_path_may_be_relative_to_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert weights.locate("judge", {"path": "metrics/judge.py"}) == ROOT / "metrics/judge.py"


def test_given_path_that_is_not_there_is_no_reason_to_look_elsewhere(torch_home, tmp_path):
    (torch_home / NAME).write_bytes(CONTENT)
    with pytest.raises(
        UserError, match=rf"metrics\.weights\.alexnet\.path=.*nowhere does not exist; expected .*{NAME}"
    ):
        weights.locate("alexnet", ENTRY | {"path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError) as caught:
        weights.locate("judge", {"path": str(tmp_path / "nowhere")})
    assert "None" not in str(caught.value)


def test_hub_model_that_is_not_cached(hub_cache):
    with pytest.raises(UserError) as caught:
        weights.locate("clip", {"path": None, "hub": "openai/clip-vit-large-patch14"})
    message = str(caught.value)
    assert "`hf download openai/clip-vit-large-patch14`" in message
    assert f"sought in the hub cache {hub_cache}" in message
    assert "metrics.weights.clip.path=" in message


def test_hub_model_that_is_cached(hub_cache):
    model = hub_cache / "models--some--clip"
    (model / "snapshots/abc").mkdir(parents=True)
    (model / "snapshots/abc/config.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs/main").write_text("abc")
    assert weights.locate("clip", {"path": None, "hub": "some/clip"}) == Path(model / "snapshots/abc")


def test_every_missing_backbone_is_listed(torch_home, hub_cache):
    (torch_home / NAME).write_bytes(CONTENT)
    profile = {
        "weights": {"here": ENTRY, "there": ENTRY | {"file": "vgg16-00000000.pth"}, "clip": {"hub": "some/clip"}}
    }
    problems = weights.missing(profile)
    assert len(problems) == 2
    assert "vgg16-00000000.pth" in problems[0]
    assert "some/clip" in problems[1]


def test_profile_without_backbones_misses_none():
    assert weights.missing({"weights": None}) == weights.missing({}) == []


def test_stated_hash_is_verified_where_the_name_has_none(torch_home):
    entry = {"path": None, "file": "dinov2.pth", "source": "x", "sha256": hashlib.sha256(CONTENT).hexdigest()}
    (torch_home / "dinov2.pth").write_bytes(CONTENT)
    assert weights.locate("dinov2", entry) == torch_home / "dinov2.pth"
    (torch_home / "dinov2.pth").write_bytes(CONTENT + b"!")
    with pytest.raises(UserError, match="is not the official file"):
        weights.locate("dinov2", entry)


def test_random_weights_only_where_they_make_sense():
    assert weights.locate("alexnet", ENTRY | {"path": "random", "random": True}) == Path("random")
    with pytest.raises(UserError, match="clip cannot be random"):
        weights.locate("clip", {"path": "random", "hub": "some/clip"})
    assert weights.fingerprints({"weights": {"a": ENTRY | {"path": "random", "random": True}}}) == {"a": "random"}


def test_what_may_not_compare_is_told(torch_home, tmp_path):
    (torch_home / NAME).write_bytes(CONTENT)
    (mine := tmp_path / "mine.pth").write_bytes(b"mine")
    (right := tmp_path / "right.pth").write_bytes(CONTENT)
    profile = {
        "found": ENTRY,
        "right": ENTRY | {"path": str(right)},
        "mine": ENTRY | {"path": str(mine)},
        "unknown": ENTRY | {"path": str(mine), "hashed": False},
        "clip": {"hub": "some/clip", "path": str(tmp_path)},
        "dice": ENTRY | {"path": "random", "random": True},
        "judge": {"path": "metrics/judge.py"},
    }
    assert weights.doubts({"weights": profile}) == {
        "mine": "not the official file",
        "unknown": "named outright and not verified",
        "clip": "named outright and not verified",
        "dice": "random",
    }


def test_folder_for_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder; expected a file such as"):
        weights.locate("alexnet", ENTRY | {"path": str(tmp_path)})
