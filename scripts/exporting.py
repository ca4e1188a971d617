"""What `save_pretrained` leaves to mend before a pipeline's folder can be shipped."""

import json
from pathlib import Path

from bench.files.write import write


def mend(folder: Path) -> None:
    """Text encoders stored in fp16 are loaded in float32, as diffusers loads the rest, paths of this machine go, and
    everybody may read the weights."""
    for config in folder.glob("text_encoder*/config.json"):
        _change(config, dtype="float32")
    for config in folder.glob("vae/config.json"):
        _change(config, _name_or_path=None)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)


def _change(file: Path, **values: str | None) -> None:
    config = json.loads(file.read_text()) | values
    write(file, json.dumps({k: v for k, v in config.items() if v is not None or k not in values}, indent=2) + "\n")
