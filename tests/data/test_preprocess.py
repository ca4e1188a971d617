import io
import struct

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from bench.data.preprocess import FILTERS, fit, read_mask, read_rgb
from bench.errors import BadSample
from tests.helpers.trees import picture

SIZES = [(64, 64), (65, 64), (63, 64), (64, 65), (47, 33), (33, 47), (101, 37), (37, 101), (1, 3), (200, 32), (91, 90)]


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("size", [64, 33])
def test_fit_is_resize_then_centre_crop(size, filter_):
    reference = Resize(size, InterpolationMode(filter_)), CenterCrop(size)
    for width, height in SIZES:
        image = picture(7, width, height)
        made, expected = fit(image, size, FILTERS[filter_]), reference[1](reference[0](image))
        assert made.size == (size, size)
        assert np.array_equal(made, expected), (width, height)


def test_picture_of_the_right_size_is_left_alone(tmp_path):
    picture(3, 32, 32).save(tmp_path / "a.png")
    made = read_rgb(tmp_path / "a.png", 32)
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert np.array_equal(made.transpose(1, 2, 0), picture(3, 32, 32))


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    image = picture(3, 32, 32, mode)
    image.save(tmp_path / "a.tif")
    assert np.array_equal(read_rgb(tmp_path / "a.tif", 32).transpose(1, 2, 0), image.convert("RGB"))


def test_resample_is_the_one_asked_for(tmp_path):
    picture(3).save(tmp_path / "a.png")
    made = [read_rgb(tmp_path / "a.png", 24, name) for name in FILTERS]
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_mask_is_cropped_like_its_picture_and_stays_binary(tmp_path):
    white = np.zeros((30, 90), np.uint8)
    white[5:20, 40:70] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    Image.fromarray(np.stack([white] * 3, -1)).save(tmp_path / "picture.png")
    for size in (30, 60, 45):
        mask, image = read_mask(tmp_path / "mask.png", size), read_rgb(tmp_path / "picture.png", size)
        assert mask.dtype == bool
        assert mask.shape == (size, size)
        assert (mask != (image[0] > 127)).mean() < 0.03
    assert np.array_equal(read_mask(tmp_path / "mask.png", 30), white[:, 30:60] > 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP"])
def test_truncated_picture_is_a_bad_sample(tmp_path, kind):
    stream = io.BytesIO()
    picture(1, 200, 200).save(stream, kind)
    whole, file = stream.getvalue(), tmp_path / "broken"
    for kept in (0, 10, len(whole) // 3, len(whole) // 2):
        file.write_bytes(whole[:kept])
        with pytest.raises(BadSample, match="broken is not a readable picture"):
            read_rgb(file, 32)
        with pytest.raises(BadSample, match="broken is not a readable mask"):
            read_mask(file, 32)


def test_bad_sample_is_called_by_its_name(tmp_path):
    with pytest.raises(BadSample, match="number 7 is not"):
        read_rgb(io.BytesIO(b"no picture"), 32, name="number 7")
    with pytest.raises(BadSample, match="gone"):
        read_rgb(tmp_path / "gone.png", 32)


def test_damaged_tag_is_a_bad_sample(tmp_path):
    """PIL raises a TypeError for a TIFF whose strips begin at a fraction."""
    picture(1, 50, 40).save(tmp_path / "a.tif")
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    raw[raw.index(struct.pack("<HH", 273, 4)) + 2] = 5  # StripOffsets: LONG to RATIONAL
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(TypeError), Image.open(tmp_path / "a.tif") as image:
        image.load()
    with pytest.raises(BadSample):
        read_rgb(tmp_path / "a.tif", 32)


def test_enormous_picture_is_a_bad_sample(tmp_path, monkeypatch):
    picture(1, 50, 50).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadSample):
        read_rgb(tmp_path / "a.png", 32)
    with pytest.raises(BadSample):
        read_mask(tmp_path / "a.png", 32)
