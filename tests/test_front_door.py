"""The front door: few names, imported when they are used, each with an example that runs."""

import doctest
import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import forgetting
from forgetting.foundation.files import ROOT

NAMES = [name for name in forgetting.__all__ if name != "__version__"]


def test_importing_the_package_imports_nothing_heavy_and_takes_no_time():
    program = (
        "import sys, time; started = time.perf_counter(); import forgetting; "
        "print(time.perf_counter() - started, 'torch' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    seconds, has_torch = zip(*(run.stdout.split() for run in runs), strict=True)
    assert min(map(float, seconds)) < 0.3
    assert set(has_torch) == {"False"}


def test_the_names_are_few_and_none_is_a_room():
    assert len(NAMES) <= 15
    assert not [name for name in NAMES if (ROOT / "src" / "forgetting" / name).is_dir()]
    assert sorted(dir(forgetting)) == sorted(forgetting.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_an_example_that_runs(name):
    value = getattr(forgetting, name)
    assert value.__name__ == name
    examples = doctest.DocTestFinder(recurse=False).find(
        value, name, module=import_module(inspect.getmodule(value).__name__)
    )
    (example,) = examples
    assert example.examples, f"{name} has no example"
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0
    assert results.attempted >= 2


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match=r"forgetting has no 'lod'. It has: .*load"):
        _ = forgetting.lod


def test_the_first_use_of_a_name_draws_no_random_numbers_of_the_program():
    program = (
        "import random, forgetting as fg; random.seed(0)\n"
        "for name in fg.__all__: getattr(fg, name)\n"
        "drawn = random.random(); random.seed(0); print(drawn == random.random())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr
