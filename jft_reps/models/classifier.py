"""The pre-training network: backbone, global average pool, sharded multi-label classifier."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import layers, resnet, sharded_dense


def prior_bias(prior: float | np.ndarray, lowest: float = 1e-6) -> np.ndarray:
  """The logit log(p / (1 - p)) at which a sigmoid gives the class its prior.

  A classifier that starts there has nothing to unlearn before it learns (Lin et al. 2017,
  arXiv:1708.02002, section 4.1).

  Args:
    prior: share of pictures that carry the class, one number or one per class.
    lowest: priors are clipped to `[lowest, 1 - lowest]`, so that unseen classes stay finite.

  Raises:
    ConfigError: a prior is no share between 0 and 1.
  """
  prior = np.asarray(prior, np.float64)
  wrong = prior[~((prior >= 0.0) & (prior <= 1.0))]
  if wrong.size:
    raise errors.ConfigError(
        "class-prior", "prior", f"{wrong.flat[0]}", "a share of pictures between 0 and 1",
        "A bias such as -10 goes into `initial_bias`.",
    )
  prior = np.clip(prior, lowest, 1.0 - lowest)
  return (np.log(prior) - np.log1p(-prior)).astype(np.float32)


class Classifier(layers.Layer):
  """Logits of all classes for a picture.

  Args:
    backbone: a `ResNet`; its conv5 is pooled.
    num_classes: outputs.
    shards: column shards of the classifier; the paper's 18,291 classes take 50.
    prior: share of pictures per class, one number or `[num_classes]`; the bias starts at its
      logit. Absent, the bias starts at `initial_bias`.
    initial_bias: start of the bias where no prior is known; Google's later code for this
      collection takes -10.

  Attributes:
    backbone: the `ResNet`.
    head: the `ShardedDense`.
  """

  def __init__(
      self,
      backbone: resnet.ResNet,
      num_classes: int,
      shards: int = 1,
      prior: float | np.ndarray | None = None,
      initial_bias: float = 0.0,
      name: str | None = None,
  ):
    super().__init__(name=name)
    if prior is not None and np.shape(prior) not in ((), (num_classes,)):
      raise errors.ConfigError(
          "class-prior", "prior", f"shape {np.shape(prior)}", f"one number or {num_classes}"
      )
    self.num_classes = num_classes
    self.backbone = backbone
    self.head = sharded_dense.ShardedDense(
        backbone.feature_info["conv5"].channels,
        num_classes,
        shards,
        initial_bias=initial_bias if prior is None else prior_bias(prior),
    )

  def call(
      self, images: tf.Tensor, batch_norm: str = "train", frozen_through: str | None = None
  ) -> tf.Tensor:
    """Float32 logits `[batch, num_classes]` of pictures `[batch, height, width, 3]`.

    `batch_norm` and `frozen_through` are those of `ResNet.call`.
    """
    return self.head(self.embed(images, batch_norm, frozen_through))

  def embed(
      self, images: tf.Tensor, batch_norm: str = "frozen", frozen_through: str | None = None
  ) -> tf.Tensor:
    """The representation: conv5 averaged over space, float32 `[batch, channels]`."""
    features = self.backbone(
        images, batch_norm=batch_norm, stages=("conv5",), frozen_through=frozen_through
    )
    return tf.reduce_mean(tf.cast(features["conv5"], tf.float32), axis=[1, 2])
