"""Bars in terminals and notebooks, lines in logs; both change no result."""

import builtins
import io
import re
from types import SimpleNamespace

import pytest
import torch
import tqdm
from bars import Bars, BendingBars, width
from points import CONFIG, sets

import forgetting as fg
from forgetting.book import kernel
from forgetting.book.kernel import BarsBelow, LinesOnly
from forgetting.border.inference import generate
from forgetting.foundation import progress as bars
from forgetting.foundation.progress import bar, phase, progress, tracked
from forgetting.methods.latent_pool import collect_pool
from forgetting.methods.latent_targets import find_levels, find_targets
from forgetting.methods.results import Look
from forgetting.methods.taming import tame
from forgetting.methods.until_gone import until_gone
from forgetting.methods.until_gone_config import UntilGoneConfig

ROUNDS = UntilGoneConfig(
    threshold=10, lacking=9.5, n_collected=2000, n_with_feature=100, steps=6, rounds=2
)

QUICK = {"n": 300, "n_attacked": 8, "steps": 5}


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self):
        return True

    @property
    def screen(self):
        """What is left on the line."""
        line = ""
        for text in self.getvalue().split("\r"):
            line = text + line[len(text) :]
        return line.strip()


@pytest.fixture
def stderr(request, monkeypatch):
    """Replace stderr by a terminal, or by the stream that a test asks for."""
    stream = getattr(request, "param", Terminal)()
    monkeypatch.setattr(bars, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.delattr(builtins, "__IPYTHON__", raising=False)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    return stream


@pytest.fixture
def _at_once(monkeypatch):
    """Let bars appear at once, and show every state."""
    monkeypatch.setattr(bars, "DELAY", 0)
    monkeypatch.setattr(bars, "INTERVAL", 0)


def names(stream):
    """Return the names of the bars that were shown, in order, each once."""
    return list(dict.fromkeys(re.findall(r"\r([^:\r]+):", stream.getvalue())))


def see_through(model):
    return Look("short")


def unlearn_in_rounds():
    return until_gone(BendingBars(), width, see_through, ROUNDS).model


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal], indirect=True)
@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("in_notebook", [False, True])
@pytest.mark.parametrize("is_off", [False, True])
def test_bars_show_in_terminals_and_notebooks_and_not_in_logs(
    stderr, in_notebook, is_off, monkeypatch
):
    if in_notebook:
        monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    if is_off:
        monkeypatch.setenv("TQDM_DISABLE", "1")
    is_shown = (in_notebook or stderr.isatty()) and not is_off
    assert list(tracked("abc", "going")) == ["a", "b", "c"]
    with bar(4, "counting", start=1) as line:
        line.update()
    advance = progress(2, "tuning")
    assert (advance is None) is is_off
    for step in range(3) if advance else ():
        advance({"step": step, "loss": 0.25}, Bars())
    shown = stderr.getvalue()
    expected = ("going", "3/3", "counting", "2/4", "tuning", "2/2", "loss=0.25")
    assert all((text in shown) is is_shown for text in expected)
    assert bool(shown) is is_shown


def test_short_work_shows_no_bar(stderr):
    assert list(tracked(range(3), "going")) == [0, 1, 2]
    generate(Bars(), torch.randn(200, 6))
    assert stderr.getvalue() == ""


@pytest.mark.usefixtures("_at_once")
def test_all_bars_share_one_line_which_is_empty_at_the_end(stderr):
    for _ in tracked(range(2), "a longer name of the outer bar"):
        for _ in tracked(range(2), "inner"):
            pass
        assert stderr.screen == ""
    assert names(stderr) == ["a longer name of the outer bar", "inner"]
    assert "\n" not in stderr.getvalue()
    assert stderr.screen == ""


@pytest.mark.usefixtures("_at_once")
def test_what_a_longer_bar_left_is_overwritten(stderr):
    outer = bar(9, "a longer name of the outer bar")
    inner = bar(9, "inner")
    assert stderr.screen.startswith("inner:")
    assert stderr.screen.count("0/9") == 1
    inner.close()
    outer.close()


@pytest.mark.usefixtures("_at_once")
def test_a_phase_stands_before_its_bars_also_after_an_error(stderr):
    broken = (1 // number for number in (1, 0))
    with pytest.raises(ZeroDivisionError), phase("round 1"), phase("looking"):
        list(tracked(broken, "grading", 2))
    list(tracked(range(2), "comparing"))
    assert names(stderr) == ["round 1, looking, grading", "comparing"]


@pytest.mark.usefixtures("_at_once")
def test_rounds_tell_their_phases(stderr):
    unlearn_in_rounds()
    rates = [f"trying learning rate {lr:g}, tuning" for lr in (3e-4, 1e-3, 3e-3)]
    rounds = ["round 1, tuning", "scoring", "round 2, tuning"]
    assert names(stderr) == ["collecting", "walking", *rates, *rounds]
    assert "of 100 with the feature" in stderr.getvalue()
    assert stderr.screen == ""


@pytest.mark.usefixtures("_at_once")
def test_a_walk_is_counted_to_its_end(stderr):
    pool = collect_pool(
        BendingBars(), width, threshold=10, lacking=9.5, n=2000, n_with_feature=100, seed=0
    )
    stderr.seek(stderr.truncate(0))
    scored = []

    def counted(images):
        scored.append(len(images))
        return width(images)

    find_targets(BendingBars(), counted, pool, find_levels(pool))
    shown = re.findall(r"(\d+)/(\d+)", stderr.getvalue())
    assert shown[-1] == (str(sum(scored)),) * 2


@pytest.mark.usefixtures("_at_once")
def test_a_taming_bar_says_how_far_the_rule_is_and_does_not_count_to_the_last_step(flow, stderr):
    rows = []
    config = CONFIG.model_copy(update={"max_steps": 500})
    result = tame(flow, *sets(flow), config, callback=lambda row, model: rows.append(row))
    assert stderr.getvalue().count("taming") == 0  # what is called back is the caller's
    assert result.is_within_rule
    assert rows[0]["farthest"] > rows[-1]["farthest"] == 0
    tame(flow, *sets(flow), config)
    shown = stderr.getvalue()
    assert "taming:   0%|" in shown
    assert f"farthest {rows[0]['farthest']:.2g} sigma off" in shown
    assert re.search(r"taming: 100%\|#*\| within the rule, farthest 0 sigma off", shown)
    assert not re.search(r"[1-9]/500", shown)
    assert stderr.screen == ""


@pytest.mark.usefixtures("_at_once")
def test_a_taming_without_a_rule_counts_its_steps(flow, stderr):
    tame(flow, *sets(flow), CONFIG.model_copy(update={"max_steps": 3, "stop_within": 0.0}))
    assert "3/3" in stderr.getvalue()
    assert "within" not in stderr.getvalue()


@pytest.mark.usefixtures("_at_once")
def test_bars_change_no_result_and_a_log_gets_none(flow, stderr, monkeypatch, capsys):
    def results():
        tamed = tame(flow, *sets(flow), CONFIG.model_copy(update={"max_steps": 20}))
        gone = unlearn_in_rounds()
        wide = fg.audit(BendingBars(), gone, lambda x: 4 * (width(x) - 10), **QUICK).metrics
        weights = [*tamed.model.parameters(), *gone.parameters()]
        return torch.cat([w.detach().flatten() for w in weights]), tamed.history, wide

    with_bars = results()
    assert {"probing before, searching latents", "probing after, relearning"} <= {*names(stderr)}
    log = io.StringIO()
    monkeypatch.setattr(bars, "sys", SimpleNamespace(stderr=log))
    without = results()
    assert log.getvalue() == capsys.readouterr().err == ""
    assert torch.equal(with_bars[0], without[0])
    assert with_bars[1:] == without[1:]


class Clock:
    """Time that passes as a test says."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bars.time, "monotonic", clock)
    monkeypatch.setattr(tqdm.tqdm, "_time", staticmethod(clock), raising=False)
    monkeypatch.setattr(bars._Told, "_time", staticmethod(clock), raising=False)
    monkeypatch.setattr(tqdm.std, "time", clock)
    for name in ("began", "told"):
        monkeypatch.setattr(bars._Told, name, None)
    return clock


@pytest.mark.parametrize("stderr", [io.StringIO], indirect=True)
@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("in_kernel", [False, True])
def test_a_log_has_a_line_at_the_start_of_long_work_and_then_one_a_minute(
    stderr, clock, in_kernel, monkeypatch
):
    if in_kernel:
        monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
        monkeypatch.setenv("TQDM_DISABLE", bars.AS_LINES)
    for _ in tracked(range(5), "short"):
        clock.now += 1
    for _ in tracked(range(300), "unlearning"):
        clock.now += 1
    lines = stderr.getvalue().splitlines(keepends=True)
    mark = bars.MARK if in_kernel else ""
    told = [line.removeprefix(mark).strip() for line in "".join(lines).split("\n") if line]
    assert told[0] == "unlearning: 1 of 300, 5 min left"  # 6 s after the first bar appeared
    assert len(told) == 5
    assert told[2] == "unlearning: 121 of 300, 3 min left"


@pytest.mark.parametrize("stderr", [io.StringIO], indirect=True)
def test_a_log_is_not_silent_over_many_short_phases_or_without_a_total(stderr, clock):
    for _ in range(50):
        for _ in tracked(range(2), "scoring"):
            clock.now += 2
    with bar(None, "counting", unit="step") as line:
        for _ in range(100):
            clock.now += 2
            line.update()
    told = stderr.getvalue().splitlines()
    assert 5 <= len(told) <= 6
    assert told[0].startswith("scoring: ")
    assert "counting: 40 after " in stderr.getvalue() or "counting: " in told[-1]


@pytest.mark.parametrize("stderr", [io.StringIO], indirect=True)
def test_a_log_says_how_far_the_rule_of_taming_is(stderr, clock):
    advance = progress(400, "taming")
    for step in range(3):
        advance({"step": step, "farthest": 2.5, "within": 0.5, "shift": 0.1}, Bars())
        clock.now += 61
    told = stderr.getvalue().splitlines()
    assert told[0].startswith("taming: 50% within the rule, farthest 2.5 sigma off")
    assert told[0].endswith("of at most 400")


def test_what_a_kernel_tells_reaches_the_log_and_warnings_do_not():
    log = io.StringIO()
    stream = LinesOnly(log)
    stream.write("A warning.\n")
    stream.write("\rtuning: 1 of 3\n\rtuning: 2 of 3, 2 min left\nAnother.\n")
    stream.flush()
    assert log.getvalue() == "tuning: 1 of 3\ntuning: 2 of 3, 2 min left\n"


@pytest.mark.parametrize(
    ("variable", "terminal", "kind", "variables"),
    [
        (None, Terminal, BarsBelow, {}),
        (None, io.StringIO, LinesOnly, {"TQDM_DISABLE": "lines"}),
        ("lines", io.StringIO, LinesOnly, {"TQDM_DISABLE": "lines"}),
        ("1", Terminal, type(None), {}),
    ],
)
def test_a_kernel_is_told_how_to_tell(variable, terminal, kind, variables, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if variable:
        monkeypatch.setenv("TQDM_DISABLE", variable)
    given, stream = kernel.progress(terminal())
    assert isinstance(stream, kind)
    assert given == variables


def test_a_kernels_bars_stand_below_the_bar_of_the_cells():
    terminal = Terminal()
    stream = BarsBelow(terminal)
    stream.write("A warning.\n")
    assert terminal.getvalue() == ""
    stream.write("\rtuning: 1/3\rtuning: 2/3   ")
    stream.write("\r           \r")
    stream.flush()
    assert terminal.getvalue() == "\ntuning: 2/3\x1b[K\r\x1b[A\n\x1b[K\r\x1b[A"
