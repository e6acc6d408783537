"""What the bench cannot run or grade is one sentence, and leaves no record."""

import re

import pytest
import torch
from bench_methods import call

from forgetting.errors import ModelError
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.bench_solved import solved
from forgetting.experiments.context import Experiment, Parameters
from forgetting.methods.results import UnlearningResult
from forgetting.models.glow import Glow, GlowConfig


class Likelihoods(torch.nn.Module):
    """A flow around another, which draws no samples."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def log_prob(self, images):
        return self.flow.log_prob(images) + 1


class OtherSize(Likelihoods):
    """Draws images of another size."""

    n_bits = 5

    def sample(self, n, temperature, generator):
        return torch.zeros(n, 3, 4, 4)


@pytest.mark.parametrize(
    ("tune", "sentence"),
    [
        (Likelihoods, "returns a flow that draws no samples (AttributeError: "),
        (OtherSize, "returns a flow of other images than the base's"),
        (lambda flow: flow, "returns the model as it was given, with no weight changed"),
    ],
)
def test_a_flow_that_cannot_be_graded_is_one_sentence_and_is_not_kept(tmp_path, tune, sentence):
    flow = Glow(GlowConfig(channels=3, image_size=8, n_steps=1, n_blocks=1, width=8))
    kept = KeptResult(tmp_path / "kept", print)
    given = {"n_steps": 1, "contract": "flow", "shape": flow.image_shape}
    with pytest.raises(ModelError, match=re.escape(f"The method mine {sentence}")):
        solved(
            Experiment("a test", Parameters()),
            *(kept, "mine", flow),
            lambda: UnlearningResult(tune(flow), []),
            **given,
        )
    assert not kept.folder.exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("spoiling", "The method bench spoiling changed or replaced weights"),
        ("giving_nothing", "The method bench giving nothing returns NoneType"),
        (
            "giving_nan",
            "returns a model that makes no images (ModelError: Decoder returns images with",
        ),
        ("giving_another", "returns a model that makes no images (ModelError"),
        ("raising", "The method bench raising fails (ValueError: boo)"),
        ("telling_nan", "The history of bench telling nan has a figure that is not finite"),
        ("doing_nothing", "bench doing nothing returns the model as it was given"),
        ("taking_more", "bench taking more takes more than 3 steps, its budget"),
        ("telling_more", "bench telling more takes more than 3 steps, its budget"),
    ],
)
def test_a_method_that_breaks_its_contract_is_one_sentence(mine, tmp_path, name, sentence):
    done = call(f"{mine}:{name}", tmp_path / "runs", "--quick")
    assert done.exit_code == 1
    assert sentence in done.output
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_is_told_before_the_method_runs(mine, tmp_path):
    (tmp_path / "file").touch()
    done = call(f"{mine}:raising", tmp_path / "file" / "runs", "--quick")
    assert done.exit_code == 1
    assert "boo" not in done.output


def test_a_file_that_ends_python_is_one_sentence(mine, tmp_path):
    mine.write_text("import sys\nsys.exit(0)\n")
    done = call(f"{mine}:darkening", tmp_path / "runs", "--quick")
    assert done.exit_code == 1
    assert "ends Python (SystemExit: 0): put what the file shall do" in done.output


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("darkenin", ["--quick"], "Did you mean darkening?"),
        ("darken", ["--quick"], "is a function, not a method: decorate"),
        (
            "darkening",
            ["--task", "faces_glow_latent_quick"],
            "is a Method, and faces_glow_latent_quick takes a TamingMethod",
        ),
        ("without_steps", ["--quick"], "has no field 'steps', which the bench sets"),
        ("darkening", ["--task", "digits_vae_thik_quick"], "Did you mean digits_vae_thick_quick?"),
        ("darkening", ["--quick", "--task", "digits_vae_thick_quick"], "Give either"),
    ],
)
def test_what_the_bench_cannot_run_is_one_sentence_and_leaves_no_record(
    mine, tmp_path, name, options, sentence
):
    done = call(f"{mine}:{name}", tmp_path / "runs", *options)
    assert done.exit_code == 1
    assert sentence in done.output
    assert not (tmp_path / "runs").exists()
