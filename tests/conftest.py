"""Keeps tests off the network, the user's caches and the project's result folder, and has them draw alike."""

import os

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Before fixtures of modules, which would reach the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before any fixture, of a module too: what a test draws does not depend on which ran before it in its process."""
    torch.manual_seed(0)
