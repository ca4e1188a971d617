"""What a user may type, rightly and wrongly, up to the point where torch would be needed."""

import subprocess
import sys

import pytest

from bench import run
from bench.config import cli
from bench.errors import UserError
from bench.files.paths import ROOT


def says(capsys, *words):
    """Exit status and standard error of the entry point."""
    status = run.main(list(words))
    return status, capsys.readouterr().err


def test_flag_may_stand_anywhere():
    line = ["method=diffedit", "data=imagenet", "-m", "r=0.3,0.5,0.7,0.9"]
    assert cli.flags_first(line) == ["-m", "method=diffedit", "data=imagenet", "r=0.3,0.5,0.7,0.9"]
    assert cli.flags_first(["r=1", "--multirun"]) == ["--multirun", "r=1"]
    assert cli.flags_first(["r=1"]) == ["r=1"]


def test_the_line_that_must_always_work(tmp_path):
    """Literally, flag in the middle, on a machine without ImageNet: one sentence for each missing thing."""
    line = ["-m", "bench.run", "method=diffedit", "data=imagenet", "-m", "r=0.3,0.5,0.7,0.9"]
    environment = {"PATH": "", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(text.startswith("error: ") for text in lines)
    weights = ("alexnet", "inception", "statistics", "deit")
    for thing in ("queries.csv", "validation images", "stable-diffusion-v1-4", *weights):
        assert sum(thing in text for text in lines) >= 1
    assert len(lines) == 8
    assert lines[-1] == "error: or choose metrics=pixel, which needs no weights"
    assert "data.root=" in done.stderr
    assert "hf download CompVis/stable-diffusion-v1-4" in done.stderr


def test_no_torch_before_an_answer_that_does_not_need_it():
    code = "import sys; from bench import run; s = run.main(['r=1.5']); print('torch' in sys.modules); sys.exit(s)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.strip() == "False"
    assert done.stderr == "error: r=1.5, expected a number from 0 to 1\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["r=1.5"], "r=1.5, expected a number from 0 to 1"),
        (["r=[0.3,-1]"], "r=-1, expected a number from 0 to 1"),
        (["r=half"], "r=half, expected a number from 0 to 1"),
        (["r=[]"], "r is an empty list"),
        (["steps=0"], "steps=0, expected a number from 1 to 999"),
        (["steps=2.5"], "steps=2.5, expected a whole number"),
        (["limit=0"], "limit=0, expected a number from 1"),
        (["batch_size=0"], "batch_size=0, expected"),
        (["device=gpu"], "device=gpu, did you mean cpu"),
        (["method=difedit"], "unknown method 'difedit'; did you mean diffedit"),
        (["data=imagnet"], "unknown data 'imagnet'; did you mean imagenet"),
        (["model=sd15"], "unknown model 'sd15'; did you mean sd14"),
        (["metrics=shape"], "unknown metrics 'shape'; did you mean shapes or pie?"),
        (["-m", "method=copy,nonsense"], "unknown method 'nonsense'"),
        (["stepps=3"], "unknown knob 'stepps'; did you mean steps"),
        (["method.treshold=0.3"], "unknown knob 'method.treshold'; did you mean method.threshold"),
        (["method.reference=captoin"], "method.reference=captoin, did you mean caption?"),
        (["r=0.3,0.5"], "names several values; add -m"),
        (["nonsense"], "'nonsense' is no override; expected knob=value"),
        (["data.types=[colours]"], "data.types=colours, did you mean colour?"),
        (["model.dtype=float23"], "model.dtype=float23, did you mean float32"),
        (["shard.index=2", "shard.count=2"], "shard.index=2, expected 0 to shard.count-1=1"),
        (["model.path=/nowhere/at/all"], "model /nowhere/at/all is not here"),
        (["data=manifest", "model=shapes", "metrics=pixel"], "data=manifest needs data.root="),
        (["method=custom"], "method._target_"),
    ],
)
def test_wrong_words_get_one_sentence(capsys, tmp_path, words, sentence):
    status, err = says(capsys, f"out={tmp_path}", *words)
    assert status == 2
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_unwritable_output_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    status, err = says(capsys, f"out={tmp_path}/file/runs")
    assert status == 2
    assert f"cannot create the output folder out={tmp_path}/file/runs" in err
    assert f"{tmp_path}/file is a file" in err
    assert "choose another" in err


def test_every_job_of_a_sweep_is_checked_first(capsys, tmp_path):
    status, err = says(capsys, "-m", f"out={tmp_path}", "r=0.3,0.5,1.7")
    assert status == 2
    assert "r=1.7" in err
    assert not list(tmp_path.iterdir())


def test_sweeps_and_floats_compose():
    jobs = cli.jobs(["-m", "method=copy,diffedit", "r=range(0.3,0.9,0.2)"])
    assert len(jobs) == 6
    assert [job.method.name for job in jobs] == ["copy"] * 3 + ["diffedit"] * 3


def test_data_picks_model_and_metrics_and_the_command_line_wins():
    (job,) = cli.jobs(["data=imagenet"])
    assert (job.model.name, job.metrics.name, job.method.reference) == ("cin256", "flexit-v1", "none")
    (job,) = cli.jobs(["data=imagenet", "model=shapes", "metrics=pixel"])
    assert (job.model.name, job.metrics.name) == ("shapes", "pixel-v1")
    (job,) = cli.jobs([])
    assert (job.data.name, job.model.name, job.method.name, job.method.reference) == (
        "shapes",
        "shapes",
        "diffedit",
        "caption",
    )


def test_an_experiment_changes_knobs_and_the_command_line_wins():
    (job,) = cli.jobs(["experiment=demo", "steps=7"])
    assert job.r == [0.3, 0.5, 0.7, 0.9]
    assert job.limit == 60
    assert job.steps == job.method.steps == 7


def test_unknown_group_choice_lists_all_when_nothing_is_near():
    with pytest.raises(UserError, match="one of: copy, cross_attention_control, custom, ddim"):
        cli.jobs(["method=zzz"])
