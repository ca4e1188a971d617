"""PIE-Bench, PIE-Bench++ and TI2I as their owners lay them out, in miniature."""

import copy
import io
import json
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.trees import picture, write

TYPE_FOLDERS = [
    "0_random_140",
    "1_change_object_80",
    "2_add_object_80",
    "3_delete_object_80",
    "4_change_attribute_content_40",
    "5_change_attribute_pose_40",
    "6_change_attribute_color_40",
    "7_change_attribute_material_40",
    "8_change_background_80",
    "9_change_style_80",
]

WHOLE = [0, 512 * 512]
"""The mask of an edit of the whole frame, as the owners write it."""


def bordered(mask: np.ndarray) -> np.ndarray:
    """A mask as the owners store and evaluate it: with its outermost rows and columns."""
    made = mask.copy()
    made[0] = made[-1] = made[:, 0] = made[:, -1] = True
    return made


def encode(mask: np.ndarray) -> list[int]:
    """`[start, length, ...]` of the True pixels, counted from 0, row by row; a run goes on in the next row."""
    edges = np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0, append=0))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).ravel().tolist()


def disc(seed: int, side: int = 512) -> np.ndarray:
    """A mask that no other seed gives, not symmetric in any way."""
    row, column, radius = np.random.default_rng(seed).integers([90, 150, 20], [300, 390, 80])
    rows, columns = np.ogrid[:side, :side]
    return (rows - row) ** 2 + ((columns - column) / 1.5) ** 2 < radius**2


@lru_cache
def square(seed: int, side: int = 512) -> bytes:
    """The JPEG file of a square picture that no other seed gives."""
    stream = io.BytesIO()
    picture(seed, side, side).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """A PNG that promises `side` x `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def _record(id_: str, source: str, target: str, order: str, blend: str, mask: list[int]) -> tuple[str, dict[str, Any]]:
    origin, scene = (
        ["1_artificial", "2_natural"][int(id_[1]) - 1],
        ["1_animal", "2_human", "3_indoor", "4_outdoor"][int(id_[2]) - 1],
    )
    folder = TYPE_FOLDERS[int(id_[0])] + ("" if id_[0] == "0" else f"/{origin}/{scene}")  # the random ones lie flat
    return id_, {
        "image_path": f"{folder}/{id_}.jpg",
        "original_prompt": source,
        "editing_prompt": target,
        "editing_instruction": order,
        "editing_type_id": id_[0],
        "blended_word": blend,
        "mask": mask,
    }


_PIE = dict(  # not in the order of types or ids; digits of an id: type, origin, scene
    _record(*fields, WHOLE if fields[0][0] == "9" else encode(bordered(disc(i))))
    for i, fields in enumerate(
        [
            ("121000000000", "a [cat] on a sofa", "a [dog] on a sofa", "Change the cat to a dog", "cat dog"),
            ("000000000007", "a cup of [tea]", "a cup of [milk]", "", "tea milk"),
            ("914000000002", "a lake, hills", "[oil painting of] a lake, hills", "Make it an oil painting", ""),
            ("224000000000", "a jeep in a street", "a jeep [with a kayak] in a street", "Add a kayak", ""),
            ("322000000001", "a man [wearing a hat]", "a man", "Remove the hat", "hat"),
            ("411000000000", "a cat with [open] eyes", "a cat with [closed] eyes", "Close its eyes", "eyes eyes"),
            ("112000000003", "a [girl]'s portrait", "a [boy]'s portrait", "Make her a boy", "girl boy"),
            ("522000000004", "a man [sitting]", "a man [standing]", "Make him stand", "man man"),
            ("623000000005", "a [red] chair", "a [blue] chair", "Make it blue", "chair chair"),
            ("714000000006", "a [stone] bench", "a [glass] bench", "Make it glass", "bench bench"),
            ("821000000008", "a cat [in a bath]", "a cat [in a wood]", "Put it in a wood", ""),
        ]
    )
)


def pie_records() -> dict[str, dict[str, Any]]:
    """Eleven records in the owners' form: one of each type, and another of type 1."""
    return copy.deepcopy(_PIE)


def pie_seed(id_: str) -> int:
    """Of the picture that belongs to a record of `pie_records`."""
    return list(_PIE).index(id_) + 100


def pie(root: Path, records: dict[str, Any] | None = None) -> Path:
    """`<root>/mapping_file.json` with these records (all by default), beside `annotation_images/` with the pictures of
    `pie_records`; returns the root."""
    for id_, record in _PIE.items():
        write(root / "annotation_images" / record["image_path"], square(pie_seed(id_)))
    text = json.dumps(pie_records() if records is None else records, ensure_ascii=False)
    write(root / "mapping_file.json", text.encode())
    return root


_PIE_PP = [
    ("0_random_140", "000000000007", "a cup of [tea]", "a [steel] cup of [milk]", '["tea,milk", "cup,cup"]', 1),
    ("0_random_140", "000000000003", "a [cat]", "a [dog]", '["cat, dog"]', 2),
    ("1_change_object_80", "121000000000", "a [cat] on a sofa", "a [dog] on a [red] sofa", '["cat,dog"]', 3),
    ("6_change_attribute_color_40", "623000000005", "a [red] chair", "a [blue] chair", "[]", 4),
    ("9_change_style_80", "914000000002", "a lake", "[oil painting of] a lake", "", None),
]


def pie_pp_rows() -> list[dict[str, Any]]:
    """Five rows of four types; `folder` is no column, it says where a row lies."""
    return [
        {
            "folder": folder,
            "image": {"bytes": square(200 + i), "path": f"{id_}.jpg"},
            "id": id_,
            "source_prompt": source,
            "target_prompt": target,
            "edit_action": '{"milk": {"position": 3, "edit_type": 1, "action": "tea"}}',
            "aspect_mapping": '{"milk": ["tea"]}',
            "blended_words": blend,
            "mask": " ".join(map(str, WHOLE if seed is None else encode(bordered(disc(seed))))),
        }
        for i, (folder, id_, source, target, blend, seed) in enumerate(_PIE_PP)
    ]


def pie_pp(root: Path, rows: list[dict[str, Any]] | None = None, shards: int = 1, without: str | None = None) -> Path:
    """`<root>/0_random_140/V1-00000-of-00001.parquet` and so on, as `hf download` lays UB-CVML-Group/PIE_Bench_pp out;
    `without` names a column to leave out. Returns the root."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, Value

    rows = pie_pp_rows() if rows is None else rows
    names = [name for name in rows[0] if name not in ("folder", without)]
    schema = Features({name: Image() if name == "image" else Value("string") for name in names}).arrow_schema
    for folder in {row["folder"]: None for row in rows}:
        here = [{name: row[name] for name in names} for row in rows if row["folder"] == folder]
        (root / folder).mkdir(parents=True, exist_ok=True)
        parts = np.array_split(np.arange(len(here)), min(shards, len(here)))
        for shard, part in enumerate(parts):
            file = root / folder / f"V1-{shard:05d}-of-{len(parts):05d}.parquet"
            pq.write_table(pa.Table.from_pylist([here[i] for i in part], schema=schema), file)
    return root


TI2I_PREFIX = "data/annotation_images/ti2i_benchmark/"


def ti2i_records() -> dict[str, dict[str, str]]:
    """As many rows and pictures as the owners': 26 wild with three prompts each, 29 of ImageNet-R with five."""
    kinds, styles = (
        ["castle", "cat", "goldfish", "husky", "jeep", "panda"],
        ["art", "cartoon", "sculpture", "sketch", "toy"],
    )
    wild = [f"wild-ti2i/data/scene_{i}.{'jpeg' if i % 3 else 'jpg'}" for i in range(26)]
    imagenet_r = [f"imagenetr-ti2i/{kinds[i // 5]}/{styles[i % 5]}_{i}.jpg" for i in range(29)]
    rows = [(path, n) for path in wild for n in range(3)] + [(path, n) for path in imagenet_r for n in range(5)]
    return {
        str(i): {
            "image_path": TI2I_PREFIX + path,
            "original_prompt": "",
            "editing_prompt": f"a photo of {['a robot', 'a statue', 'a toy', 'a cake', 'a car'][n]}, {i}",
        }
        for i, (path, n) in enumerate(rows)
    }


def ti2i(root: Path, records: dict[str, Any] | None = None, base: str = TI2I_PREFIX) -> Path:
    """`<root>/mapping_file_ti2i_benchmark.json`, and a picture under every path that `records` (all by default) name,
    less its leading `base`; returns the root."""
    records = ti2i_records() if records is None else records
    write(root / "mapping_file_ti2i_benchmark.json", json.dumps(records, ensure_ascii=False).encode())
    for i, path in enumerate({record["image_path"]: None for record in records.values()}):
        stream = io.BytesIO()
        picture(300 + i, 40 + i % 7, 40 + i % 5).save(stream, "JPEG", quality=95)
        write(root / path.removeprefix(base), stream.getvalue())
    return root
