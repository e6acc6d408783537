"""Anyone's flow is tamed on a folder of images, and measured on images that were held out."""

import json
import math
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from explained import unexplained
from PIL import Image
from torch import nn
from torchvision.utils import save_image

import forgetting as fg
from forgetting.book import execution
from forgetting.book.records import digest, read_record
from forgetting.cli import main, own_notebooks
from forgetting.data.near_copies import near_copies
from forgetting.errors import DataError, DataWarning, ParameterError
from forgetting.experiments.own_flow import load_sets, tame
from forgetting.zoo.saved import state_digest


class Pixels(nn.Module):
    """Pixels are independent, each with a mean and a deviation of its own."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.full((3, 8, 8), 0.5))
        self.log_std = nn.Parameter(torch.full((3, 8, 8), -1.0))

    def log_prob(self, x):
        normal = torch.distributions.Normal(self.mean, self.log_std.exp())
        return normal.log_prob(x).flatten(1).sum(1)


class Sampling(Pixels):
    """Pixels that can be drawn."""

    def sample(self, n, temperature=1.0):
        noise = torch.randn(n, 3, 8, 8)
        return (self.mean + temperature * self.log_std.exp() * noise).clamp(0, 1)


def images(n, seed):
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_report_is_of_images_that_had_no_part_in_taming(tmp_path):
    flow = Pixels()
    report = tame(flow, images(2, 0), images(200, 1), max_steps=20, lr=0.01)
    assert report.parameters["images_to_retain"] == 150
    assert len(report.comparison.before["held_out"]) == 25
    text = str(report)
    assert "25 images held out (mean and sigma are of 25 more)" in text
    bpd = [bits["held_out"].mean() for bits in (report.comparison.before, report.comparison.after)]
    gain = math.log(2) * float(bpd[0] - bpd[1])
    assert f"log-likelihood {gain:+.3g} nats a dimension" in text
    assert "sigma of the tuned flow in the mean, where +4 are to be reached" in text
    assert text.count("sigma of the base") == 2
    assert text.startswith("The rule is ")
    assert "2 images to forget: quantile" in text
    assert report.metrics["shift_forget"] > report.metrics["shift_held_out"]
    report.save(tmp_path / "tamed")
    restored = fg.restore(tmp_path / "tamed", into=Pixels())
    assert state_digest(restored) == state_digest(report.result.model)
    record = json.loads((tmp_path / "tamed" / "record.json").read_text())
    assert record["parameters"]["base_sha256"] == state_digest(flow)
    assert record["parameters"]["tuned_sha256"] == state_digest(report.model)
    assert not (tmp_path / "tamed" / "samples.png").exists()


class Points(nn.Module):
    """A Gaussian of points in the plane."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_std = (nn.Parameter(torch.zeros(2)) for _ in range(2))

    def log_prob(self, x):
        return torch.distributions.Normal(self.mean, self.log_std.exp()).log_prob(x).sum(1)


@pytest.mark.parametrize(("n_retain", "is_doubted"), [(4, True), (2048, False)])
def test_a_place_by_hardly_an_image_is_doubted(n_retain, is_doubted):
    points = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    options = {"delta": -2.44, "max_steps": 100, "lr": 0.02, "n_retain": n_retain}
    report = tame(Points(), torch.tensor([[1.5, 1.5]]), points, **options)
    told = f"By images held out they lie at {report.metrics['above_forget']:+.2f} sigma"
    assert (told in str(report)) is is_doubted


def test_one_image_to_forget_has_no_interval_and_the_record_no_nan(tmp_path):
    report = tame(Pixels(), images(1, 0), images(160, 1), max_steps=3, lr=0.01)
    assert "nan" not in str(report)
    report.save(tmp_path / "tamed")
    assert "NaN" not in (tmp_path / "tamed" / "record.json").read_text()


def test_too_few_retained_images_and_unknown_settings_are_refused():
    with pytest.raises(DataError, match="159 images to retain are too few"):
        tame(Pixels(), images(2, 0), images(159, 1))
    with pytest.raises(ParameterError, match="max_step"):
        tame(Pixels(), images(2, 0), images(160, 1), max_step=3)


def test_samples_are_shown_before_and_after_of_the_same_random_numbers(tmp_path):
    report = tame(fg.as_flow(Sampling()), images(2, 0), images(160, 1), max_steps=1, lr=1e-9)
    before, after = report.shown
    assert torch.allclose(before, after, atol=1e-6)
    assert before.std() > 0.1
    report.save(tmp_path / "tamed")
    assert Image.open(tmp_path / "tamed" / "samples.png").size == (12 * 64, 2 * 64)
    assert "samples.png" in (tmp_path / "tamed" / "README.md").read_text()


@pytest.mark.parametrize(
    "sample",
    [
        lambda n: torch.randn(n, 3, 8, 8),  # in no range that is known
        lambda n: torch.rand(n, 192),
        lambda shape: torch.rand(*shape, 3, 8, 8),
    ],
)
def test_a_sample_that_gives_no_images_shows_none(sample):
    flow = Pixels()
    flow.sample = sample
    report = tame(flow, images(2, 0), images(160, 1), max_steps=1, lr=0.01)
    assert report.shown is None


def test_an_image_that_is_given_twice_counts_once():
    twice = images(160, 1).repeat(2, 1, 1, 1)
    with pytest.warns(DataWarning, match="to retain: 160 of 320 equal another and are left out"):
        report = tame(Pixels(), images(2, 0), twice, max_steps=1)
    assert report.parameters["images_to_retain"] == 120
    with pytest.warns(DataWarning, match="to forget: 4 of 5 equal another"):
        report = tame(Pixels(), images(1, 0).repeat(5, 1, 1, 1), images(160, 1), max_steps=1)
    assert len(report.comparison.before["forget"]) == 1
    assert "shift_forget_low" not in report.metrics
    with pytest.raises(DataError, match="159 images to retain are too few"):
        tame(Pixels(), images(2, 0), images(159, 1).repeat(2, 1, 1, 1))


def test_copies_of_what_is_forgotten_among_what_is_retained_are_noted():
    forget, retain = images(2, 0), images(160, 1)
    copies = [forget[:1] + 0.01 * images(1, 2), forget[1:].roll((1, -1), (2, 3))]
    with pytest.warns(DataWarning, match="2 of 2 images to forget nearly equal one to retain"):
        tame(Pixels(), forget, torch.cat([retain, *copies]).clamp(0, 1), max_steps=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1),
        lambda x: x.flip(1),
        lambda x: 0.2 + 0.5 * x,
        lambda x: x.roll((2, -2), (2, 3)),
        lambda x: x.flip(3),
        lambda x: x.rot90(1, (2, 3)),
        lambda x: x.rot90(3, (2, 3)).flip(3),
        lambda x: F.interpolate(x[..., 2:-2, 2:-2], size=(40, 40), mode="bilinear"),
    ],
)
def test_a_copy_that_is_grey_recoloured_lighter_turned_shifted_or_cropped_is_found(change):
    coarse = torch.rand(12, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    pictures = F.interpolate(coarse, size=(40, 40), mode="bicubic").clamp(0, 1)
    copies = change(pictures[:3])
    assert near_copies(copies, pictures).all()
    assert near_copies(pictures, copies).tolist() == [True] * 3 + [False] * 9
    assert not near_copies(copies, pictures[3:]).any()
    assert not near_copies(torch.zeros(2, 3, 40, 40), torch.zeros(2, 3, 40, 40)).any()


def smooth(n, seed):
    return 0.45 + 0.1 * images(n, seed)


@pytest.mark.parametrize("factor", [-1, -1 / (192 * math.log(2))])
def test_a_loss_in_place_of_a_likelihood_is_noted(factor):
    flow = fg.as_flow(Pixels(), log_prob=lambda flow, x: factor * flow.log_prob(x))
    with pytest.warns(DataWarning, match="finds noise more likely than each of 16 images"):
        tame(flow, smooth(2, 0), smooth(160, 1), max_steps=1)


def test_a_likelihood_for_each_value_is_noted(recwarn):
    tame(Pixels(), smooth(2, 0), smooth(160, 1), max_steps=1)
    assert not [warning for warning in recwarn if "is it divided" in str(warning.message)]
    flow = fg.as_flow(Pixels(), log_prob=lambda flow, x: flow.log_prob(x) / 192)
    with pytest.warns(DataWarning, match="images of 192 values a log-likelihood of at most .*sum"):
        tame(flow, smooth(2, 0), smooth(160, 1), max_steps=1)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (lambda x: x.flip(1), "to {} more likely with red and blue exchanged"),
        (lambda x: 1 - x, "to {} more likely as negatives"),
    ],
)
def test_images_in_another_form_than_a_flow_has_learned_are_noted(form, sentence):
    flow = Pixels()
    with torch.no_grad():
        flow.mean.copy_(torch.tensor([0.7, 0.5, 0.4])[:, None, None].expand(3, 8, 8))
    forget, retain = (flow.mean.detach() - 0.1 + 0.2 * images(n, n) for n in (4, 160))
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        tame(flow, forget, retain, max_steps=1)
    assert not [each for each in noted if "more likely" in str(each.message)]
    with pytest.warns(DataWarning, match=f"each of 4 images {sentence.format('forget')}"):
        tame(flow, form(forget), retain, max_steps=1)
    with pytest.warns(DataWarning, match=f"each of 16 images {sentence.format('retain')}"):
        tame(flow, forget, form(retain), max_steps=1)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (-1, 1), (0, 255)])
def test_a_flow_that_draws_images_of_another_range_is_noted(low, high):
    flow = Pixels()
    flow.sample = lambda n: low + (high - low) * torch.rand(n, 3, 8, 8)
    with pytest.warns(DataWarning, match="draws images with values from .* not of"):
        tame(flow, images(2, 0), images(160, 1), max_steps=1)
    scaled = fg.as_flow(flow, log_prob=lambda flow, x: flow.log_prob(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        tame(scaled, images(2, 0), images(160, 1), max_steps=1)


def test_without_folders_digits_are_tamed_on_and_one_folder_is_not_enough(tmp_path):
    threes, others = load_sets("", "", crop="folder", size=64)
    assert threes.shape == (4, 1, 32, 32)
    assert others.shape == (360, 1, 32, 32)
    with pytest.raises(ParameterError, match="give both folders, or none for digits"):
        load_sets(str(tmp_path), "", crop="folder", size=64)


@pytest.fixture
def places(tmp_path):
    """Return the arguments of a command that tames a flow, and needs few steps."""
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_own_flow import Pixels, Sampling\n"
    )
    for name, n in (("forget", 2), ("retain", 160)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images(n, n)):
            save_image(image, tmp_path / name / f"{i}.png")
    folders = ["--forget", str(tmp_path / "forget"), "--retain", str(tmp_path / "retain")]
    place = [f"{tmp_path / 'mine.py'}:Sampling", *folders, "--output", str(tmp_path / "tamed")]
    return ["tame", *place, "--size", "8", "-p", "max_steps=5", "-p", "lr=0.01"]


LEFT = {"README.md", "record.json", "samples.png", "weights.safetensors"}


def test_a_command_tames_on_folders_in_a_notebook(places, tmp_path):
    done = CliRunner().invoke(main, places)
    assert done.exit_code == 0, done.output
    assert "images held out" in done.output
    fg.restore(tmp_path / "tamed", into=Sampling())
    names = {path.name for path in (tmp_path / "tamed").iterdir()}
    assert names == LEFT | {"taming.ipynb", "taming.json", "taming.run.json"}
    folder, noted = tmp_path / "tamed", read_record(tmp_path / "tamed" / "taming.run.json")
    assert noted["record"] == digest(read_record(folder / "taming.json"))
    run = read_record(tmp_path / "tamed" / "taming.json")
    assert run["parameters"]["model"] == f"{tmp_path / 'mine.py'}:Sampling"
    assert run["parameters"]["max_steps"] == 5
    assert run["parameters"]["settings"] == "lr=0.01"
    assert run["weights"] == {"mine.py:Sampling": state_digest(Sampling())}
    record = json.loads((tmp_path / "tamed" / "record.json").read_text())
    assert run["metrics"] == record["metrics"]
    assert unexplained(run["metrics"]) == []
    again = CliRunner().invoke(main, places)
    assert "holds a model already" in again.output


def test_without_the_books_packages_a_command_tames_as_well(places, tmp_path, monkeypatch):
    monkeypatch.setattr(own_notebooks, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, places)
    assert done.exit_code == 0, done.output
    assert "images held out" in done.output
    assert {path.name for path in (tmp_path / "tamed").iterdir()} == LEFT


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-p", "max_step=3"], "Taming has no setting 'max_step'. Did you mean max_steps?"),
        (["-p", "delta=0"], "delta must not be 0"),
        (["-p", "seed=3"], "-p seed is no setting of the method"),
        (["--crop", "cleba"], "Did you mean celeba?"),
        (["--size", "16"], "`log_prob` of Sampling"),
        (["--retain", "{forget}"], "2 images to retain are too few"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_starts_no_notebook(
    places, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.setattr(execution, "execute", None)
    name, value = options
    if name in places and name != "-p":  # an option is given once
        del places[places.index(name) : places.index(name) + 2]
    value = value.format(forget=tmp_path / "forget")
    done = CliRunner().invoke(main, [*places, name, value])
    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("shape", [(8, 8, 3), (6, 8, 3), (8, 6, 1)])
def test_images_with_their_channels_last_are_refused(shape):
    random = torch.Generator().manual_seed(0)
    forget, retain = (torch.rand(n, *shape, generator=random) for n in (2, 170))
    with pytest.raises(DataError, match=r"channels are last: give images\.permute"):
        tame(Pixels(), forget, retain, max_steps=1)
