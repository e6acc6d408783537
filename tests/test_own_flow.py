"""Anyone's flow is tamed on a folder of images, and measured on images that were held out."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torchvision.utils import save_image

import forgetting as fg
from forgetting.cli import main
from forgetting.errors import DataError, ParameterError
from forgetting.experiments.own_flow import tame_and_measure
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


def images(n, seed):
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_report_is_of_images_that_had_no_part_in_taming(tmp_path):
    flow = Pixels()
    report = tame_and_measure(flow, images(2, 0), images(200, 1), max_steps=20, lr=0.01)
    assert report.parameters["images_to_retain"] == 150
    assert len(report.comparison.before["held_out"]) == 25
    text = str(report)
    assert text.startswith("The rule is ")
    assert "2 images to forget: quantile" in text
    assert "25 images held out: quantile" in text
    assert report.metrics["shift_forget"] > report.metrics["shift_held_out"]
    report.save(tmp_path / "tamed")
    restored = fg.restore(tmp_path / "tamed", into=Pixels())
    assert state_digest(restored) == state_digest(report.result.model)
    record = json.loads((tmp_path / "tamed" / "record.json").read_text())
    assert record["parameters"]["base_sha256"] == state_digest(flow)
    assert not (tmp_path / "tamed" / "samples.png").exists()


def test_one_image_to_forget_has_no_interval_and_the_record_no_nan(tmp_path):
    report = tame_and_measure(Pixels(), images(1, 0), images(160, 1), max_steps=3, lr=0.01)
    assert "nan" not in str(report)
    report.save(tmp_path / "tamed")
    assert "NaN" not in (tmp_path / "tamed" / "record.json").read_text()


def test_too_few_retained_images_and_unknown_settings_are_refused():
    with pytest.raises(DataError, match="159 images to retain are too few"):
        tame_and_measure(Pixels(), images(2, 0), images(159, 1))
    with pytest.raises(ParameterError, match="max_step"):
        tame_and_measure(Pixels(), images(2, 0), images(160, 1), max_step=3)


def test_a_command_tames_on_folders(tmp_path):
    (tmp_path / "mine.py").write_text("from test_own_flow import Pixels\n")
    for name, n in (("forget", 2), ("retain", 160)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images(n, n)):
            save_image(image, tmp_path / name / f"{i}.png")
    folders = ["--forget", str(tmp_path / "forget"), "--retain", str(tmp_path / "retain")]
    place = [f"{tmp_path / 'mine.py'}:Pixels", *folders, "--output", str(tmp_path / "tamed")]
    quick = ["--size", "8", "-p", "max_steps=5", "-p", "lr=0.01"]
    done = CliRunner().invoke(main, ["tame", *place, *quick])
    assert done.exit_code == 0, done.output
    assert "images held out" in done.output
    fg.restore(tmp_path / "tamed", into=Pixels())
    again = CliRunner().invoke(main, ["tame", *place, *quick])
    assert "holds a model already" in again.output
