"""How much a number moves with what no paper states: half precision, and whether edits went through JPEG.

    python -m scripts.tolerance [method=siminversion data=shapes w_t=4 limit=16 ...] [--half bfloat16] [--to FILE]

Makes one run of a method that draws no noise twice, in float32 and in half precision (bfloat16, or float16 on a GPU
that is fast in it), scores each with and without JPEG, and writes, for each metric of the profile, the four values and
the largest difference between any two of them. `python -m bench.reproduce` tolerates that much between a value and the
published one. Metrics of the same model and profile are replaced, others stay; what is not in the file is not measured.
For a paper's numbers, run it with the paper's model on its data:

    python -m scripts.tolerance method=siminversion data=pie data.root=<PIE-Bench> words=published w_t=7.5 limit=100
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd

from bench.config import cli
from bench.edits.environment import environment
from bench.edits.plan import plan
from bench.errors import UserError
from bench.report.write import csv
from bench.reproduce import tolerance
from bench.scores import rescore
from bench.scores.complete import complete
from bench.scores.score import score
from bench.scores.stored import Scored

WORDS = ["method=siminversion", "data=shapes", "w_s=0.5", "w_t=4", "limit=16"]
QUALITY = 75
"""Of JPEG: PIL's own, with which published edits were saved."""


def measured(words: list[str], half: str, out: Path) -> pd.DataFrame:
    """A line for each metric, in the columns of `conf/tolerance.csv`.

    Args:
        out: folder for the runs.

    Raises:
        UserError: the words name several runs or a method that draws noise, or a run failed.
    """
    found: dict[str, Scored] = {}
    for dtype, name in (("float32", "float32"), (half, "half")):
        (cfg,) = cli.jobs([*words, f"out={out}", f"model.dtype={dtype}"])
        runs = plan(cfg)
        if len(runs) > 1 or "noise" in cfg.method.uses:
            raise UserError(
                f"{' '.join(words)}: expected one run of a method that draws no noise, such as method=siminversion; "
                "what noise does is seen in runs with other seeds"
            )
        (done,) = complete(runs, scored=False)
        if done.failures:
            raise UserError("\n".join(done.failures))
        for ending, quality in (("", "null"), ("_jpeg", QUALITY)):
            found[name + ending] = score(rescore.finished(runs[0].folder, [f"++metrics.jpeg={quality}"]))
    first = found["float32"].summary
    rows = []
    for metric in first.metrics:
        values = {name: run.summary.metrics[metric].value for name, run in found.items()}
        known = [value for value in values.values() if value is not None]
        apart = max(known) - min(known) if len(known) == len(values) else None
        rows.append({"model": first.model, "profile": first.profile, "metric": metric, "tolerance": apart} | values)
    made_on = environment()
    about = {"half_dtype": half, "n": first.n, "run": " ".join(words)}
    about |= {"torch": made_on["packages"]["torch"], "machine": made_on["machine"]}
    return pd.DataFrame(rows).assign(**about)[tolerance.COLUMNS]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="knob=value", help=f"the run (default: {' '.join(WORDS)})")
    parser.add_argument("--half", choices=["bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--to", type=Path, default=tolerance.FILE)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        made = measured(args.words or WORDS, args.half, Path(scratch))
    kept = tolerance.read(args.to)
    same = kept.model.isin(made.model) & kept.profile.isin(made.profile)
    whole = pd.concat([kept[~same], made]) if len(kept) else made
    csv(whole.sort_values(["model", "profile", "metric"]), args.to.with_suffix(""), float_format="%.6g")
    print(made.to_string(index=False))
    print(f"written: {args.to}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
