import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from bench.data import preprocess
from bench.data.preprocess import FILTERS, as_rgb, fit, read_mask, read_rgb
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


DRAWN = np.asarray(picture(11, 40, 32).convert("L"))


def grey_of(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(as_rgb(image, file.name)).astype(int)[..., 0]


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_by_their_range(tmp_path, ending):
    Image.fromarray(DRAWN.astype(np.uint16) * 257).save(tmp_path / f"a.{ending}")
    assert np.abs(grey_of(tmp_path / f"a.{ending}") - DRAWN).max() == 0


def test_big_endian_sixteen_bits(tmp_path):
    Image.fromarray((DRAWN.astype(np.uint16) * 257).astype(">u2")).save(tmp_path / "a.tif")
    assert np.abs(grey_of(tmp_path / "a.tif") - DRAWN).max() == 0


def test_fractions_are_scaled_by_their_range(tmp_path):
    Image.fromarray(DRAWN.astype(np.float32) / 255).save(tmp_path / "a.tif")
    assert np.abs(grey_of(tmp_path / "a.tif") - DRAWN).max() == 0


def rgb16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which PIL reads but does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    framed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def test_sixteen_bits_of_three_channels(tmp_path):
    pixels = np.asarray(picture(2, 40, 32))
    (tmp_path / "a.png").write_bytes(rgb16(pixels.astype(int) * 257))
    assert np.array_equal(read_rgb(tmp_path / "a.png", 32), read_rgb(io.BytesIO(_png(pixels)), 32))
    (tmp_path / "a.png").write_bytes(rgb16(pixels.astype(int) * 16))  # 12 of the 16 bits
    with pytest.raises(BadSample, match="save it with 8 bits"):
        read_rgb(tmp_path / "a.png", 32)


def _png(pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (DRAWN.astype(np.uint16), "numbers from"),
        (DRAWN.astype(np.uint16) * 16, "numbers from"),
        (DRAWN.astype(np.int32) * 1000, "expected 16 bits"),
        (DRAWN.astype(np.int32) * 200 - 9000, "expected 16 bits"),
        (DRAWN.astype(np.float32), "expected 0 to 1"),
        (DRAWN.astype(np.float32) / 127.5 - 1, "expected 0 to 1"),
        (np.where(DRAWN > 100, np.nan, 0.5).astype(np.float32), "nan"),
    ],
)
def test_numbers_of_an_unknown_range_are_refused(tmp_path, values, said):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(BadSample, match=said):
        read_rgb(tmp_path / "a.tif", 32)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white_and_said_once(tmp_path, caplog, monkeypatch, mode):
    monkeypatch.setattr(preprocess, "_unsaid", threading.Semaphore())
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 16:] = 255
    if mode == "P":
        image = Image.fromarray(alpha // 255).convert("P")
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.save(tmp_path / "a.png", transparency=0)
    else:
        Image.merge(mode, [Image.new("L", (32, 32))] * (len(mode) - 1) + [Image.fromarray(alpha)]).save(
            tmp_path / "a.png"
        )
    for _ in range(2):
        made = read_rgb(tmp_path / "a.png", 32)
    assert (made[:, :, :16] == 255).all()
    assert (made[:, :, 16:] == 0).all()
    (said,) = caplog.messages
    assert said.startswith("transparent parts of pictures are laid on white, as in ")


def test_only_opaque_pictures_say_nothing(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(preprocess, "_unsaid", threading.Semaphore())
    picture(3, 32, 32, "RGBA").save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png", 32).transpose(1, 2, 0), picture(3, 32, 32))
    assert not caplog.messages


def test_transparent_sixteen_bits(tmp_path):
    Image.fromarray(DRAWN.astype(np.uint16) * 257).save(tmp_path / "a.png", transparency=257 * int(DRAWN[0, 0]))
    expected = np.where(DRAWN[0, 0] == DRAWN, 255, DRAWN)
    assert np.array_equal(grey_of(tmp_path / "a.png"), expected)


def test_upright_where_it_is_asked_for(tmp_path):
    tag = Image.Exif()
    tag[0x0112] = 6
    picture(3, 32, 32).save(tmp_path / "a.png", exif=tag)
    stored = np.asarray(picture(3, 32, 32)).transpose(2, 0, 1)
    assert np.array_equal(read_rgb(tmp_path / "a.png", 32), stored)
    assert np.array_equal(read_rgb(tmp_path / "a.png", 32, upright=True), np.rot90(stored, -1, (1, 2)))


def test_memory_of_long_pictures_is_that_of_their_square(monkeypatch):
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, *a, **k: sizes.append(size) or resize(self, size, *a, **k)
    )
    for width, height in ((1, 60_000), (60_000, 2), (400, 20)):
        image = picture(5, 20, 20).resize((width, height))
        sizes.clear()
        made = fit(image, 512, FILTERS["bicubic"])
        assert sizes == [(512, 512)]
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        middle = image.crop((left, top, left + side, top + side))
        assert np.abs(np.asarray(made).mean() - np.asarray(middle).mean()) < 20
