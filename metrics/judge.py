"""The judge of the shapes world: a small network that reads every attribute of a scene off its pixels.

One convolutional tower serves the whole `shapes` metric profile: attribute heads (edit success), pooled features
(Frechet distances), intermediate maps (perceptual and structure distance) and a joint image-text embedding
(text agreement). It was trained on this world alone and says nothing about photographs.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from bench.errors import UserError, one_line
from metrics import states

_SIZE = 64  # pixels; other sizes are resized to this
_GRID = 4  # cells a side that the heads see, so that they can tell left from right


class Judge(nn.Module):
    """Convolutional tower with one classifier per attribute and a word-bag text tower.

    Args:
        attributes: attribute name -> names of its values.
        vocabulary: words that the text tower knows; others are ignored.
        widths: channels of the four stages.
    """

    def __init__(self, attributes: dict[str, list[str]], vocabulary: list[str], widths=(32, 64, 96, 128), embedding=64):
        super().__init__()
        self.attributes = {name: list(values) for name, values in attributes.items()}
        self.vocabulary = list(vocabulary)
        self.widths, self.embedding = tuple(widths), embedding
        stages, before = [], 3
        for width in widths:
            stages.append(
                nn.Sequential(
                    nn.Conv2d(before, width, 3, padding=1),
                    nn.GroupNorm(8, width),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, padding=1, stride=2),
                    nn.GroupNorm(8, width),
                    nn.SiLU(),
                )
            )
            before = width
        self.stages = nn.ModuleList(stages)
        flat = widths[-1] * _GRID**2
        self.heads = nn.ModuleDict({name: nn.Linear(flat, len(values)) for name, values in self.attributes.items()})
        self.image_embedding = nn.Linear(flat, embedding)
        self.words = nn.Embedding(len(vocabulary) + 1, 128, padding_idx=0)  # 0: a word it does not know
        self.text_embedding = nn.Sequential(nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, embedding))
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps of the four stages for float images `[B, 3, H, W]` in [0, 1]."""
        x = images
        if x.shape[-2:] != (_SIZE, _SIZE):
            x = F.interpolate(x, (_SIZE, _SIZE), mode="bilinear", antialias=True, align_corners=False)
        x, maps = 4 * x - 2, []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def logits(self, top: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attribute name -> logits `[B, values]`, from the last of `maps`."""
        flat = top.flatten(1)
        return {name: head(flat) for name, head in self.heads.items()}

    def read(self, top: torch.Tensor) -> list[dict[str, str]]:
        """What each image shows, attribute -> likeliest value, from the last of `maps`."""
        guesses = {name: value.argmax(-1).tolist() for name, value in self.logits(top).items()}
        return [{n: self.attributes[n][guess[i]] for n, guess in guesses.items()} for i in range(len(top))]

    def embed_images(self, top: torch.Tensor) -> torch.Tensor:
        """Unit embeddings `[B, D]`, from the last of `maps`."""
        return F.normalize(self.image_embedding(top.flatten(1)), dim=-1)

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit embeddings `[B, D]` of captions, as bags of words."""
        index = {word: i + 1 for i, word in enumerate(self.vocabulary)}
        bags = [[index.get(word, 0) for word in text.lower().replace(",", " ").split()] or [0] for text in texts]
        ids = nn.utils.rnn.pad_sequence([torch.tensor(bag) for bag in bags], batch_first=True)
        vectors = self.words(ids.to(self.log_scale.device)).sum(1)
        return F.normalize(self.text_embedding(vectors), dim=-1)

    def save(self, folder: Path) -> None:
        """Writes `config.json` and `model.safetensors` (fp16)."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "attributes": self.attributes,
            "vocabulary": self.vocabulary,
            "widths": self.widths,
            "embedding": self.embedding,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        save_file({k: v.half().contiguous() for k, v in self.state_dict().items()}, folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Reads what `save` wrote; strict, in evaluation mode, float32.

        Raises:
            UserError: a file is missing, cannot be read, or is not of a judge.
        """
        folder = Path(folder)
        try:
            judge = cls(**json.loads((folder / "config.json").read_text()))
            state = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
        except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as error:
            raise UserError(f"{folder} is no folder of a shapes judge: {one_line(error)[:300]}") from None
        states.fill(judge, state, folder / "model.safetensors", "a shapes judge")
        return judge.eval().requires_grad_(False)
