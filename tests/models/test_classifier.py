"""The classifier starts at the class prior and is the pooled backbone times its head."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import classifier, resnet, variables


def tiny_backbone(**options) -> resnet.ResNet:
  return resnet.ResNet(26, width=0.125, stem="small", **options)


def pictures(batch: int = 2) -> tf.Tensor:
  random = np.random.default_rng(0)
  return tf.constant(random.integers(0, 256, [batch, 32, 32, 3]), tf.uint8)


def initial_bias(model) -> np.ndarray:
  return np.concatenate([part.numpy() for part in model.head.bias.parts])


def test_the_bias_gives_each_class_its_prior():
  prior = np.array([0.5, 0.1, 1e-3, 0.0, 1.0])
  model = classifier.Classifier(tiny_backbone(), 5, shards=3, prior=prior)
  probabilities = 1 / (1 + np.exp(-initial_bias(model).astype(np.float64)))
  np.testing.assert_allclose(probabilities, np.clip(prior, 1e-6, 1 - 1e-6), rtol=1e-5)


def test_one_prior_or_one_bias_serves_all_classes():
  same = classifier.Classifier(tiny_backbone(), 4, prior=0.01)
  np.testing.assert_allclose(initial_bias(same), np.log(0.01 / 0.99), rtol=1e-6)
  constant = classifier.Classifier(tiny_backbone(), 4, initial_bias=-10.0)
  np.testing.assert_array_equal(initial_bias(constant), -10.0)
  plain = classifier.Classifier(tiny_backbone(), 4)
  np.testing.assert_array_equal(initial_bias(plain), 0.0)


@pytest.mark.parametrize("prior", [-10.0, 1.5, float("nan"), np.array([0.1, 0.2])])
def test_impossible_priors_are_refused(prior):
  with pytest.raises(errors.ConfigError, match="class-prior"):
    classifier.Classifier(tiny_backbone(), 4, prior=prior)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_logits_are_the_mean_of_conv5_times_the_kernel(dtype):
  model = classifier.Classifier(tiny_backbone(compute_dtype=dtype), 9, shards=4, prior=0.2)
  conv5 = model.backbone(pictures(), batch_norm="frozen")["conv5"]
  pooled = tf.cast(conv5, tf.float32).numpy().mean(axis=(1, 2))
  kernel = np.concatenate([part.numpy() for part in model.head.kernel.parts], axis=1)
  logits = model(pictures(), batch_norm="frozen")
  assert logits.dtype == tf.float32
  np.testing.assert_allclose(logits, pooled @ kernel + initial_bias(model), atol=1e-5)
  np.testing.assert_allclose(model.embed(pictures()), pooled, atol=1e-6)


def test_random_weights_predict_close_to_the_prior():
  model = classifier.Classifier(tiny_backbone(), 50, prior=0.01)
  logits = model(pictures(4), batch_norm="train").numpy()
  assert np.abs(logits - np.log(0.01 / 0.99)).max() < 1.5


def test_every_parameter_gets_a_gradient_and_a_path():
  model = classifier.Classifier(tiny_backbone(), 11, shards=5, prior=0.1)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(model(pictures(4)) - 1.0))
  for variable, gradient in zip(
      model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
  ):
    assert gradient is not None and np.abs(gradient).max() > 0, variable.name
  paths = list(variables.named_variables(model))
  assert paths[0] == "backbone/conv1/conv/kernel" and paths[-2:] == ["head/kernel", "head/bias"]


def test_paths_and_shapes_do_not_depend_on_the_number_of_shards():
  def described(shards):
    model = classifier.Classifier(tiny_backbone(), 11, shards=shards)
    return {
        path: getattr(item, "full_shape", None) or tuple(item.shape)
        for path, item in variables.named_variables(model).items()
    }

  assert described(1) == described(7) == described(11)
