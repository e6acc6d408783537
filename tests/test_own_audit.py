"""The audit of a pair: a feature that is only hidden is told from one that never was."""

import pytest
import torch
from bars import BendingBars, width
from click.testing import CliRunner

import forgetting as fg
from forgetting.cli import main
from forgetting.errors import DataError, ModelError

QUICK = {"n": 300, "n_attacked": 8, "steps": 5}


def wide(images):
    return 4 * (width(images) - 10)


def narrowed():
    """Return bars of which no one is wide, as if the feature were never there."""
    model = BendingBars()
    with torch.no_grad():
        model.widths.clamp_(max=0.27)
    return model.requires_grad_(False)


def test_every_probe_is_run_on_every_model_and_the_text_has_their_figures():
    report = fg.audit(BendingBars(), narrowed(), wide, retrained=narrowed(), **QUICK)
    metrics = report.metrics
    for key in ("before", "after", "retrained"):
        for name in ("prevalence_{}", "attacked_{}", "relearned_{}_5", "relearned_{}_20"):
            name = name.format(key)
            assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    assert metrics["prevalence_before"] > 0.15
    assert metrics["prevalence_after"] == 0
    assert "relearned, 20 steps" in str(report)
    assert str(report).endswith("no faster than in a model that never had it.")


def test_what_comes_back_faster_than_in_a_retrained_model_is_hidden():
    report = fg.audit(BendingBars(), BendingBars(), wide, retrained=narrowed(), **QUICK)
    assert str(report).endswith("it is hidden.")


def test_without_a_retrained_model_nothing_is_said_to_be_gone_or_hidden():
    text = str(fg.audit(BendingBars(), narrowed(), wide, **QUICK))
    assert "only a model that never had the feature tells" in text


def test_a_feature_that_was_never_there_and_another_latent_are_refused():
    with pytest.raises(DataError, match="0 of 300 samples of the generator before"):
        fg.audit(narrowed(), narrowed(), wide, **QUICK)
    other = fg.as_generator(BendingBars(), 7, forward=lambda bars, z: bars(z[:, :6]))
    with pytest.raises(ModelError, match="The latents before have 6 values, those after 7"):
        fg.audit(BendingBars(), other, wide, **QUICK)


def test_a_command_audits_a_pair_of_functions(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import forgetting as fg\nfrom bars import BendingBars\n"
        "from test_own_audit import narrowed, wide\n"
        "def eyes():\n"
        "    return fg.as_classifier(BendingBars(), ('wide',), "
        "logits=lambda module, images: wide(images)[:, None])\n"
    )
    place = f"{tmp_path / 'mine.py'}"
    pair = [f"{place}:BendingBars", f"{place}:narrowed"]
    options = ["--feature", "wide", "--classifier", f"{place}:eyes", "--samples", "200"]
    done = CliRunner().invoke(main, ["audit", *pair, *options])
    assert done.exit_code == 0, done.output
    assert "attacked latents" in done.output
