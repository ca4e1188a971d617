"""Networks that libraries would download: built with the network closed."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from huggingface_hub import constants

from bench.errors import UserError, one_line


class _Missing(Exception):
    """A file that is not here; the message says where it was sought and how to get it."""


@contextmanager
def closed(what: str, arguments: dict[str, Any]) -> Iterator[list[str]]:
    """Inside, nothing is downloaded.

    Args:
        what: needs networks, for the message.
        arguments: that it is made with, some of which may be hub ids.

    Yields:
        the weights that torch reads, as it reads them.

    Raises:
        UserError: a file is missing: its address and where it belongs.
    """
    read: list[str] = []
    load = torch.load

    def noted(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str | Path):
            read.append(str(file))
        return load(file, *arguments, **options)

    def missing(url: str, to: str, *_: Any, **__: Any) -> None:
        sought = f"{Path(to).name} was sought in {Path(to).parent}"
        raise _Missing(f"{sought}; get it with `curl -L --create-dirs -o {to} {url}`")

    def refused(*_: Any, **__: Any) -> None:
        raise _Missing("it asks the network for a file that is not here")

    with ExitStack() as stack:
        for place, name, other in (
            (torch, "load", noted),
            (torch.hub, "download_url_to_file", missing),
            (constants, "HF_HUB_OFFLINE", True),
            (socket.socket, "connect", refused),
        ):
            stack.enter_context(mock.patch.object(place, name, other))
        try:
            yield read
        except _Missing as error:
            raise UserError(f"{what}: {error}") from None
        except OSError as error:
            raise UserError(f"{what}: {_of_the_hub(error, arguments)}") from None


def _of_the_hub(error: OSError, arguments: dict[str, Any]) -> str:
    """What transformers says does not always name the repository."""
    texts = [value for value in arguments.values() if isinstance(value, str)]
    ids = [text for text in texts if re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not Path(text).exists()]
    if not ids:
        return one_line(error)[:300]
    return f"{ids[0]} (https://huggingface.co/{ids[0]}) is missing; get it with `hf download {ids[0]}`"


def pretrained(network: torch.nn.Module) -> list[str]:
    """Folders or hub ids that networks of transformers inside another were read from."""
    return sorted({str(getattr(module, "name_or_path", "")) for module in network.modules()} - {""})
