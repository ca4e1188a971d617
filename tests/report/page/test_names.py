"""What data sets are called."""

from bench.report.page.names import title

A, B = "a" * 64, "b" * 64


def named(*identities, name="own"):
    return [title(name, one, list(identities)) for one in identities]


def test_a_data_set_alone_is_called_by_its_name():
    assert named({"name": "shapes", "seed": 0}, name="shapes") == ["shapes"]
    assert named({"name": "pie", "annotations": A}, name="pie") == ["PIE-Bench"]
    assert named({"name": "manifest", "files": [A]}, name="my cats") == ["my cats"]


def test_of_one_name_they_are_told_apart_by_what_a_person_can_read():
    assert named({"size": 64, "types": None}, {"size": 128, "types": ["add"]}) == [
        "own (size 64, types none)",
        "own (size 128, types [add])",
    ]
    found = named({"files": [A, B], "manifest": A}, {"files": [A], "manifest": B}, {"files": [A, B], "manifest": B})
    assert found == [
        "own (files no. 1, manifest no. 1)",
        "own (files no. 2, manifest no. 2)",
        "own (files no. 1, manifest no. 2)",
    ]
