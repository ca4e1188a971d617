"""How every picture is read, and brought to the data set's size, once; methods and metrics never resize a source."""

import logging
import struct
import threading

import numpy as np
from PIL import ExifTags, Image, ImageOps

from bench.data.masks import edited
from bench.errors import BadSample

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
"""PIL's antialiased filters."""

NATIVE = "native"
"""The size of a data set whose pictures each keep their own."""
Size = int | str | tuple[int, int]
"""Pixels a side of a square, `NATIVE`, or the width and height that a picture of the same shape is brought to."""

UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError)
"""What PIL raises for a damaged or an enormous picture, depending on the format."""

READING_VERSION = 2
"""Raised whenever some file would give other pixels; part of the identity of what takes any kind of picture."""

_LONGEST = 16  # times the shorter side; of longer pictures only the square that is kept is resized
_log = logging.getLogger(__name__)
_unsaid = threading.Semaphore()  # of all threads that read pictures


def read_rgb(
    source,
    size: Size,
    resample: str = "bicubic",
    name: str | None = None,
    upright: bool = False,
    expected: tuple[int, int] | None = None,
) -> np.ndarray:
    """A picture as uint8 `[3, H, W]`: shorter side resized to `size`, then the central square.

    Args:
        source: a path or a binary stream.
        size: or `NATIVE`: as it is, or a width and a height.
        name: what to call it in an error.
        upright: turn it by its EXIF tag, as viewers do. Published benchmarks are read as they are stored.
        expected: width and height that it must have, where its mask is drawn for them.

    Raises:
        BadSample: it is no readable picture, or one of another size.
    """
    try:
        with Image.open(source) as image:
            if expected is not None and image.size != expected:
                got, due = ("x".join(map(str, pair)) for pair in (image.size, expected))
                raise BadSample(f"{name or source} is {got} px, and its mask {due}; they must be equal")
            pixels = fit(as_rgb(image, str(name or source), upright), size, FILTERS[resample])
            return np.asarray(pixels).transpose(2, 0, 1).copy()
    except UNREADABLE as error:
        raise BadSample(f"{name or source} is not a readable picture ({error})") from None


def read_mask(source, size: Size, edit: str | None = None, name: str | None = None) -> np.ndarray:
    """A mask as bool `[H, W]`, True = edit; cropped like its picture, without in-between values.

    Args:
        edit: what means edit, see `bench.data.masks.edited`.

    Raises:
        BadSample: it is no readable picture, or it cannot be told where the edit belongs.
    """
    try:
        with Image.open(source) as image:
            mask = Image.fromarray(edited(eight_bits(image), edit))
        return np.asarray(fit(mask, size, Image.Resampling.NEAREST))
    except UNREADABLE as error:
        raise BadSample(f"{name or source} is not a readable mask ({error})") from None


def as_rgb(image: Image.Image, name: str, upright: bool = True) -> Image.Image:
    """An opened picture as RGB with 8 bits a channel, transparency laid on white (said once).

    Raises:
        ValueError: what its numbers mean is not known; see `eight_bits`.
    """
    image = eight_bits(image, upright)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            _say_transparent(name)
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def eight_bits(image: Image.Image, upright: bool = True) -> Image.Image:
    """An opened picture with at most 8 bits a channel: whole numbers divided by 257, which takes 65535 to 255, and
    fractions multiplied by 255. PIL itself has shortened what has 16 bits and several channels.

    Raises:
        ValueError: numbers of another range, such as the 12 bits of many cameras; one range would make them black.
    """
    deep = ";16" in str(getattr(image, "tile", ""))
    image, key = (ImageOps.exif_transpose(image) if upright else image), image.info.get("transparency")
    if image.mode == "F":
        values = np.asarray(image)
        low, high = values.min(), values.max()
        if not 0 <= low <= high <= 1:  # nor is it if one is no number
            raise ValueError(
                f"it holds numbers from {low:g} to {high:g}, expected 0 to 1; save it with 8 bits a channel"
            )
        return Image.fromarray((255 * values).round().astype(np.uint8))
    single = image.mode == "I" or image.mode.startswith("I;16")
    if not (single or deep):
        return image
    values = np.asarray(image).astype(np.int64) * (1 if single else 256)
    low, high = values.min(), values.max()
    if low < 0 or high > 65535 or 0 < high < 4096:
        raise ValueError(
            f"it has more than 8 bits a channel and holds numbers from {low} to {high}, expected 16 bits that reach "
            "beyond 4095; save it with 8 bits a channel"
        )
    if not single:
        return image
    grey = Image.fromarray((values / 257).round().astype(np.uint8))
    return grey if key is None else Image.merge("LA", [grey, Image.fromarray((255 * (values != key)).astype(np.uint8))])


def seen_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened picture once it is turned upright; reads its header alone."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return image.size[::-1] if turned else image.size


def stored_size(source) -> tuple[int, int] | None:
    """Width and height that a picture's header states; None if it has none."""
    try:
        with Image.open(source) as image:
            return image.size
    except UNREADABLE:
        return None


def fit(image: Image.Image, size: Size, resample: Image.Resampling) -> Image.Image:
    """Shorter side to `size`, then the central square (the order and rounding of torchvision's Resize and CenterCrop,
    which FlexIT's evaluation uses); the whole picture where `size` is none of a square."""
    if size in (NATIVE, image.size):
        return image
    if isinstance(size, tuple):
        return image.resize(size, resample)
    width, height = image.size
    short, long = sorted(image.size)
    if long > _LONGEST * short:  # in the other order, which takes memory for the square alone
        left, top = (width - short) / 2, (height - short) / 2
        return image.resize((size, size), resample, box=(left, top, left + short, top + short))
    if width <= height:
        width, height = size, int(size * height / width)
    else:
        width, height = int(size * width / height), size
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _say_transparent(name: str) -> None:
    if _unsaid.acquire(blocking=False):
        _log.warning("transparent parts of pictures are laid on white, as in %s", name)
