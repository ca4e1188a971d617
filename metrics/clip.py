"""CLIPScore."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.diffusion import prompts
from bench.errors import UserError, one_line
from bench.types import ScoreBatch
from metrics import states, words


class ClipScore:
    """`scale` x cosine of the CLIP embeddings of edit and target prompt. DiffEdit's gains of "0.25 points" (section
    4.4) only fit 100 x cosine; Hessel et al. 2021 have 2.5 x max(cosine, 0) and a prefix.

    Own code, since torchmetrics' CLIPScore crashes with transformers 5 and keeps no per-image values. NaN for a sample
    whose target is no words.

    Args:
        weights: folder of a Hugging Face CLIP model and its processor.
        region: `frame`, or `edited`: black outside the region to edit, and still the full prompt, as PnPInversion has
            it; NaN without a mask and where it is empty.
        scale: 100, or Hessel's 2.5.
        floor: lowest value, 0 in torchmetrics (hence in PnPInversion) and Hessel; null for none.
        prefix: put before the prompt, "A photo depicts" in Hessel's code.
        resize: what resizes pictures, `torchvision` or `pil`; they differ by some hundredths of a point. Both belong to
            transformers' own CLIP processor, which ran on PIL before version 5.

    Attributes:
        notes: sample id -> what was wrong with its prompt.
    """

    version, higher_is_better = 2, True

    def __init__(self, weights: Path, region="frame", scale=100.0, floor=None, prefix="", resize="torchvision"):
        if region not in ("frame", "edited"):
            raise ValueError(f"region={region!r}, expected frame or edited")
        self.weights, self.region, self.scale, self.floor = Path(weights), region, scale, floor
        self.prefix, self.resize, self.notes = prefix, resize, {}
        self.unit = "x 10^2" if scale == 100 else f"x {scale:g}"

    def load(self) -> None:
        """Reads the model; see `load`."""
        load(self.weights, self.resize)

    def score(self, batch: ScoreBatch) -> np.ndarray:
        pictures, known = batch.edits, np.ones(len(batch.samples), bool)
        if self.region == "edited":
            inside = [np.zeros(pictures.shape[-2:], bool) if s.mask is None else s.mask for s in batch.samples]
            known = np.array([mask.any() for mask in inside])
            pictures = pictures * torch.from_numpy(np.stack(inside)).to(pictures.device)[:, None]
        texts, notes = words.targets(batch)
        self.notes |= notes
        values = np.full(len(batch.samples), np.nan)
        if texts:
            places = list(texts)
            images = self._embed_images(pictures)[places]
            cosines = torch.cosine_similarity(images, self._embed_prompts(batch, texts), dim=-1)
            values[places] = self.scale * cosines.double().cpu().numpy()
        return np.where(known, values if self.floor is None else np.maximum(values, self.floor), np.nan)

    def _embed_images(self, pictures: torch.Tensor) -> torch.Tensor:
        return embed_images(self.weights, pictures, self.resize).double()

    def _embed_prompts(self, batch: ScoreBatch, targets: dict[int, str]) -> torch.Tensor:
        model, tokenizer, longest = _clip(self.weights)
        texts = [f"{self.prefix} {target}".strip() for target in targets.values()]
        for place, ids in zip(targets, tokenizer(texts, verbose=False).input_ids, strict=True):
            if len(ids) > longest:
                self.notes[batch.samples[place].id] = f"prompt of {len(ids)} tokens cut at CLIP's {longest}"

        def embed() -> torch.Tensor:
            inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=longest)
            inputs = inputs.to(batch.edits.device)
            return model.text_projection(model.text_model(inputs.input_ids, inputs.attention_mask).pooler_output)

        model.to(batch.edits.device)
        return batch.shared(("clip text", str(self.weights), self.prefix), embed).double()


def embed_images(folder: Path, pictures: torch.Tensor, resize: str = "torchvision") -> torch.Tensor:
    """Projected embeddings, float32 `[B, D]`, of uint8 `[B, 3, H, W]`; not of unit length."""
    model, prepare = _clip(folder)[0].to(pictures.device), processor(folder, resize)
    images = [Image.fromarray(picture) for picture in pictures.permute(0, 2, 3, 1).cpu().numpy()]
    pixels = prepare(images, return_tensors="pt").pixel_values.to(pictures.device)
    return model.visual_projection(model.vision_model(pixels).pooler_output)


@lru_cache
def _clip(folder: Path):
    """Model, tokenizer, and the longest text that the model takes.

    Raises:
        UserError: a file is missing or cannot be read, or prompts and pictures go through as if they were alike.
    """
    from transformers import AutoTokenizer, CLIPModel

    model = states.pretrained(CLIPModel, folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises nothing more special
        raise UserError(f"{folder} has no tokenizer that can be read: {one_line(error)[:300]}") from None
    longest = model.config.text_config.max_position_embeddings

    def embed(texts: list[str]) -> torch.Tensor:
        inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=longest)
        return model.text_projection(model.text_model(inputs.input_ids, inputs.attention_mask).pooler_output)

    try:
        prompts.check(embed, folder)
    except (IndexError, RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{folder}: its tokenizer does not fit its model: {one_line(error)[:300]}") from None
    return model, tokenizer, longest


@lru_cache
def processor(folder: Path, resize: str = "torchvision"):
    """What prepares pictures. Raises: UserError: there is none that can be read."""
    # Named outright: what CLIPProcessor and AutoImageProcessor choose has changed between versions of transformers.
    from transformers.models.clip.image_processing_clip import CLIPImageProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    kind = {"torchvision": CLIPImageProcessor, "pil": CLIPImageProcessorPil}[resize]
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} has no image processor that can be read: {one_line(error)[:300]}") from None


def load(folder: Path, resize: str = "torchvision") -> None:
    """Reads a CLIP model with all that belongs to it, and takes one picture through.

    Raises:
        UserError: something is missing, cannot be read, or does not fit.
    """
    try:
        with torch.inference_mode():
            embed_images(folder, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), resize)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{folder}: its image processor does not fit its model: {one_line(error)[:300]}") from None
