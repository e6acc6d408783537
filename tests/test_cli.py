"""The command line: what it prints is what a person needs, and each help is complete."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from forgetting.book import entries, jobs
from forgetting.book import publish as publishing
from forgetting.book.records import read_record
from forgetting.book.run import begin
from forgetting.cli import main
from forgetting.errors import ForgettingError, ParameterError
from forgetting.experiments.context import Parameters

COMMANDS = sorted(main.commands)


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=600
    )


def test_a_run_in_a_log_prints_no_warning_and_no_progress_bar(tmp_path):
    """`speed` reads published records, and so takes little time."""
    options = ["-p", "preset=smoke", "--name", "quiet", "--output", str(tmp_path)]
    done = python("-m", "forgetting.cli", "run", "speed", *options)
    assert done.stderr == ""
    assert "preset smoke" in done.stdout.splitlines()[0]
    assert f"record    {tmp_path / 'quiet'}.json" in done.stdout
    assert "it/s" not in done.stdout


def test_progress_bars_are_switched_off_in_a_log_before_they_are_imported():
    program = (
        "import os, sys\n"
        "from click.testing import CliRunner\n"
        "from forgetting.cli import main\n"
        "assert 'tqdm' not in sys.modules\n"
        "CliRunner().invoke(main, ['sweep'])\n"
        "from tqdm import tqdm\n"
        "list(tqdm(range(3)))\n"
        "print(os.environ['TQDM_DISABLE'])\n"
    )
    done = python("-c", program)
    assert (done.stdout, done.stderr) == ("lines\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_and_a_summary_that_fits_the_list(command):
    text = CliRunner().invoke(main, [command, "--help"], terminal_width=80).output
    assert text.startswith("Usage: ")
    overview = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    (line,) = [line for line in overview.splitlines() if line.split()[:1] == [command]]
    assert line.endswith(".")
    assert not line.endswith("...")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (name, option.opts[0])
        for name in COMMANDS
        for option in main.commands[name].params
        if option.param_type_name == "option" and not option.is_flag and not option.multiple
    ],
)
def test_no_option_is_lost_that_is_given_twice(command, option):
    done = CliRunner().invoke(main, [command, option, "1", option, "2"])
    assert done.exit_code == 1
    assert f"{option} is given twice: give it once." in done.output


@pytest.mark.parametrize(("command", "kind"), [("sweep", "sweep"), ("train", "model")])
def test_nothing_is_done_without_a_name(command, kind):
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 1
    assert f"Name at least one {kind}" in result.output
    assert "--all" in result.output


def test_all_sweeps_are_those_of_the_catalogue(monkeypatch):
    names = []
    monkeypatch.setattr(publishing, "run_sweeps", lambda wanted, *rest: names.extend(wanted))
    assert CliRunner().invoke(main, ["sweep", "--all"]).exit_code == 0
    assert names == [entry.name for entry in entries.sweeps()]
    assert len(names) == len(set(names)) > 1


def test_all_models_are_those_that_the_zoo_can_train(monkeypatch):
    trained = []

    def train_entry(name, *, threads, again, device, devices):
        trained.append((name, threads, again, device, devices))
        return name == "first"

    training = SimpleNamespace(names=lambda: ["first", "second"], train_entry=train_entry)
    monkeypatch.setattr("forgetting.zoo.train", training, raising=False)
    result = CliRunner().invoke(main, ["train", "--all", "--threads", "2"])
    assert result.exit_code == 0, result.output
    assert trained == [("first", 2, False, "cpu", 1), ("second", 2, False, "cpu", 1)]
    sentence = "The zoo has second; `forgetting train second --again` trains it again."
    assert result.output == f"{sentence}\n"


def test_a_misspelt_parameter_is_answered_before_torch_is_imported():
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from forgetting.cli import main\n"
        "done = CliRunner().invoke(main, ['run', 'feature_unlearning', '-p', 'alpah=2'])\n"
        "assert 'Did you mean alpha?' in done.output, done.output\n"
        "print('torch' in sys.modules)\n"
    )
    assert python("-c", program).stdout == "False\n"


def test_what_takes_seconds_to_import_waits_until_it_is_used():
    program = (
        "import sys\n"
        "import forgetting.experiments.own_model\n"
        "print(sorted({'torchvision', 'torchmetrics', 'torch_fidelity'} & sys.modules.keys()))\n"
    )
    assert python("-c", program).stdout == "[]\n"


def test_a_run_is_repeated_from_its_record_with_another_parameter(tmp_path):
    runner = CliRunner()
    options = ["--name", "first", "--output", str(tmp_path)]
    assert runner.invoke(main, ["run", "speed", "-p", "preset=smoke", *options]).exit_code == 0
    record = str(tmp_path / "first.json")
    options = ["-p", "seed=3", "--name", "again", "--output", str(tmp_path)]
    done = runner.invoke(main, ["run", "--from", record, *options])
    assert done.exit_code == 0, done.output
    first, again = (read_record(tmp_path / f"{name}.json") for name in ("first", "again"))
    assert again["template"] == "speed"
    assert again["parameters"] == first["parameters"] | {"seed": 3}


def test_a_run_needs_a_template_or_a_record_of_one(tmp_path):
    def sentence(*arguments):
        done = CliRunner().invoke(main, ["run", *arguments])
        assert done.exit_code == 1
        return done.output

    assert "Name a template" in sentence()
    path = tmp_path / "other.json"
    path.write_text('{"metrics": {}}')
    assert "is no record of a run" in sentence("--from", str(path))
    path.write_text('{"schema": 2, "template": "speed", "parameters": {}, "metrics": {}}')
    assert "is a record of speed, not of probes" in sentence("probes", "--from", str(path))


def test_a_deleted_current_folder_is_one_sentence(tmp_path):
    script = "import os; os.rmdir(os.getcwd()); from forgetting.cli import main; main()"
    command = [sys.executable, "-c", script, "bench", "uno", "--output", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "forgetting: The current folder is deleted: change to another one.\n"


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "\u202eleft", "x" * 9000])
def test_a_sentence_is_one_line_of_what_can_be_printed_whatever_a_name_holds(name):
    done = CliRunner().invoke(main, ["bench", name, "--output", "x"])
    assert done.exit_code == 1
    sentence = done.output.removesuffix("\n")
    assert sentence.startswith("forgetting: There is no method '")
    assert sentence.isprintable()
    assert len(sentence) < 1000


def test_lines_of_an_error_stay_lines_and_it_survives_another_process():
    error = pickle.loads(pickle.dumps(ForgettingError("first\nof all", "second")))
    assert str(error) == "first of all\nsecond"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["two\nlines"], "No such command"),
        (["--two\nlines"], "No such option"),
        (["contents", "\x1b[31m"], "unexpected extra argument"),
        (["data"], "Missing argument"),
        (["data", "mnist", "--to", "x" * 10_000], "cannot be a path"),
    ],
)
def test_an_error_of_usage_is_one_line_of_what_can_be_printed(arguments, sentence):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    _, _, line = done.stderr.removesuffix("\n").rpartition("\n")
    assert line.startswith("Error: ")
    assert sentence in line
    assert line.isprintable()


@pytest.mark.parametrize("name", ["x" * 10_000, "../notebooks/tour", "/etc/tour"])
def test_a_name_that_leads_to_no_file_of_the_book_is_no_template(name):
    done = CliRunner().invoke(main, ["run", name])
    assert done.exit_code == 1
    assert "No template is called" in done.stderr


@pytest.mark.parametrize("variable", ["FORGETTING_DATA", "FORGETTING_ZOO"])
def test_a_variable_with_the_home_of_nobody_names_no_folder(variable, monkeypatch):
    monkeypatch.setenv(variable, "~nobody-at-all/x")
    done = CliRunner().invoke(main, ["bench", "--task", "typo", "uno", "--output", "x"])
    assert done.exit_code == 1
    assert "no task 'typo'" in done.stderr


@pytest.mark.parametrize("text", ["two", "0", "-1", "1,2", "9" * 5000])
def test_threads_that_are_no_number_are_refused(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    with pytest.raises(ParameterError, match="OMP_NUM_THREADS = "):
        jobs._threads()


@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3}', '{"name": "a\\u0000"}', "[" * 9000])
def test_a_context_that_no_command_has_set_is_refused(text, monkeypatch):
    monkeypatch.setenv("FORGETTING_RUN", text)
    with pytest.raises(ParameterError, match="FORGETTING_RUN holds something else"):
        begin("tour", Parameters, {"default": {}}, {})
