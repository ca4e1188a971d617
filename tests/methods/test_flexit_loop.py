"""FlexIT against its loss and updates written out (methods.md, section 1; FlexIT's flexit_editer.py), on networks of a
few numbers."""

import pytest
import torch
from torch.nn.functional import normalize

from bench.diffusion.noise import SampleNoise
from bench.types import EditBatch, EditSample
from methods.flexit import FlexIT, View

WORDS = {"a cat": 1.0, "a dog": 2.5, "a bus": -1.0, "the sea": 0.3}


class Clip:
    """Embeds a picture of 4 x 4 pixels by a matrix, a text by a sine; of unit length."""

    size = 4

    def __init__(self, seed):
        self.matrix = torch.randn(48, 5, generator=torch.Generator().manual_seed(seed)).double()
        self.shown = []

    def images(self, pixels):
        self.shown.append(pixels.detach())
        return normalize(pixels.flatten(1).double() @ self.matrix, dim=-1)

    def texts(self, queries):
        return normalize(torch.sin(torch.arange(5).double() * torch.tensor([[WORDS[q]] for q in queries])), dim=-1)


class Codes:
    """Codes are the pixels of a picture of 4 x 4, times a matrix over channels."""

    rows = 0

    def __init__(self):
        self.mix = torch.tensor([[1.0, 0.2, 0], [0, 1, 0.3], [0.1, 0, 1]]).double()
        self.clips, self.decoded = {"one": Clip(1), "two": Clip(2)}, None

    def encoders(self, dtype):
        return self.clips

    def encode(self, images):
        return torch.einsum("cd,bdhw->bchw", self.mix.inverse(), images.double())

    def decode(self, codes):
        self.decoded = torch.einsum("cd,bdhw->bchw", self.mix, codes)
        return self.decoded

    def features(self, pictures):
        return [pictures.double() ** 2]

    def distance(self, a, b):
        return sum(((x - y) ** 2).mean((1, 2, 3)) for x, y in zip(a, b, strict=True))

    def excess(self, text):
        return 0


def made(count=2):
    pairs = [("a cat", "a dog"), ("a bus", "the sea")][:count]
    pixels = torch.randint(40, 215, (count, 3, 4, 4), generator=torch.Generator().manual_seed(3)).byte()
    samples = [EditSample(str(n), x.numpy(), *pair) for n, (x, pair) in enumerate(zip(pixels, pairs, strict=True))]
    return EditBatch(samples, pixels)


def clamped(x):
    """Soft clamp: (1 + sign(y) tanh(|y|^5)^(1/5)) / 2, y = 2 x - 1."""
    y = 2 * x - 1
    return (1 + y.sign() * torch.tanh(y.abs() ** 5) ** 0.2) / 2


OTHERS = {"views": 2, "image_weight": 0.7, "target_weight": 0.5, "perceptual": 1, "rate": 0.2}


@pytest.mark.parametrize("knobs", [{}, OTHERS])
def test_updates_are_the_loop_written_out(knobs, monkeypatch):
    """Target = E_T + 0.2 E_I - 0.4 E_S; loss = - mean over CLIPs of <mean over views of E(picture), target>
    + 0.15 LPIPS + 0.05 sum |z - z0| / sum |z0|, lengths over channels; z moves by 0.05 |z0| against the gradient."""
    monkeypatch.setattr(FlexIT, "_seen", lambda self, x, view, size: x if view.flip else x.flip(-1))
    model, batch = Codes(), made()
    method, noise = FlexIT(updates=3, **knobs), SampleNoise(0, ["0", "1"])
    method(model, batch, noise)
    w = {"views": 1, "image_weight": 0.2, "target_weight": 1, "perceptual": 0.15, "rate": 0.05} | knobs
    found = model.decoded
    for n, sample in enumerate(batch.samples):
        source = batch.images[n : n + 1].double() / 255
        z0 = model.encode(2 * source - 1)
        targets = {
            name: w["target_weight"] * clip.texts([sample.target])
            + w["image_weight"] * clip.images(source)
            - 0.4 * clip.texts([sample.source])
            for name, clip in model.clips.items()
        }
        z, goal = z0, method.goal(model, batch)
        for step in range(3):
            drawn = method.draws(model, batch, goal, noise, step)
            z = z.detach().requires_grad_()
            x, agreement = clamped((model.decode(z) + 1) / 2), 0
            for name, clip in model.clips.items():
                shown = [x if views[n].flip else x.flip(-1) for views in drawn.views[name]]
                mean = sum(clip.images(one) for one in shown) / w["views"]
                agreement = agreement + (mean * targets[name]).sum() / len(model.clips)
            lpips = ((x**2 - source**2) ** 2).mean()
            moved = (z - z0 + 1e-6 * drawn.xi[n]).square().sum(1).sqrt().sum() / z0.square().sum(1).sqrt().sum()
            (g,) = torch.autograd.grad(-agreement + w["perceptual"] * lpips + 0.05 * moved, z)
            z = z.detach() - w["rate"] * z0.norm() * g / g.norm()
        torch.testing.assert_close(found[n : n + 1], model.decode(z), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("antialias", [False, True])
def test_a_view_is_turned_then_cut_then_flipped(antialias):
    """Counter-clockwise, about the centre; the box is top, left, height and width, resized to the CLIP's side."""
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    method, turned = FlexIT(antialias=antialias), x.rot90(1, (1, 2))
    assert torch.equal(method._seen(x, View(0, (1, 3, 4, 4), False), 4), x[:, 1:5, 3:7])
    assert torch.equal(method._seen(x, View(90, (1, 3, 4, 4), True), 4), turned[:, 1:5, 3:7].flip(-1))
    if not antialias:  # bilinear at half the size, between the two middle pixels of each four
        small = x.unfold(1, 2, 2).unfold(2, 2, 2).mean((-2, -1))
        torch.testing.assert_close(method._seen(x, View(0, (0, 0, 8, 8), False), 4), small)


def test_the_final_yamls_numbers():
    one = FlexIT()
    assert (one.updates, one.views, one.image_weight, one.source_weight, one.target_weight) == (160, 1, 0.2, 0.4, 1)
    assert (one.perceptual, one.latent, one.rate, one.antialias) == (0.15, 0.05, 0.05, False)
