"""LPIPS (Zhang et al. 2018), version 0.1, and DISTS (Ding et al. 2020)."""

import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from bench.errors import UserError
from bench.types import ScoreBatch
from metrics import regions, states

_SMALLEST = {"alex": 31, "squeeze": 17, "vgg": 16}  # px that leave something after a trunk's last pooling
_PICTURES = 8  # held at a time: 32 of 512 px would take gigabytes


class Lpips:
    """Distance of edit and source; the heads ship with the `lpips` package, the trunk is a torchvision file.

    Args:
        net: `alex`, `vgg` or `squeeze`.
        weights: the trunk's state dict, or `random`.
        scale: FlexIT and DiffEdit report 100 times the distance, SimInversion 1000 times.
        region: one of `regions.REGIONS`; other than `frame`, NaN without a mask and where it covers the frame. In the
            `background`, edits are taken as if they had left the region to edit alone, and the distance is divided
            by the background's share of the frame.
        against: `(sources uint8 [B, 3, H, W]) -> the same`, what edits are compared with in place of their sources,
            such as `metrics.autoencoder.Autoencoder`.
    """

    version, higher_is_better = 1, False

    def __init__(self, net: str, weights: Path, scale: float = 1.0, region: str = "frame", against=None):
        self.against = against
        self.net, self.weights, self.scale, self.region = net, Path(weights), scale, regions.check(region)
        self.unit = f"x 10^{len(str(int(scale))) - 1}" if scale != 1 else ""

    @property
    def smallest(self) -> int:
        """Pixels a side."""
        return _SMALLEST[self.net]

    def load(self) -> None:
        """See `load`."""
        load(self.net, self.weights)
        if hasattr(self.against, "load"):
            self.against.load()

    def score(self, batch: ScoreBatch) -> np.ndarray:
        network = load(self.net, self.weights).to(batch.edits.device)
        if self.against is not None:
            batch = replace(batch, sources=self.against(batch.sources))
        if self.region == "frame":
            return self.scale * _distances(network, batch.edits, batch.sources).cpu().numpy()
        kept = regions.outside(batch)
        if self.region == "masked":
            values = _distances(network, regions.blacked(batch.edits, kept), regions.blacked(batch.sources, kept))
        else:
            values = _distances(network, regions.composed(batch, kept), batch.sources) / kept.double().mean((1, 2))
        return self.scale * regions.undefined_without(values, kept).cpu().numpy()


class Dists:
    """Deep image structure and texture similarity of edit and source, a distance: torchmetrics' network and heads, at
    the size saved. Their class would load VGG16 anew for every picture.

    Args:
        weights: vgg16-397923af.pth, or `random`.
    """

    version, higher_is_better, unit = 1, False, ""

    def __init__(self, weights: Path):
        self.weights = Path(weights)

    def load(self) -> None:
        """See `load_dists`."""
        load_dists(self.weights)

    def score(self, batch: ScoreBatch) -> np.ndarray:
        network = load_dists(self.weights).to(batch.edits.device)
        pairs = zip(batch.edits.split(_PICTURES), batch.sources.split(_PICTURES), strict=True)
        values = [network(x.float() / 255, y.float() / 255).reshape(-1) for x, y in pairs]
        return torch.cat(values).double().cpu().numpy()


@lru_cache
def load_dists(file: Path) -> torch.nn.Module:
    """Trunk and heads, frozen, loaded once a process.

    Raises:
        UserError: the file is not of VGG16.
    """
    from torchmetrics.functional.image import dists
    from torchvision.models import vgg

    with torch.random.fork_rng():
        torch.manual_seed(0)  # of `random`
        trunk = SimpleNamespace(features=vgg.make_layers(vgg.cfgs["D"], batch_norm=False))
    if str(file) != "random":
        state = {str(name): value for name, value in states.load(file).items()}
        state = {n.removeprefix("features."): value for n, value in state.items() if n.startswith("features.")}
        states.fill(trunk.features, state, file, "the trunk vgg")
    with mock.patch.object(dists, "vgg16", return_value=trunk):  # theirs would download it
        return dists.DISTSNetwork().eval().requires_grad_(False)


def _distances(network: torch.nn.Module, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    pairs = zip(a.split(_PICTURES), b.split(_PICTURES), strict=True)
    return torch.cat([network(x.float() / 255, y.float() / 255, normalize=True).flatten() for x, y in pairs]).double()


@lru_cache
def load(net: str, file: Path) -> torch.nn.Module:
    """Trunk and heads, frozen, loaded once a process; see `Lpips` for the arguments.

    Raises:
        UserError: the file is not of this trunk.
    """
    import lpips

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # lpips uses torchvision's old keyword
        torch.manual_seed(0)  # of `random`
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    if str(file) == "random":
        return network.eval().requires_grad_(False)
    trunk = {name: value for name, value in states.load(file).items() if str(name).startswith("features.")}
    # lpips names layers slice<i>.<layer>. Loaded strictly: its own loading would keep random weights in silence.
    names = {f"features.{name.split('.', 1)[1]}": name for name in network.net.state_dict()}
    if lacking := sorted(names.keys() - trunk.keys()):
        raise UserError(f"{file} lacks {lacking[0]}, of {net}")
    states.fill(network.net, {names[name]: trunk[name] for name in names}, file, f"the trunk {net}")
    return network.eval().requires_grad_(False)
