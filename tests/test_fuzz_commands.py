"""Every command with generated arguments and variables works, or says one sentence."""

import contextlib
import importlib
import os
import pkgutil
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import click
import pytest
from click.testing import CliRunner
from fuzzing import CASES, TEXTS, check_sentence, fuzzed, survives
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sandbox import Guard, Notebooks, Programs, as_checkout, make_checkout, nothing_is_trained

import forgetting
from forgetting.book.checkout import HERE
from forgetting.cli import main
from forgetting.errors import ForgettingError
from forgetting.foundation import files
from forgetting.zoo.recipes import RECIPES, Measurement

GUARD = Guard()

SOURCE = Path(forgetting.__file__).parent


def _commands(command, words=()):
    """Return every command below a command by its words; a new one is among them."""
    found = {" ".join(words): command}
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            found |= _commands(below, (*words, name))
    return found


COMMANDS = _commands(main)

FEWER, FEW = 5, 50
"""By how much fewer cases a command has that takes no value, where there are at most so many."""

OPTION_LIKE = (
    "--output=stray",
    "--exec=stray",
    "-ostray",
    "--upload-pack=stray",
    "-h",
    "--",
    "-p",
)
"""What a program may take for an option of its own, and write to a file or execute."""

OWN = """\
from bars import Bars, Eyes
from points import Gaussian
import forgetting as fg

def generator(): return Bars()
def flow(): return Gaussian()
def nothing(): pass
def fails(): 1 / 0
def classifier():
    return fg.as_classifier(
        Eyes(4.0), ("wide",), logits=lambda module, images: module.logits(images)[:, :1]
    )
"""

OWN_MODELS = ("digits-vae", *(f"own.py:{name}" for name in ("generator", "flow", "nothing")))
OWN_MODELS += (
    "own.py:fails",
    "own.py:classifier",
    "own.py:typo",
    "broken.py:f",
    "pair",
    "face-api",
)

USUAL = {
    "template": ("tour", "taming_points", "unlearning_own"),
    "record": ("tour.json", "old.json", "tame_points.json", "list.json", "own.py"),
    "records": ("tour.json", "tame_points.json", "tour.run.json", "list.json", "folder"),
    "pairs": ("preset=smoke", "seed=1", "steps=20", "rounds=2", "max_steps=9", "lr=nan"),
    "name": ("one", "one.run", "a b"),
    "output": ("new", "new/below", "folder", "tour.json", ".", ""),
    "folder": ("folder", "new", "records", "tour.json"),
    "dataset": ("mnist", "celeba", "lfw", "face-api"),
    "names": (
        "tour",
        "small",
        "digits-vae",
        "digits-references",
        "digits_vae_thick",
        "tame_points",
    ),
    "shard": ("1/1", "2/2", "0/0", "3/2", "1/" + "9" * 400, "٢/٢"),
    "profile": ("slurm", "kubernetes", "folder", "profile"),
    "commit": ("HEAD", "main", "--output=stray"),
    "renaming": ("map.yaml", "list.json", "folder"),
    "executed": ("records", "folder"),
    "generator": OWN_MODELS,
    "flow": OWN_MODELS,
    "before": OWN_MODELS,
    "after": OWN_MODELS,
    "retrained": OWN_MODELS,
    "classifier": OWN_MODELS,
    "grader": OWN_MODELS,
    "graders": OWN_MODELS,
    "feature": ("wide", "thick", "Eyeglasses"),
    "forget": ("forget", "folder", "pair"),
    "retain": ("retain", "folder"),
    "method": ("until_gone", "moon2024", "uno", "taming", "own.py:generator"),
    "device": ("cpu", "auto", "cuda:7", "mps"),
    "crop": ("folder", "celeba", "lfw"),
}
"""What parameters take that mean something; a new parameter has odd texts and numbers alone."""

VARIABLES = {
    "FORGETTING_DATA": ("folder", "data", "tour.json", "nowhere", "~nobody-at-all/x"),
    "FORGETTING_ZOO": ("folder", "tour.json", "nowhere", "~nobody-at-all/x", "records"),
    "FORGETTING_RUN": ("{}", "[]", "{", '{"name": 3}', '{"folder": "\\u0000"}'),
    "OMP_NUM_THREADS": ("1", "2", "0", "-1", "two", "1,2", "1e9", "9" * 5000),
    "TQDM_DISABLE": ("1", "0", "lines"),
    "XDG_CACHE_HOME": ("folder", "nowhere"),
    "JUPYTER_PATH": ("folder", ":"),
    "MPLBACKEND": ("agg", "nothing"),
    "SNAKEMAKE_PROFILE": ("folder",),
    "GIT_DIR": ("folder",),
}
"""Variables that the code reads or passes on, with values that mean something."""


def _can_be_given(text):
    """Return whether a system passes a text to a program."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


odd_texts = st.sampled_from([*filter(_can_be_given, TEXTS), *OPTION_LIKE]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
SCANNED = ("/", "~", "/.")
"""Folders of this machine, which commands would search for records and images."""


@st.composite
def arguments(draw, command):
    """Return arguments of a command: all usual but one, or any; options twice, or missing."""
    names = [parameter.name for parameter in command.params]
    is_odd = draw(st.sampled_from([*names, *names, "", "all"]))

    def value(parameter):
        usual = USUAL.get(parameter.name, ("0", "1", "2", "-1"))
        if isinstance(parameter.type, click.Path):
            odd_paths = odd_texts.filter(lambda text: os.path.normpath(text or ".") not in SCANNED)
            return draw(odd_paths if is_odd in (parameter.name, "all") else st.sampled_from(usual))
        if is_odd in (parameter.name, "all"):
            stems = st.sampled_from(usual)
            return draw(
                odd_texts
                | st.builds(lambda a, b: a + b, stems, odd_texts)
                | st.builds("{}={}".format, st.sampled_from(("seed", "preset", "typo")), odd_texts)
            )
        return draw(st.sampled_from(usual))

    options, words = [], []
    for parameter in command.params:
        is_rare = parameter.name == is_odd or is_odd == "all"
        if isinstance(parameter, click.Argument):
            least = int(parameter.required and not is_rare)
            most = 3 if parameter.nargs == -1 else 1
            words += [value(parameter) for _ in range(draw(st.integers(least, most)))]
            continue
        least = int(parameter.required and not is_rare)
        most = 2 if parameter.multiple or is_rare else 1
        for _ in range(draw(st.integers(least, most))):
            option = draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts]))
            options += [option] if parameter.is_flag else [option, value(parameter)]
    if is_odd == "all" or draw(st.integers(0, 9)) == 0:
        options += draw(st.lists(odd_texts, max_size=1))
    return [*options, *(["--"] if draw(st.booleans()) else []), *words]


def environments():
    """Return a strategy of variables, of which most are not set."""
    settable = odd_texts.filter(lambda text: len(text) < 20_000)
    values = {name: st.sampled_from(usual) | settable for name, usual in VARIABLES.items()}
    return st.fixed_dictionaries({}, optional=values) | st.just({})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Yield the place of all cases, in which nothing is executed, trained or fetched."""
    for module in pkgutil.walk_packages(forgetting.__path__, "forgetting."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    folder = tmp_path_factory.mktemp("commands").resolve()
    make_checkout(folder / "new" / "checkout")
    _make_inputs(folder / "new" / "here" / "now")
    (folder / "new" / "temporary").mkdir()
    case = folder / "case"
    moved = {files.ROOT: case / "checkout", files.CACHE: case / "cache"}
    with pytest.MonkeyPatch.context() as patch, as_checkout(case / "checkout"):
        patch.setattr(tempfile, "tempdir", str(case / "temporary"))
        patch.setattr(sys, "dont_write_bytecode", True)
        for name, stub in STUBS.items():
            patch.setattr(name, stub)
        for name in RECIPES:
            if isinstance(RECIPES[name], Measurement):
                patch.setitem(RECIPES._entries, name, Measurement(nothing_is_trained))
        for parameter in (each for command in COMMANDS.values() for each in command.params):
            for old, new in moved.items() if isinstance(parameter.default, Path) else ():
                if parameter.default.is_relative_to(old):
                    patch.setattr(parameter, "default", new / parameter.default.relative_to(old))
        yield folder


@pytest.fixture
def caches(place, monkeypatch):
    """Move the user's cache to the place of the cases."""
    for name, module in list(sys.modules.items()):
        if name.startswith("forgetting.") and hasattr(module, "CACHE"):
            monkeypatch.setattr(module, "CACHE", place / "case" / "cache")


PROGRAMS, NOTEBOOKS = Programs(), Notebooks()

STUBS = {
    "time.sleep": lambda seconds: None,
    "subprocess.Popen": PROGRAMS,
    "papermill.execute_notebook": NOTEBOOKS,
    "forgetting.book.architecture.draw": lambda folder: None,
    "forgetting.zoo.train.train": nothing_is_trained,
    "forgetting.zoo.train.start": nothing_is_trained,
    "forgetting.experiments.own_audit.audit": nothing_is_trained,
    "forgetting.experiments.bench_unlearning.FeatureBenchTask.run": nothing_is_trained,
    "forgetting.experiments.bench_taming.PersonBenchTask.run": nothing_is_trained,
    "forgetting.experiments.bench_taming.RareBenchTask.run": nothing_is_trained,
    "forgetting.foundation.resources.checkout": lambda: HERE.root,
}
"""Everything that executes, trains or fetches; `Guard` refuses the network."""


def _make_inputs(folder):
    """Make what arguments name."""
    for name in ("folder", "records", "pair", "forget", "retain", "profile", "data/MNIST/raw"):
        (folder / name).mkdir(parents=True)
    for record in ("tour.json", "tour.run.json", "tame_points.json", "tame_points.run.json"):
        shutil.copy(HERE.results / record, folder)
    old = '{"template": "tour", "name": "old", "parameters": {}, "metrics": {}, "weights": {}, '
    old += '"history": []}'
    texts = {"own.py": OWN, "broken.py": "def", "list.json": "[]", "old.json": old}
    texts |= {"map.yaml": "names: {a: b}\n", "profile/config.yaml": "executor: kubernetes\n"}
    texts |= {"records/old.json": old, "records/list.json": "[1]"}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for number in range(4):
        Image.new("L", (8, 8), 40 * number).save(folder / "forget" / f"{number}.png")
        Image.new("L", (8, 8), 50 * number).save(folder / "retain" / f"{number}.png")


@contextlib.contextmanager
def in_a_new_folder(place):
    """Make a folder the current one that holds the inputs, and beside it the checkout."""
    case = place / "case"
    if GUARD.is_changed or not case.exists():
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(place / "new", case)
        GUARD.is_changed = False
    here = os.getcwd()
    os.chdir(case / "here" / "now")
    try:
        yield case
    finally:
        os.chdir(here)


def called(words):
    """Call the command line; return what it prints, or raise its sentence as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(main, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code == 0 or re.search(r"^problems: \d+\n\Z", done.stdout, flags=re.M):
        return done.stdout
    if done.exit_code == 2 and not words:
        return done.stderr  # the help
    *before, last = done.stderr.removesuffix("\n").split("\n")
    kind = "Error: " if done.exit_code == 2 else "forgetting: "
    assert last.startswith(kind), done.stderr
    assert all(line.isprintable() for line in before), done.stderr
    if kind == "Error: ":
        assert before[0].startswith("Usage: "), done.stderr
        assert all(re.match(r"(Usage:|  |Try |$)", line) for line in before), done.stderr
    check_sentence(last.removeprefix(kind))
    raise ForgettingError(last)


def numbered(words):
    """Return the number of cases of a command."""
    parameters = COMMANDS[words].params
    takes_values = any(not getattr(parameter, "is_flag", False) for parameter in parameters)
    return CASES if takes_values or CASES > FEW else CASES // FEWER


def check_case(words, given_words, variables, place):
    """Call a command in a new folder, and check what it did there."""
    texts = [*given_words, *(text.partition("=")[2] for text in given_words)]
    PROGRAMS.given = {text for text in texts if text in OPTION_LIKE and len(text) > 2}
    PROGRAMS.injected.clear()
    named = [text for text in (*texts, *variables.values()) if text]
    with in_a_new_folder(place) as case, mock.patch.dict(os.environ, variables):
        with GUARD.watching(case, named):
            survives(f"forgetting {words}".strip(), lambda: called([*words.split(), *given_words]))
        assert not GUARD.strays
        assert not PROGRAMS.injected


def test_every_variable_that_the_code_reads_is_tried():
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    read = re.findall(r"""environ(?:\.get\(|\[)"(\w+)"(?!\] =)""", code)
    read += re.findall(r"""^(?:CONTEXT|VARIABLE) = "(\w+)"$""", code, flags=re.M)
    assert set(read) <= set(VARIABLES)


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.filterwarnings("ignore")
def test_a_command_works_or_is_refused_in_a_sentence(words, place, caches):
    @settings(fuzzed, max_examples=numbered(words))
    @given(
        given_words=arguments(COMMANDS[words]),
        variables=environments(),
        end=st.sampled_from([(0, ""), (128, "fatal: no\x1b[31m\n"), (1, "\udcff"), None]),
        error=st.sampled_from([None, None, ("ModelError", "two\nlines"), ("DataError", "It is.")]),
    )
    def check(given_words, variables, end, error):
        PROGRAMS.end, NOTEBOOKS.error = end, error
        check_case(words, given_words, variables, place)

    check()
