"""Pictures to the data set's size, once; methods and metrics never resize a source."""

import struct
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from bench.errors import BadSample

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
"""PIL's antialiased filters."""

UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError)
"""What PIL raises for a damaged or an enormous picture, depending on the format."""


def read_rgb(
    source,
    size: int,
    resample: str = "bicubic",
    name: str | None = None,
    as_seen: bool = False,
    expected: tuple[int, int] | None = None,
) -> np.ndarray:
    """A picture as uint8 `[3, size, size]`: shorter side resized to `size`, then centre-cropped.

    Args:
        source: a path or a binary stream.
        name: what to call it in an error.
        as_seen: turn it upright by its EXIF tag and lay transparency on white, as viewers do. Benchmarks read pixels
            as they are stored.
        expected: width and height that it must have, where its mask is drawn for them.

    Raises:
        BadSample: it is no readable picture, or one of another size.
    """
    try:
        with Image.open(source) as image:
            if expected is not None and image.size != expected:
                got, due = ("x".join(map(str, pair)) for pair in (image.size, expected))
                raise BadSample(f"{name or source} is {got} px, and its mask {due}; they must be equal")
            if as_seen:
                image = ImageOps.exif_transpose(image)
                if image.has_transparency_data:
                    image = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(fit(image.convert("RGB"), size, FILTERS[resample])).transpose(2, 0, 1).copy()
    except UNREADABLE as error:
        raise BadSample(f"{name or source} is not a readable picture ({error})") from None


def read_mask(file: Path, size: int) -> np.ndarray:
    """A mask picture, white = edit, as bool `[size, size]`; cropped like its picture, without in-between values.

    Raises:
        BadSample: it is no readable picture, or holds 0 and 1 instead of 0 and 255.
    """
    try:
        with Image.open(file) as image:
            levels = np.asarray(fit(image.convert("L"), size, Image.Resampling.NEAREST))
        if levels.max() == 1:
            raise BadSample(f"{file} holds the grey levels 0 and 1; in a mask white (255) means edit")
        return levels > 127
    except UNREADABLE as error:
        raise BadSample(f"{file} is not a readable mask ({error})") from None


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


def fit(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """Shorter side to `size`, then the central square (the order and rounding of torchvision's Resize and CenterCrop,
    which FlexIT's evaluation uses)."""
    width, height = image.size
    if width <= height:
        width, height = size, int(size * height / width)
    else:
        width, height = int(size * width / height), size
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))
