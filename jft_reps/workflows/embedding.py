"""Pictures to vectors by a backbone: what finds near-duplicates and draws noise sheets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jft_reps.workflows import weights

if TYPE_CHECKING:
  import tensorflow as tf

  from jft_reps.models.pretrained.source import WeightSource

_SIDE = 224  # of pictures, where the weights do not tell: that of ImageNet's open checkpoints


def embedder(checkpoint: str | os.PathLike, size: int = 0
             ) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
  """`embed_fn` of a backbone, which averages conv5, and the side of the pictures it takes.

  Args:
    checkpoint: a run directory, a checkpoint or a weight file.
    size: that side; 0: as our checkpoint was trained, or 224.

  Raises:
    StorageError: it cannot be read.
  """
  source = weights.open_source(checkpoint)
  size = size or source.crop or _SIDE
  embed = averaged_conv5(source, size)
  return lambda pictures: embed(pictures).numpy(), size


def averaged_conv5(source: WeightSource,
                   size: int) -> Callable[[np.ndarray | tf.Tensor], tf.Tensor]:
  """A function from uint8 `[n, size, size, 3]` to float32 `[n, d]`, conv5 averaged over space."""
  import tensorflow as tf

  from jft_reps.models.pretrained import loading

  network = loading.load(source)

  @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
  def embed(pictures):
    features = network(pictures, batch_norm="frozen", stages=("conv5",))["conv5"]
    return tf.reduce_mean(tf.cast(features, tf.float32), [1, 2])

  return embed
