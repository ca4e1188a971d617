"""The reader of stored scores, on files written by hand."""

import json

import pytest

from bench.errors import UserError
from bench.scores import stored
from bench.scores.selection import Selection

FACT = {"version": 1, "higher_is_better": True, "unit": "dB", "kind": "pair", "value": 20.0}


def write(folder, profile="pie-v2", lines=("NA,,g,1.5", "b,object,,inf", "c,,,"), **more):
    folder.mkdir(parents=True, exist_ok=True)
    summary = {"data": "pie", "profile": profile, "metrics": {"psnr_random": FACT}, "of another version": 1} | more
    (folder / f"summary.{profile}.json").write_text(json.dumps(summary))
    (folder / f"per_image.{profile}.csv").write_text("\n".join(["id,type,group,psnr_random", *lines]) + "\n")
    (folder / "identity.json").write_text(json.dumps({"data": {"name": summary["data"], "size": 512}, "model": None}))
    return folder


def test_what_a_run_holds(tmp_path):
    run = stored.read(write(tmp_path / "a"), "pie-v2")
    fact = run.summary.fact("psnr")
    assert (fact.name, fact.value, fact.lo, fact.halves) == ("psnr_random", 20.0, None, [])
    assert run.summary.fact("ssim") is None
    assert [fact.name for fact in run.summary.shown] == ["psnr_random"]
    assert run.table.index.tolist() == ["NA", "b", "c"]  # an id, and not a missing value
    assert run.table.group.tolist() == ["g", "b", "c"]
    assert run.table["type"].isna().tolist() == [True, False, True]
    assert run.table.psnr_random.tolist()[:2] == [1.5, float("inf")]


def test_runs_under_a_folder(tmp_path):
    for profile in ("pie-v2", "caption-v1"):
        write(tmp_path / "pie/ddim/one", profile)
    write(tmp_path / "shapes/ddim/two", data="shapes")
    bare = write(tmp_path / "shapes/ddim/three", data="shapes")
    (bare / "summary.pie-v2.json").unlink()
    found = [(run.folder.name, run.summary.profile) for run in stored.under(tmp_path)]
    assert found == [("one", "caption-v1"), ("one", "pie-v2"), ("two", "pie-v2")]
    assert [run.folder.name for run in stored.under(tmp_path, Selection(data=("shapes",)))] == ["two"]
    assert stored.unscored(tmp_path) == stored.unscored(tmp_path, Selection(data=("shapes",))) == [bare]
    with pytest.raises(UserError, match=r"no run of data=shape under .*did you mean shapes"):
        stored.under(tmp_path, Selection(data=("shape",)))
    with pytest.raises(UserError, match="no run under out="):
        stored.under(tmp_path / "elsewhere")


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": {"psnr": {}}}', '{"data": "pie"}'])
def test_a_torn_summary_gets_a_sentence(tmp_path, text):
    folder = write(tmp_path / "pie/ddim/one")
    (folder / "summary.pie-v2.json").write_text(text)
    with pytest.raises(UserError, match=r"summary.pie-v2.json cannot be read any more; score it with"):
        stored.under(tmp_path)


def test_what_is_missing_gets_a_sentence(tmp_path):
    folder = write(tmp_path / "a")
    (folder / "per_image.pie-v2.csv").unlink()
    with pytest.raises(UserError, match=r"per_image.pie-v2.csv: No such file or directory; score it with"):
        assert stored.read(folder, "pie-v2").table
    with pytest.raises(UserError, match="has no scores of profile shapes-v1"):
        stored.read(folder, "shapes-v1")


def test_one_profile_for_all(tmp_path):
    folders = [write(tmp_path / name, profile) for name in "abc" for profile in ("pie-v2", "caption-v1")]
    with pytest.raises(UserError, match="all runs have several profiles; choose one with profile=caption-v1 or prof"):
        stored.shared_profile(folders)
    assert stored.shared_profile(folders, "pie-v2") == "pie-v2"
    (folders[0] / "summary.caption-v1.json").unlink()
    assert stored.shared_profile(folders) == "pie-v2"
