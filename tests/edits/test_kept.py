"""Inversions that one method leaves for the next."""

import json

import pytest
import torch

from bench import run
from bench.config import cli
from bench.edits import kept as cache
from bench.edits.plan import plan
from bench.edits.turns import turns
from bench.errors import UserError
from bench.files import sources
from bench.scores.complete import complete
from bench.types.bill import Shared
from methods.direct import Direct

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _empty():
    cache.forget()
    yield
    cache.forget()


def journal(out, method):
    (file,) = out.glob(f"shapes/{method}/*/edits-0of1.*.jsonl")
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


def spent(out, method) -> list[int]:
    return [entry["nfe_spent"] for entry in journal(out, method)]


def together(out, *words) -> list[str]:
    """Several methods in one job, as the rows of an item; returns what went wrong."""
    common = ["steps=4", "limit=6", "batch_size=2", "metrics=pixel", f"out={out}", *words]
    methods = (["method=ddim"], ["method=direct", "limit=4"], ["method=siminversion", "w_s=1"], ["method=sdedit"])
    runs = [run for method in methods for run in plan(*cli.jobs([*common, *method]))]
    return [failure for done in complete(runs) for failure in done.failures]


def test_methods_of_one_job_take_turns_so_that_memory_for_one_batch_is_enough(tmp_path, monkeypatch):
    """One after the other, none would find anything: what the first keeps of six pictures takes three times as much."""
    monkeypatch.setattr(cache, "_BYTES", 2 * 4 * LATENTS)
    assert together(tmp_path / "turns") == []
    assert together(tmp_path / "alone", "cache=none") == []
    for method, saved in (("ddim", [0] * 6), ("direct", [4] * 4), ("siminversion", [4] * 6)):
        alone, shared = (spent(tmp_path / where, method) for where in ("alone", "turns"))
        assert [a - b for a, b in zip(alone, shared, strict=True)] == saved
    assert sum(one.nbytes for one, *_ in cache._memory.values()) == cache._BYTES
    assert len(pictures(tmp_path / "turns")) == 6 + 4 + 6 + 6
    assert pictures(tmp_path / "turns") == pictures(tmp_path / "alone")


LATENTS = 4 * 16 * 16 * 4
"""Bytes of one level of one picture of the embedded model."""


def test_what_stops_one_of_them_does_not_stop_the_others(tmp_path, monkeypatch):
    def invert(*_):
        raise UserError("no such thing")

    monkeypatch.setattr(Direct, "invert", invert)
    assert together(tmp_path) == ["no such thing"]
    assert (len(spent(tmp_path, "ddim")), len(spent(tmp_path, "siminversion"))) == (6, 6)
    assert not list(tmp_path.glob("shapes/direct/*"))


def test_only_runs_that_find_each_others_latents_take_turns(tmp_path):
    def runs(*words):
        return plan(*cli.jobs([f"out={tmp_path}", *words]))

    kept = [runs("method=ddim"), runs("method=direct", "limit=3"), runs("method=siminversion", "w_s=[0,1]")]
    apart = [
        runs("method=sdedit"),
        runs("method=diffedit"),
        runs("method=ddim", "data.count=9"),
        runs("method=ddim", "batch_size=3", "w_t=3"),
        runs("method=direct", "cache=none", "w_t=2"),
        runs("method=ddim"),  # the same run again
    ]
    groups = turns([run for of_plan in [kept[0], apart[0], *kept[1:], *apart[1:]] for run in of_plan])
    assert [[run.key for run in group] for group in groups] == [
        [run.key for of_plan in kept for run in of_plan],
        *[[run.key for run in of_plan] for of_plan in apart],
    ]


def test_a_raised_version_does_not_find_what_was_kept_before(tmp_path, monkeypatch):
    edit(tmp_path, "ddim", "memory")
    monkeypatch.setattr(sources, "class_version", lambda target: 2)
    edit(tmp_path, "direct", "memory")
    assert journal(tmp_path, "direct")[0]["nfe_spent"] == 4 * 4
