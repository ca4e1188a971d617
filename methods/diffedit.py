"""DiffEdit (Couairon et al. 2022, section 3.2): find the region to edit, encode, decode inside it."""

import torch
from torch.nn.functional import avg_pool2d, interpolate

from bench.diffusion import ddim
from bench.diffusion.device import finite
from bench.diffusion.grid import Grid, encode_steps, strength_level
from bench.diffusion.guidance import told
from bench.errors import UnfitSize
from bench.types import Condition, DiffusionModel, EditBatch, EditResult, Noise
from methods import latents


class DiffEdit:
    """Mask from the contrast of two predictions, DDIM encoding, and decoding that keeps the source outside the mask.

    Args:
        r: encoding ratio in [0, 1]; 0 is the autoencoder round trip.
        guidance: w of the decoding. The mask does not depend on it: the contrast is proportional to w and the rule
            that binarises it is scale-free.
        steps: steps of the full schedule, of which r uses k.
        mask_noise: strength at which the mask is sought, in (0, 1] (section 3.2: 0.5).
        n: noises that the contrast is averaged over (section 3.2: 10). NFE of the mask 2n, 20 by default.
        reference: `none` contrasts the query with the unconditional model, `caption` with the source's caption.
        clip: the paper removes extreme values without saying how; `mean_ratio` clips at `clip_at` times the map's
            mean (diffusers' rule, there over the whole batch, here per image), `percentile` at that percentile,
            `none` not at all.
        clip_before: `each` clips the map of each noise, then averages over noises, which is the order of the paper's
            sentence; `average` averages first, as diffusers does.
        clip_at: 3 for `mean_ratio`; a percentile in (0, 100] for `percentile`.
        rescale: `minmax` maps the averaged map onto [0, 1], as the paper says; `clip` divides by the clip value
            (diffusers' rule), so that a map may stay below 1.
        threshold: binarises the rescaled map (Figure 6: 0.25, 0.5, 0.75).
        encode: `ddim` or `noise`, the paper's "DiffEdit w/o Encode".
        mask_operator: `latent` blends latents after each step; `glide` blends the predicted clean latents and
            re-derives the noise before it (section 4.2).
        mask_size: cells a side of the mask, of which each covers as many of the latents' (DiffEdit's on ImageNet: 32);
            the map is averaged over them before it is clipped. Must divide the latents' side (of a frame that is no
            square it is along the longer side); None: their side.
        mask: `contrast`, or `ones` (Encode-Decode) and `zeros` (reconstruction) for ablations.

    NFE 2n + k + 2k, without the k for `encode=noise`.
    """

    version = 1

    def __init__(
        self,
        r: float,
        guidance: float,
        steps: int,
        mask_noise: float = 0.5,
        n: int = 10,
        reference: str = "none",
        clip: str = "mean_ratio",
        clip_at: float = 3.0,
        clip_before: str = "each",
        rescale: str = "minmax",
        threshold: float = 0.5,
        encode: str = "ddim",
        mask_operator: str = "latent",
        mask_size: int | None = None,
        mask: str = "contrast",
    ):
        self.r, self.guidance, self.steps = r, guidance, steps
        self.mask_noise, self.n, self.reference = mask_noise, n, reference
        self.clip, self.clip_at, self.clip_before = clip, clip_at, clip_before
        self.rescale, self.threshold = rescale, threshold
        self.encode, self.mask_operator = encode, mask_operator
        self.mask_size, self.mask = mask_size, mask

    def __call__(self, model: DiffusionModel, batch: EditBatch, noise: Noise) -> EditResult:
        levels = latents.grid(model, batch, self.steps)
        k = encode_steps(self.r, self.steps)
        mask = self._mask(model, batch, noise, levels)
        source = self._source(model, batch, noise, levels, k)
        target, null = latents.condition(model, batch, batch.targets), latents.null(model, batch)

        def keep_outside(y: torch.Tensor, level: int) -> torch.Tensor:
            return mask * y + (1 - mask) * source[level]

        def keep_clean_outside(y: torch.Tensor, eps: torch.Tensor, level: int) -> torch.Tensor:
            path, at = levels.path, levels.levels[level]
            guess = mask * path.clean(y, eps, at) + (1 - mask) * source[0]
            return path.prediction(y, guess, at)

        glide = self.mask_operator == "glide"
        y = ddim.sample(
            model,
            source[k],
            levels,
            k,
            target,
            null,
            self.guidance,
            after=None if glide else keep_outside,
            replace_eps=keep_clean_outside if glide else None,
        )
        return EditResult(latents.images(model, y), mask, latents.cut(model, batch))

    def _source(self, model, batch: EditBatch, noise: Noise, levels: Grid, k: int) -> list[torch.Tensor]:
        """The source at levels 0 to k."""
        if self.encode == "ddim":
            return latents.encoded(model, batch, levels, k)
        # DiffEdit w/o Encode. The paper leaves open whether each level has a noise of its own; one serves all here.
        x0, one = latents.clean(model, batch), latents.start_noise(model, batch, noise)
        return [x0] + [levels.path.noised(x0, one, level) for level in levels.levels[1 : k + 1]]

    def _mask(self, model, batch: EditBatch, noise: Noise, levels: Grid) -> torch.Tensor:
        """Binary mask `[B, 1, h, w]`, 1 = edit."""
        x0 = latents.clean(model, batch)
        if self.mask != "contrast":
            return torch.full_like(x0[:, :1], 1.0 if self.mask == "ones" else 0.0)
        cells = self._cells(*x0.shape[-2:])
        level = strength_level(self.mask_noise, self.steps)
        references = batch.sources if self.reference == "caption" else [None] * len(batch.samples)

        def contrast_map() -> torch.Tensor:
            draws = noise("mask", (self.n, *x0.shape[1:]))
            return contrast(
                model,
                x0,
                draws,
                levels,
                level,
                latents.condition(model, batch, batch.targets),
                latents.condition(model, batch, references),
            )

        raw = batch.shared(("contrast", self.n, levels.timesteps[level - 1], tuple(references)), contrast_map)
        finite(raw, "predictions for the mask")  # no threshold is below NaN: the mask would be empty
        coarse = avg_pool2d(raw, cells)
        mask = binarise(coarse, self.clip, self.clip_at, self.rescale, self.threshold, self.clip_before)
        return interpolate(mask, scale_factor=cells)  # nearest

    def _cells(self, height: int, width: int) -> int:
        """Cells of the latents along a side of a cell of the mask."""
        longest = max(height, width)
        cells = longest // (self.mask_size or longest)
        if self.mask_size and (longest % self.mask_size or height % cells or width % cells):
            sides = f"{longest} cells a side" if height == width else f"{width}x{height} cells"
            raise UnfitSize(f"method.mask_size={self.mask_size} does not divide the latents' {sides}; choose another")
        return cells


def contrast(
    model: DiffusionModel,
    x0: torch.Tensor,
    draws: torch.Tensor,
    grid: Grid,
    level: int,
    target: Condition,
    reference: Condition,
) -> torch.Tensor:
    """Where the query changes the prediction, as each noise shows it: mean over channels of |eps(target) -
    eps(reference)|, of noise or velocity alike; a distilled model is asked at guidance 1.

    Args:
        x0: clean latents `[B, C, h, w]`.
        draws: noises `[B, n, C, h, w]`; both predictions of a pair see the same one.
        level: number of the grid's level up to which they are mixed in.

    Returns:
        `[B, n, h, w]`, non-negative.
    """
    both, maps = told(Condition.cat([target, reference]), 1.0, model.distilled), []
    for one in draws.unbind(1):
        noisy = grid.path.noised(x0, one, grid.levels[level])
        queried, referred = model.eps(torch.cat([noisy, noisy]), grid.timesteps[level - 1], both).chunk(2)
        maps.append((queried - referred).abs().mean(1))
    return torch.stack(maps, 1)


def binarise(
    maps: torch.Tensor, clip: str, clip_at: float, rescale: str, threshold: float, clip_before: str = "each"
) -> torch.Tensor:
    """Contrast maps to a mask of 0 and 1, each image by itself: clip, average over noises, rescale, threshold.

    Args:
        maps: `[B, n, h, w]`, non-negative; one for each noise.
        clip, clip_at, rescale, threshold, clip_before: as of `DiffEdit`.

    Returns:
        `[B, 1, h, w]`, of `maps`' dtype.
    """
    flat = (maps.mean(1, keepdim=True) if clip_before == "average" else maps).flatten(2)
    if clip == "mean_ratio":
        top = clip_at * flat.mean(2)
    elif clip == "percentile":
        top = flat.quantile(clip_at / 100, dim=2)
    else:
        top = flat.amax(2)
    flat, top = flat.minimum(top[..., None]).mean(1), top.mean(1)
    low = flat.amin(1) if rescale == "minmax" else torch.zeros_like(top)
    high = flat.amax(1) if rescale == "minmax" else top
    scaled = (flat - low[:, None]) / (high - low).clamp(min=torch.finfo(flat.dtype).tiny)[:, None]
    return (scaled > threshold).to(maps.dtype).view_as(maps[:, :1])
