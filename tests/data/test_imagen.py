import io
import json
from collections import Counter

import numpy as np
import pytest

from bench import run
from bench.config import cli
from bench.data.imagen import Imagen, Templated
from bench.data.preprocess import read_rgb
from bench.edits.plan import plan
from bench.errors import BadSample, UserError
from tests.helpers import caption_trees as trees
from tests.helpers.shared import SHARED

SIZE = 16
LIST = SHARED / "data/instdiffedit/Imagen_list.txt"
SLOTS = {  # options of each slot; the style may not change unless asked for
    "style": 2,
    "animal": 5,
    "headwear": 2,
    "top": 2,
    "activity": 3,
    "place": 3,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Imagen's pictures as the site had them."""
    return trees.imagen(tmp_path_factory.mktemp("imagen"))


def refusal(kind, *args, **options) -> str:
    """What is said instead of making a data set; one sentence."""
    with pytest.raises(UserError) as error:
        kind(*args, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def generated(root, model="sd14"):
    """The pictures as `bench.prepare` leaves them when it has a model draw them."""
    trees.imagen(root, "number")
    trees.write_json(root / "generated.json", {"model": model})
    return root


def pairs(data) -> list[tuple[int, int]]:
    """Numbers of source and target prompt."""
    return [tuple(map(int, id_.split("-"))) for id_ in data.ids]


def changed(source: int, target: int) -> list[str]:
    """The slots in which two prompts differ, by their place in the numbering."""
    digits = []
    for number in (source, target):
        found = []
        for options in reversed(SLOTS.values()):
            number, digit = divmod(number, options)
            found.append(digit)
        digits.append(found[::-1])
    return [slot for slot, a, b in zip(SLOTS, *digits, strict=True) if a != b]


def test_there_is_a_picture_for_each_of_360_prompts(site):
    data = Imagen(str(site), SIZE, pairs="all", styles=True)
    assert len(set(trees.prompts())) == len(set(trees.prompts("paper"))) == 360
    for index in range(0, 3960, 37):
        source, target = pairs(data)[index]
        sample = data[index]
        assert (sample.source, sample.target) == (trees.prompts()[source], trees.prompts()[target])
        assert np.array_equal(sample.image, read_rgb(io.BytesIO(trees.flat_jpeg(source)), SIZE))
        assert sample.id == data.ids[index] == f"{source:03d}-{target:03d}"
        assert (sample.type, sample.group) == (*changed(source, target), f"{source:03d}")
        rest = sample.mask, sample.classes, sample.blend, sample.instruction, sample.truth
        assert rest == (None,) * 5


@pytest.mark.skipif(not LIST.is_file(), reason=f"InstDiffEdit's list is not at {LIST}")
def test_the_real_prompts(site):
    """InstDiffEdit lists Imagen's pictures by prompt, one edit each, and never changes the style."""
    rows = [line.split(" <> ") for line in LIST.read_text().splitlines()]
    data = Imagen(str(site), SIZE, pairs="all")
    numbered = {data[i].source for i in range(0, len(data.ids), 10)}
    assert len(rows) == 360
    assert {prompt for _, prompt, _, _ in rows} == numbered == set(trees.prompts())


def test_all_ordered_pairs_that_differ_in_one_slot(site):
    data = Imagen(str(site), SIZE, pairs="all", styles=True)
    found = set(pairs(data))
    assert len(data.ids) == len(found) == 3960
    assert all(len(changed(*pair)) == 1 for pair in found)
    assert {pair[::-1] for pair in found} == found
    assert set(Counter(source for source, _ in pairs(data)).values()) == {11}


def test_styles_stay_unless_asked_for(site):
    without = Imagen(str(site), SIZE, pairs="all")
    with_styles = set(pairs(Imagen(str(site), SIZE, pairs="all", styles=True)))
    assert len(without.ids) == 3600
    assert set(pairs(without)) == {pair for pair in with_styles if changed(*pair) != ["style"]}
    chosen = [Imagen(str(site), SIZE, styles=styles) for styles in (False, True)]
    assert [any(changed(*pair) == ["style"] for pair in pairs(data)) for data in chosen] == [False, True]


def test_one_neighbour_of_each_prompt_drawn_by_the_seed(site):
    first, again, other = (Imagen(str(site), SIZE, seed=seed) for seed in (0, 0, 1))
    assert [source for source, _ in pairs(first)] == list(range(360))
    assert first.ids == again.ids
    assert 200 < sum(a != b for a, b in zip(first.ids, other.ids, strict=True)) < 360
    assert all(len(changed(*pair)) == 1 for pair in pairs(first))
    types = Counter(changed(*pair)[0] for pair in pairs(first))
    # of the ten neighbours four change the animal, and one the headwear
    assert set(types) == set(SLOTS) - {"style"}
    assert 110 < types["animal"] < 180
    assert 15 < types["headwear"] < 60


def test_choice_is_pinned(site):
    """Published numbers are over these edits; they may not change with the code."""
    assert Imagen(str(site), SIZE).ids[:5] == ["000-001", "001-010", "002-001", "003-012", "004-022"]


def test_wording_is_that_of_the_site_or_of_the_paper(site):
    words = {wording: Imagen(str(site), SIZE, wording=wording) for wording in ("site", "paper")}
    assert words["site"].ids == words["paper"].ids
    for wording, data in words.items():
        for index in range(0, 360, 7):
            source, target = pairs(data)[index]
            assert data[index].source == trees.prompts(wording)[source]
            assert data[index].target == trees.prompts(wording)[target]


@pytest.mark.parametrize("naming", trees.NAMINGS)
def test_every_naming_gives_the_same_data_set(site, tmp_path, naming):
    expected = Imagen(str(site), SIZE)
    data = Imagen(str(trees.imagen(tmp_path / "some where", naming)), SIZE)
    assert data.identity() == expected.identity()  # options, and which picture is which prompt's
    assert np.array_equal(data[123].image, expected[123].image)


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "JPEG"])
@pytest.mark.parametrize("name", ["{prompt}", "{number}"])
def test_common_endings(site, tmp_path, name, ending):
    root = trees.imagen(tmp_path, "number")
    (root / "007.jpg").rename(root / f"{name.format(prompt=trees.prompts()[7], number='007')}.{ending}")
    assert Imagen(str(root), SIZE).identity() == Imagen(str(site), SIZE).identity()


def test_numbers_alone_are_not_taken_for_others(site, tmp_path):
    """Two pictures that changed places are another data set."""
    root = trees.imagen(tmp_path, "number")
    before = Imagen(str(root), SIZE).identity()
    (root / "000.jpg").write_bytes(trees.flat_jpeg(1))
    (root / "001.jpg").write_bytes(trees.flat_jpeg(0))
    assert Imagen(str(root), SIZE).identity() != before


def test_identity_tells_options(site):
    before = Imagen(str(site), SIZE).identity()
    changes = {"pairs": "all", "styles": True, "seed": 1, "wording": "paper", "resample": "lanczos"}
    for name, value in changes.items():
        assert Imagen(str(site), SIZE, **{name: value}).identity() != before
    assert Imagen(str(site), SIZE + 1).identity() != before


def test_counts(site):
    rows = {row.what: (row.found, row.expected) for row in Imagen(str(site), SIZE, pairs="all").counts()}
    assert rows["prompts (the paper says 300; its grammar gives 360)"] == (360, 360)
    assert rows["ordered pairs that differ in one slot"] == (3960, 3960)
    assert rows["samples with these options"] == (3600, None)
    slots = {name: 360 * (options - 1) for name, options in SLOTS.items()} | {"style": 0}
    assert {name: rows[f"slot {name}"][0] for name in SLOTS} == slots


def test_missing_folder(tmp_path):
    message = refusal(Imagen, str(tmp_path / "gone"), SIZE)
    assert message.startswith(f"missing: Imagen's pictures, sought at {tmp_path / 'gone'};")
    assert message.endswith("or set data.root= to where it is")
    assert "download" not in message  # it cannot
    assert refusal(Imagen, None, SIZE).startswith("data.root is not set")


def test_missing_pictures_are_counted(tmp_path):
    root = trees.imagen(tmp_path)
    for number in (12, 359):
        (root / trees.prompts()[number] / "1_.jpeg").unlink()
    (root / trees.prompts()[13] / "1_.jpeg").rename(root / trees.prompts()[13] / "2_.jpeg")
    message = refusal(Imagen, str(root), SIZE)
    assert message.startswith(
        f"3 of 360 pictures are not under {root}, the first is {trees.prompts()[12]!r} (or 012.png)"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(Imagen, str(tmp_path / "empty"), SIZE).startswith("360 of 360 pictures")


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "imagen.zip").write_bytes(b"")
    assert str(tmp_path / "imagen.zip") in refusal(Imagen, str(tmp_path / "imagen.zip"), SIZE)


def test_unreadable_picture_is_a_bad_sample_only_when_read(tmp_path):
    root = trees.imagen(tmp_path, "number")
    (root / "003.jpg").write_bytes(trees.flat_jpeg(3)[:200])
    data = Imagen(str(root), SIZE)
    with pytest.raises(BadSample, match=r"003\.jpg is not a readable picture"):
        data[3]
    assert data[4].image.shape == (3, SIZE, SIZE)


def test_generated_pictures_are_not_imagen_s(tmp_path):
    message = refusal(Imagen, str(generated(tmp_path)), SIZE)
    assert message.startswith(f"the pictures in {tmp_path} were generated by a model")
    assert "data=templated" in message


def test_generated_pictures_belong_to_their_model(site, tmp_path):
    root = generated(tmp_path)
    data = Templated(str(root), SIZE, model="sd14", pairs="all")
    assert data.ids == Imagen(str(site), SIZE, pairs="all").ids
    message = refusal(Templated, str(root), SIZE, model="shapes")
    assert message.endswith(f"in {root} are by sd14, data.model=shapes; set data.model=sd14")
    assert refusal(Templated, str(site), SIZE, model="sd14").startswith(f"{site} has no generated.json; make it by")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": null}', "\x00"])
def test_note_beside_generated_pictures_that_says_nothing(tmp_path, content):
    root = generated(tmp_path)
    (root / "generated.json").write_text(content)
    assert str(root / "generated.json") in refusal(Templated, str(root), SIZE, model="sd14")


def test_name_of_the_data_set_is_that_of_the_model(tmp_path):
    root = generated(tmp_path / "drawn", "shapes")
    words = ["data=templated", "model=shapes", f"data.root={root}", "data.size=16", "method=copy", "metrics=pixel"]
    assert run.main([*words, "limit=3", f"out={tmp_path / 'out'}"]) == 0
    (folder,) = (tmp_path / "out/templated_shapes/copy").iterdir()
    assert len(list((folder / "edits").iterdir())) == 3
    assert json.loads((folder / "summary.pixel-v1.json").read_text())["data"] == "templated_shapes"
    (other,) = cli.jobs(
        ["data=templated", "method=copy", "metrics=pixel", f"data.root={root}", f"out={tmp_path / 'out'}"]
    )
    with pytest.raises(UserError, match=r"are by shapes, data\.model=sd14; set data\.model=shapes$"):
        plan(other)


def test_a_run_over_imagen_s_pictures(site, tmp_path):
    words = ["data=imagen", f"data.root={site}", "data.size=16", "method=copy", "metrics=pixel", "limit=2"]
    assert run.main([*words, f"out={tmp_path}"]) == 0
    (folder,) = (tmp_path / "imagen/copy").iterdir()
    expected = [f"{id_}.png" for id_ in Imagen(str(site), SIZE).ids[:2]]
    assert sorted(file.name for file in (folder / "edits").iterdir()) == sorted(expected)
