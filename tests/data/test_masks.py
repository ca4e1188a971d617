"""Masks of two levels, whatever carries them."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bench.data.preprocess import read_mask
from bench.errors import BadSample

SIDE = 64
SHAPE = np.zeros((SIDE, SIDE), bool)
SHAPE[16:48, 16:48] = True  # a quarter of the frame


def grey(inside=255, outside=0) -> Image.Image:
    return Image.fromarray(np.where(SHAPE, inside, outside).astype(np.uint8))


def palette(inside=(255, 255, 255), outside=(0, 0, 0)) -> Image.Image:
    image = Image.fromarray(SHAPE.astype(np.uint8)).convert("P")
    image.putpalette([*outside, *inside])
    return image


def coloured(inside, outside) -> Image.Image:
    """RGBA inside and outside."""
    return Image.fromarray(np.where(SHAPE[..., None], inside, outside).astype(np.uint8))


def photograph(alpha) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3))
    return Image.fromarray(np.dstack([pixels, alpha]).astype(np.uint8))


def smoothed() -> Image.Image:
    """Antialiased, as drawing programs and downscaling leave outlines."""
    large = grey().resize((4 * SIDE, 4 * SIDE), Image.Resampling.NEAREST).rotate(1, Image.Resampling.BICUBIC)
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def share(tmp_path, image, ending="png", **options) -> float:
    file = tmp_path / f"mask.{ending}"
    image.save(file, **({"quality": 75} if ending == "jpg" else {}))
    mask = read_mask(file, SIDE, **options)
    assert mask.dtype == bool
    assert mask.shape == (SIDE, SIDE)
    return mask.mean()


@pytest.mark.parametrize(
    "image",
    [
        grey(),
        grey().convert("1"),
        grey().convert("RGB"),
        grey().convert("RGBA"),
        grey(255, 100),
        palette(),
        Image.merge("LA", [Image.new("L", (SIDE, SIDE), 255), grey()]),
        coloured((255, 0, 0, 255), (0, 0, 0, 0)),  # an overlay
        photograph(np.asarray(grey())),  # something cut out
        Image.fromarray(np.where(SHAPE, 65535, 0).astype(np.uint16)),
    ],
)
def test_white_or_opaque_is_edit(tmp_path, image):
    assert share(tmp_path, image) == 0.25


def test_fractions_and_lossy_files_are_masks_too(tmp_path):
    assert share(tmp_path, Image.fromarray(SHAPE.astype(np.float32)), "tif") == 0.25
    assert share(tmp_path, grey(), "jpg") == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("image", "edit"),
    [
        (grey(0, 255), "dark"),
        (grey(100, 255), "dark"),
        (palette((0, 0, 0), (200, 30, 30)), "dark"),
        (coloured((0, 0, 0, 255), (0, 0, 0, 0)), "dark"),
        (coloured((0, 0, 0, 0), (0, 0, 0, 255)), "transparent"),
        (photograph(np.asarray(grey(0, 255))), "transparent"),
    ],
)
def test_what_means_edit_can_be_said(tmp_path, image, edit):
    assert share(tmp_path, image, edit=edit) == 0.25


@pytest.mark.parametrize(
    ("image", "edit", "sentence"),
    [
        (palette((128, 0, 0)), None, "levels from 0 to 38 and nothing white (255) or opaque, which means edit"),
        (grey(100), None, "levels from 0 to 100 and nothing white"),
        (grey(1), None, "levels from 0 to 1 and nothing white"),
        (grey(0), None, "levels from 0 to 0 and nothing white"),
        (coloured((0, 0, 0, 0), (0, 0, 0, 255)), None, "transparent in parts and black in the others"),
        (coloured((255, 255, 255, 120), (0, 0, 0, 0)), None, "black in the others"),
        (grey(255, 255), "dark", "levels from 255 to 255 and nothing dark"),
        (grey(), "transparent", "nothing transparent"),
        (Image.linear_gradient("L").resize((SIDE, SIDE)), None, "of its pixels lie between its two levels"),
        (grey().filter(ImageFilter.GaussianBlur(8)), None, "of its pixels lie between its two levels"),
    ],
)
def test_a_mask_that_says_neither_is_refused_by_name(tmp_path, image, edit, sentence):
    with pytest.raises(BadSample) as error:
        share(tmp_path, image, edit=edit)
    assert str(error.value).startswith(f"{tmp_path / 'mask.png'} is not a readable mask (")
    assert sentence in str(error.value)


def test_two_carriers_of_different_shapes_are_refused(tmp_path):
    both = np.dstack([np.asarray(grey())] * 3 + [np.where(np.arange(SIDE) < 40, 255, 0)[None].repeat(SIDE, 0)])
    with pytest.raises(BadSample, match="one shape in black and white and another by transparency"):
        share(tmp_path, Image.fromarray(both.astype(np.uint8)))


def test_smooth_outlines_are_cut_half_way(tmp_path):
    mask, levels = smoothed(), np.asarray(smoothed())
    assert 0 < ((levels > 40) & (levels < 215)).mean() < 0.1
    assert share(tmp_path, mask) == (levels > 127.5).mean()
    assert share(tmp_path, mask.point(lambda v: 105 + v * 150 // 255)) == pytest.approx(
        (levels > 127.5).mean(), abs=0.01
    )


def test_a_third_level_is_refused(tmp_path):
    levels = np.asarray(grey()).copy()
    levels[20:30, 20:30] = 120  # 2 % of the frame
    with pytest.raises(BadSample, match="more than two levels: some lie between them over 2 px from any outline"):
        share(tmp_path, Image.fromarray(levels))


def test_whole_frames(tmp_path):
    assert share(tmp_path, grey(255, 255)) == 1
    assert share(tmp_path, grey(0), edit="dark") == 1
    assert share(tmp_path, Image.new("RGBA", (SIDE, SIDE)), edit="transparent") == 1


def test_a_mask_is_turned_as_its_picture_is(tmp_path):
    tag = Image.Exif()
    tag[0x0112] = 6
    half = Image.fromarray(np.where(np.arange(SIDE)[:, None] < 32, 255, 0).astype(np.uint8).repeat(SIDE, 1))
    half.save(tmp_path / "mask.png", exif=tag)
    mask = read_mask(tmp_path / "mask.png", SIDE)
    assert mask[:, 32:].all()  # a quarter turn to the right
    assert not mask[:, :32].any()
