"""Pictures read ahead by threads."""

import threading
import time

import numpy as np
import pytest

from bench.data import own
from bench.data.reading import read
from bench.errors import BadSample, UserError
from bench.files import threads
from bench.types import EditSample


class Counted:
    """Samples that notice by how many threads they are read at the same time."""

    def __init__(self, count: int = 40, wait: float = 0.0):
        self.ids, self.wait = [str(i) for i in range(count)], wait
        self.begun, self.busy, self.most, self.lock = [], 0, 0, threading.Lock()

    def __getitem__(self, index):
        with self.lock:
            self.begun.append(index)
            self.busy += 1
            self.most = max(self.most, self.busy)
        time.sleep(self.wait)
        with self.lock:
            self.busy -= 1
        return EditSample(self.ids[index], np.zeros((3, 8, 8), np.uint8), "a", "b")


@pytest.fixture(autouse=True)
def _four(monkeypatch):
    monkeypatch.setattr(threads, "count", lambda: 4)


def reading() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read")]


def test_batches_are_in_order_and_the_last_is_what_is_left():
    indices = list(range(39, 0, -2))
    batches = [[sample.id for sample in found] for found, _ in read(Counted(), indices, 6)]
    assert [len(batch) for batch in batches] == [6, 6, 6, 2]
    assert [id_ for batch in batches for id_ in batch] == [str(index) for index in indices]


@pytest.mark.parametrize(("batch", "ahead"), [(1, 4), (5, 10)])
def test_two_batches_are_read_ahead_or_one_picture_a_thread_and_no_more(batch, ahead):
    data = Counted()
    batches = read(data, range(40), batch)
    for taken in (batch, 2 * batch):
        next(batches)
        time.sleep(0.1)
        assert len(data.begun) == taken + ahead
    batches.close()
    assert not reading()


def test_pictures_are_read_at_the_same_time_and_those_of_a_users_own_data_one_by_one(monkeypatch):
    foreign, ours = Counted(12, 0.01), Counted(12, 0.01)
    assert sum(len(found) for found, _ in read(foreign, range(12), 4)) == 12
    assert foreign.most == 1
    monkeypatch.setattr(own, "is_foreign", lambda target: False)
    assert sum(len(found) for found, _ in read(ours, range(12), 4)) == 12
    assert ours.most == 4


def test_what_cannot_be_read_is_its_samples_failure_and_what_must_be_mended_stops_all():
    def one(data, index):
        if index == 3:
            raise BadSample("torn")
        if index == 30:
            raise UserError("mend it")
        return index

    batches = read(Counted(), range(40), 5, one)
    assert next(batches) == ([0, 1, 2, 4], {"3": {"error": "torn"}})
    with pytest.raises(UserError, match="mend it"):
        list(batches)
    assert not reading()
