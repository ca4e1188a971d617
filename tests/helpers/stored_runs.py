"""Scored runs on disk, made by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from bench.report import tables
from bench.scores import stored

UNITS = {"psnr": ("dB", True), "lpips_e3": ("x 10^3", False), "clip_edited": ("", True)}
PROTOCOL = {"size": 512, "brackets": "strip", "jpeg": 75, "mean": "pictures"}


def run(out: Path, method: str, scores: dict[str, np.ndarray], knobs: dict | None = None, **more) -> stored.Scored:
    """A run of data `pie`, scored by `pie-v2`, with these scores of its pictures; `more` is of its summary."""
    knobs, n = knobs or {}, len(next(iter(scores.values())))
    folder = out / "pie" / method / "_".join(["run", *(f"{name}{value}" for name, value in knobs.items())])
    folder.mkdir(parents=True)
    identity = {"identity_version": 2, "data": {"name": "pie"}, "model": {"files": "x"}, "seed": 0}
    identity |= {"method": {"name": method, **knobs}}
    (folder / "identity.json").write_text(json.dumps(identity))
    table = pd.DataFrame({"type": "object", "group": [f"g{i}" for i in range(n)], "class": "", **scores})
    table.index = pd.Index([f"{i:03d}" for i in range(n)], name="id")
    table.to_csv(folder / "per_image.pie-v2.csv")
    metrics = {
        name: dict(zip(("unit", "higher_is_better"), UNITS[name], strict=True))
        | {"version": 1, "kind": "pair", "value": float(np.mean(v)), "n": n, "groups": n, "made": {"_target_": name}}
        | {"lo": float(np.mean(v) - 1), "hi": float(np.mean(v) + 1)}
        for name, v in scores.items()
    }
    summary = {"data": "pie", "profile": "pie-v2", "backbone": "CLIP", "method": method, "model": "sd14", "ids": "all"}
    summary |= {"knobs": knobs, "seed": 0, "n": n, "n_expected": n, "nfe": 100, "protocol": PROTOCOL}
    stored.summary_file(folder, "pie-v2").write_text(json.dumps(summary | {"metrics": metrics} | more))
    return stored.read(folder, "pie-v2")


def frame(*runs: stored.Scored) -> pd.DataFrame:
    """As `tables.collect` has them."""
    return tables.frame(list(runs))
