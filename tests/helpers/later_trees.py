"""FlowEdit's own set, MagicBrush's dev split and GEdit-Bench as their owners lay them out, in miniature."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.helpers.pie_trees import square
from tests.helpers.trees import picture, write

FLOWEDIT = """\
-
    init_img:  flowedit_data/bear.png

    source_prompt: A large brown bear walking through a stream.
        The stream appears to be shallow.

    target_prompts:
     - A large black bear walking through a stream.
       The stream appears to be shallow.
     - A large panda, walking through a stream. \n
    target_codes:
     - 1_black_bear
     - 2_panda

-
    init_img: flowedit_data/cat crown.png
    source_prompt: A cat wearing a crown. The crown is on the cat''s head.
    target_prompts:
    - "A cat wearing a hat.\\nThe hat is red."

- \n
    init_img:  flowedit_data/sign.png
    source_prompt: |
      A sign that says: "stop".
      It is red.
    target_prompts:
     - 'A sign that says: "go".'
    target_codes:
     - 1_go
"""
"""Four edits of three pictures, with every kind of line break."""


def flowedit(root: Path, text: str = FLOWEDIT, folder: str = "Images") -> Path:
    """`<root>/flowedit.yaml` and the three pictures in `folder`, as the repository has them; returns the root."""
    write(root / "flowedit.yaml", text.encode())
    for i, name in enumerate(("bear", "cat crown", "sign")):
        stream = io.BytesIO()
        picture(400 + i, 64, 64).save(stream, "PNG")
        write(root / folder / f"{name}.png", stream.getvalue())
    return root


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def white_mask(width: int = 64, height: int = 64, mode: str = "RGB") -> Image.Image:
    """White in its upper left quarter, black elsewhere."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 2] = 255
    return Image.fromarray(mask).convert(mode)


def transparent_mask(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """The picture that it belongs to, transparent in its upper left quarter, as DALL-E takes it."""
    image = picture(seed, width, height).convert("RGBA")
    alpha = 255 - np.asarray(white_mask(width, height, "L"))
    image.putalpha(Image.fromarray(alpha))
    return image


def magicbrush_rows() -> list[dict[str, Any]]:
    """Two turns of one picture and one of another; the second turn starts from the first one's edit."""
    made = [
        ("242679", 1, "have her wear a hat", 500, 501, white_mask()),
        ("242679", 2, "put a cat on the hat", 501, 502, transparent_mask(501)),
        ("000000391895", 1, "let it rain", 503, 504, white_mask(mode="L")),
    ]
    return [
        {
            "img_id": picture_id,
            "turn_index": turn,
            "source_img": {"bytes": square(source, 64), "path": f"{picture_id}-input.png"},
            "mask_img": {"bytes": png(mask), "path": f"{picture_id}-mask{turn}.png"},
            "instruction": instruction,
            "target_img": {"bytes": square(target, 64), "path": f"{picture_id}-output{turn}.png"},
        }
        for picture_id, turn, instruction, source, target, mask in made
    ]


def magicbrush(root: Path, rows: list[dict[str, Any]] | None = None, shards: int = 1, without: str | None = None):
    """`<root>/data/dev-00000-of-00001.parquet` beside a train file; `without` names a column to leave out. Returns the
    root."""
    rows = magicbrush_rows() if rows is None else rows
    _parquet(root, "dev", rows, ("source_img", "mask_img", "target_img"), {"turn_index": "int32"}, shards, without)
    write(root / "data/train-00000-of-00051.parquet", b"not to be read")
    return root


def gedit_rows() -> list[dict[str, Any]]:
    """Three English rows over two pictures of two sizes, and a Chinese one of the first of them."""
    wide = io.BytesIO()
    picture(601, 90, 60).save(wide, "JPEG")
    made = [
        ("k1", "background_change", "Change the background to a beach", "en", square(600, 64)),
        ("k2", "subject-remove", "Remove the dog,\nand its shadow", "en", square(600, 64)),
        ("k3", "text_change", "Replace 'WOOD' with 'LAND'", "en", wide.getvalue()),
        ("k4", "background_change", "把背景换成沙滩", "cn", square(600, 64)),
    ]
    return [
        {
            "key": key,
            "task_type": type_,
            "instruction": instruction,
            "instruction_language": language,
            "input_image": {"bytes": b"resized by its owners, not to be read", "path": None},
            "input_image_raw": {"bytes": content, "path": f"{key}.png"},
            "Intersection_exist": True,
        }
        for key, type_, instruction, language, content in made
    ]


def gedit(root: Path, rows: list[dict[str, Any]] | None = None, shards: int = 1, without: str | None = None) -> Path:
    """`<root>/data/train-00000-of-00001.parquet`; `without` names a column to leave out. Returns the root."""
    rows = gedit_rows() if rows is None else rows
    pictures = ("input_image", "input_image_raw")
    return _parquet(root, "train", rows, pictures, {"Intersection_exist": "bool"}, shards, without)


def _parquet(
    root: Path,
    split: str,
    rows: list[dict[str, Any]],
    pictures: tuple[str, ...],
    kinds: dict[str, str],
    shards: int,
    without: str | None,
) -> Path:
    """Files of a split, as the hub lays them out; columns are texts unless `kinds` says otherwise."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, Value

    names = [name for name in rows[0] if name != without]
    schema = Features(
        {name: Image() if name in pictures else Value(kinds.get(name, "string")) for name in names}
    ).arrow_schema
    (root / "data").mkdir(parents=True, exist_ok=True)
    for shard, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
        table = pa.Table.from_pylist([{name: rows[i][name] for name in names} for i in part], schema=schema)
        pq.write_table(table, root / f"data/{split}-{shard:05d}-of-{shards:05d}.parquet")
    return root
