"""COCO with BISON's queries, and Imagen's pictures, as their owners lay them out, in miniature."""

import io
import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from tests.helpers.trees import picture, write

CAPTIONS = [  # id, picture, text; like the owners' file in the order of neither, some with white space at the end
    (690, 73, "A dog lies on a couch. "),
    (12, 581929, "Two people on a beach."),
    (7, 42, "A black cat sits on a red couch."),
    (344, 73, "A black dog sits on a red couch.\n"),
    (55, 42, "A cat on a sofa"),
    (21, 581929, "A couple with an umbrella"),
    (801, 73, "The black dog sits on the red couch."),
    (802, 73, "A dog and its couch"),
    (803, 73, "Something black on something red."),
    (600001, 42, "A cat."),
]
ITEMS = [  # bison_id, caption_id, true_image_id, candidates; not in the order of their ids
    (0, 7, 42, (73, 42)),
    (54252, 690, 73, (73, 42)),
    (17, 55, 42, (42, 581929)),
]


def coco(root: Path, captions: list[tuple] = CAPTIONS, items: list[tuple] = ITEMS) -> dict[str, str]:
    """`val2014/COCO_val2014_000000000042.jpg` beside `annotations/` with COCO's and BISON's JSON.

    Returns:
        root, captions and bison, as the data set takes them.
    """
    for image in {image for _, image, _ in captions}:
        write(root / "val2014" / f"COCO_val2014_{image:012d}.jpg", jpeg(image))
    files = {"captions": "captions_val2014.json", "bison": "bison_annotations.cocoval2014.json"}
    options = {name: str(root / "annotations" / file) for name, file in files.items()}
    write_json(options["captions"], captions_json(captions))
    write_json(options["bison"], bison_json(items))
    return {"root": str(root), **options}


def captions_json(captions: list[tuple] = CAPTIONS) -> dict[str, Any]:
    """The content of `captions_val2014.json`."""
    return {
        "info": {"description": "COCO 2014 Dataset", "version": "1.0", "year": 2014},
        "images": [
            {"license": 1, "file_name": f"COCO_val2014_{image:012d}.jpg", "height": 41, "width": 53, "id": image}
            for image in sorted({image for _, image, _ in captions})
        ],
        "licenses": [{"id": 1, "name": "Attribution License"}],
        "annotations": [{"image_id": image, "id": id_, "caption": text} for id_, image, text in captions],
    }


def bison_json(items: list[tuple] = ITEMS) -> dict[str, Any]:
    """The content of `bison_annotations.cocoval2014.json`; no caption's text is in it."""
    return {
        "info": {"source": "COCO", "split": "val2014"},
        "data": [
            {
                "bison_id": id_,
                "caption_id": caption,
                "true_image_id": true,
                "image_candidates": [
                    {"image_id": image, "image_filename": f"COCO_val2014_{image:012d}.jpg"} for image in candidates
                ],
            }
            for id_, caption, true, candidates in items
        ],
    }


def write_json(file: str | Path, content: Any) -> None:
    """Writes a JSON file, with the folders that it needs."""
    write(Path(file), json.dumps(content).encode())


def prompts(wording: str = "site") -> list[str]:
    """The 360 prompts in the order of their numbers, as the site has them or as the DiffEdit paper prints them."""
    site = wording == "site"
    slots = [
        ["A photo of a", "An oil painting of a"],
        [
            "fuzzy panda",
            "British Shorthair cat" if site else "British shorthair cat",
            "Persian cat",
            "Shiba Inu dog",
            "raccoon",
        ],
        ["wearing a cowboy hat and", "wearing a sunglasses and" if site else "wearing sunglasses and"],
        ["red shirt", "black leather jacket" if site else "black jacket"],
        ["playing a guitar", "riding a bike", "skateboarding"],
        ["in a garden", "on a beach", "on top of a mountain"],
    ]
    return [" ".join(words) + "." * site for words in itertools.product(*slots)]


NAMINGS = {  # what people have done to the names: naming -> path of one prompt's picture
    "site": lambda site, paper, i: f"{site}/1_.jpeg",
    "site without the full stop": lambda site, paper, i: f"{site[:-1]}/1_.jpeg",
    "site, percent-encoded": lambda site, paper, i: f"{quote(site)}/1_.jpeg",
    "file": lambda site, paper, i: f"{site}.jpg",
    "file without the full stop": lambda site, paper, i: f"{site[:-1]}.jpeg",
    "file, percent-encoded": lambda site, paper, i: f"{quote(site)}.JPG",
    "file, in small letters": lambda site, paper, i: f"{site.lower()}.jpg",
    "paper": lambda site, paper, i: f"{paper}.jpg",
    "paper with a full stop": lambda site, paper, i: f"{paper}./1_.jpeg",
    "number": lambda site, paper, i: f"{i:03d}.jpg",
}


def imagen(root: Path, naming: str = "site") -> Path:
    """`<prompt>/1_.jpeg` for each prompt, or another of `NAMINGS`; returns the root."""
    for i, (site, paper) in enumerate(zip(prompts(), prompts("paper"), strict=True)):
        write(root / NAMINGS[naming](site, paper, i), flat_jpeg(i))
    return root


def jpeg(image: int) -> bytes:
    """A COCO picture; none is square."""
    stream = io.BytesIO()
    picture(image, 53, 41).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def flat_jpeg(number: int) -> bytes:
    """An Imagen picture, square and of one colour, which no other number has."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (number // 20 * 12, number % 20 * 12, 90)).save(stream, "JPEG", quality=95)
    return stream.getvalue()
