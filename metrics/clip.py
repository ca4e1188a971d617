"""CLIPScore."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.errors import UserError, one_line
from bench.types import ScoreBatch
from metrics import words


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
    model, processor = _clip(folder)[0].to(pictures.device), _processor(folder, resize)
    images = [Image.fromarray(picture) for picture in pictures.permute(0, 2, 3, 1).cpu().numpy()]
    pixels = processor(images, return_tensors="pt").pixel_values.to(pictures.device)
    return model.visual_projection(model.vision_model(pixels).pooler_output)


@lru_cache
def _clip(folder: Path):
    """Model, tokenizer, and the longest text that the model takes."""
    from transformers import AutoTokenizer, CLIPModel

    try:
        model, info = CLIPModel.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is no CLIP model with its tokenizer: {one_line(error)[:300]}") from None
    if info["missing_keys"]:
        raise UserError(f"{folder} lacks {sorted(info['missing_keys'])[0]}")
    longest = model.config.text_config.max_position_embeddings
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(folder), longest


@lru_cache
def _processor(folder: Path, resize: str):
    # Named outright: what CLIPProcessor and AutoImageProcessor choose has changed between versions of transformers.
    from transformers.models.clip.image_processing_clip import CLIPImageProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return {"torchvision": CLIPImageProcessor, "pil": CLIPImageProcessorPil}[resize].from_pretrained(folder)
