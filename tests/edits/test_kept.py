"""Inversions that one method leaves for the next."""

import json

import pytest
import torch

from bench import run
from bench.edits import kept as cache
from bench.files import sources
from bench.types.bill import Shared

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _empty():
    cache.forget()
    yield
    cache.forget()


def journal(out, method):
    (file,) = out.glob(f"shapes/{method}/*/edits-0of1.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def edit(out, method, where, *words):
    common = ["steps=4", "limit=3", "metrics=pixel", f"out={out}", f"cache={where}"]
    assert run.main([f"method={method}", *common, *words]) == 0


def pictures(out):
    return {f.parts[-4] + f.name: f.read_bytes() for f in out.glob("shapes/*/*/edits/*.png")}


def test_methods_of_one_process_share_an_inversion_and_are_billed_for_it(tmp_path):
    for where in ("none", "memory"):
        for method in ("ddim", "direct"):
            edit(tmp_path / where, method, where)
        edit(tmp_path / where, "siminversion", where, "w_s=1")
    for method, nfe in (("ddim", 5 * 4), ("direct", 4 * 4), ("siminversion", 4 * 4)):
        alone, shared = (journal(tmp_path / where, method) for where in ("none", "memory"))
        assert {entry["nfe"] for entry in alone + shared} == {nfe}
        saved = alone[0]["nfe_spent"] - shared[0]["nfe_spent"]
        assert saved == (0 if method == "ddim" else 4)
    assert pictures(tmp_path / "none") == pictures(tmp_path / "memory")


def test_disk_serves_a_later_process_and_torn_files_are_made_again(tmp_path):
    edit(tmp_path, "ddim", "disk")
    files = sorted((tmp_path / ".cache/latents").iterdir())
    assert len(files) == 3
    cache.forget()
    edit(tmp_path, "direct", "disk")
    assert journal(tmp_path, "direct")[0]["nfe_spent"] == 3 * 4
    cache.forget()
    files[0].write_bytes(b"torn")
    edit(tmp_path, "negative_prompt", "disk")
    assert journal(tmp_path, "negative_prompt")[0]["nfe_spent"] == 4 * 4
    assert files[0].stat().st_size > 1000


def test_other_words_or_scales_are_another_inversion(tmp_path):
    edit(tmp_path, "ddim", "memory")
    edit(tmp_path, "siminversion", "memory", "w_s=0.5")
    assert journal(tmp_path, "siminversion")[0]["nfe_spent"] == 6 * 4
    edit(tmp_path, "direct", "memory", "w_s=0")
    assert journal(tmp_path, "direct")[0]["nfe_spent"] == 4 * 4


def test_memory_is_bounded_and_what_is_oldest_goes(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_BYTES", 3 * 40)
    made = []

    def latents(key):
        kept = cache.Cache("memory", tmp_path, ["a"], Shared(), CPU)
        return kept(key, lambda: made.append(key) or torch.zeros(1, 10))

    for key in ("x", "y", "z", "x", "w", "x", "y"):
        latents(key)
    assert made == ["x", "y", "z", "w", "y"]


def test_a_raised_version_does_not_find_what_was_kept_before(tmp_path, monkeypatch):
    edit(tmp_path, "ddim", "memory")
    monkeypatch.setattr(sources, "class_version", lambda target: 2)
    edit(tmp_path, "direct", "memory")
    assert journal(tmp_path, "direct")[0]["nfe_spent"] == 4 * 4
