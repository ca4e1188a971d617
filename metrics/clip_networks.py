"""CLIP networks in a folder of transformers or a file of open_clip, loaded once a process."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError

from bench.diffusion import prompts
from bench.errors import UserError, nearest, one_line
from metrics import offline, states

_WRONG = (RuntimeError, ValueError, TypeError)
_UNREADABLE = (OSError, KeyError, AttributeError, AssertionError, pickle.UnpicklingError, SafetensorError, *_WRONG)


class _Folder:
    """A CLIP of transformers with its tokenizer; see `load`."""

    def __init__(self, folder: Path, resize: str):
        from transformers import AutoTokenizer, CLIPModel

        self.model = states.pretrained(CLIPModel, folder)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # tokenizers raises nothing more special
            raise UserError(f"{folder} has no tokenizer that can be read: {one_line(error)[:300]}") from None
        self.longest, self.prepare = self.model.config.text_config.max_position_embeddings, processor(folder, resize)

    def lengths(self, texts: list[str]) -> list[int]:
        return [len(ids) for ids in self.tokenizer(texts, verbose=False).input_ids]

    def texts(self, texts: list[str], device: torch.device) -> torch.Tensor:
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=self.longest).to(
            device
        )
        model = self.model.to(device)
        return model.text_projection(model.text_model(inputs.input_ids, inputs.attention_mask).pooler_output)

    def images(self, pictures: torch.Tensor) -> torch.Tensor:
        pixels = self.prepare(_pil(pictures), return_tensors="pt").pixel_values.to(pictures.device)
        model = self.model.to(pictures.device)
        return model.visual_projection(model.vision_model(pixels).pooler_output)


class _File:
    """A network of open_clip, which prepares pictures by PIL as its training did; see `load`."""

    def __init__(self, file: Path, named: str):
        import open_clip

        if named.endswith(".json"):
            open_clip.add_model_config(named)
            name, tag = Path(named).stem, ""
        else:
            name, _, tag = named.partition("/")
        preparation, quick = _training(name, tag)
        with offline.closed(f"open_clip's {name}", {}):
            try:
                self.model, _, self.prepare = open_clip.create_model_and_transforms(
                    name, pretrained=str(file), force_quick_gelu=quick, **preparation
                )
                self.tokenizer = open_clip.get_tokenizer(name)
            except _UNREADABLE as error:
                raise UserError(f"{file} cannot be loaded as open_clip's {name}: {one_line(error)[:300]}") from None
        states.check_finite(self.model, file)
        self.model = self.model.eval().requires_grad_(False)
        self.longest = self.tokenizer.context_length

    def lengths(self, texts: list[str]) -> list[int]:
        if hasattr(self.tokenizer, "encode"):
            return [len(self.tokenizer.encode(text)) + 2 for text in texts]  # and its marks of start and end
        return [len(self.tokenizer.tokenizer(text).input_ids) for text in texts]

    def texts(self, texts: list[str], device: torch.device) -> torch.Tensor:
        return self.model.to(device).encode_text(self.tokenizer(texts).to(device))

    def images(self, pictures: torch.Tensor) -> torch.Tensor:
        pixels = torch.stack([self.prepare(picture) for picture in _pil(pictures)]).to(pictures.device)
        return self.model.to(pictures.device).encode_image(pixels)


def _training(name: str, tag: str) -> tuple[dict[str, Any], bool]:
    """How a training prepares pictures, and whether it had QuickGELU. Neither is in a file of weights, and another
    gives other numbers in silence.

    Raises:
        UserError: there is no such training, or which one it is decides the numbers and was not said.
    """
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag and tag not in tags:
        raise UserError(f"{name}/{tag} is no training of {name} that open_clip knows; {nearest(tag, tags)}")
    keys = {"image_mean": "mean", "image_std": "std"}
    keys |= {"image_interpolation": "interpolation", "image_resize_mode": "resize_mode"}
    ways = {}
    for one in [tag] if tag else tags:
        known = open_clip.get_pretrained_cfg(name, one)
        way = {argument: known[key] for argument, key in keys.items() if known.get(key) is not None}
        ways.setdefault(str((way, bool(known.get("quick_gelu")))), (way, bool(known.get("quick_gelu")), one))
    if len(ways) > 1:
        some = " or ".join(f"{name}/{one}" for *_, one in ways.values())
        raise UserError(f"weights of {name} are used in several ways; say of which training they are, such as {some}")
    way, quick, _ = next(iter(ways.values()), ({}, False, ""))
    return way, quick


def _pil(pictures: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(picture) for picture in pictures.permute(0, 2, 3, 1).cpu().numpy()]


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


@lru_cache
def load(weights: Path, open_clip: str | None = None, resize: str = "torchvision") -> _Folder | _File:
    """A CLIP model with all that belongs to it, frozen, after a picture and prompts went through. It has
    `images(uint8 [B, 3, H, W])` and `texts(prompts, device)`, embeddings float32 `[B, D]` that are not of unit length;
    `lengths(prompts)` in tokens; and `longest`, which texts are cut at.

    Args:
        weights: folder of transformers, or a file of open_clip.
        open_clip: the file's network: `bench.files.architectures` says how it is named.
        resize: what resizes pictures for a folder, `torchvision` or `pil`.

    Raises:
        UserError: something is missing, cannot be read, or does not fit; or prompts go through as if they were alike.
    """
    network = _File(weights, open_clip) if open_clip else _Folder(weights, resize)
    cpu = torch.device("cpu")
    try:
        with torch.inference_mode():
            prompts.check(lambda texts: network.texts(texts, cpu), weights)
    except (IndexError, *_WRONG) as error:
        raise UserError(f"{weights}: its tokenizer does not fit its model: {one_line(error)[:300]}") from None
    try:
        with torch.inference_mode():
            network.images(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    except _WRONG as error:
        raise UserError(f"{weights}: its image processor does not fit its model: {one_line(error)[:300]}") from None
    return network
