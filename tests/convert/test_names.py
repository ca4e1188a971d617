"""Every tensor of a converted cin256 and VQGAN has the values that the original's name stands for: queries, keys and
values have one shape, and so have many blocks, so that a loader would take one for another."""

import torch

from bench.convert import cin256, vqgan
from tests.helpers.class_models import cin_state, original_unet, original_vq


def random_state() -> dict[str, torch.Tensor]:
    """No two tensors alike, also where a network starts with ones and zeros."""
    random = torch.Generator().manual_seed(0)
    return {name: torch.randn(tensor.shape, generator=random) for name, tensor in cin_state().items()}


def test_every_tensor_of_cin256_is_the_originals():
    state = random_state()
    parts = cin256.convert(dict(state))
    unet, vq = parts["unet"].tensors, parts["vqvae"].tensors
    for name, tensor in unet.items():
        assert torch.equal(tensor, state[original_unet(name, set(unet), 1)]), name
    for name, tensor in vq.items():
        assert torch.equal(tensor.flatten(), state[original_vq(name, 3)].flatten()), name
    table = parts["class_embedding"].tensors["embedding.weight"]
    assert torch.equal(table, state["cond_stage_model.embedding.weight"])
    assert len(unet) + len(vq) + 1 == len(state) - 1  # but for the schedule
    about = parts["scheduler"].config
    assert (about["beta_start"], about["beta_end"], about["beta_schedule"]) == (0.0015, 0.0195, "scaled_linear")
    assert (about["steps_offset"], about["clip_sample"], about["set_alpha_to_one"]) == (1, False, False)
    assert parts["vqvae"].config["scaling_factor"] == 1


def test_every_tensor_of_a_vqgan_is_the_originals():
    root = "first_stage_model."
    state = {name.removeprefix(root): x for name, x in random_state().items() if name.startswith(root)}
    part = vqgan.convert(dict(state))["vqgan"]
    assert len(part.tensors) == len(state)
    for name, tensor in part.tensors.items():
        assert torch.equal(tensor.flatten(), state[original_vq(name, 3).removeprefix(root)].flatten()), name
