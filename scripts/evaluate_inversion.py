"""The SimInversion paper's findings on the embedded world: a table of methods, one of paired comparisons, a plot.

    python -m scripts.evaluate_inversion [--out results/runs/inversion] [--to results/shapes] [--full]

Edits are made and scored by the harness itself, in `--out`, and are reused when they are there. Costly
methods edit fewer images (`n` in the table), `--full` edits more of them; a comparison uses the images that both have.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench import cli, run
from bench.oracle import best_of
from bench.plan import plan
from bench.report import heading
from bench.statistics import mean_interval
from bench.store import atomic, write

METRICS = ("structure", "psnr_background", "perceptual", "edit_success", "text_agreement")


@dataclass
class Row:
    """A method: its label, what the user types, and how many images it edits, with `--full` and without."""

    label: str
    words: list[str]
    full: int = 256
    count: int = 256


ROWS = [
    Row("DDIM", ["method=ddim"]),
    Row("NT", ["method=null_text"], 64, 64),
    Row("NP", ["method=negative_prompt"]),
    Row("SD", ["method=style_diffusion"], 32, 32),
    Row("Direct", ["method=direct"]),
    *(
        Row(f"SimInv-{w:g}", ["method=siminversion", f"w_s={w:g}"], count=n)
        for w, n in ((0, 256), (0.2, 64), (0.5, 256), (0.8, 64), (1, 256), (2, 256))
    ),
    Row("SimInv-auto", ["method=siminversion", "w_s=auto"], count=32),
    Row("SimInv-auto_step", ["method=siminversion", "w_s=auto_step"], count=64),
    Row("DDIM, w_t 7.5", ["method=ddim", "w_t=7.5"], count=64),
    Row("SimInv-0.5, w_t 7.5", ["method=siminversion", "w_t=7.5"], count=64),
]
ORACLE = "SimInv* (oracle of 0 and 1)"
CLAIMS = [  # what the paper finds, the two sides, and the metrics that show it
    ("a symmetric scale preserves better than DDIM", "SimInv-0", "DDIM", ("structure", "psnr_background")),
    ("a symmetric scale preserves better than DDIM", "SimInv-0.5", "DDIM", ("structure", "psnr_background")),
    ("a symmetric scale preserves better than DDIM", "SimInv-1", "DDIM", ("structure", "psnr_background")),
    ("the same at the paper's w_t", "SimInv-0.5, w_t 7.5", "DDIM, w_t 7.5", ("structure", "psnr_background")),
    ("w_s in [0, 1] preserves better than 2", "SimInv-0.5", "SimInv-2", ("structure", "psnr_background")),
    ("w_s in [0, 1] preserves better than 2", "SimInv-0", "SimInv-2", ("structure", "psnr_background")),
    ("w_s in [0, 1] preserves better than 2", "SimInv-1", "SimInv-2", ("structure", "psnr_background")),
    ("0.5 preserves better than 0", "SimInv-0.5", "SimInv-0", ("structure", "psnr_background")),
    ("0.5 preserves better than 1", "SimInv-0.5", "SimInv-1", ("structure", "psnr_background")),
    ("close together: SimInv-0.5 and Direct", "SimInv-0.5", "Direct", ("structure", "psnr_background", "edit_success")),
    ("close together: SimInv-0.5 and NP", "SimInv-0.5", "NP", ("structure", "psnr_background", "edit_success")),
    ("close together: SimInv-0.5 and NT", "SimInv-0.5", "NT", ("structure", "psnr_background", "edit_success")),
    ("edits succeed as often as DDIM's", "SimInv-0.5", "DDIM", ("edit_success", "text_agreement")),
    ("ours: w_s=auto against 0.5", "SimInv-auto", "SimInv-0.5", ("structure", "psnr_background")),
    ("ours: w_s=auto_step against 0.5", "SimInv-auto_step", "SimInv-0.5", ("structure", "psnr_background")),
    ("how much an oracle of 0 and 1 gains on 0.5", ORACLE, "SimInv-0.5", ("structure", "psnr_background")),
]


def measured(out: Path, full: bool) -> tuple[dict[str, pd.DataFrame], dict[str, dict]]:
    """Scores of each row by image, and the facts of each metric."""
    tables, facts = {}, {}
    for row in ROWS:
        words = [*row.words, f"out={out}", f"limit={row.full if full else row.count}"]
        if run.main(words):
            raise SystemExit(f"{row.label}: the run failed")
        (point,) = plan(cli.jobs(words)[0])
        profile = point.cfg["metrics"]["name"]
        table = pd.read_csv(point.folder / f"per_image.{profile}.csv", dtype={"id": str})
        tables[row.label] = table.set_index("id").loc[point.ids]
        facts = json.loads((point.folder / f"summary.{profile}.json").read_text())["metrics"]
    return tables, facts


def compared(claim: tuple, tables: dict[str, pd.DataFrame], facts: dict[str, dict]) -> list[dict[str, str]]:
    """Mean paired differences with their intervals, and whether they go the way the paper found."""
    what, ours, theirs, metrics = claim
    common = [id_ for id_ in tables[ours].index if id_ in tables[theirs].index]
    rows = []
    for name in metrics:
        difference = (tables[ours].loc[common, name] - tables[theirs].loc[common, name]).to_numpy()
        mean, low, high, n = mean_interval(difference, common)
        better = (low > 0) if facts[name]["higher_is_better"] else (high < 0)
        worse = (high < 0) if facts[name]["higher_is_better"] else (low > 0)
        verdict = "better" if better else "worse" if worse else "no difference seen"
        rows.append(
            {
                "the paper's finding": what,
                "compared": f"{ours} - {theirs}",
                "metric": heading(name, facts[name]),
                "difference": f"{mean:+.3g} [{low:+.3g}, {high:+.3g}]",
                "n": str(n),
                "here": verdict,
            }
        )
    return rows


def overview(tables: dict[str, pd.DataFrame], facts: dict[str, dict]) -> list[dict[str, str]]:
    """A line for each method."""
    rows = []
    for label, table in tables.items():
        row = {"method": label, "n": str(len(table))}
        for name in METRICS:
            mean, low, high, _ = mean_interval(table[name].to_numpy(), list(table.index))
            row[heading(name, facts[name])] = f"{mean:.3g} ±{(high - low) / 2:.2g}"
        row["NFE"] = f"{table.nfe.mean():.0f}" if "nfe" in table else ""
        rows.append(row)
    return rows


def plot(tables: dict[str, pd.DataFrame], facts: dict[str, dict], notice: str, stem: Path) -> None:
    """Structure distance against background preservation, over the images that every shown method has."""
    shown = {label: table for label, table in tables.items() if len(table) >= 128}
    common = sorted(set.intersection(*(set(table.index) for table in shown.values())))
    figure, axes = plt.subplots(figsize=(8.6, 5), layout="constrained")
    for label, table in shown.items():
        point, bars = [], []
        for name in ("psnr_background", "structure"):
            mean, low, high, _ = mean_interval(table.loc[common, name].to_numpy(), common)
            point.append(mean)
            bars.append([[mean - low], [high - mean]])
        axes.errorbar(*point, xerr=bars[0], yerr=bars[1], marker="o", elinewidth=0.8, alpha=0.8, label=label)
    axes.set(xlabel="background PSNR (dB)   → better", ylabel="structure distance   ↓ better")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", fontsize=8)
    axes.set_title(f"prompt-to-prompt on the embedded world, n = {len(common)}", fontsize=10)
    figure.supxlabel(f"{notice}\nbars: 95 % bootstrap intervals", fontsize=7.5, color="dimgray")
    for suffix in (".png", ".pdf"):
        with atomic(stem.with_name(stem.name + suffix)) as temporary:
            undated = {"CreationDate": None} if suffix == ".pdf" else None
            figure.savefig(temporary, format=suffix[1:], dpi=150, metadata=undated)
    plt.close(figure)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/runs/inversion"))
    parser.add_argument("--to", type=Path, default=Path("results/shapes"))
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args(argv)
    tables, facts = measured(args.out, args.full)
    ends = [tables[f"SimInv-{w}"] for w in (0, 1)]
    tables[ORACLE] = best_of(ends, {name: facts[name] for name in METRICS})
    compared_rows = [row for claim in CLAIMS for row in compared(claim, tables, facts)]
    notice = cli.jobs([])[0].model.notice
    text = "\n".join(
        [
            f"data shapes, model shapes, prompt-to-prompt, 50 steps, w_t 4 (the model's own) unless said; {notice}",
            "means ± half of the 95 % bootstrap interval",
            "",
            pd.DataFrame(overview(tables, facts)).to_markdown(index=False, disable_numparse=True),
            "",
            "Paired differences, with 95 % bootstrap intervals; `here` is what the interval allows to say",
            "",
            pd.DataFrame(compared_rows).to_markdown(index=False, disable_numparse=True),
        ]
    )
    print(text)
    args.to.mkdir(parents=True, exist_ok=True)
    write(args.to / "inversion.table.md", text + "\n")
    plot(tables, facts, notice, args.to / "inversion")


if __name__ == "__main__":
    main()
