"""Folders of one network or tokenizer, as Hugging Face's libraries write them: which files are read of them, and
whether these are whole. No torch."""

from pathlib import Path

from bench.errors import UserError
from bench.files.tensors import check_torch, configuration, header

STEMS = ("diffusion_pytorch_model", "model")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_VOCABULARIES = (("vocab.json", "merges.txt"), ("spiece.model",))
_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")


def weights(folder: Path, stem: str | None = None, again: str = "download the model again") -> list[Path]:
    """The safetensors files of one network; of several variants the unabridged one.

    Args:
        stem: what they are called where there are none, for the message.
        again: what to do where something is missing.

    Raises:
        UserError: only a pickle (.bin, .ckpt) is there, a shard is missing, or there is nothing.
    """
    for variant in ("", ".fp16", ".bf16"):
        for name in STEMS:
            if (file := folder / f"{name}{variant}.safetensors").exists():
                return [file]
            if (index := folder / f"{name}.safetensors.index{variant}.json").is_file():
                return _shards(index, again)
    pickles = [f.name for f in folder.iterdir() if f.suffix in _PICKLES]
    stem = stem or ("model" if folder.name.startswith("text_encoder") else STEMS[0])
    if pickles:
        raise UserError(
            f"{folder} holds {pickles[0]}, a pickle, which can run code when loaded; expected "
            f"{stem}.safetensors: download the safetensors variant or convert it once with safetensors' convert.py"
        )
    raise UserError(f"{folder} has no {stem}.safetensors; {again}")


def variant(file: Path) -> str | None:
    """The variant that a file of weights is of; None: the unabridged one."""
    return next((name for name in ("fp16", "bf16") if f".{name}" in file.name), None)


def _shards(index: Path, again: str) -> list[Path]:
    names = configuration(index, ("weight_map",), again)["weight_map"]
    if not isinstance(names, dict) or not names:
        raise UserError(f"{index} names no files; {again}")
    names = sorted(set(names.values()))
    if lacking := [name for name in names if not (index.parent / name).exists()]:
        raise UserError(f"{index.parent} has no {lacking[0]}, one of {len(names)} files; {again}")
    return [index.parent / name for name in names]


def check_vocabulary(folder: Path) -> list[Path]:
    """Files that a tokenizer is made of. Without a vocabulary transformers makes one that knows no word, so that edits
    ignore the prompt and scores do not depend on it.

    Raises:
        UserError: there is none, or it is empty or not whole.
    """
    if (file := folder / "tokenizer.json").exists():
        model = configuration(file, ("model",))["model"]
        if not isinstance(model, dict) or not model.get("vocab"):
            raise UserError(f"{file} has no words; expected the vocabulary that the model came with")
        return [file]
    names = next((names for names in _VOCABULARIES if all((folder / name).is_file() for name in names)), None)
    if names is None:
        raise UserError(
            f"{folder} has no vocabulary; expected tokenizer.json, vocab.json with merges.txt, or spiece.model"
        )
    if names[0] == "vocab.json":
        _check_merges(folder)
    return [folder / name for name in names]


def _check_merges(folder: Path) -> None:
    """Each word of a vocabulary of pairs, but for single characters and a few marks, has the merge that makes it."""
    words = configuration(folder / "vocab.json")
    file = folder / "merges.txt"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    merges = {"".join(line.split()) for line in lines if not line.startswith("#version")}
    longer = [word for word in words if len(word.removesuffix("</w>")) > 1 and not word.startswith("<|")]
    if not words or len(merges.intersection(longer)) < 0.9 * len(longer):
        raise UserError(f"{file} has {len(merges)} merges for {len(words)} words of vocab.json; download both again")


def clip(folder: Path) -> list[Path]:
    """The files that are read of a CLIP model with its tokenizer and image processor.

    Raises:
        UserError: one of them is missing or not whole, or the model is another.
    """
    return [*clip_tower(folder, pickles=True), *check_vocabulary(folder), *_present(folder, _TOKENIZER)]


def clip_tower(folder: Path, pickles: bool = False) -> list[Path]:
    """The same of its image tower alone; with `pickles`, its weights may be in one."""
    config = folder / "config.json"
    kind = str(configuration(config).get("model_type"))
    if not kind.startswith("clip"):
        raise UserError(f"{config} is of a {kind} model; expected a CLIP model")
    processor = _present(folder, _PROCESSORS)
    if not processor:
        raise UserError(f"{folder} has no image processor; expected {' or '.join(_PROCESSORS)}")
    return [config, *_network(folder, pickles), *processor]


def _network(folder: Path, pickles: bool) -> list[Path]:
    """Weights, looked at; in safetensors, if there are such."""
    pickle, index = folder / "pytorch_model.bin", folder / "pytorch_model.bin.index.json"
    if pickles and not list(folder.glob("*.safetensors*")) and (pickle.exists() or index.exists()):
        files = [pickle] if pickle.exists() else _shards(index, "download the model again")
    else:
        files = weights(folder, "model")
    for file in files:
        (header if file.suffix == ".safetensors" else check_torch)(file)
    return files


def _present(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Those of some JSON files that are there. Raises: UserError: one is not whole."""
    files = [folder / name for name in names if (folder / name).exists()]
    for file in files:
        configuration(file)
    return files
