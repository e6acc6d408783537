"""Memory: a large block that was freed serves the next array."""

import resource
import sys

import numpy as np
import pytest

from forgetting.foundation.memory import keep_memory

N_PAGES = 8192


def _faults_of_an_array():
    """Return how many pages the system gave for an array of 8192 pages, which is then freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(N_PAGES * 4096, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_a_freed_array_serves_the_next_one():
    keep_memory()
    _faults_of_an_array()
    assert _faults_of_an_array() < N_PAGES / 100


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    keep_memory()
