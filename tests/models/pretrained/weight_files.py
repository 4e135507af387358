"""Networks of others with random weights, saved in their own formats."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
import tf_keras

from jft_reps.models.pretrained import source_graphs


def _randomise(model: tf_keras.Model, seed: int = 0) -> None:
  """Batch-norm and biases start as ones and zeros, which would hide what is left out."""
  rng = np.random.default_rng(seed)
  for variable in model.variables:
    name, shape = variable.name, tuple(variable.shape)
    if "gamma" in name or "variance" in name:
      variable.assign(rng.uniform(0.5, 1.5, shape))
    elif len(shape) == 1:
      variable.assign(rng.normal(0, 0.1, shape))


def slim(folder: pathlib.Path, depth: int = 50, root: str = "", version: int = 2,
         rename: tuple[str, str] = ("", "")) -> pathlib.Path:
  """A slim checkpoint as published ones are, with a head of 7 classes.

  Beside the network it holds `mean_rgb` and the step; its format is the new one or that of 2016.
  """
  networks = source_graphs.slim_networks()
  import tf_slim

  rng = np.random.default_rng(1)
  with tf.Graph().as_default():
    tf.compat.v1.set_random_seed(3)
    with tf_slim.arg_scope(networks.resnet_arg_scope()):
      getattr(networks, f"resnet_v1_{depth}")(tf.zeros([1, 64, 64, 3]), 7, is_training=False)
    tf.compat.v1.get_variable(f"resnet_v1_{depth}/mean_rgb", initializer=[123.68, 116.78, 103.94])
    tf.compat.v1.train.get_or_create_global_step()
    variables = tf.compat.v1.global_variables()
    with tf.compat.v1.Session() as session:
      session.run(tf.compat.v1.global_variables_initializer())
      for v in variables:
        if "BatchNorm" in v.op.name:
          low, high = (0.5, 1.5) if v.op.name.endswith(("gamma", "variance")) else (-0.2, 0.2)
          v.load(rng.uniform(low, high, v.shape.as_list()).astype(np.float32), session)
      names = {root + v.op.name.replace(*rename) if rename[0] else root + v.op.name: v
               for v in variables}
      saver = tf.compat.v1.train.Saver(names, write_version=version)
      path = folder / f"resnet_v1_{depth}.ckpt"
      saver.save(session, str(path), write_meta_graph=False, write_state=False)
  return path


def keras(folder: pathlib.Path, ending: str, depth: int = 50, head: bool = True,
          whole: bool = False) -> pathlib.Path:
  """`keras.applications`, its weights or the whole model."""
  model = getattr(tf_keras.applications, f"ResNet{depth}")(
      weights=None, include_top=head, classes=7) if head else getattr(
          tf_keras.applications, f"ResNet{depth}")(weights=None, include_top=False)
  _randomise(model)
  path = folder / f"resnet{depth}{ending}"
  model.save(path) if whole else model.save_weights(path)
  return path


def trained_keras(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path, tf_keras.Model]:
  """`keras.applications` after a step of Adam: the whole model in `.h5`, `.weights.h5`, itself."""
  model = tf_keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=3)
  model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
  pixels = np.random.default_rng(0).normal(0, 50, (2, 32, 32, 3)).astype(np.float32)
  model.train_on_batch(pixels, np.array([0, 1]))
  whole, weights = folder / "trained.h5", folder / "trained.weights.h5"
  model.save(whole)
  model.save_weights(weights)
  return whole, weights, model


def model_garden(folder: pathlib.Path, depth: int = 50, wrap: str = "backbone") -> pathlib.Path:
  """A backbone of `official.vision` in an object checkpoint."""
  from official.vision.modeling.backbones import resnet

  model = resnet.ResNet(depth, tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
                        norm_epsilon=1e-5)
  _randomise(model)
  if wrap == "classifier":
    from official.vision.modeling import classification_model

    whole = classification_model.ClassificationModel(
        model, 7, input_specs=tf_keras.layers.InputSpec(shape=[None, 64, 64, 3]))
    checkpoint = tf.train.Checkpoint(model=whole, optimizer=tf_keras.optimizers.SGD())
  else:
    checkpoint = tf.train.Checkpoint(**{wrap: model}) if wrap else tf.train.Checkpoint(model)
  return pathlib.Path(checkpoint.write(str(folder / "ckpt-28080")))
