"""A weight file run through the network of those who wrote it, where that can be built here.

The reference for `verify_init` and for tests: slim's graph from `tf_slim.nets`, Keras's from
`tf_keras.applications`, Model Garden's from `official`, each loaded by its own means.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np
import tensorflow as tf
import tf_keras

from jft_reps.errors import ConfigError, StorageError, printable
from jft_reps.models.depths import STAGES, UNITS
from jft_reps.models.pretrained import keras_applications, model_garden, slim
from jft_reps.models.pretrained.source import WeightSource

Features = dict[str, np.ndarray]
# What the authors' own means of loading raise for a file that is not theirs after all.
_REFUSED = (tf.errors.OpError, ValueError, AssertionError, KeyError, OSError)


def strides(source: WeightSource) -> tuple[int, ...]:
  """Output strides of the source's own graph; none where no graph of it can be built here."""
  return {slim.FORMAT: (8, 16, 32), keras_applications.FORMAT: (32,),
          model_garden.FORMAT: (32,)}.get(source.format, ())


def features(source: WeightSource, images: np.ndarray, output_stride: int = 32) -> Features:
  """Features by stage of the source's own graph.

  Args:
    source: whose file is loaded anew, by the means of those who wrote it.
    images: uint8 or float `[n, height, width, 3]`, RGB, 0 to 255.
    output_stride: one of `strides(source)`.

  Returns:
    float32 `[n, h, w, channels]` by stage.

  Raises:
    ConfigError: there is no such graph here.
    StorageError: the authors' network does not take the file.
  """
  if output_stride not in strides(source):
    known = ", ".join(map(str, strides(source)))
    raise ConfigError("output-stride", source.format, str(output_stride),
                      f"among {known}" if known else "a format whose graph can be built here")
  images = np.asarray(images, np.float32)
  try:
    if source.format == slim.FORMAT:
      return _slim(source, images, output_stride)
    run = _keras if source.format == keras_applications.FORMAT else _model_garden
    return run(source, images)
  except _REFUSED as e:
    raise StorageError("source-graph", source.tensors.path, printable(e),
                       f"a file that the network of {source.format} takes") from e


def slim_networks():
  """`tf_slim.nets.resnet_v1`, which looks for a module of tf_keras by an older name."""
  name = "tf_keras.legacy_tf_layers"
  if name not in sys.modules:
    sys.modules[name] = importlib.import_module("tf_keras.src.legacy_tf_layers")
    for part in ("base", "convolutional", "core", "normalization", "pooling"):
      sys.modules[f"{name}.{part}"] = importlib.import_module(
          f"tf_keras.src.legacy_tf_layers.{part}")
  return importlib.import_module("tf_slim.nets.resnet_v1")


def _slim(source: WeightSource, images: np.ndarray, output_stride: int) -> Features:
  networks = slim_networks()
  arg_scope = importlib.import_module("tf_slim").arg_scope
  scope = f"resnet_v1_{source.network['depth']}"
  root = source.origins["conv1/conv/kernel"].name.removesuffix(f"{scope}/conv1/weights")
  with tf.Graph().as_default():
    pictures = tf.compat.v1.placeholder(tf.float32, images.shape)
    with arg_scope(networks.resnet_arg_scope()):
      _, ends = getattr(networks, scope)(
          pictures - tf.constant([123.68, 116.78, 103.94]), None, is_training=False,
          global_pool=False, output_stride=None if output_stride == 32 else output_stride)
    variables = {root + v.op.name: v for v in tf.compat.v1.global_variables()}
    saver = tf.compat.v1.train.Saver(variables)
    wanted = {"conv1": f"{scope}/conv1", **{f"conv{i + 1}": f"{scope}/block{i}"
                                            for i in range(1, 5)}}
    with tf.compat.v1.Session() as session:
      saver.restore(session, str(source.tensors.path))
      return session.run({stage: ends[name] for stage, name in wanted.items()},
                         {pictures: images})


def _keras(source: WeightSource, images: np.ndarray) -> Features:
  depth = source.network["depth"]
  classes = next((shape[-1] for name, shape in source.tensors.shapes.items()
                  if len(shape) == 2), None)
  build = getattr(tf_keras.applications, f"ResNet{depth}")
  model = build(weights=None, include_top=classes is not None, classes=classes or 1000,
                **({} if classes else {"input_shape": (None, None, 3)}))
  model.load_weights(str(source.tensors.path))
  if classes:  # with a head the input has 224 pixels; the layers take any
    bare = build(weights=None, include_top=False, input_shape=(None, None, 3))
    for layer in bare.layers:
      layer.set_weights(model.get_layer(layer.name).get_weights() if layer.weights else [])
    model = bare
  outputs = ["conv1_relu", *(f"conv{s}_block{n}_out" for s, n in enumerate(UNITS[depth], 2))]
  taps = tf_keras.Model(model.input, [model.get_layer(name).output for name in outputs])
  pictures = tf_keras.applications.resnet.preprocess_input(np.array(images))
  return dict(zip(STAGES, (t.numpy() for t in taps(pictures, training=False))))


def _model_garden(source: WeightSource, images: np.ndarray) -> Features:
  resnet = importlib.import_module("official.vision.modeling.backbones.resnet")
  preprocess = importlib.import_module("official.vision.ops.preprocess_ops")
  model = resnet.ResNet(
      source.network["depth"], tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
      norm_epsilon=source.network["batch_norm_epsilon"])
  root = source.origins["conv1/conv/kernel"].name.partition("layer_with_weights-0/kernel/")[0]
  tracked = model
  for part in reversed(root.rstrip("/").split("/")) if root else ():
    tracked = tf.train.Checkpoint(**{part: tracked})
  tf.train.Checkpoint.read(
      tracked if root else tf.train.Checkpoint(model), str(source.tensors.path),
  ).assert_existing_objects_matched().expect_partial()
  stem = next(x for x in model.layers if isinstance(x, tf_keras.layers.Activation))
  taps = tf_keras.Model(model.input, [stem.output, *(model.output[str(i)] for i in range(2, 6))])
  pictures = tf.stack([preprocess.normalize_image(i / 255.0) for i in images])
  return dict(zip(STAGES, (t.numpy() for t in taps(pictures, training=False))))
