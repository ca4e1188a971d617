"""Turns an official checkpoint into a folder of safetensors, which models are loaded from; once.

    python -m bench.convert kind=cin256 model.ckpt models/cin256
    python -m bench.convert kind=adm256 my_adm.pt models/my_adm size=64 head_width=32

The file comes first, then the folder to make.

Nothing that is pickled in the file is run. Every tensor is used, or is one that is known to be left out.
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.config import cli, options, words
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError, nearest
from bench.files import hashing
from bench.files.write import aside
from bench.models.converted import CONVERSION, FORMAT_VERSION

_NAMED = 3  # of the tensors that a message is about


def kinds() -> list[str]:
    """What may be converted: the modules here that have a function `convert`."""
    return sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py") if "\ndef convert(" in file.read_text())


OPTIONS = {
    "kind": Option(None, f"of the checkpoint (needed): {', '.join(kinds())}"),
    "size": Option(None, "what no tensor tells, of kinds that have it; null: the official file's"),
    "head_width": Option(None, "the same"),
}


def convert(kind: str, file: Path, folder: Path, **typed: Any) -> dict[str, int]:
    """Writes `<folder>/<part>/config.json`, its weights, and `conversion.json`; all of it, or nothing.

    Args:
        typed: what no tensor tells (`KNOBS` of the kind's module); None or left out: as of the official file.

    Returns:
        all of these.

    Raises:
        UserError: the file is missing, not whole or not of this kind, or the folder is there already; the kind has no
            such knob.
    """
    if not file.is_file():
        raise UserError(f"{file} {'is a folder' if file.exists() else 'does not exist'}; expected the official file")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already; name a new folder, or an empty one")
    from bench.convert import reading

    module = import_module(f"bench.convert.{kind}")
    knobs, state = _knobs(kind, getattr(module, "KNOBS", {}), typed), reading.read(file)
    try:
        parts = module.convert(state, **knobs)
    except KeyError as error:
        raise UserError(f"{file} is no {kind} model: it has no {_named(list(error.args))}") from None
    if unknown := [key for key in state if not key.startswith(module.DROPPED)]:
        raise UserError(f"{file} is no {kind} model: it has {_named(unknown)}, which such a model has not")
    facts = {"format_version": FORMAT_VERSION, "kind": kind, "sha256": hashing.sha256(file)}
    _write(folder, parts, facts)
    return knobs


def _write(folder: Path, parts: dict, facts: dict) -> None:
    from safetensors.torch import save_file

    with aside(folder) as temporary:
        for name, part in parts.items():
            (temporary / name).mkdir()
            file = "config.json" if part.tensors else f"{name}_config.json"  # a schedule has no weights
            (temporary / name / file).write_text(json.dumps(part.config, indent=1) + "\n")
            if part.tensors:
                tensors = {key: tensor.contiguous() for key, tensor in part.tensors.items()}
                weights = temporary / name / "diffusion_pytorch_model.safetensors"
                save_file(tensors, weights, {"format": "pt"})
                weights.chmod(0o644)
        (temporary / CONVERSION).write_text(json.dumps(facts, indent=1) + "\n")
        temporary.chmod(0o755)
        temporary.replace(folder)


def _knobs(kind: str, known: dict[str, int], typed: dict[str, Any]) -> dict[str, int]:
    """`known` with what was typed. Raises: UserError: another was typed, or one is no whole number."""
    given = {name: value for name, value in typed.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise UserError(f"{name}={value}, but kind={kind} has no such knob; leave it out")
        if type(value) is not int or value < 1:
            raise UserError(f"{name}={value}, expected a whole number of at least 1")
    return known | given


def _named(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        own = [word for word in argv if re.match(r"\w+=", word) and not Path(word).exists()]
        places = [word for word in argv if word not in own]
        given = options.parse(own, OPTIONS)
        kind = given.pop("kind")
        if kind is None or len(places) != 2:
            raise UserError(f"expected kind={'|'.join(kinds())} <file> <folder>")
        if kind not in kinds():
            raise UserError(f"unknown kind {kind!r}; {nearest(str(kind), kinds())}")
        file, folder = (Path(words.path(place, "a path ")) for place in places)
        knobs = convert(kind, file, folder, **given)
        hashing.remember()
    except UserError as error:
        return cli.fail(error)
    told = ", ".join(f"{name}={value}" for name, value in knobs.items())
    print(f"{folder}: a {kind} model{told and f' of {told}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
