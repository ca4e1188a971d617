"""DINO, DINOv2 and DeiT in their official files' format, against transformers' networks with the same weights."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as transforms
from transformers import DeiTConfig, DeiTForImageClassificationWithTeacher, Dinov2Config, Dinov2Model

from bench.errors import UserError
from bench.types import Undefined
from metrics import vit
from metrics.classes import Accuracy, Misedited, Unedited
from metrics.features import Dinov2
from tests.helpers.scores import noisy, score_batch

TINY = "deit_tiny_distilled_patch16_224"


def translated(state: dict, names: dict[str, str], blocks: int, width: int) -> dict:
    """A transformers state dict under the authors' names, with queries, keys and values in one matrix."""
    official = {}
    for name, value in state.items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        official[name] = value.clone()
    for block in range(blocks):
        for kind in ("weight", "bias"):
            parts = [official.pop(f"blocks.{block}.attn.{part}.{kind}") for part in ("q", "k", "v")]
            official[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(parts)
    return official


def seeded(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere: what is created as zeros or ones would prove nothing."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(False)


def names(state: dict) -> dict[str, str]:
    """transformers' layer names -> the authors', of DINOv2 and DeiT alike."""
    return {
        "encoder.layer.": "blocks.",
        "layers.": "blocks.",
        "attention.attention.query": "attn.q",
        "attention.attention.key": "attn.k",
        "attention.attention.value": "attn.v",
        "attention.output.dense": "attn.proj",
        "attention.q_proj": "attn.q",
        "attention.k_proj": "attn.k",
        "attention.v_proj": "attn.v",
        "attention.o_proj": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma",
        "layer_scale2.lambda1": "ls2.gamma",
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.cls_token": "cls_token",
        "embeddings.distillation_token": "dist_token",
        "embeddings.mask_token": "mask_token",
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "layernorm": "norm",
    }


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """transformers' network at 224 px, and its weights as the authors' file."""
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=224, patch_size=14)
    network = seeded(Dinov2Model(config))
    state = network.state_dict()
    file = tmp_path_factory.mktemp("weights") / "dinov2_vits14_pretrain.pth"
    torch.save(translated(state, names(state), 12, 384), file)
    return network, file


def test_dinov2_features_are_transformers(dinov2):
    network, file = dinov2
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    expected = network(pixels).pooler_output
    with torch.no_grad():
        made = vit.load("vit_small_patch14_dinov2", file, 224)(pixels)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_positions_are_resampled_as_dinov2_does(dinov2, tmp_path):
    """The published file has 37 x 37 positions, for 518 px; its code asks for 16.1 / 37 of them at 224 px."""
    state = torch.load(dinov2[1], weights_only=True)
    grid = torch.randn(1, 384, 37, 37, generator=torch.Generator().manual_seed(2))
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], grid.flatten(2).transpose(1, 2)], 1)
    torch.save(state, tmp_path / "large.pth")
    network = vit.load("vit_small_patch14_dinov2", tmp_path / "large.pth", 224)
    expected = torch.nn.functional.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    made = network.pos_embed[:, 1:].transpose(1, 2).reshape(1, 384, 16, 16)
    torch.testing.assert_close(made, expected)


def test_dinov2_pictures_are_prepared_as_by_torchvision(dinov2):
    """Pictures whose channels differ, resized as floats in [0, 1] and normalised; every channel in its place."""
    network, file = dinov2
    images = torch.from_numpy(noisy(np.random.default_rng(0), 2, 96))
    images[:, 0] //= 2
    pixels = transforms.resize(images.float() / 255, [224, 224], transforms.InterpolationMode.BICUBIC, antialias=True)
    expected = network(transforms.normalize(pixels.clamp(0, 1), vit.MEAN, vit.SPREAD)).pooler_output
    with torch.no_grad():
        made = Dinov2(file, "vit_small_patch14_dinov2")(images)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_deit_is_transformers(tmp_path):
    size = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "image_size": 384}
    config = DeiTConfig(**size, num_labels=1000, layer_norm_eps=1e-6)  # the authors' epsilon, not transformers' own
    network = seeded(DeiTForImageClassificationWithTeacher(config))
    state = {name.removeprefix("deit."): value for name, value in network.state_dict().items()}
    heads = {"cls_classifier": "head", "distillation_classifier": "head_dist"}
    file = tmp_path / "deit_tiny.pth"
    torch.save({"model": translated(state, names(state) | heads, 12, 192)}, file)
    pixels = torch.randn(2, 3, 384, 384, generator=torch.Generator().manual_seed(1))
    expected = network(pixels).logits  # the mean of both heads
    with torch.no_grad():
        made = vit.load(TINY, file, 384)(pixels)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


class Net:
    """Answers with the given logits and keeps what it is shown."""

    def __init__(self, logits: torch.Tensor):
        self.logits, self.seen = logits, []

    def to(self, device):
        return self

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen.append(pixels)
        return self.logits


def test_accuracy_asks_among_the_target_classes_alone(monkeypatch):
    """FlexIT: argmax over the benchmark's target classes; source, target and neither share a picture."""
    logits = torch.zeros(3, 1000)
    logits[:, 999] = 9  # the likeliest, but no target class
    logits[0, 20], logits[1, 10], logits[2, 30] = 5, 5, 5
    monkeypatch.setattr(vit, "load", lambda *_: Net(logits))
    batch = score_batch(np.zeros((3, 3, 8, 8), np.uint8), classes=[(10, 20)] * 3)
    batch.saved, batch.classes = [np.zeros((40, 50, 3), np.uint8)] * 3, [10, 20, 30]
    assert Accuracy("unread").score(batch).tolist() == [100, 0, 0]
    assert Unedited("unread").score(batch).tolist() == [0, 100, 0]
    assert Misedited("unread").score(batch).tolist() == [0, 0, 100]


def test_accuracy_looks_at_the_saved_edit_resized_to_384(monkeypatch):
    net = Net(torch.zeros(1, 1000))
    monkeypatch.setattr(vit, "load", lambda *_: net)
    batch = score_batch(np.zeros((1, 3, 8, 8), np.uint8), classes=[(0, 1)])
    batch.saved, batch.classes = [np.full((500, 640, 3), 255, np.uint8)], [0, 1]
    Accuracy("unread").score(batch)
    assert net.seen[0].shape == (1, 3, 384, 384)
    white = (1 - torch.tensor(vit.MEAN)) / torch.tensor(vit.SPREAD)
    torch.testing.assert_close(net.seen[0].mean((0, 2, 3)), white, rtol=1e-5, atol=1e-5)


def test_accuracy_needs_classes():
    with pytest.raises(Undefined, match="target classes"):
        Accuracy("unread").score(score_batch(np.zeros((1, 3, 8, 8), np.uint8)))


def test_random_weights_are_seeded_and_leave_the_generator_alone():
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    first = vit.load(TINY, "random", 384)
    assert torch.equal(torch.rand(3), before)
    vit.load.cache_clear()
    again = vit.load(TINY, "random", 384)
    assert again is not first
    assert torch.equal(again.head.weight, first.head.weight)


def test_file_that_is_no_torch_file_is_refused(tmp_path):
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"page.pth is no file of torch weights"):
        vit.load(TINY, tmp_path / "page.pth", 384)


def test_file_of_another_network_is_refused(dinov2):
    with pytest.raises(UserError, match=r"dinov2_vits14_pretrain.pth is no state dict of vit_tiny"):
        vit.load("vit_tiny_patch16_224", dinov2[1], 224)
