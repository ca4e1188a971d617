"""LPIPS (Zhang et al. 2018), version 0.1."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from bench.types import ScoreBatch


class Lpips:
    """Distance of edit and source; the heads ship with the `lpips` package, the trunk is a torchvision file.

    Args:
        net: `alex`, `vgg` or `squeeze`.
        weights: the trunk's state dict.
        scale: FlexIT and DiffEdit report 100 times the distance.
    """

    version, higher_is_better = 1, False

    def __init__(self, net: str, weights: Path, scale: float = 1.0):
        self.net, self.weights, self.scale = net, Path(weights), scale
        self.unit = f"x 10^{len(str(int(scale))) - 1}" if scale != 1 else ""

    def score(self, batch: ScoreBatch) -> np.ndarray:
        network = _network(self.net, self.weights).to(batch.edits.device)
        a, b = (x.float() / 255 for x in (batch.edits, batch.sources))
        return self.scale * network(a, b, normalize=True).flatten().double().cpu().numpy()


@lru_cache
def _network(net: str, file: Path) -> torch.nn.Module:
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips uses torchvision's old keyword
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    trunk = {
        k: v for k, v in torch.load(file, map_location="cpu", weights_only=True).items() if k.startswith("features.")
    }
    # lpips names layers slice<i>.<layer>. Loaded strictly: its own loading would keep random weights in silence.
    names = {f"features.{name.split('.', 1)[1]}": name for name in network.net.state_dict()}
    if lacking := sorted(names.keys() - trunk.keys()):
        raise RuntimeError(f"{file} lacks {lacking[0]}, of {net}")
    network.net.load_state_dict({names[name]: trunk[name] for name in names})
    return network.eval().requires_grad_(False)
