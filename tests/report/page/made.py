"""Runs written by hand, in the form that scored runs have."""

import json

import numpy as np
import pandas as pd

from bench.report import tables
from bench.report.page.answers import groups
from bench.statistics.intervals import mean_interval

UP = {"match": True, "keep": True, "far": False}


def write_run(out, method, columns, r=None, fid=None, halves=(), data=None, notice=None, **more):
    """A run of `<out>/own/<method>/`.

    Args:
        columns: metric -> value of each sample; `type` and `group` where they are not `object` and the id.
        fid: a distance of sets, and its values on half-samples.
    """
    folder = out / "own" / method / f"r{r}-{len(list(out.glob('own/*/*')))}"
    folder.mkdir(parents=True)
    values = {name: np.asarray(column, float) for name, column in columns.items() if name in UP}
    count = len(next(iter(values.values())))
    ids = columns.get("id", [f"{i:04d}" for i in range(count)])
    groups = columns.get("group", ids)
    facts = {name: _fact(name, column, groups) for name, column in values.items()}
    if fid is not None:
        facts["fid"] = {"kind": "set", "higher_is_better": False, "version": 1, "unit": "", "value": fid, "n": count}
        facts["fid"] |= {"made": {"size": 64}, "groups": count, "halves": list(halves), "halves_of": "group"}
    summary = {
        "data": "own", "profile": "own-v1", "backbone": "none", "method": method, "notice": notice, "weights": {},
        "knobs": {"r": r} if r is not None else {}, "metrics": facts, "plot": {"x": "keep", "y": "match"},
        "ids": json.dumps(list(ids)), "n": count, "n_expected": count, "nfe": 10, "nfe_spent": 10,
    } | more  # fmt: skip
    (folder / "summary.own-v1.json").write_text(json.dumps(summary))
    identity = {
        "identity_version": 2,
        "data": data or {"name": "own", "size": 64},
        "model": None,
        "method": {},
        "seed": 0,
    }
    (folder / "identity.json").write_text(json.dumps(identity | {"method": {"name": method, "r": r}}))
    table = pd.DataFrame({"id": ids, "type": columns.get("type", "object"), "group": groups, "class": "", **values})
    table.to_csv(folder / "per_image.own-v1.csv", index=False)
    return folder


def _fact(name, values, groups):
    value, low, high, n = mean_interval(values, list(groups))
    ends = {"value": value, "lo": low, "hi": high}
    ends = {key: None if np.isnan(end) else end for key, end in ends.items()}
    counts = {"n": n, "n_nan": 0, "groups": len(set(groups)), "made": {"size": 64}}
    return {"version": 1, "higher_is_better": UP[name], "unit": "", "kind": "pair", **ends, **counts}


def collected(out):
    """The runs under a folder, in groups, and the place of each in the gallery's list."""
    table = tables.collect(out)
    return groups(table), {folder: i for i, folder in enumerate(dict.fromkeys(table.folder))}
