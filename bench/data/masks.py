"""Where in a mask that a user drew the edit belongs: two levels, whatever carries them."""

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

_SLACK = 32  # grey levels that lossy files stray from black and white
_SOFT, _REACH = 0.1, 2  # share of pixels between the levels in a smoothed outline, and their distance from it in pixels
_EDIT = {None: "white (255) or opaque", "dark": "dark", "transparent": "transparent"}


def edited(image: Image.Image, edit: str | None) -> np.ndarray:
    """Where the edit belongs, bool `[H, W]`.

    Args:
        image: of 8 bits a channel.
        edit: what means edit: None is white, or opaque where transparency draws the shape; or `dark`, or `transparent`.
            The threshold is half-way between the two levels; up to 10 % of the pixels may lie between them, within
            2 px of the outline.

    Raises:
        ValueError: it has more than two levels, or none that means edit.
    """
    plane = _plane(np.asarray(image.convert("RGBA")), edit)
    low, high = int(plane.min()), int(plane.max())
    single = high - low <= 2 * _SLACK
    if high < 255 - _SLACK and (single or edit != "dark"):  # of two levels the darker one is dark
        ends = (255 - high, 255 - low) if edit else (low, high)
        raise ValueError(
            f"it has levels from {ends[0]} to {ends[1]} and nothing {_EDIT[edit]}, which means edit: save it in black "
            "and white, or set data.mask_edit"
        )
    if single:
        return np.ones(plane.shape, bool)
    mask, slack = plane > (low + high) / 2, (high - low) / 8
    between = (plane > low + slack) & (plane < high - slack)
    if between.mean() > _SOFT:
        raise ValueError(f"{between.mean():.0%} of its pixels lie between its two levels, expected at most {_SOFT:.0%}")
    near = maximum_filter(mask, 2 * _REACH + 1) != minimum_filter(mask, 2 * _REACH + 1)
    if (between & ~near).any():
        raise ValueError(f"it has more than two levels: some lie between them over {_REACH} px from any outline")
    return mask


def _plane(pixels: np.ndarray, edit: str | None) -> np.ndarray:
    """uint8 `[H, W]` of RGBA pixels: the more, the rather edit."""
    alpha, grey = pixels[..., 3], np.asarray(Image.fromarray(pixels).convert("L"))
    if edit == "transparent":
        return 255 - alpha
    if edit == "dark":
        return np.minimum(255 - grey, alpha)
    if int(alpha.max()) - int(alpha.min()) <= 2 * _SLACK:
        return np.minimum(grey, alpha)
    shown = pixels[alpha >= 128, :3].max(-1)
    if not shown.size or shown.max() < 128:
        raise ValueError("it is transparent in parts and black in the others: set data.mask_edit to what means edit")
    if shown.min() < _SLACK and not ((shown >= _SLACK) & (shown <= 255 - _SLACK)).any():
        raise ValueError(
            "it draws one shape in black and white and another by transparency: save it in black and white"
        )
    return alpha
