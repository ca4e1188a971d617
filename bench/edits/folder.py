"""The folder of one run: what is done, and how to add to it without ever leaving half a file."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from bench.edits.environment import environment
from bench.edits.identity import foreign
from bench.errors import UserError
from bench.files.hashing import sha256, sha256_of, sha256_of_files
from bench.files.lock import Busy, lock
from bench.files.paths import file_name, sample_name
from bench.files.write import append, make_folder, write, write_png
from bench.models.checkpoint import compilation


class Held(UserError):
    """Another process is editing a run."""


class Store:
    """`<out>/<data>/<method>/<slug>-<key10>/`: edits, masks, journal, scores and what produced them.

    Args:
        folder: need not exist.
        shard: (index, count); each shard has a lock of its own, each process that edits it a journal.
    """

    def __init__(self, folder: Path, shard: tuple[int, int] = (0, 1)):
        self.folder = Path(folder)
        self.shard = f"{shard[0]}of{shard[1]}"

    @property
    def journal_file(self) -> Path:
        """The journal of this process: no other one appends to it, whatever its file system makes of locks."""
        return self.folder / f"edits-{self.shard}.{_writer(os.getpid())}.jsonl"

    def edit_file(self, id_: str) -> Path:
        """Edited picture of a sample, a PNG."""
        return self.folder / "edits" / f"{sample_name(id_)}.png"

    def mask_file(self, id_: str) -> Path:
        """Mask that the method worked with, of the picture's size, 255 = edit."""
        return self.folder / "masks" / f"{sample_name(id_)}.png"

    def journal(self) -> dict[str, dict[str, Any]]:
        """What is known of each finished sample, by id: `nfe`, `seconds`, `nfe_spent` and the SHA-256 of its pictures
        (`edit_sha256`, `mask_sha256`), or `error`. An entry without its picture does not count; a torn last line (a
        killed process) is ignored. Of several entries of a sample the last one counts; where two processes edited it at
        the same time, the one whose picture is there."""
        there = {file.name for file in (self.folder / "edits").glob("*.png")}
        entries: dict[str, dict[str, Any]] = {}
        for file in sorted(self.folder.glob("edits-*of*.jsonl"), key=_begun):
            for line in file.read_text(errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if "error" not in entry and self.edit_file(entry["id"]).name not in there:
                    continue
                entries[entry["id"]] = self._later(entries.get(entry["id"]), entry)
        return entries

    def _later(self, before: dict[str, Any] | None, entry: dict[str, Any]) -> dict[str, Any]:
        """The one of two entries of a sample that counts; the second was written later, or at the same time."""
        digest = entry.get("edit_sha256")
        if not before or "error" in before or before.get("edit_sha256") == digest:
            return entry
        if "error" in entry:  # beside a picture that is there
            return before
        return entry if sha256(self.edit_file(entry["id"])) == digest else before

    def changed(self, journal: dict[str, dict[str, Any]]) -> list[Path]:
        """Edits and masks whose SHA-256 is not the journal's, or masks that are gone; entries without a hash are
        passed by. Pictures that kept their size and time of change since they were last looked at are not read again.
        """
        expected = {}
        for id_, entry in journal.items():
            for key, file in (("edit_sha256", self.edit_file(id_)), ("mask_sha256", self.mask_file(id_))):
                if key in entry:
                    expected[file] = entry[key]
        missing = [file for file in expected if not file.exists()]
        there = {str(file.relative_to(self.folder)): file for file in expected if file not in missing}
        if sha256_of_files(there) != sha256_of({name: expected[file] for name, file in there.items()}):
            missing += [file for file in there.values() if sha256(file) != expected[file]]
        return sorted(missing)

    def open(self, config: dict[str, Any], identity: dict[str, Any], device: str, annotations: dict[str, str]) -> None:
        """Creates the folder and writes what defines the run, once; and this environment, with device, the SHA-256 of
        each annotation file and how the model is compiled, if it is, as `env/<hash>.json`.

        Raises:
            UserError: the folder belongs to a run with another identity.
        """
        make_folder(self.folder / "edits")
        file = self.folder / "identity.json"
        text = json.dumps(identity, indent=1, sort_keys=True) + "\n"
        if not file.exists():
            write(self.folder / "config.yaml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))
            write(file, text)  # the last: from here on the run has begun
        elif file.read_text() != text:
            raise UserError(
                f"{self.folder} belongs to another run (its identity.json differs); move it away and run again"
            )
        now = environment(*foreign(config)) | {"device": device, "annotations": annotations}
        if how := compilation(config["model"]):
            now["compile"] = how
        file = self.folder / "env" / f"{sha256_of(now)[:16]}.json"
        if not file.exists():
            write(file, json.dumps(now, indent=1) + "\n")

    def environments(self) -> list[dict[str, Any]]:
        """Every environment that worked on this run; earlier versions kept them in one file."""
        file = self.folder / "env.json"
        earlier = json.loads(file.read_text()) if file.exists() else []
        return earlier + [json.loads(file.read_text()) for file in sorted((self.folder / "env").glob("*.json"))]

    @contextmanager
    def lock(self, wait: bool = False) -> Iterator[None]:
        """Holds the run (this shard of it) against other processes, so that none makes its edits again.

        Args:
            wait: for another process that holds it.

        Raises:
            Held: another process holds it.
        """
        try:
            with lock(make_folder(self.folder) / f".lock-{self.shard}", wait):
                yield
        except Busy as busy:
            raise Held(
                f"another process{busy.by} is working on {self.folder}; wait for it, or set another shard.index or out="
            ) from None

    def forget_if_empty(self) -> None:
        """Deletes the folder of a run that stopped before anything was recorded of it; call it while it is locked."""
        kept = {"config.yaml", "identity.json", "env", "edits", f".lock-{self.shard}"}
        there = {path.name for path in self.folder.iterdir()}
        if not there <= kept or any(self.folder.glob("edits/*")):
            return  # also where another shard is at work
        shutil.rmtree(self.folder)
        for above in self.folder.parents[:2]:  # method and data set
            if not any(above.iterdir()):
                above.rmdir()

    def scoring(self, wait: bool = True) -> AbstractContextManager[None]:
        """Holds the run's scores; other processes wait for them, or find them busy (`bench.files.lock.Busy`)."""
        return lock(self.folder / ".lock-scores", wait)

    def save_picture(self, file: Path, picture: Image.Image) -> str:
        """As PNG, by temporary file and rename; returns the SHA-256 of the file."""
        return hashlib.sha256(write_png(file, picture)).hexdigest()

    def record(self, entries: list[dict[str, Any]]) -> None:
        """Appends to this process's journal; call it once the pictures are saved."""
        append(self.journal_file, entries)


@lru_cache(1)
def _writer(pid: int) -> str:
    """A name for this process that no other one has had, on no machine of a cluster: when it first asked, where it
    runs, its number. Containers of a node may share the latter two."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{file_name(socket.gethostname())}-{pid}"


def _begun(journal: Path) -> tuple[str, str]:
    """Orders journals by when their writers began; those of earlier versions, which name none, come first."""
    _, _, writer = journal.stem.partition(".")
    return writer, journal.name
