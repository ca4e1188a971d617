"""Data trees as their owners lay them out, in miniature."""

import csv
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

SYNSETS = {148: "n02071294", 149: "n02074367", 160: "n02088094", 162: "n02088364", 171: "n02091032"}
"""Class id -> synset, of the classes in these trees."""

NAMES = {148: "killer whale", 149: "dugong", 160: "Afghan hound", 162: "beagle", 171: "Italian greyhound"}

LABELS = {42240: 171, 48167: 162, 39524: 148, 1234: 149, 20001: 160, 31: 171, 7: 162}
"""Validation image number -> class id; no query names 7."""

QUERIES = [  # index in FlexIT's longer list, image, target, is_test
    (3741, 42240, 160, False),
    (3646, 48167, 160, False),
    (3139, 39524, 149, True),
    (3140, 1234, 148, True),
    (77, 20001, 162, False),
    (12, 31, 162, True),
]


def picture(seed: int, width: int = 53, height: int = 41, mode: str = "RGB") -> Image.Image:
    """A picture that no other seed gives."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def jpeg(number: int) -> bytes:
    """The file of one validation image; like the real ones it is neither square nor of a common size."""
    stream = io.BytesIO()
    picture(number, 40 + number % 17, 40 + number % 13).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def class_folders(root: Path, labels: dict[int, int] | None = None) -> Path:
    """`<root>/n02091032/ILSVRC2012_val_00042240.JPEG`, as FlexIT has them; returns the root."""
    for number, label in (labels or LABELS).items():
        write(root / SYNSETS[label] / f"ILSVRC2012_val_{number:08d}.JPEG", jpeg(number))
    return root


def flat_folder(root: Path, devkit: bool = False) -> Path:
    """`<root>/val/ILSVRC2012_val_00042240.JPEG`, as the tar unpacks, with the devkit's labels beside it; returns the
    folder of the images."""
    for number in LABELS:
        write(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", jpeg(number))
    if devkit:  # 50,000 lines, line n of image n; its class numbers start at 1 and follow no alphabet
        classes = [1000 - LABELS.get(number, number % 100) for number in range(1, 50_001)]
        write(root / "ILSVRC2012_validation_ground_truth.txt", "".join(f"{c}\n" for c in classes).encode())
    return root / "val"


def parquet(root: Path, shards: int = 1) -> Path:
    """`<root>/data/validation-00000-of-00001.parquet`, as in ILSVRC/imagenet-1k, in an order of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import ClassLabel, Features, Image

    names = [f"class {i}" for i in range(1000)]
    schema = Features({"image": Image(), "label": ClassLabel(names=names)}).arrow_schema
    numbers = sorted(LABELS, key=lambda number: -number % 1000)
    (root / "data").mkdir(parents=True)
    for shard in range(shards):
        rows = [
            {
                "image": {"bytes": jpeg(n), "path": f"ILSVRC2012_val_{n:08d}_{SYNSETS[LABELS[n]]}.JPEG"},
                "label": LABELS[n],
            }
            for n in numbers[shard::shards]
        ]
        file = root / "data" / f"validation-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, row_group_size=2)
    return root


def queries_csv(file: Path, queries: list[tuple] | None = None) -> Path:
    """FlexIT's queries.csv; its first column has no name and is not the row's position."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", "path", "source", "source_id", "target", "target_id", "is_test"])
        for index, number, target, is_test in queries or QUERIES:
            source = LABELS[number]
            path = f"{SYNSETS[source]}/ILSVRC2012_val_{number:08d}.JPEG"
            writer.writerow([index, path, NAMES[source], source, NAMES[target], target, is_test])
    return file


def manifest(root: Path, rows: list[dict | str]) -> Path:
    """`<root>/manifest.jsonl` beside two pictures and a mask of the first's size; a string is written as it is."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pictures").mkdir(exist_ok=True)
    picture(1, 53, 41).save(root / "pictures/cake.png")
    picture(2, 41, 53).save(root / "dog.jpg")
    mask = np.zeros((41, 53), np.uint8)
    mask[:, :26] = 255
    Image.fromarray(mask).save(root / "cake mask.png")
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    write(root / "manifest.jsonl", "".join(f"{line}\n" for line in lines).encode())
    return root


def write(file: Path, content: bytes) -> Path:
    """Writes a file, with the folders that it needs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file
