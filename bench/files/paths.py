"""Finding files that a configuration names."""

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
"""The project's root: the checkout or, where a wheel is installed, the folder of packages. Either holds `conf/` and the
embedded weights."""


def find(path: str | Path) -> Path | None:
    """An existing file or folder: as given (from the working directory), else from the project's root."""
    for candidate in (Path(os.path.expanduser(path)), ROOT / path):
        if os.path.exists(candidate):  # not where it may not be looked at, or is no name
            return candidate
    return None


def folder_name(path: str | Path | None, otherwise: str) -> str:
    """The last part of a path, `otherwise` where there is none."""
    return os.path.basename(os.path.abspath(os.path.expanduser(path))) if path is not None else otherwise


def file_name(text: str) -> str:
    """Any text as the name of one file or folder: percent-encoded, a dot at its start too, and shortened with a hash
    where file systems would refuse it."""
    name = quote(text, safe=" ")
    return shortened(name.replace(".", "%2E", 1) if name.startswith(".") else name, text, 200)


def sample_name(id_: str) -> str:
    """A sample's id as the name of its pictures, without their ending: percent-encoded, and where it is long shortened
    by a sign that no encoded id has, so that no other sample is of this name."""
    return shortened(quote(id_, safe=""), id_, 240, sign="+")


def shortened(name: str, text: str, most: int, sign: str = "-") -> str:
    """A name of at most so many letters; the end of a longer one gives way to a hash of the text that it stands for."""
    return name if len(name) <= most else f"{name[: most - 20]}{sign}{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def listed(file: Path) -> bool:
    """Whether there is a file under this name, be it one that cannot be opened (a dead link, no permission): such a
    file is its sample's failure."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(file)
    except ValueError:  # no name that a file can have
        return False
    except OSError:
        return True


def files_under(folder: Path) -> list[Path]:
    """Every file below a folder, sorted, also behind links to folders; a link to a folder above itself ends there."""
    found, above = [], {str(folder): {os.path.realpath(folder)}}
    for place, folders, names in os.walk(folder, followlinks=True):
        found += [Path(place, name) for name in names]
        before = above.pop(place)
        real = {name: os.path.realpath(os.path.join(place, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in before]
        above |= {os.path.join(place, name): before | {real[name]} for name in folders}
    return sorted(found)
