"""Every reader of files works with damaged and hostile ones, or refuses them in one sentence."""

import shutil
import signal
from contextlib import contextmanager

import pytest
import readers_of_book as book
import readers_of_data as data
import readers_of_models as models
from damage import PLACES, damaged
from file_readers import Reader
from fuzzing import fuzzed, survives
from hypothesis import given
from hypothesis import strategies as st

SECONDS = 20
"""After which a reader counts as one that hangs."""


@contextmanager
def in_time():
    """Raise an error where a block hangs."""

    def late(*_):
        raise TimeoutError(f"not done in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


READERS = (
    *(data.celeba, data.lfw, data.idx, data.attribute_table, data.images, data.labels),
    *(data.of_cache, models.zoo_glow, models.zoo_vae, models.zoo_classifier, models.statistics),
    *(models.manifest, models.saved, models.answered, models.pair, models.checkpoint),
    *(book.results, book.sweep_table, book.older_record, book.runs, book.profile, book.notebook),
    *(book.page, book.judged),
)


@pytest.fixture(params=READERS, ids=[make.__name__ for make in READERS])
def reader(request, tmp_path, monkeypatch):
    made = request.param(tmp_path, monkeypatch)
    if isinstance(made, Reader):
        yield made
    else:
        yield from made


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.filterwarnings("ignore")
def test_what_is_undamaged_is_read(reader):
    for path in {*reader.files}:
        if path.name != "pages.gif":
            reader.read(path)


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_a_sentence(reader, request, data):
    path = data.draw(st.sampled_from(reader.files))
    place = data.draw(st.sampled_from([None] * 9 + list(PLACES)))
    content = None if place else data.draw(damaged(reader.contents[path], path.name))
    is_sealed = bool(reader.seal and not place and data.draw(st.booleans()))
    if place:
        path.unlink()
        place(path)
    else:
        path.write_bytes(content)
    if is_sealed:
        reader.seal()
    try:
        with in_time():
            survives(request.node.callspec.id, lambda: reader.read(path))
    finally:
        remove(path)
        for other, before in reader.contents.items():
            other.write_bytes(before)
