"""Trade-off plots and contact sheets."""

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

matplotlib.use("Agg")
from matplotlib import font_manager
from matplotlib import pyplot as plt

from bench.errors import BadSample, UserError
from bench.plan import make_data
from bench.store import Store, atomic

_CELL, _GAP, _LINE = 112, 4, 16
_INK, _OUTLINE = (30, 30, 30), (255, 0, 90)


def trade_off(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Two metrics against each other for the runs of one data set and profile: one curve for each method and
    variant, points annotated with r, 95 % intervals where they exist. PNG, PDF and the CSV behind them.

    Returns:
        the files, none if no run has both values.
    """
    facts = table.summary.iloc[0]
    x, y = facts["plot"]["x"], facts["plot"]["y"]
    shown = table.dropna(subset=[x, y]) if {x, y} <= set(table) else table[:0]
    if shown.empty:
        print(f"no trade-off plot: no run of {facts['data']}, {facts['profile']} has both {x} and {y}\n")
        return []
    figure, axes = plt.subplots(figsize=(7.2, 5.2), layout="constrained")
    for label, curve in _curves(shown):
        bars = {"xerr": _error(curve, x), "yerr": _error(curve, y)}
        (line,) = axes.plot(curve[x], curve[y], marker="o", label=label)
        axes.errorbar(curve[x], curve[y], **bars, fmt="none", ecolor=line.get_color(), elinewidth=1, alpha=0.35)
        for _, row in curve.iterrows():
            if not pd.isna(row.r):
                axes.annotate(f"{row.r:g}", (row[x], row[y]), (4, 4), textcoords="offset points", fontsize=7.5)
    axes.set_xlabel(_axis(x, facts["metrics"][x], horizontal=True))
    axes.set_ylabel(_axis(y, facts["metrics"][y], horizontal=False))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9)
    counts = sorted({int(n) for n in shown.n})
    many = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    notices = sorted(shown.notice.dropna().unique())
    axes.set_title(f"{facts['data']}, {facts['profile']} ({facts['backbone']}), {many}", fontsize=10)
    notes = [*notices, "numbers on the curves: encoding ratio r; bars: 95 % bootstrap intervals"]
    notes += [f"not shown, without {x} or {y}: {name}" for name in sorted(set(table.method) - set(shown.method))]
    figure.supxlabel("\n".join(notes), fontsize=7.5, color="dimgray")
    files = [stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf", ".csv")]
    for file in files[:2]:
        with atomic(file) as temporary:
            undated = {"CreationDate": None} if file.suffix == ".pdf" else None  # equal runs, equal bytes
            figure.savefig(temporary, format=file.suffix[1:], dpi=150, metadata=undated)
    plt.close(figure)
    with atomic(files[2]) as temporary:
        columns = [f"{name}{end}" for name in (x, y) for end in ("", "_lo", "_hi", "_n")]
        shown[["method", "variant", "model", "r", "seed", "n", *columns]].to_csv(temporary, index=False)
    return files


def contact_sheet(table: pd.DataFrame, file: Path, rows: int) -> list[Path]:
    """Samples of one data set, a row each: source with the true mask, the true edit where known, and every run's
    edit with its mask; masks are outlines.

    Returns:
        the file, or nothing if the data set can no longer be read.
    """
    config = OmegaConf.to_container(OmegaConf.load(Path(table.folder.iloc[0]) / "config.yaml"))
    try:
        data = make_data(config["data"])
    except UserError as error:
        print(f"no contact sheet of {config['data']['name']}: {error}")
        return []
    stores = [Store(Path(folder)) for folder in table.folder]
    done = [set(store.journal()) for store in stores]
    common = [id_ for id_ in data.ids if all(id_ in ids for ids in done)]
    samples = []
    for id_ in common[:rows]:
        try:
            samples.append(data[data.ids.index(id_)])
        except BadSample:
            continue
    if not samples:
        return []
    has_truth = samples[0].truth is not None
    heads = ["source"] + ["truth"] * has_truth + [_short(row) for _, row in table.iterrows()]
    step, top = _CELL + _GAP, 3 * _LINE
    notices = " ".join(sorted(table.notice.dropna().unique()))
    note = f"{config['data']['name']}; outlines: true mask on the source, the method's own mask on its edit. {notices}"
    width, font = _GAP + step * len(heads), _font()
    notes = textwrap.wrap(note, max(20, width // 7))
    sheet = Image.new("RGB", (width, top + (step + _LINE) * len(samples) + _LINE * (len(notes) + 1)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        pen.multiline_text((_GAP + column * step, 4), head, _INK, font, spacing=2)
    for line, sample in enumerate(samples):
        y = top + line * (step + _LINE)
        words = f"{sample.id}  {sample.type or ''}:  {sample.source} → {sample.target}"
        pen.text((_GAP, y), _shortened(words, pen, font, sheet.width - 2 * _GAP), _INK, font)
        cells = [_outlined(_picture(sample.image), sample.mask)]
        cells += [_picture(sample.truth)] if has_truth else []
        cells += [_edit(store, sample.id) for store in stores]
        for column, cell in enumerate(cells):
            sheet.paste(cell, (_GAP + column * step, y + _LINE))
    pen.multiline_text((_GAP, sheet.height - _LINE * (len(notes) + 0.5)), "\n".join(notes), _INK, font)
    with atomic(file) as temporary:
        sheet.save(temporary, format="PNG")
    return [file]


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 11)  # PIL's own font has no arrows


def _shortened(text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, width: float) -> str:
    if pen.textlength(text, font) <= width:
        return text
    while pen.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"


def _curves(table: pd.DataFrame):
    for (method, variant, seed), curve in table.groupby(["method", "variant", table.seed.fillna(-1)], sort=False):
        seeds = table[(table.method == method) & (table.variant == variant)].seed.nunique()
        name = " ".join(filter(None, [method, variant, f"seed {seed:g}" if seeds > 1 else ""]))
        yield name, curve.sort_values("r")


def _error(curve: pd.DataFrame, name: str) -> np.ndarray:
    value, low, high = (curve[c].to_numpy(float) for c in (name, f"{name}_lo", f"{name}_hi"))
    return np.nan_to_num(np.stack([value - low, high - value]))


def _axis(name: str, fact: dict, horizontal: bool) -> str:
    arrow = {(True, True): "→", (True, False): "←", (False, True): "↑", (False, False): "↓"}
    unit = f" ({fact['unit']})" if fact["unit"] else ""
    return f"{name}{unit}   {arrow[horizontal, fact['higher_is_better']]} better"


def _short(row: pd.Series) -> str:
    variant = "" if not row.variant else "\n" + row.variant[:18]
    return row.method + ("" if pd.isna(row.r) else f"\nr = {row.r:g}") + variant


def _picture(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    return image.resize((_CELL, _CELL), Image.Resampling.NEAREST if image.width < _CELL else Image.Resampling.BOX)


def _outlined(cell: Image.Image, mask: np.ndarray | None) -> Image.Image:
    """The cell with the border of the mask, inside the mask."""
    if mask is None or mask.all() or not mask.any():
        return cell
    area = Image.fromarray(mask.astype(np.uint8) * 255).resize((_CELL, _CELL), Image.Resampling.NEAREST)
    border = ImageChops.subtract(area, area.filter(ImageFilter.MinFilter(3)))
    cell = cell.copy()
    cell.paste(_OUTLINE, mask=border)
    return cell


def _edit(store: Store, id_: str) -> Image.Image:
    if not store.edit_file(id_).exists():
        cell = Image.new("RGB", (_CELL, _CELL), "lightgray")
        ImageDraw.Draw(cell).text((8, _CELL / 2 - 6), "failed", _INK, _font())
        return cell
    with Image.open(store.edit_file(id_)) as image:
        cell = _picture(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    if not store.mask_file(id_).exists():
        return cell
    with Image.open(store.mask_file(id_)) as mask:
        return _outlined(cell, np.asarray(mask) > 127)
