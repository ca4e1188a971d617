"""Mean Inception features of the ImageNet training images, for all and by class: what CSFID and SFID compare with, for
who does not have FlexIT's own inception_stats_256.pt.

    python -m bench.inception_stats images=ILSVRC2012/train to=inception_stats_256.pt
    python -m bench.inception_stats images=ILSVRC2012/train to=some.pt limit=50 device=cpu

The folder holds one folder a class, named by synset; classes are numbered in the order of their names. Every image is
prepared as FlexIT does: shorter side to 256 px (PIL bilinear), central square.
"""

import io
import sys
from pathlib import Path

from hydra.utils import instantiate
from tqdm import tqdm

from bench.config import cli, files, options
from bench.config.command import command
from bench.config.options import Option
from bench.data.preprocess import read_rgb
from bench.data.reading import read
from bench.errors import UserError
from bench.files import weights
from bench.files.write import write

OPTIONS = {
    "images": Option(None, "folder of class folders, such as n01440764 (needed)"),
    "to": Option(None, "file to write (needed)"),
    "weights": Option(None, "Inception's file; null: where it is usually"),
    "limit": Option(None, "images a class; null: all"),
    "device": Option("auto", "auto, cpu or cuda"),
}
SIZE, BATCH = 256, 64
ENDINGS = (".jpeg", ".jpg", ".png")


class _Images:
    """The pictures of a class, as `read` takes them."""

    def __init__(self, files: list[Path]):
        self.ids = list(map(str, files))

    def picture(self, index: int):
        """uint8 `[3, 256, 256]`. Raises: BadSample: it is no readable picture."""
        import torch

        return torch.from_numpy(read_rgb(Path(self.ids[index]), SIZE, "bilinear"))


def statistics(folders: list[Path], extract, device, limit: int | None = None) -> dict:
    """`{mean, std, classwise: {class: {mean}}}` with float32 `[2048]` each, summed in float64.

    Args:
        folders: one a class, in class order.
        extract: uint8 `[B, 3, H, W]` to features `[B, D]`.
        device: torch's.
        limit: images a class, null for all.

    Raises:
        UserError: a class without images.
    """
    import torch

    total, squares, count, classwise = 0.0, 0.0, 0, {}
    for class_id, folder in enumerate(tqdm(folders, unit="class", disable=None)):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS)[:limit]
        of_class, n = 0.0, 0
        for pictures, bad in read(_Images(files), range(len(files)), BATCH, _Images.picture):
            for entry in bad.values():
                print(f"left out: {entry['error']}", file=sys.stderr)
            if pictures:
                features = extract(torch.stack(pictures).to(device)).double().cpu()
                sound = features.isfinite().all(1)
                if lost := int((~sound).sum()):
                    print(f"left out: {lost} pictures of {folder}, whose features are not finite", file=sys.stderr)
                features = features[sound]
                of_class, squares, n = of_class + features.sum(0), squares + features.square().sum(0), n + len(features)
        if n == 0:
            raise UserError(f"{folder} holds no readable picture; expected the images of a class")
        classwise[class_id] = {"mean": (of_class / n).float()}
        total, count = total + of_class, count + n
    mean = total / count
    spread = ((squares - count * mean.square()) / max(count - 1, 1)).clamp(min=0).sqrt()
    return {"mean": mean.float(), "std": spread.float(), "classwise": classwise}


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        given = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        if not given["images"] or not given["to"]:
            raise UserError("expected images=<folder of class folders> and to=<file>")
        root = Path(given["images"])
        folders = sorted(folder for folder in root.glob("n*") if folder.is_dir())
        if not folders:
            raise UserError(f"no class folder under images={root}; expected folders such as n01440764")
        profile = files.read(cli.CONF / "metrics/flexit.yaml")
        entry = profile["weights"]["inception"] | {"path": given["weights"]}
        located = weights.locate("inception", entry, key="weights")
        import torch

        from bench.diffusion import device as devices

        extract = instantiate(profile["csfid"]["features"] | {"weights": located})
        with torch.inference_mode():
            made = statistics(folders, extract, devices.pick(given["device"]), given["limit"])
        to = Path(given["to"])
        stream = io.BytesIO()  # torch.save says of a full disk that a position is unexpected
        torch.save(made, stream)
        write(to, stream.getvalue())
        print(f"{to}: {len(folders)} classes; use it with metrics.weights.statistics.path={to}")
    except UserError as error:
        return cli.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
