"""Networks by open_clip's names: `ViT-B-32`, `ViT-L-14/laion2b_s32b_b82k` (with the training that the weights are of),
or a JSON file of one's own in its format. No torch, and open_clip is not imported."""

from importlib.util import find_spec
from pathlib import Path

from bench.errors import UserError, nearest
from bench.files.paths import find
from bench.files.tensors import configuration


def resolved(name: str, key: str) -> str:
    """The name, or the absolute path of a JSON file.

    Args:
        key: the knob that it is the value of, for messages.

    Raises:
        UserError: there is no such network.
    """
    if name.endswith(".json"):
        if (file := find(name)) is None:
            raise UserError(f"{key}={name} does not exist; expected a JSON file in open_clip's format")
        configuration(file, ("embed_dim", "vision_cfg", "text_cfg"))
        return str(file.resolve())
    known = _known()
    if (bare := name.partition("/")[0]) not in known:
        raise UserError(f"{key}={name} is no network of open_clip; {nearest(bare, known)}")
    return name


def _known() -> list[str]:
    spec = find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else None
    return sorted(file.stem for folder in folders or () for file in Path(folder, "model_configs").glob("*.json"))
