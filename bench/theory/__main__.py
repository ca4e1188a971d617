"""What the two papers derive, measured on any model and data: SimInversion's Figures 6 and 7 and Proposition 3, and the
bounds of DiffEdit's Proposition 1 with the constants they need.

    python -m bench.theory data=shapes limit=32
    python -m bench.theory data=pie model=sd14 steps=20 'w_s=[0,0.5,1]' 'parts=[reconstruction,gap]'

Writes CSV, PNG and PDF to `<out>/theory/<data>-<model>/`. No edit is made. `bench.reproduce.theory` measures the same
for items of papers. Takes every knob of `python -m bench.run --help` beside its own:
"""

import sys
from pathlib import Path

from bench.config import cli
from bench.config.command import command
from bench.config.options import Option
from bench.errors import UserError, nearest
from bench.files.paths import file_name
from bench.theory import PARTS, WORDS

OPTIONS = {"parts": Option(f"[{','.join(PARTS)}]", "what to measure")}


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    chosen = [word for word in words if word.startswith("parts=")]
    try:
        parts = chosen[-1].removeprefix("parts=").strip("[]").split(",") if chosen else list(PARTS)
        for part in parts:
            if part not in PARTS:
                raise UserError(f"unknown part {part!r}; {nearest(part, list(PARTS))}")
        (cfg,) = cli.jobs([*WORDS, *(word for word in words if word not in chosen)], sweeps=False)
        from bench.theory import plots
        from bench.theory.measure import measure

        found = measure(cfg, parts)
        plots.show(found, Path(cfg.out) / "theory" / file_name(f"{cfg.data.name}-{cfg.model.name}"))
    except UserError as error:
        return cli.fail(error)
    return 1 if found.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
