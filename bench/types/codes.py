"""What an autoencoder with image and text encoders beside it offers to methods that optimise its codes. No torch at run
time."""

from typing import TYPE_CHECKING, Protocol

from bench.types.records import Query

if TYPE_CHECKING:
    import torch


class JointEncoder(Protocol):
    """One network that puts pictures and texts into the same space (CLIP).

    Attributes:
        size: pixels a side of its pictures.
    """

    size: int

    def images(self, x: "torch.Tensor") -> "torch.Tensor":
        """float `[B, 3, size, size]` in [0, 1] to float32 `[B, D]` of unit length; differentiable."""

    def texts(self, texts: list[str]) -> "torch.Tensor":
        """float32 `[B, D]` of unit length."""


class CodesModel(Protocol):
    """Everything in it is frozen; gradients pass to what it is handed.

    Attributes:
        size: pixels a side it is used at.
        rows: evaluations of a denoiser, which it has not: 0.
    """

    size: int
    rows: int

    def encode(self, images: "torch.Tensor") -> "torch.Tensor":
        """float `[B, 3, H, W]` in [-1, 1] to codes `[B, C, h, w]` before quantisation."""

    def decode(self, codes: "torch.Tensor") -> "torch.Tensor":
        """Codes `[B, C, h, w]`, which are not quantised, to float `[B, 3, H, W]`, about [-1, 1]; differentiable."""

    def encoders(self, dtype: str) -> dict[str, JointEncoder]:
        """Its joint encoders by name, computing in a dtype."""

    def features(self, images: "torch.Tensor") -> list["torch.Tensor"]:
        """Of float `[B, 3, H, W]` in [0, 1], for `distance`; differentiable."""

    def distance(self, a: list["torch.Tensor"], b: list["torch.Tensor"]) -> "torch.Tensor":
        """Perceptual distance (LPIPS) of pictures by their features, `[B]`."""

    def excess(self, query: Query) -> int:
        """Number of a text's tokens that the encoders have no room for."""
