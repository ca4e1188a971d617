"""Which jobs a command has submitted, so that the same command finds them again: files under `<out>/.cluster/`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.cluster.engines import ENGINES, State, whole
from bench.cluster.task import OUTCOME
from bench.files.hashing import sha256_of
from bench.files.write import write

_START = "jobs-"


@dataclass(frozen=True)
class Record:
    """Jobs of one submission.

    Attributes:
        command, words: what was typed, without what is about launching.
        engine: a key of `ENGINES`.
        ids: the tasks', and the last job's.
        keys: of the runs that they are about.
    """

    command: str
    words: list[str]
    engine: str
    ids: list[str]
    keys: list[str]
    folder: str

    @property
    def jobs(self) -> list[str]:
        """Ids as one names them, of an array that of all its tasks."""
        return whole(self.ids)

    @property
    def stops(self) -> str:
        """What to type to stop them."""
        return f"{ENGINES[self.engine].stop} {' '.join(self.jobs)}"

    def states(self) -> dict[str, State]:
        """How its jobs are; what has left an outcome has ended, whatever is said of it."""
        asked = ENGINES[self.engine].states(self.ids)
        return {id_: State(False, "COMPLETED") if self.outcome(id_) else state for id_, state in asked.items()}

    def lives(self) -> bool:
        """Whether one of its jobs is still to end."""
        return any(state.lives for state in self.states().values())

    def job_folder(self, id_: str) -> Path:
        """What submitit and the job itself leave of a job."""
        return Path(self.folder) / id_

    def outcome(self, id_: str) -> dict | None:
        """What a job said that has ended by itself."""
        file = self.job_folder(id_) / OUTCOME
        return json.loads(file.read_text()) if file.exists() else None

    def log(self, id_: str) -> Path:
        """What a job prints to stderr."""
        return self.job_folder(id_) / f"{id_}_0_log.err"


def place(folder: Path, command: str, words: list[str]) -> Path:
    """The file of a command, however many workers it asks for."""
    return folder / f"{_START}{sha256_of([command, words])[:16]}.json"


def save(record: Record, folder: Path) -> None:
    """Keeps it for the same command."""
    write(place(folder, record.command, record.words), json.dumps(asdict(record), indent=1) + "\n")


def living(folder: Path) -> list[Record]:
    """Those under a folder of which some job is still to end."""
    records = [Record(**json.loads(file.read_text())) for file in sorted(folder.glob(f"{_START}*.json"))]
    return [record for record in records if record.lives()]
