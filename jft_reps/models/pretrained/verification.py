"""Imported weights against the network of those who wrote them, stage by stage."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from jft_reps.models.depths import STAGES
from jft_reps.models.pretrained import loading, source_graphs
from jft_reps.models.pretrained.source import WeightSource


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Features of one stage, ours and theirs, over all pictures.

  Attributes:
    stage: `conv1` to `conv5`.
    size: height and width of the pictures.
    output_stride: of our network.
    difference: the largest absolute difference; infinite where the shapes differ.
    scale: the largest magnitude among theirs.
  """

  stage: str
  size: tuple[int, int]
  output_stride: int
  difference: float
  scale: float

  @property
  def relative(self) -> float:
    """The difference in units of the scale; not a number where theirs are all zero."""
    return self.difference / self.scale if self.scale > 0 else math.nan

  def agrees(self, tolerance: float) -> bool:
    """Whether the relative difference is a number of at most `tolerance`."""
    return self.relative <= tolerance


def verify(source: WeightSource, images: np.ndarray, output_stride: int = 32) -> list[Comparison]:
  """Runs pictures through the source's own graph and through ours.

  Where the source's graph has only stride 32, our features of a smaller stride are compared at
  the positions that both have: weights are the same at every output stride.

  Args:
    source: of `recognise.open_source`.
    images: uint8 `[n, height, width, 3]`, RGB.
    output_stride: of our network: 8, 16 or 32.

  Returns:
    One comparison per stage; none where no graph of the source can be built here.

  Raises:
    StorageError: the file is not the whole network, or cannot be loaded by its authors' network.
  """
  strides = source_graphs.strides(source)
  if not strides:
    return []
  model = loading.load(source, output_stride=output_stride)
  ours = model(images, batch_norm="frozen")
  shared = output_stride in strides
  theirs = source_graphs.features(source, images, output_stride if shared else 32)
  found = []
  for i, stage in enumerate(STAGES):
    # Undilated, a stage comes out at stride 2, 4, 8, 16 and 32.
    step = 1 if shared else 2 ** (i + 1) // model.feature_info[stage].stride
    difference, scale = _compare(ours[stage].numpy()[:, ::step, ::step], theirs[stage])
    found.append(Comparison(stage, images.shape[1:3], output_stride, difference, scale))
  return found


def _compare(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
  scale = float(np.abs(theirs).max())
  if ours.shape != theirs.shape:
    return math.inf, scale
  with np.errstate(invalid="ignore"):  # infinite on both sides: not a number, and no agreement
    return float(np.abs(ours - theirs).max()), scale
