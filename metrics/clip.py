"""CLIPScore on the 100 x cosine scale."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.types import ScoreBatch


class ClipScore:
    """100 x cosine of the CLIP embeddings of edit and target prompt. Gains of "0.25 points" (DiffEdit, section 4.4)
    only fit this scale, not Hessel et al.'s 2.5 max(cos, 0).

    Own code, since torchmetrics' CLIPScore crashes with transformers 5 and keeps no per-image values.

    Args:
        weights: folder of a Hugging Face CLIP model and its processor.
    """

    version, higher_is_better, unit = 1, True, "x 10^2"

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def score(self, batch: ScoreBatch) -> np.ndarray:
        model, processor = _clip(self.weights)
        model = model.to(batch.edits.device)
        pictures = [Image.fromarray(edit) for edit in batch.edits.permute(0, 2, 3, 1).cpu().numpy()]
        texts = [str(sample.target) for sample in batch.samples]
        inputs = processor(text=texts, images=pictures, return_tensors="pt", padding=True, truncation=True)
        inputs = inputs.to(batch.edits.device)
        image = model.visual_projection(model.vision_model(inputs.pixel_values).pooler_output)
        text = model.text_projection(model.text_model(inputs.input_ids, inputs.attention_mask).pooler_output)
        return 100 * torch.cosine_similarity(image.double(), text.double()).cpu().numpy()


@lru_cache
def _clip(folder: Path):
    from transformers import CLIPModel, CLIPProcessor

    model, info = CLIPModel.from_pretrained(folder, output_loading_info=True)
    if info["missing_keys"]:
        raise RuntimeError(f"{folder} lacks {sorted(info['missing_keys'])[0]}")
    return model.eval().requires_grad_(False), CLIPProcessor.from_pretrained(folder)
