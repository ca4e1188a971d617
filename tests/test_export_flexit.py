"""Edits of ImageNet runs under the names that FlexIT's evaluation reads."""

from bench import export_flexit, run
from tests.helpers import trees


def test_edits_are_named_by_row_position(tmp_path, capsys):
    root, queries = trees.class_folders(tmp_path / "val"), trees.queries_csv(tmp_path / "queries.csv")
    words = [f"data.root={root}", f"data.annotations={queries}", "data.size=32", "metrics=pixel"]
    assert run.main(["method=copy", "data=imagenet", *words, f"out={tmp_path / 'out'}"]) == 0
    (folder,) = (tmp_path / "out/imagenet/copy").iterdir()
    to = tmp_path / "for_flexit"
    assert export_flexit.main([f"run={folder}", f"to={to}"]) == 0
    expected = [i for i, (*_, test) in enumerate(trees.QUERIES) if test]
    assert sorted(int(file.stem) for file in to.iterdir()) == expected
    assert (to / "2.png").read_bytes() == (folder / "edits/0002.png").read_bytes()
    assert f"python eval.py {to}" in capsys.readouterr().out


def test_what_it_cannot_export_is_a_sentence(tmp_path, capsys):
    assert export_flexit.main([f"run={tmp_path}", f"to={tmp_path / 'x'}"]) == 2
    assert "is no run" in capsys.readouterr().err
    (tmp_path / "identity.json").write_text('{"data": {"name": "pie"}}')
    assert export_flexit.main([f"run={tmp_path}", f"to={tmp_path / 'x'}"]) == 2
    assert "a run on data=pie" in capsys.readouterr().err
    assert export_flexit.main(["run=x"]) == 2
    assert "expected run=<folder of a run> to=<folder>" in capsys.readouterr().err
