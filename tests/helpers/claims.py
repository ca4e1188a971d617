"""Runs with scores written by hand in the form that runs have, and claims on them."""

import json

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from bench.claims import file
from bench.claims.verdicts import evaluate
from bench.files.hashing import sha256
from bench.scores import seal, stored

COUNT = 48
METRICS = {"perceptual": False, "edit_success": True, "structure": False, "psnr_background": True}
DUAL = {"w_t": 7.5, "steps": 50, "control": "p2p"}
DIFFEDIT = {"guidance": 5.0, "steps": 50, "mask_noise": 0.5, "threshold": 0.5, "reference": "none", "encode": "ddim"}
DIFFEDIT |= {"n": 10, "clip": "mean_ratio", "clip_at": 3.0, "rescale": "minmax", "mask_operator": "latent"}
DIFFEDIT |= {"mask": "contrast", "clip_before": "each"}
SDEDIT = {"guidance": 5.0, "steps": 50}
HARD = np.random.default_rng(0).standard_normal(COUNT)
HARD -= HARD.mean()
IDS = [f"{i:04d}" for i in range(COUNT)]
CLASSES = [str(i % 12) for i in range(COUNT)]


class World:
    """Runs on a data set; scores are of the same pictures, some harder than others."""

    def __init__(self, out):
        self.out, self.made = out, 0

    def add(
        self,
        method,
        knobs,
        scores=None,
        noise=0.3,
        count=COUNT,
        groups=None,
        types=None,
        sets=None,
        made=None,
        **changed,
    ):
        """A run whose metrics are the means of `scores` (0 where not named) plus each picture's own difficulty.

        Args:
            sets: metric -> value and half-sample values.
            made: metric -> what its numbers depend on.
            changed: fields of the summary and of its identity.
        """
        self.made += 1
        rng, scores = np.random.default_rng(self.made), scores or {}
        values = {name: 20 * HARD + scores.get(name, 0.0) + noise * rng.standard_normal(COUNT) for name in METRICS}
        table = pd.DataFrame(
            {"id": IDS, "type": types or "", "group": groups or IDS, "class": [str(i % 12) for i in range(COUNT)]}
        )
        table = table.assign(**values, nfe=changed.pop("nfe", 100.0))[:count]
        facts = {
            name: {"version": 1, "higher_is_better": up, "unit": "", "kind": "pair", "value": float(table[name].mean())}
            for name, up in METRICS.items()
        }
        for name, (value, halves, of) in (sets or {}).items():
            facts[name] = {"version": 1, "higher_is_better": False, "unit": "", "kind": "set", "value": value}
            facts[name] |= {"halves": list(halves), "halves_of": of}
        for name, knobs_of in (made or {}).items():
            facts[name]["made"] = knobs_of
        for fact in facts.values():
            fact |= {"lo": None, "hi": None, "n": count}
        summary = {"data": "shapes", "method": method, "model": "shapes", "profile": "shapes-v1", "backbone": "none"}
        summary |= {"notice": "embedded model", "doubts": {}, "weights": {}, "knobs": knobs, "seed": None, "n": count}
        summary |= {"n_expected": count, "n_failed": 0, "ids": f"first {count}", "metrics": facts, "table": None}
        summary |= {"nfe": 1.0, "seconds": 1.0, "nfe_spent": 1.0} | changed
        identity = {"identity_version": 2, "method": {}, "code": {"method": {"name": method, "version": 1}}}
        identity |= {"data": {"name": summary["data"], "size": 64}, "model": {"files": {"a": summary["model"]}}}
        folder = self.out / summary["data"] / method / f"run{self.made}"
        folder.mkdir(parents=True)
        (folder / "identity.json").write_text(json.dumps(identity))
        (folder / "config.yaml").write_text("a: 1\n")
        table.to_csv(scores := folder / f"per_image.{summary['profile']}.csv", index=False)
        summary |= {"per_image": sha256(scores), "config": sha256(folder / "config.yaml")}
        (folder / f"summary.{summary['profile']}.json").write_text(json.dumps(seal.seal(summary)))

    def curve(self, method, knobs, points, **more):
        """Runs at several r; points are r -> (perceptual, edit_success)."""
        for r, (x, y) in points.items():
            self.add(method, knobs | {"r": r}, {"perceptual": x, "edit_success": y}, **more)

    def claim(self, tmp_path, head=None, **node):
        """What the runs say of a claim: its results on each data set, and what stands beside them."""
        return evaluate(load(tmp_path, head, **node), stored.under(self.out))


def load(tmp_path, head=None, **node):
    """A file of one claim, `mine`.

    Args:
        head: what stands beside it, in place of what is usual here.
    """
    path = tmp_path / "claims.yaml"
    roles = {"distance": {"shapes-v1": "perceptual"}, "match": {"shapes-v1": "edit_success"}}
    roles |= {"structure": {"shapes-v1": "structure"}, "background": {"shapes-v1": "psnr_background"}}
    roles |= {"realism": {"shapes-v1": "csfid"}}
    of_range = {"share": 0.25, "method": "sdedit", "along": "r", "between": [0.3, 0.9]}
    margins = {"fixed": {"edit_success": 2, "perceptual": 2}, "of_range": of_range}
    claim = {"statement": "x", "source": "y"} | node
    made = {"roles": roles, "margins": margins} | (head or {}) | {"claims": {"mine": claim}}
    OmegaConf.save(OmegaConf.create(made), path)
    return file.load(path)
