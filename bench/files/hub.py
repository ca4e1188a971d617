"""The Hugging Face hub's cache on this machine. Nothing is ever downloaded. No torch."""

from pathlib import Path


def snapshot(repo: str, file: str) -> Path | None:
    """Folder of a repository that has been downloaded before, as far as it is there; None where it has no `file`.

    Not by `snapshot_download`, which refuses a folder that lacks any file of the repository, also one that nobody
    reads (weights for other libraries, a safety checker).
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repo, file)
    except HFValidationError:
        return None
    return Path(found).parents[file.count("/")] if isinstance(found, str) else None


def place() -> str:
    """Where it was sought."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)
