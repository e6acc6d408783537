"""Two networks of the npm package `@vladmandic/face-api`, which nobody here trained.

They grade from outside: neither their training images nor their makers' choices are the study's.
The package holds weights and JavaScript; this file is the same two networks in PyTorch. Images
are float32 in [0, 1], (B, 3, H, W), in the study's crop, with the eyes at 0.44 of the height.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.border.feature_score import FeatureScore
from forgetting.foundation.devices import fast_layout

MEAN_RGB = (122.782, 117.001, 104.298)
"""Mean of the networks' training images, in [0, 255]."""

HAPPY = 1
"""The output of the network of expressions that stands for "happy", one of seven."""

EXPRESSION_BOX, GENDER_BOX = (0.9, 0.08), (0.75, 0.0)
"""The square that each network sees: its side and how far it is shifted downwards, in widths.

That of gender was chosen among six on training faces of CelebA.
"""

SIZE = 112
"""Side of the networks' input in pixels."""


class FaceApi(nn.Module):
    """Networks of expressions and of gender, with weights that do not change."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the package's weights.

        Parameters
        ----------
        weights : mapping
            By the package's names after `expression/` or `gender/`; filters of
            convolutions as PyTorch orders them.
        """
        super().__init__()
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(value, requires_grad=False) for name, value in weights.items()}
        )

    def expression_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the 256 features (B, 256) from which expressions are read."""
        values = _normalised(images, EXPRESSION_BOX)
        for block in range(4):
            values = self._dense_block(values, f"expression/dense{block}", is_first=block == 0)
        return F.avg_pool2d(values, 7, 2).flatten(1)

    def gender_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the 512 features (B, 512) from which gender is read."""
        values = _normalised(images, GENDER_BOX)
        values = F.relu(self._convolution(values, "gender/entry_flow/conv_in", stride=2))
        values = self._reduction(values, "gender/entry_flow/reduction_block_0", is_first=True)
        values = self._reduction(values, "gender/entry_flow/reduction_block_1")
        for block in range(2):
            inner = values
            for layer in range(3):
                name = f"gender/middle_flow/main_block_{block}/separable_conv{layer}"
                inner = self._separable(F.relu(inner), name)
            values = inner + values
        values = self._reduction(values, "gender/exit_flow/reduction_block")
        values = F.relu(self._separable(values, "gender/exit_flow/separable_conv"))
        return F.avg_pool2d(values, 7, 2).flatten(1)

    def smiling(self, expression: torch.Tensor) -> torch.Tensor:
        """Return the log-odds (B,) that the expression is happy, given its features (B, 256)."""
        scores = self._linear(expression, "expression/fc")
        others = torch.cat([scores[:, :HAPPY], scores[:, HAPPY + 1 :]], 1)
        return scores[:, HAPPY] - others.logsumexp(1)

    def male(self, gender: torch.Tensor) -> torch.Tensor:
        """Return the log-odds (B,) that the face is a man's, given its features (B, 512)."""
        scores = self._linear(gender, "gender/fc/gender")
        return scores[:, 0] - scores[:, 1]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of expression and gender side by side, (B, 768)."""
        return torch.cat([self.expression_features(images), self.gender_features(images)], 1)

    def _linear(self, values: torch.Tensor, name: str) -> torch.Tensor:
        return values @ self.weights[f"{name}/weights"] + self.weights[f"{name}/bias"]

    def _convolution(self, values: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        filters, bias = self.weights[f"{name}/filters"], self.weights[f"{name}/bias"]
        return _same_convolution(values, filters, bias, stride)

    def _separable(self, values: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        depthwise = self.weights[f"{name}/depthwise_filter"]
        values = _same_convolution(values, depthwise, None, stride, groups=len(depthwise))
        return F.conv2d(
            values, self.weights[f"{name}/pointwise_filter"], self.weights[f"{name}/bias"]
        )

    def _dense_block(self, values: torch.Tensor, name: str, is_first: bool) -> torch.Tensor:
        first = self._convolution if is_first else self._separable
        total = F.relu(first(values, f"{name}/conv0", stride=2))
        values = total
        for layer in range(1, 4):
            total = total + self._separable(values, f"{name}/conv{layer}")
            values = F.relu(total)
        return values

    def _reduction(self, values: torch.Tensor, name: str, is_first: bool = False) -> torch.Tensor:
        inner = values if is_first else F.relu(values)
        inner = self._separable(inner, f"{name}/separable_conv0")
        inner = self._separable(F.relu(inner), f"{name}/separable_conv1")
        inner = F.max_pool2d(F.pad(inner, _padding(inner, 3, 2), value=-torch.inf), 3, 2)
        return inner + self._convolution(values, f"{name}/expansion_conv", stride=2)


def _normalised(images: torch.Tensor, box: tuple[float, float]) -> torch.Tensor:
    """Cut a square from images, resize it, and scale it as the networks expect.

    The channels come last in memory: pooling and convolutions of single channels are then twice
    as fast on a CPU.
    """
    side, down = box
    transform = images.new_tensor([[side, 0.0, 0.0], [0.0, side, 2 * down]])
    grid = F.affine_grid(
        transform.expand(len(images), 2, 3), [len(images), 3, SIZE, SIZE], align_corners=False
    )
    square = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    values = square - images.new_tensor(MEAN_RGB)[:, None, None] / 255
    return fast_layout(values)


def _same_convolution(
    values: torch.Tensor,
    filters: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve with TensorFlow's "same" padding; what is padded alike needs no copy for it."""
    padding = _padding(values, filters.shape[-1], stride)
    if len(set(padding)) == 1:
        return F.conv2d(values, filters, bias, stride, padding[0], groups=groups)
    return F.conv2d(F.pad(values, padding), filters, bias, stride, groups=groups)


def _padding(values: torch.Tensor, kernel: int, stride: int) -> list[int]:
    """Return TensorFlow's "same" padding: half of it on each side, the odd rest at the end."""
    padding = []
    for side in reversed(values.shape[2:]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        padding += [total // 2, total - total // 2]
    return padding


class OutsideClassifier(nn.Module):
    """Attributes of faces read by networks from outside the study.

    Smiles and gender are outputs of the networks. Any other attribute is a logistic probe on the
    networks' features: the features are from outside, the labels that it was fitted to are not.
    """

    DIRECT = ("Smiling", "Male")
    """The attributes that the networks grade themselves."""

    def __init__(
        self,
        networks: FaceApi,
        attributes: tuple[str, ...],
        weight: torch.Tensor,
        bias: torch.Tensor,
    ) -> None:
        """Take the networks and the probes.

        Parameters
        ----------
        networks : FaceApi
            The networks.
        attributes : tuple of str
            The A attributes.
        weight : Tensor, (A, 768)
            The probes; rows of an attribute in `DIRECT` are not used.
        bias : Tensor, (A,)
            Their constants.
        """
        super().__init__()
        self.networks = networks
        self.attributes = attributes
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the score of each attribute, (B, A), of images (B, 3, H, W)."""
        parts = self.networks.expression_features(images), self.networks.gender_features(images)
        scores = [self.read(attribute, *parts) for attribute in self.attributes]
        return torch.stack(scores, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return both networks' features (B, 768) of images (B, 3, H, W)."""
        networks = self.networks
        return torch.cat(
            [networks.expression_features(images), networks.gender_features(images)], 1
        )

    def __getitem__(self, attribute: str) -> FeatureScore:
        """Return one attribute as a score of images."""
        return FeatureScore(self, attribute)

    def read(self, attribute: str, expression: torch.Tensor, gender: torch.Tensor) -> torch.Tensor:
        """Return the score (B,) of one attribute, given the networks' features of images.

        Parameters
        ----------
        attribute : str
            One of `attributes`.
        expression, gender : Tensor, (B, 256) and (B, 512)
            As the networks' methods return them.
        """
        if attribute == "Smiling":
            return self.networks.smiling(expression)
        if attribute == "Male":
            return self.networks.male(gender)
        column = self.attributes.index(attribute)
        return torch.cat([expression, gender], 1) @ self.weight[column] + self.bias[column]
