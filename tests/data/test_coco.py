import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import run
from bench.data.bison import WORDS
from bench.data.coco import Coco
from bench.data.preprocess import read_rgb
from bench.edits.folder import Store
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256
from tests.helpers import caption_trees as trees

SIZE = 24
ITEM = (3, 100, 2, (1, 2))  # one query, caption 100 of picture 2, over picture 1


def coco(root, *, captions=trees.CAPTIONS, items=trees.ITEMS, **options):
    return Coco(**trees.coco(root, captions, items), size=SIZE, **options)


def refusal(options, **more) -> str:
    """What is said instead of making a data set; one sentence."""
    with pytest.raises(UserError) as error:
        Coco(**options, size=SIZE, **more)
    message = str(error.value)
    assert "\n" not in message
    return message


def kept(root, caption, query, **options):
    """Whether the query passes the filter over a picture with this caption alone."""
    captions = [(90, 1, caption), (100, 2, query)]
    return coco(root, captions=captions, items=[ITEM], filter=0.25, **options).ids == ["00003"]


def chosen(root, captions, query, **options):
    """Source prompt for a query over a picture with these captions."""
    data = coco(
        root, captions=[(90 + i, 1, c) for i, c in enumerate(captions)] + [(100, 2, query)], items=[ITEM], **options
    )
    return data.triples[0].source


def test_input_is_the_other_candidate_and_the_query_the_caption_of_the_true_one(tmp_path):
    data = coco(tmp_path)
    assert data.ids == ["00000", "54252", "00017"]  # in BISON's order, not in that of the ids
    expected = [
        ("00000", 73, "A black dog sits on a red couch.", "A black cat sits on a red couch."),
        ("54252", 42, "A cat on a sofa", "A dog lies on a couch."),
        ("00017", 581929, "Two people on a beach.", "A cat on a sofa"),
    ]
    for i, (id_, image, source, target) in enumerate(expected):
        sample = data[i]
        assert (sample.id, sample.source, sample.target) == (id_, source, target)
        assert sample.group == f"COCO_val2014_{image:012d}.jpg"
        assert np.array_equal(sample.image, read_rgb(io.BytesIO(trees.jpeg(image)), SIZE))
        rest = sample.mask, sample.type, sample.classes, sample.blend, sample.instruction, sample.truth
        assert rest == (None,) * 6


def test_first_caption_is_the_first_in_the_file(tmp_path):
    data = coco(tmp_path, reference="first")
    assert [triple.source for triple in data.triples] == [
        "A dog lies on a couch.",
        "A black cat sits on a red couch.",
        "Two people on a beach.",
    ]


@pytest.mark.parametrize(
    ("captions", "query", "which"),
    [
        (["a b c d", "a b x d", "a b x y"], "a b x z", 1),  # both of the last two are one word away
        (["a b x y", "a b c d", "a b x d"], "a b x z", 0),
        (["a b c", "a b c d e f"], "a b c d e", 1),  # one word inserted against two missing
        (["a b c d e", "b a"], "a b", 1),  # two replaced against three deleted; words are not a set
        (["A B C.", "a x c"], "a b c", 0),  # as lower-case words without the full stop
    ],
)
def test_closest_caption_is_the_one_fewest_words_away_or_the_first_of_equals(tmp_path, captions, query, which):
    assert chosen(tmp_path, captions, query) == captions[which]


def test_closest_is_told_in_the_reading_that_was_asked_for(tmp_path):
    captions, query = ["a red bus, here", "A red bus is here"], "A red bus here."
    # plain: "bus," replaced against "is" deleted, a tie; exact: four of four against two; letters: none against one
    assert {words: chosen(tmp_path / words, captions, query, words=words) for words in WORDS} == {
        "plain": captions[0],
        "exact": captions[1],
        "letters": captions[0],
    }


@pytest.mark.parametrize(
    ("caption", "query", "readings"),
    [
        ("a cat on grass", "a dog on grass", "plain exact letters"),  # 1 of 4: a quarter is still in
        ("a cat sleeps", "a dog sleeps", ""),  # 1 of 3
        ("a cat sleeps", "a black cat sleeps", ""),  # 1 of the caption's 3, though a quarter of the query's 4
        ("a cat sleeps on grass", "a cat sleeps grass", "plain exact letters"),  # 1 deleted of 5
        ("a b c d e f g h", "x y c d e f g h", "plain exact letters"),  # 2 of 8
        ("a b c d e f g h", "x y z d e f g h", ""),
        ("a b c d e f g h", "b a c d e f g h", "plain exact letters"),  # two words swapped are two replaced
        ("A cat on grass.", "a cat on grass", "plain letters"),  # exact: 2 of 4
        ("A man, with a hat.", "A man with a hat", "plain letters"),  # plain: 1 of 5; exact: 2; letters: none
        ("A boy in a T-shirt", "A boy in a hat", "plain exact"),  # letters: 2 of 6
        ("a cat sleeps", "a cat sleeps !?", "plain letters"),  # final punctuation and the space before it are no word
        ("A cat's bed", "a cat's bed", "plain letters"),  # exact: 1 of 3
    ],
)
def test_filter_keeps_queries_that_change_a_quarter_of_the_caption_at_most(tmp_path, caption, query, readings):
    passed = [words for words in WORDS if kept(tmp_path / words, caption, query, words=words)]
    assert passed == readings.split()


@pytest.mark.parametrize(("share", "count"), [(None, 3), (0, 0), (0.124, 0), (0.125, 1), (0.59, 1), (0.6, 3), (10, 3)])
def test_filter_is_the_share_that_was_asked_for(tmp_path, share, count):
    """The queries change 1 of 8, 3 of 5 and 3 of 5 words."""
    assert len(coco(tmp_path, filter=share).ids) == count


def test_filter_looks_at_the_caption_that_is_the_source(tmp_path):
    assert coco(tmp_path, filter=0.25).ids == ["00000"]
    assert coco(tmp_path, filter=0.25, reference="first").ids == []
    assert coco(tmp_path, filter=0.5, reference="first").ids == ["54252"]  # 4 of 8 words


def test_identical_sentences_pass_a_filter_of_zero(tmp_path):
    assert coco(tmp_path, captions=[(90, 1, "A cat"), (100, 2, "a cat.")], items=[ITEM], filter=0).ids == ["00003"]


def test_counts_have_a_line_for_each_reading_of_the_filter(tmp_path):
    captions = [(90, 1, "A boy in a T-shirt"), (91, 1, "a boy"), (100, 2, "A boy in a hat.")]
    data = coco(tmp_path, captions=captions, items=[ITEM])
    rows = {row.what: (row.found, row.expected) for row in data.counts()}
    assert rows["BISON items"] == (1, 54_253)
    assert rows["samples with these options"] == rows["pictures"] == (1, None)
    expected = {"plain": 1, "exact": 1, "letters": 0}
    assert {what: found for what, (found, _) in rows.items() if "272" in what} == {
        f"filter=0.25 reference={reference} words={words} (paper: 272)": expected[words]
        for reference in ("closest", "first")
        for words in WORDS
    }
    rows = {row.what: row.found for row in coco(tmp_path / "few", filter=0.25).counts()}
    assert (rows["BISON items"], rows["samples with these options"], rows["pictures"]) == (3, 1, 1)


def test_identity_is_that_of_the_content(tmp_path):
    before = coco(tmp_path / "here").identity()
    assert coco(tmp_path / "there").identity() == before
    for options in ({"reference": "first"}, {"filter": 1.0}, {"words": "letters"}, {"resample": "lanczos"}):
        assert coco(tmp_path / "there", **options).identity() != before
    assert Coco(**trees.coco(tmp_path / "there"), size=SIZE + 1).identity() != before
    assert coco(tmp_path / "more", items=trees.ITEMS[:2]).identity() != before
    captions = [(id_, image, text.replace("umbrella", "boat")) for id_, image, text in trees.CAPTIONS]
    assert coco(tmp_path / "other words", captions=captions).identity() != before


def test_identity_changes_with_the_pictures_that_are_inputs_alone(tmp_path):
    """Picture 42 is the input of no query over the first item."""
    data = coco(tmp_path, items=trees.ITEMS[:1])
    before = data.identity()
    for image, matters in ((42, False), (73, True)):
        (tmp_path / f"val2014/COCO_val2014_{image:012d}.jpg").write_bytes(trees.jpeg(5))
        assert (data.identity() != before) == matters


def test_size_and_resampling_are_those_asked_for(tmp_path):
    data = Coco(**trees.coco(tmp_path), size=30, resample="bilinear")
    assert np.array_equal(data[0].image, read_rgb(io.BytesIO(trees.jpeg(73)), 30, "bilinear"))


def test_annotations_may_lie_elsewhere_and_start_with_a_byte_order_mark(tmp_path):
    options = trees.coco(tmp_path / "here")
    before = Coco(**options, size=SIZE)
    for name in ("captions", "bison"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + Path(options[name]).read_bytes())
        options[name] = tmp_path / name
    assert Coco(**options, size=SIZE).triples == before.triples


def test_what_is_missing_is_said_together(tmp_path):
    gone = {"root": str(tmp_path), "captions": str(tmp_path / "c.json"), "bison": str(tmp_path / "b.json")}
    with pytest.raises(UserError) as error:
        Coco(**gone, size=SIZE)
    lines = str(error.value).split("\n")
    assert [line.split(";")[0] for line in lines] == [
        f"missing: COCO's captions_val2014.json, sought at {tmp_path / 'c.json'}",
        f"missing: BISON's bison_annotations.cocoval2014.json, sought at {tmp_path / 'b.json'}",
        f"missing: COCO's val2014 pictures, sought at {tmp_path / 'val2014'}",
    ]
    for line, knob in zip(lines, ("captions", "bison", "root"), strict=True):
        assert "download=true" in line
        assert line.endswith(f"or set data.{knob}= to where it is")


def test_unset_root(tmp_path):
    assert refusal(trees.coco(tmp_path) | {"root": None}).startswith("data.root is not set")


def test_missing_pictures_are_counted(tmp_path):
    options = trees.coco(tmp_path)
    for image in (42, 581929):
        (tmp_path / f"val2014/COCO_val2014_{image:012d}.jpg").unlink()
    message = refusal(options)
    assert message.startswith(f"2 of 3 pictures are not in {tmp_path / 'val2014'}, the first is ")
    assert "COCO_val2014_000000000042.jpg (BISON item 54252)" in message
    assert message.endswith("val2014.zip")
    assert Coco(**options, size=SIZE, filter=0.25).ids == ["00000"]  # which needs neither


def test_unreadable_picture_is_a_bad_sample_only_when_read(tmp_path):
    data = coco(tmp_path)
    file = tmp_path / "val2014/COCO_val2014_000000000073.jpg"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(BadSample, match=r"COCO_val2014_000000000073\.jpg is not a readable picture"):
        data[0]
    assert data[1].image.shape == (3, SIZE, SIZE)


def test_grey_pictures_become_three_channels(tmp_path):
    """Some of COCO's are grey."""
    data = coco(tmp_path)
    Image.new("L", (53, 41), 77).save(tmp_path / "val2014/COCO_val2014_000000000073.jpg", quality=100)
    assert (data[0].image == 77).all()


def _drop(name):
    return lambda entry: {key: value for key, value in entry.items() if key != name}


def _put(name, value):
    return lambda entry: entry | {name: value}


def _candidates(*images):
    return _put("image_candidates", [{"image_id": i, "image_filename": "x"} for i in images])


WRONG_CAPTIONS = {
    "no id": _drop("id"),
    "no picture": _drop("image_id"),
    "no caption": _drop("caption"),
    "null caption": _put("caption", None),
    "caption of numbers": _put("caption", [3]),
    "no object": lambda entry: 7,
    "id is a list": _put("id", [1]),
    "id is a string": _put("id", "344"),
    "picture is a list": _put("image_id", [73]),
    "picture is a string": _put("image_id", "73"),
    "picture is null": _put("image_id", None),
}
WRONG_ITEMS = {
    "no id": _drop("bison_id"),
    "no caption": _drop("caption_id"),
    "no true picture": _drop("true_image_id"),
    "no candidates": _drop("image_candidates"),
    "candidates are ids": _put("image_candidates", [73, 42]),
    "candidates are null": _put("image_candidates", None),
    "candidate without id": _put("image_candidates", [{"image_filename": "x"}, {"image_id": 42}]),
    "no object": lambda entry: [],
    "one candidate, the true one": _candidates(73),
    "one candidate, the other one": _candidates(42),
    "three candidates": _candidates(73, 42, 581929),
    "the true one twice": _candidates(73, 73),
    "the true one twice, and another": _candidates(73, 73, 42),
    "two others": _candidates(42, 581929),
    "true picture is null": _put("true_image_id", None),
    "id is a string": _put("bison_id", "54252"),
    "id is null": _put("bison_id", None),
    "id is a list": _put("bison_id", [1]),
    "caption is a list": _put("caption_id", [690]),
    "candidate is a list": _candidates(73, [42]),
    "candidate is a string": _candidates(73, "42"),
    "there twice": _put("bison_id", 0),
    "caption that is nowhere": _put("caption_id", 999),
    "picture without captions": _candidates(73, 43),
}


@pytest.mark.parametrize("wrong", WRONG_CAPTIONS)
def test_malformed_caption_is_named_by_file_and_position(tmp_path, wrong):
    options, content = trees.coco(tmp_path), trees.captions_json()
    content["annotations"][3] = WRONG_CAPTIONS[wrong](content["annotations"][3])
    trees.write_json(options["captions"], content)
    assert f"{options['captions']}, annotation 3: " in refusal(options)


@pytest.mark.parametrize("wrong", WRONG_ITEMS)
def test_malformed_item_is_named_by_file_and_position(tmp_path, wrong):
    options, content = trees.coco(tmp_path), trees.bison_json()
    content["data"][1] = WRONG_ITEMS[wrong](content["data"][1])
    trees.write_json(options["bison"], content)
    assert f"{options['bison']}, item 1: " in refusal(options)


def test_what_cannot_be_joined_is_named(tmp_path):
    options = trees.coco(tmp_path, items=[(0, 999, 42, (73, 42))])
    assert f"item 0: caption 999 of {options['captions']} is not there" in refusal(options)
    options = trees.coco(tmp_path, items=[(0, 7, 42, (44, 42))])
    assert f"item 0: {options['captions']} has no caption of picture 44" in refusal(options)
    options = trees.coco(tmp_path, items=[*trees.ITEMS, trees.ITEMS[0]])
    assert "item 3: bison_id 0 is there twice" in refusal(options)


def test_captions_that_were_numbered_anew_are_refused(tmp_path):
    """As in Karpathy's files: the number exists, but its caption is another picture's."""
    texts = [(image, text) for _, image, text in trees.CAPTIONS]
    renumbered = [(id_, *pair) for (id_, _, _), pair in zip(trees.CAPTIONS, texts[1:] + texts[:1], strict=True)]
    options = trees.coco(tmp_path, captions=renumbered)
    message = refusal(options)
    assert f"{options['bison']}, item 0: " in message
    assert "caption 7" in message


@pytest.mark.parametrize("name", ["captions", "bison"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw[: len(raw) // 2], "is no whole JSON file"),
        (lambda raw: b"", "is no whole JSON file"),
        (lambda raw: b"[]", "holds a list, expected a dict"),
        (lambda raw: b"{}", "is missing"),
        (lambda raw: raw.replace(b'"annotations"', b'"x"').replace(b'"data"', b'"x"'), "is missing"),
        (lambda raw: b'{"annotations": {}, "data": {}}', "is {}; expected list"),
        (lambda raw: raw.replace(b"COCO", b"caf\xe9"), "is not UTF-8"),
        (lambda raw: b'{"a": 1, "a": 2}', "has the key 'a' twice"),
    ],
)
def test_file_that_is_something_else(tmp_path, name, change, said):
    options = trees.coco(tmp_path)
    file = Path(options[name])
    file.write_bytes(change(file.read_bytes()))
    message = refusal(options)
    assert message.startswith(str(file))
    assert said in message


@pytest.mark.parametrize("name", ["captions", "bison"])
def test_folder_in_place_of_a_file(tmp_path, name):
    options = trees.coco(tmp_path) | {name: str(tmp_path / "annotations")}
    assert str(tmp_path / "annotations") in refusal(options)


def test_file_in_place_of_the_picture_folder(tmp_path):
    options = trees.coco(tmp_path / "coco")
    os.rename(tmp_path / "coco/val2014", tmp_path / "pictures")
    (tmp_path / "coco/val2014").write_bytes(b"")
    assert str(tmp_path / "coco/val2014") in refusal(options)


def test_a_run_over_the_small_edits(tmp_path):
    options = trees.coco(tmp_path / "the data")
    words = ["data=coco", f"data.root='{options['root']}'", "data.size=24", "data.filter=0.25"]
    assert run.main([*words, "method=copy", "metrics=pixel", f"out={tmp_path / 'out'}"]) == 0
    (folder,) = (tmp_path / "out/coco/copy").iterdir()
    assert [file.name for file in (folder / "edits").iterdir()] == ["00000.png"]
    (environment,) = Store(folder).environments()
    assert environment["annotations"] == {
        f"annotations/{Path(options[name]).name}": sha256(Path(options[name])) for name in ("captions", "bison")
    }


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("data.words=letter", "data.words=letter, did you mean letters"),
        ("data.reference=last", "data.reference=last"),
        ("data.filter=-1", "data.filter=-1, expected a number from 0 to 10"),
        ("data.filter=0", "data=coco lists no sample with these options"),
    ],
)
def test_wrong_words(tmp_path, capsys, word, sentence):
    root = trees.coco(tmp_path / "coco")["root"]
    words = ["data=coco", f"data.root={root}", "data.size=24", "method=copy", "metrics=pixel"]
    assert run.main([*words, word, f"out={tmp_path / 'out'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
