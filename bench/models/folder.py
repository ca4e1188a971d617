"""Where a diffusers model folder is, whether it is whole, and what it hashes to. No torch."""

import json
from pathlib import Path

from bench.errors import UserError
from bench.files.hashing import sha256
from bench.files.paths import find

UNTRAINED = "random (untrained) weights, comparable with no paper"
_ONE = {"F64": b"\0\0\0\0\0\0\xf0\x3f", "F32": b"\0\0\x80\x3f", "F16": b"\0\x3c", "BF16": b"\x80\x3f"}
"""The number 1 in each type of float, as safetensors stores it."""
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def locate(path: str) -> Path:
    """Folder of a model given as a local folder or as a hub id that has been downloaded before.

    Nothing is ever downloaded here: a run that starts should not turn into hours of transfer, and its model should
    be the same tomorrow.

    Raises:
        UserError: it is not there, or not a Stable-Diffusion-format folder of safetensors.
    """
    folder = find(path)
    if folder is None:
        folder = _cached(path)
    elif not folder.is_dir():
        raise UserError(f"model.path={path} is a file; expected a diffusers folder with model_index.json")
    if not (folder / "model_index.json").is_file():
        raise UserError(f"model folder {folder} has no model_index.json; expected a diffusers Stable Diffusion folder")
    for part in PARTS:
        if not (folder / part).is_dir():
            raise UserError(f"model folder {folder} has no {part}/; expected the folders {', '.join(PARTS)}")
    for part in ("unet", "vae", "text_encoder"):
        weights(folder, part)
    return folder


def weights(folder: Path, part: str) -> Path:
    """The safetensors file of one part; of several variants the unabridged one.

    Raises:
        UserError: only a pickle (.bin, .ckpt) is there, or nothing.
    """
    stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (folder / part / name).is_file():
            return folder / part / name
    pickles = [f.name for f in (folder / part).iterdir() if f.suffix in (".bin", ".ckpt", ".pt", ".pth")]
    if pickles:
        raise UserError(
            f"{folder / part} holds {pickles[0]}, a pickle, which can run code when loaded; expected "
            f"{stem}.safetensors: download the safetensors variant or convert it once with safetensors' convert.py"
        )
    raise UserError(f"{folder / part} has no {stem}.safetensors; download the model again")


def native_size(folder: Path) -> int:
    """Pixels a side that the model was made for, from its configuration files."""
    unet, vae = (json.loads((folder / part / "config.json").read_text()) for part in ("unet", "vae"))
    return unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that decides what the model computes."""
    files = [weights(folder, part) for part in ("unet", "vae", "text_encoder")]
    files += [folder / part / "config.json" for part in ("unet", "vae", "text_encoder")]
    files += [folder / "scheduler/scheduler_config.json"]
    files += sorted(f for f in (folder / "tokenizer").iterdir() if f.suffix in (".json", ".txt"))
    return {str(file.relative_to(folder)): sha256(file) for file in files}


def untrained(folder: Path) -> bool:
    """Whether the denoiser was never trained: in a freshly made network every normalisation has weight 1 and bias 0,
    which no training leaves standing. Only those tensors are read, and no further than the first that was trained.

    A network without normalisations, or one whose random weights were set in another way, is not recognised.
    """
    with open(weights(folder, "unet"), "rb") as stream:
        # the header by hand: safetensors reads bfloat16 through torch only
        length = int.from_bytes(stream.read(8), "little")
        try:
            tensors = json.loads(stream.read(length))
        except ValueError:
            return False  # a torn file; loading it says so
        found = [(name, entry) for name, entry in tensors.items() if _is_normalisation(name, entry)]
        for name, entry in found:
            start, end = entry["data_offsets"]
            stream.seek(8 + length + start)
            one = _ONE[entry["dtype"]]
            fresh = one if name.endswith(".weight") else bytes(len(one))
            if stream.read(end - start) != fresh * entry["shape"][0]:
                return False
    return bool(found)


def _is_normalisation(name: str, entry: dict) -> bool:
    """Scale or shift of a group or layer normalisation, by diffusers' names: `norm1.weight`, `conv_norm_out.bias`."""
    *_, module, kind = ("", *name.split("."))
    scale_or_shift = kind in ("weight", "bias") and len(entry.get("shape", ())) == 1 and entry.get("dtype") in _ONE
    return scale_or_shift and "norm" in module


def notice(folder: Path, said: str | None) -> str | None:
    """What every table and plot made with a model must say: what its configuration says, and that it is untrained."""
    return "; ".join(filter(None, [said, UNTRAINED if untrained(folder) else None])) or None


def _cached(path: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        fetch = f"hf download {path}" if path.count("/") == 1 and not path.startswith((".", "/")) else None
        raise UserError(
            f"model {path} is not here: sought as a folder and in the hub cache {HF_HUB_CACHE}; "
            + (f"get it with `{fetch}`, or give a local folder with model.path=" if fetch else "give model.path=")
        ) from None
