"""Where exactly the reading of masks draws its lines: half-way between the levels, 32 grey levels of slack, an eighth
of the range, 10 % of the pixels, 2 px from an outline."""

import numpy as np
import pytest
from PIL import Image

from bench.data.masks import edited
from bench.data.preprocess import read_mask

SIDE = 64


def striped(columns: list[int], low: int = 0, high: int = 255) -> np.ndarray:
    """Grey levels; what lies between two of the columns is high, the rest low by turns."""
    inside = np.cumsum(np.isin(np.arange(SIDE), columns)) % 2
    return np.where(inside, high, low)[None].repeat(SIDE, 0)


def mask(levels: np.ndarray, edit: str | None = None) -> np.ndarray:
    return edited(Image.fromarray(levels.astype(np.uint8)), edit)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (55, 255), (0, 231)])
def test_the_threshold_is_half_way_between_the_levels(low, high):
    levels, middle = striped([20, 44], low, high), (low + high) / 2
    for value in (int(np.floor(middle)), int(middle) + 1):
        levels[:, 20] = value  # one soft column at the outline
        assert mask(levels)[:, 20].all() == (value > middle)
        assert not mask(levels)[:, 19].any()
        assert mask(levels)[:, 21].all()


@pytest.mark.parametrize(("low", "high", "share"), [(0, 223, 24 / 64), (159, 223, 1), (158, 223, 24 / 64)])
def test_white_may_stray_by_32_levels_and_levels_within_64_are_one(low, high, share):
    assert mask(striped([20, 44], low, high)).mean() == share


def test_what_strays_further_is_not_white():
    with pytest.raises(ValueError, match="levels from 0 to 222 and nothing white"):
        mask(striped([20, 44], 0, 222))


@pytest.mark.parametrize(("value", "fits"), [(31, True), (32, False), (223, False), (224, True)])
def test_a_level_strays_by_an_eighth_of_the_range(value, fits):
    """31.875 of 255, anywhere in the picture."""
    levels = striped([20, 44])
    levels[5:8, 30:33] = value
    levels[5:8, 2:5] = value
    if fits:
        assert mask(levels)[5:8, 30:33].all() == (value > 128)
    else:
        with pytest.raises(ValueError, match="more than two levels"):
            mask(levels)


@pytest.mark.parametrize(("extra", "fits"), [(25, True), (26, False)])
def test_a_tenth_of_the_pixels_may_lie_between(extra, fits):
    """409 of 4096, along seven of eight outlines."""
    levels = striped([4, 12, 20, 28, 36, 44, 52, 60])
    for column in (4, 12, 20, 28, 36, 44):
        levels[:, column] = 140
    levels[:extra, 52] = 140
    if fits:
        assert mask(levels).any()
    else:
        with pytest.raises(ValueError, match="10% of its pixels lie between"):
            mask(levels)


@pytest.mark.parametrize(("width", "fits"), [(2, True), (3, False)])
def test_soft_pixels_lie_within_2_px_of_the_outline(width, fits):
    levels = striped([20, 44])
    levels[:20, 20 : 20 + width] = 180
    if fits:
        assert (mask(levels) == (striped([20, 44]) > 0)).all()
    else:
        with pytest.raises(ValueError, match="over 2 px from any outline"):
            mask(levels)


def test_masks_are_resized_without_values_between(tmp_path):
    """Every second pixel's level, never a mean."""
    image = Image.fromarray(striped([21, 45]).astype(np.uint8))
    image.save(tmp_path / "mask.png")
    found = read_mask(tmp_path / "mask.png", SIDE // 2)
    assert found.dtype == bool
    assert (found == np.asarray(image.resize((32, 32), Image.Resampling.NEAREST)).astype(bool)).all()
