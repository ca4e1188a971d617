"""A VQGAN with CLIP encoders and LPIPS beside it, which FlexIT optimises codes of: which files they are made of. The
networks are `bench.models.vqgan_networks`. No torch until it is loaded."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError, nearest
from bench.files.weights import doubts, fingerprints, located, missing
from bench.models.converted import ConvertedFolder
from bench.types import Geometry

if TYPE_CHECKING:
    import torch

    from bench.models.vqgan_networks import VqganNetworks

_TRUNK = "vgg16"
_FACTOR, _CHANNELS = 16, 256  # of VQGAN f16


class VqganClip(ConvertedFolder):
    """
    Args:
        path: folder that `bench.convert` made.
        clips: names of the CLIPs, of `weights`.
        weights: name -> entry as `bench.files.weights.locate` takes it; of each CLIP, and of `vgg16`.
        lpips: node of the function that loads LPIPS, given its trunk's `file`.

    Raises:
        UserError: one sentence for each thing that is missing or is not what it should be.
    """

    takes = "VQGAN f16-1024's ckpts/last.ckpt (heibox.uni-heidelberg.de/d/8088892a516d4e3baf92)"
    kind = "vqgan"
    networks: ClassVar = {"vqgan": ("block_out_channels", "latent_channels", "num_vq_embeddings", "vq_embed_dim")}
    autoencoder = "vqgan"
    scheduler = None
    offers = "codes"
    size = 288  # FlexIT's

    def __init__(self, path: str, clips: Sequence[str], weights: Mapping[str, Any], lpips: Mapping[str, Any]):
        self.clips, self.lpips, problems = list(dict.fromkeys(clips)), lpips, []
        if unknown := [name for name in self.clips if name not in weights or name == _TRUNK]:
            known = [name for name in weights if name != _TRUNK]
            raise UserError(f"model.clips={unknown[0]}, {nearest(unknown[0], known)}")
        self.others = {"weights": {name: weights[name] for name in (*self.clips, _TRUNK)}}
        try:
            super().__init__(path)
        except UserError as error:
            problems.append(str(error))
        problems += missing(self.others, "model.weights.{}.path")
        if problems:
            raise UserError("\n".join(problems))
        said = [f"{name} is {why}" for name, why in doubts(self.others).items()]
        self.notice = "; ".join(filter(None, [self.notice, *said])) or None

    def identity(self) -> dict[str, Any]:
        """The folder's, the SHA-256 of each CLIP and of LPIPS' trunk, and the order of the CLIPs."""
        folder = super().identity()
        return folder | {"files": folder["files"] | fingerprints(self.others), "clips": self.clips}

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "VqganNetworks":
        from bench.models.vqgan_networks import VqganNetworks

        files = located(self.others)
        return VqganNetworks.load(self, files.pop(_TRUNK), files, device, dtype)

    @classmethod
    def geometry(cls, size: int, **knobs: Any) -> Geometry:
        return Geometry(size // _FACTOR, _CHANNELS)
