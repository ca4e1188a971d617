"""The networks behind FlexIT: VQGAN, OpenAI's CLIPs, LPIPS. All frozen; gradients pass to what they are handed."""

from pathlib import Path
from pickle import UnpicklingError

import open_clip
import torch
from diffusers import VQModel
from hydra.utils import instantiate
from lpips import normalize_tensor
from open_clip.model import build_model_from_openai_state_dict, convert_weights_to_lp
from torch.nn.functional import normalize

from bench.errors import UserError, one_line
from bench.models.base import check_sides
from bench.models.converted import ConvertedFolder
from bench.models.loading import network
from bench.types import Query


class VqganNetworks:
    """Implements `bench.types.CodesModel`."""

    rows = 0

    def __init__(self, vqgan: VQModel, clips: dict[str, "Clip"], lpips: torch.nn.Module, size: int):
        self.vqgan, self.clips, self.lpips, self.size = vqgan, clips, lpips, size
        self.factor = 2 ** (len(vqgan.config.block_out_channels) - 1)

    @classmethod
    def load(
        cls,
        checkpoint: ConvertedFolder,
        trunk: Path,
        clips: dict[str, Path],
        device: torch.device,
        dtype: torch.dtype,
    ) -> "VqganNetworks":
        """Reads everything; strict.

        Args:
            checkpoint: `bench.models.vqgan_clip.VqganClip`.
            trunk: VGG16's state dict, or `random`.
            clips: files of OpenAI, or state dicts with their names.
            dtype: of the VQGAN.

        Raises:
            UserError: something does not fit its architecture.
        """
        vqgan = network(checkpoint, VQModel, "vqgan", device, dtype)
        lpips, tokenizer = instantiate(checkpoint.lpips, file=trunk).to(device), open_clip.SimpleTokenizer()
        towers = {name: Clip(_clip(file).to(device), tokenizer) for name, file in clips.items()}
        return cls(vqgan, towers, lpips, checkpoint.size)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """float `[B, 3, H, W]` in [-1, 1] to codes before quantisation.

        Raises:
            UserError: a side is no multiple of VQGAN's factor.
        """
        check_sides(images, self.factor)
        return self.vqgan.encode(images).latents

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes, as they are, to float `[B, 3, H, W]`, about [-1, 1]."""
        return self.vqgan.decode(codes, force_not_quantize=True).sample

    def encoders(self, dtype: str) -> dict[str, "Clip"]:
        """The CLIPs, computing in float32 or float16."""
        for clip in self.clips.values():
            clip.compute_in(getattr(torch, dtype))
        return self.clips

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """LPIPS' of float `[B, 3, H, W]` in [0, 1]: unit length over the channels, at each of its layers."""
        layers = self.lpips.net(self.lpips.scaling_layer(2 * images - 1))
        return [normalize_tensor(layer) for layer in layers]

    def distance(self, a: list[torch.Tensor], b: list[torch.Tensor]) -> torch.Tensor:
        """LPIPS `[B]`."""
        parts = zip(self.lpips.lins, a, b, strict=True)
        return sum(head((x - y).square()).mean((1, 2, 3)) for head, x, y in parts)

    def excess(self, query: Query) -> int:
        """Number of a text's tokens, start and end included, beyond the context, which all CLIPs have alike."""
        clip = next(iter(self.clips.values()))
        return max(0, len(clip.tokenizer.encode(query or "")) + 2 - clip.network.context_length)


class Clip:
    """Implements `bench.types.JointEncoder` with a CLIP of OpenAI."""

    def __init__(self, network: open_clip.CLIP, tokenizer: open_clip.SimpleTokenizer):
        self.network, self.tokenizer, self.dtype = network, tokenizer, torch.float32
        size = network.visual.image_size
        self.size = size if isinstance(size, int) else size[0]
        mean, spread = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
        device = network.logit_scale.device
        self.mean, self.spread = (torch.tensor(x, device=device)[:, None, None] for x in (mean, spread))

    def compute_in(self, dtype: torch.dtype) -> None:
        """As OpenAI's code does on a GPU (float16) or the CPU (float32); normalisations stay float32."""
        if dtype != self.dtype:
            convert_weights_to_lp(self.network, dtype)
            self.dtype = dtype

    def images(self, x: torch.Tensor) -> torch.Tensor:
        """See `bench.types.JointEncoder`."""
        seen = self.network.encode_image(((x - self.mean) / self.spread).to(self.dtype))
        return normalize(seen.float(), dim=-1)

    def texts(self, texts: list[str]) -> torch.Tensor:
        """See `bench.types.JointEncoder`; what exceeds the context is cut."""
        tokens = self.tokenizer(texts, self.network.context_length).to(self.mean.device)
        return normalize(self.network.encode_text(tokens).float(), dim=-1)


_NO_CLIP = (RuntimeError, KeyError, AttributeError, AssertionError, TypeError, ValueError, EOFError, UnpicklingError)


def _clip(file: Path) -> open_clip.CLIP:
    """In float32, with QuickGELU, which OpenAI's were trained with."""
    try:
        try:
            state = torch.jit.load(file, map_location="cpu").state_dict()  # as OpenAI's files are
        except RuntimeError:
            state = torch.load(file, map_location="cpu", weights_only=True)
        # float16 chooses normalisations that stay float32 when the rest is made half
        network = build_model_from_openai_state_dict(dict(state), quick_gelu=True, cast_dtype=torch.float16)
    except _NO_CLIP as error:
        raise UserError(f"{file} is no CLIP in OpenAI's format: {one_line(error)[:160]}") from None
    return network.float().eval().requires_grad_(False)
