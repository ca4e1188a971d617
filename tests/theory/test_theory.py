"""What the papers derive: values known in closed form, and the command."""

import numpy as np
import pandas as pd
import pytest
import torch

from bench import theory
from bench.theory import measure, quantities
from bench.theory.__main__ import main
from bench.types import Condition
from tests.helpers.models import Gaussian


class Batch:
    """Clean latents of the analytic model, which hears no words."""

    def __init__(self, count=3):
        noise = torch.randn(count, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        self.ids, self.x0 = [str(i) for i in range(count)], 0.3 + 0.5 * noise
        self.source = self.target = self.null = Condition(torch.zeros(count, 1, 1))


def test_bounds_cross_where_the_papers_constants_say():
    """C = 1, K1 = 3, K2 = 0.02 cross at tau = 3.500, near timestep 712 of Stable Diffusion's schedule."""
    curves = quantities.bounds(Gaussian().alphas_cumprod, 1, 3, 0.02)
    after = curves[curves.encode_decode > curves.sdedit].iloc[0]
    assert after.tau == pytest.approx(3.5, abs=0.02)
    assert after.t == pytest.approx(712, abs=2)


def test_reconstruction_error_falls_with_the_steps_and_does_not_depend_on_w_without_words():
    model, batch = Gaussian(), Batch()
    errors = [pd.DataFrame(quantities.reconstruction(model, batch, steps, [0, 0.5, 2])) for steps in (25, 100)]
    assert errors[0].groupby("id").error.std().max() < 1e-12
    assert 0.15 < errors[1].error.mean() / errors[0].error.mean() < 0.35


def test_steps_times_gap_hardly_changes():
    table = pd.DataFrame(quantities.gap(Gaussian(), Batch(), [50, 100, 500]))
    means = table.groupby("steps").steps_x_gap.mean()
    assert means.max() / means.min() < 1.1


def test_constants_of_the_analytic_model():
    """eps is linear in x with slope sqrt(1 - a) / (a s^2 + 1 - a), and there is no difference that words make."""
    model, batch = Gaussian(), Batch()
    table = pd.DataFrame(quantities.constants(model, batch, 20))
    assert (table.k2 == 0).all()
    for j, t in enumerate(model.grid(20).timesteps):
        a = model.alphas_cumprod[t]
        slope = (1 - a) ** 0.5 / (a * 0.25 + 1 - a)
        rows = table[table.t == t]
        np.testing.assert_allclose(rows.k1_aside, slope)
        if j:
            np.testing.assert_allclose(rows.k1_along, slope)


def test_command_writes_tables_and_plots(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure, "STEPS", (2, 4))
    assert main(["limit=2", "steps=4", "w_s=[0,1]", f"out={tmp_path}"]) == 0
    text = capsys.readouterr().out
    assert "comparable with no paper" in text
    assert "C = " in text
    folder = tmp_path / "theory/shapes-shapes"
    for part in theory.PARTS:
        for suffix in (".csv", ".png", ".pdf"):
            assert (folder / (part + suffix)).stat().st_size > 100
    table = pd.read_csv(folder / "reconstruction.csv")
    assert sorted(table.w_s.unique()) == [0, 1]
    assert table.notice.nunique() == 1


def test_wrong_words_get_a_sentence(tmp_path, capsys):
    for words, sentence in ((["parts=gapp"], "did you mean gap?"), (["w_s=auto"], "w_s=auto, expected numbers")):
        assert main([*words, f"out={tmp_path}"]) == 2
        assert sentence in capsys.readouterr().err
