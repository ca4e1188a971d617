"""What the theory's measurements are, written out on a small denoiser that hears words (methods.md, section 4)."""

import numpy as np
import pandas as pd
import pytest
import torch

from bench.diffusion.device import to_float
from bench.theory import quantities
from tests.helpers.attentive import Attentive, batch, ddim, levels

PAIRS = [("a red star", "a blue star"), ("one green cat", "a big dog"), ("the sea", "the moon")]


class Latents:
    def __init__(self, model):
        made = batch(PAIRS)
        self.ids, self.x0 = ["a", "b", "c"], model.encode(to_float(made.images))
        self.source, self.target = model.condition(made.sources), model.condition(made.targets)
        self.null = model.condition([None] * len(PAIRS))


def rms(x):
    return (x**2).mean((1, 2, 3)) ** 0.5


def length(x):
    return (x**2).sum((1, 2, 3)) ** 0.5


@pytest.fixture
def start():
    model = Attentive()
    return model, Latents(model)


def test_the_gap_is_the_mean_relative_step_of_an_inversion_at_one_half(start):
    model, made = start
    table = pd.DataFrame(quantities.gap(model, made, [2, 5]))
    for steps in (2, 5):
        times, alphas = levels(model, steps)
        z, gaps = made.x0, []
        for j in range(steps):
            eps = 0.5 * model.eps(z, times[j], made.source) + 0.5 * model.eps(z, times[j], made.null)
            after = ddim(z, eps, alphas[j], alphas[j + 1])
            gaps.append(length(after - z) / length(z))
            z = after
        rows = table[table.steps == steps]
        np.testing.assert_allclose(rows.gap, torch.stack(gaps).mean(0))
        np.testing.assert_allclose(rows.steps_x_gap, torch.stack(gaps).sum(0))


def test_constants_are_the_loop_written_out(start):
    """Along the encoding without words: C of eps(Q), K2 of eps(Q) - eps(none), K1 of the difference quotients of
    eps(none) to the next latents and to latents a hundredth aside; root mean squares."""
    model, made = start
    table, noise = pd.DataFrame(quantities.constants(model, made, 4)), torch.Generator().manual_seed(0)
    (times, alphas), z = levels(model, 4), made.x0
    for j, t in enumerate(times):
        free, given = model.eps(z, t, made.null), model.eps(z, t, made.target)
        after, aside = ddim(z, free, alphas[j], alphas[j + 1]), z + 0.01 * torch.randn(z.shape, generator=noise)
        rows = table[table.t == t]
        np.testing.assert_allclose(rows.c, rms(given))
        np.testing.assert_allclose(rows.k2, rms(given - free))
        np.testing.assert_allclose(rows.k1_aside, rms(model.eps(aside, t, made.null) - free) / rms(aside - z))
        if j:  # the first step hardly moves
            np.testing.assert_allclose(rows.k1_along, rms(model.eps(after, t, made.null) - free) / rms(after - z))
        z = after


def test_estimates_are_the_largest_but_for_k2_which_is_the_mean_of_each_samples_largest():
    """The first level, here t = 1, is left out."""
    rows = [
        {"id": "a", "t": 1, "c": 9, "k2": 9, "k1_along": 9, "k1_aside": 9},
        {"id": "a", "t": 2, "c": 1, "k2": 2, "k1_along": 3, "k1_aside": 1},
        {"id": "a", "t": 3, "c": 2, "k2": 1, "k1_along": 2, "k1_aside": 4},
        {"id": "b", "t": 2, "c": 5, "k2": 3, "k1_along": 1, "k1_aside": 2},
        {"id": "b", "t": 3, "c": 4, "k2": 5, "k1_along": 1, "k1_aside": 1},
    ]
    assert quantities.estimates(pd.DataFrame(rows)) == {"C": 5, "K1": 4, "K2": (2 + 5) / 2}
    swapped = pd.DataFrame(rows).rename(columns={"k1_along": "k1_aside", "k1_aside": "k1_along"})
    assert quantities.estimates(swapped)["K1"] == 4


def test_the_reconstruction_error_is_the_round_trips_length(start):
    model, made = start
    times, alphas = levels(model, 3)
    for w in (0.5, 2):
        z = made.x0
        for j in (0, 1, 2):
            eps = w * model.eps(z, times[j], made.source) + (1 - w) * model.eps(z, times[j], made.null)
            z = ddim(z, eps, alphas[j], alphas[j + 1])
        for j in (2, 1, 0):
            eps = w * model.eps(z, times[j], made.source) + (1 - w) * model.eps(z, times[j], made.null)
            z = ddim(z, eps, alphas[j + 1], alphas[j])
        rows = quantities.reconstruction(model, made, 3, [w])
        assert [row["error"] for row in rows] == pytest.approx(length(z - made.x0).tolist())


def test_the_best_scale_is_measured_along_one_half_and_not_held_to_bounds(start):
    """w* = (x_0 - x_c) x_0 / |x_0 - x_c|^2, x the change of a prediction over the step."""
    model, made = start
    table, z = pd.DataFrame(quantities.scale(model, made, 4)), made.x0
    times, alphas = levels(model, 4)
    for j, t in enumerate(times):
        given, free = model.eps(z, t, made.source), model.eps(z, t, made.null)
        after = ddim(z, 0.5 * given + 0.5 * free, alphas[j], alphas[j + 1])
        x_c, x_0 = model.eps(after, t, made.source) - given, model.eps(after, t, made.null) - free
        expected = ((x_0 - x_c) * x_0).sum((1, 2, 3)) / (x_0 - x_c).square().sum((1, 2, 3))
        np.testing.assert_allclose(table[table.t == t].w, expected)
        z = after
    assert (table.w < 0).any()


def test_bounds_are_equation_5():
    """(C + 1) tau, and K2 tau / sqrt(tau^2 + 1) (tau + sqrt(tau^2 + 1))^K1, tau = sqrt(1 / alpha-bar - 1)."""
    curves = quantities.bounds(np.array([0.5, 0.2]), 1.5, 2, 0.1)  # tau = 1 and 2
    assert curves.t.tolist() == [0, 1]
    assert curves.tau.tolist() == pytest.approx([1, 2])
    assert curves.sdedit.tolist() == pytest.approx([2.5, 5])
    assert curves.encode_decode.tolist() == pytest.approx(
        [0.1 / 2**0.5 * (1 + 2**0.5) ** 2, 0.2 / 5**0.5 * (2 + 5**0.5) ** 2]
    )
