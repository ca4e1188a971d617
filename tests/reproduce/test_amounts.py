"""How many pictures an item edits, told without its data, is how many it takes from the data."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import cli
from bench.data import coco as coco_files
from bench.data import imagen as imagen_files
from bench.data import pie as pie_files
from bench.edits.plan import make_data, points
from bench.reproduce import grids, items, outcomes
from bench.reproduce.cost import amounts
from bench.reproduce.items import Item
from tests.helpers.caption_trees import coco, imagen
from tests.helpers.pie_trees import TYPE_FOLDERS, pie, pie_records
from tests.helpers.trees import class_folders, manifest, queries_csv

PICTURES = [name for name in items.names() if items.load(name).grid and not items.load(name).scored]
OTHERS = [name for name in items.names() if name not in PICTURES and not name.startswith("shapes/")]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Data sets as large as the owners', of few pictures: name -> options that say where."""
    root = tmp_path_factory.mktemp("trees")
    prompts = [prompt for name in PICTURES for prompt in items.load(name).grid.get("prompts") or []]
    record, records = pie_records()["000000000007"], {}
    for kind, folder in enumerate(TYPE_FOLDERS):
        for i in range(int(folder.rsplit("_", 1)[1])):
            known = prompts and len(records) % 30 == 7
            more = {"editing_prompt": prompts.pop() if known else f"a cup of {i}", "editing_type_id": str(kind)}
            records[f"{kind}{i:011d}"] = record | more
    captions = [(1, 42, "A dog on a couch."), (2, 73, "A dog on a couch."), (3, 73, "Nobody would say so of dogs")]
    bison = [(i, 3 if i % 199 or i // 199 >= 272 else 2, 73, (73, 42)) for i in range(54_253)]  # 272 pass the filter
    class_folders(root / "imagenet")
    queries = [(i, (42240, 48167, 39524)[i % 3], 160, i % 2 == 0) for i in range(2184)]
    return {
        "pie": {"root": str(pie(root / "pie", records))},
        "imagen": {"root": str(imagen(root / "imagen"))},
        "coco": coco(root / "coco", captions, bison),
        "imagenet": {"root": str(root / "imagenet"), "annotations": str(queries_csv(root / "queries.csv", queries))},
        "shapes": {},
    }


@pytest.fixture
def unread(monkeypatch):
    """Pictures and masks are not decoded; here only their number counts."""
    monkeypatch.setattr(pie_files.rle, "decode", lambda _: np.zeros((8, 8), bool))
    for module in (coco_files, imagen_files, pie_files):
        monkeypatch.setattr(module, "read_rgb", lambda *_, **__: np.zeros((3, 8, 8), np.uint8))


def configurations(name):
    """The item, and a configuration for each kind of data that its runs take."""
    item = items.load(name)
    kinds = {tuple(w for w in words if w.startswith(("data", "limit"))): label for label, words in item.runs.items()}
    few = replace(item, runs={label: item.runs[label] for label in kinds.values()})
    return item, [rows.points[0].cfg for rows in outcomes.compose(few, ["data.size=8"])]


def check(name, trees):
    item, found = configurations(name)
    for cfg in found:
        here = cfg | {"data": cfg["data"] | trees[cfg["data"]["name"]]}
        data = make_data(here["data"])
        limit = cfg["limit"]
        ids = grids.select(item, limit)(data) if name in PICTURES else data.ids[:limit]
        without = amounts.wanted(item, cfg)
        assert len(without.samples) == len(set(ids)), (name, cfg["data"])
        assert without.of == len(data.ids)
        assert len(amounts.wanted(item, here).samples) == len(set(ids))
        assert amounts.wanted(item, here, look=True).samples == set(ids)


@pytest.mark.parametrize("name", [name for name in PICTURES + OTHERS if items.load(name).runs])
def test_of_every_item(name, trees, unread):
    check(name, trees)


def cfg_of(*words):
    (cfg,) = cli.jobs(["method=copy", *words])
    return points(cfg)[0]


def shown(**grid):
    return Item("paper/figure", "title", "source", runs={"all": []}, grid=grid)


@pytest.mark.parametrize(("name", "count"), [("fig8", 5), ("fig9", 10), ("fig17", 10)])
def test_imagens_grids_without_its_pictures(name, count):
    item, (cfg,) = configurations(f"diffedit/{name}")
    assert len(amounts.wanted(item, cfg).samples) == count


@pytest.mark.parametrize(
    ("words", "grid", "count"),
    [
        (["data=imagen", "limit=3"], {"per_type": 2}, 3),  # not two of each of five slots
        (["data=imagen", "data.styles=true", "data.pairs=all"], {"per_type": 1}, 6),
        (["data=pie"], {"types": ["colour", "pose"], "per_type": 50}, 80),  # there are 40 of each
        (["data=coco", "data.filter=0.25"], {"per_type": 300}, 272),
        (["data=ti2i"], {"per_type": 3}, 6),
        (["data=flowedit"], {}, 281),
        (["data=gedit", "limit=9"], {}, 9),
        (["data=magicbrush"], {}, 528),
        (["data=magicbrush", "data.turns=[1]"], {}, None),
        (["data=coco", "data.filter=0.5"], {}, None),
        (["data=pie", "limit=20"], {"prompts": ["a cat", "a dog"]}, None),  # are they among these 20?
        (["data=pie", "limit=700"], {"prompts": ["a cat", "a dog"]}, 2),
        (["data=manifest", "limit=20"], {}, None),
    ],
)
def test_told_without_the_data_or_not_at_all(words, grid, count):
    found = amounts.wanted(shown(**grid), cfg_of(*words, "data.root=/nowhere"))
    assert (found and len(found.samples)) == count


def test_data_unlike_its_owners_is_looked_at(tmp_path):
    rows = [{"id": str(i), "image": "dog.jpg", "source": "a", "target": f"b {i}", "type": "x"} for i in range(3)]
    manifest(tmp_path / "own", rows)
    cfg = cfg_of("data=manifest", f"data.root={tmp_path / 'own'}")
    assert amounts.wanted(shown(per_type=2), cfg).samples == {"0", "1"}
    assert amounts.wanted(shown(prompts=["B 1", "c"]), cfg).samples == {"1"}
    assert amounts.wanted(shown(prompts=["c"]), cfg).samples == set()
    cfg = cfg_of("data=pie", f"data.root={pie(tmp_path / 'pie')}", "data.size=8")  # eleven records
    assert len(amounts.wanted(shown(per_type=9), cfg).samples) == 11


def test_no_picture_is_read_to_count_those_of_a_usual_data_set(trees, monkeypatch):
    monkeypatch.setattr(imagen_files.Imagen, "__getitem__", None)
    monkeypatch.setattr(pie_files.Pie, "__getitem__", None)
    cfg = cfg_of("data=imagen", f"data.root={trees['imagen']['root']}")
    found = amounts.wanted(shown(per_type=1), cfg)
    assert len(found.samples) == 5
    assert found.samples < set(make_data(cfg["data"] | {"size": 8}).ids)
    cfg = cfg_of("data=pie", f"data.root={trees['pie']['root']}")
    assert len(amounts.wanted(items.load("siminversion/fig2"), cfg).samples) == 2
