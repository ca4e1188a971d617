"""Copies the edits of an ImageNet run to where FlexIT's own evaluation reads them: one folder, `<row position>.png`.

    python -m bench.export_flexit run=results/runs/imagenet/diffedit/<run> to=my/edits
    python -m bench.export_flexit run=results/runs/imagenet/copy/<run> to=my/copies

Nothing is scored here; the command that does is printed.
"""

import json
import sys
from pathlib import Path

from bench.config import cli, options
from bench.config.command import command
from bench.config.options import Option
from bench.edits.folder import Store
from bench.errors import UserError
from bench.files.write import write

OPTIONS = {"run": Option(None, "folder of the run (needed)"), "to": Option(None, "folder to write to (needed)")}


def export(run: Path, to: Path) -> int:
    """Copies every edit of the run; returns their number.

    Raises:
        UserError: the folder is no run on the ImageNet benchmark, or has no edit.
    """
    file = run / "identity.json"
    if not file.is_file():
        raise UserError(f"{run} is no run (it has no identity.json); expected results/runs/imagenet/<method>/<run>")
    name = json.loads(file.read_text())["data"]["name"]
    if name != "imagenet":
        raise UserError(f"{run} is a run on data={name}; FlexIT's evaluation scores data=imagenet alone")
    store = Store(run)
    done = [id_ for id_, entry in store.journal().items() if "error" not in entry]
    if not done:
        raise UserError(f"{run} has no edit yet")
    for id_ in done:
        write(to / f"{int(id_)}.png", store.edit_file(id_).read_bytes())
    return len(done)


@command
def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        words = options.parse(sys.argv[1:] if argv is None else argv, OPTIONS)
        if None in words.values():
            raise UserError("expected run=<folder of a run> to=<folder>")
        count = export(Path(words["run"]), Path(words["to"]))
    except UserError as error:
        return cli.fail(error)
    print(f"{count} edits; score them in FlexIT's checkout with: python eval.py {words['to']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
