"""Whether a device ever waits for pictures to be read, encoded and written: a method that only sleeps stands for it.

    python -m scripts.bench_pipeline [--pictures 640] [--sleeps 100 30 10]

For each sleep (ms a picture, 512 px, batches of 16): the processor's work a picture, over all cores; what is allowed
from the first batch handed over to the last returned, and what it took. Where the work is less than 0.8 of the sleep,
1.05 of the sleep are allowed. Else the row says CPU-bound: 1.1 of the longer of both are, and the work is to be at most
1.3 of that of Pillow alone, which reads, encodes and writes the same pictures. Photographs as JPEG, edits as PNG. The
exit status is 1 where a row is not as expected.
"""

import argparse
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data as photographs

from bench.config import cli
from bench.edits.edit import edit
from bench.edits.plan import plan
from bench.files.write import write_png
from scripts.sleeper import Sleeper

SIZE, BATCH = 512, 16
CORES = len(os.sched_getaffinity(0))


def tree(root: Path, count: int, size: int = SIZE) -> list[str]:
    """A data set of so many samples of four photographs, `size` pixels a side; returns the words that choose it."""
    names = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = Image.fromarray(getattr(photographs, name)())
        picture.resize((size, size), Image.Resampling.LANCZOS).save(root / f"{name}.jpg", quality=95)
        names.append(f"{name}.jpg")
    rows = [{"id": f"{i:04d}", "image": names[i % 4], "source": "a", "target": "b"} for i in range(count)]
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["data=manifest", f"data.root={root}", f"data.size={size}"]


def work() -> float:
    """Processor seconds of this process."""
    times = os.times()
    return times.user + times.system


def bare(root: Path, to: Path, count: int = 64) -> float:
    """Processor seconds a picture of Pillow alone."""
    files = sorted(root.glob("*.jpg"))
    start = work()
    for number in range(count):
        with Image.open(files[number % len(files)]) as image:
            pixels = np.asarray(image.convert("RGB"))
        write_png(to / f"{number}.png", Image.fromarray(pixels))
    return (work() - start) / count


def efforts(root: Path) -> None:
    """Pillow's ways to compress the same pixels."""
    pictures = [Image.open(file).convert("RGB") for file in sorted(root.glob("*.jpg"))]
    for name, options in (("default", {}), ("level 1", {"compress_level": 1}), ("runs", {"compress_type": 3})):
        start, size = work(), 0
        for picture in 3 * pictures:
            picture.save(stream := io.BytesIO(), format="PNG", **options)
            size += len(stream.getvalue())
        count = 3 * len(pictures)
        print(f"PNG, {name}: {1000 * (work() - start) / count:.1f} ms and {size / count / 1024:.0f} KiB a picture")


def row(words: list[str], out: Path, sleep: float, pictures: int, alone: float) -> bool:
    """One line; whether it is as expected."""
    method = ["metrics=pixel", "method=custom", "method._target_=scripts.sleeper.Sleeper", "method.uses=[]"]
    (cfg,) = cli.jobs([*words, *method, f"+method.seconds={sleep}", f"out={out}", f"batch_size={BATCH}", "device=cpu"])
    runs = plan(cfg)
    Sleeper.calls.clear()
    start = work()
    for error in edit(runs).values():
        raise error
    each = (work() - start) / pictures
    took = Sleeper.calls[-1][1] - Sleeper.calls[0][0]
    done = sum("edit_sha256" in entry for entry in runs[0].store.journal().values())
    bound = each / CORES >= 0.8 * sleep
    limit = pictures * (1.1 * max(each / CORES, sleep) if bound else 1.05 * sleep)
    fine = done == pictures and took <= limit and (not bound or each <= 1.3 * alone)
    said = f"CPU-bound, work is {each / alone:.2f} of Pillow's alone; " if bound else ""
    print(
        f"{'ok' if fine else 'FAILED':7}{1000 * sleep:.0f} ms a picture: work {1000 * each:.1f} ms, over {CORES} cores "
        f"{1000 * each / CORES:.1f} ms; {said}allowed {limit:.1f} s, took {took:.1f} s "
        f"({took / sleep / pictures:.3f} of the sleep); load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return fine


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--sleeps", type=float, nargs="+", default=[100, 30, 10], help="ms a picture")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        words = tree(root, given.pictures)
        efforts(root)
        alone = bare(root, root / "bare")
        print(f"Pillow alone: {1000 * alone:.1f} ms a picture, over {CORES} cores {1000 * alone / CORES:.1f} ms")
        fine = [row(words, root / f"{i}", ms / 1000, given.pictures, alone) for i, ms in enumerate(given.sleeps)]
    return int(not all(fine))


if __name__ == "__main__":
    sys.exit(main())
