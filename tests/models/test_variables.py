"""Every variable has one path, in the order of definition."""

from __future__ import annotations

import pytest
import tensorflow as tf
import tf_keras

from jft_reps.models import layers, resnet, sharded_dense, variables


def flat(named):
  for item in named.values():
    yield from item.parts if isinstance(item, variables.Slices) else (item,)


class Collection(layers.Layer):
  """Layers in a list, in a dict and once more under a second name."""

  def __init__(self):
    super().__init__()
    self.branches = [layers.Conv2D(1, 1, 1), layers.Conv2D(1, 2, 1)]
    self.heads = {"box": layers.Conv2D(1, 3, 1), "class": sharded_dense.ShardedDense(2, 5, 2)}
    self.again = self.branches[0]
    self.scale = self.add_weight(name="scale", shape=[])


def test_lists_and_dicts_give_index_and_key():
  model = Collection()
  named = variables.named_variables(model)
  assert list(named) == [
      "branches/0/kernel", "branches/1/kernel", "heads/box/kernel", "heads/class/kernel",
      "heads/class/bias", "scale",
  ]
  assert named["branches/1/kernel"] is model.branches[1].kernel
  assert named["heads/class/kernel"].full_shape == (2, 5)
  assert [part.shape[1] for part in named["heads/class/kernel"].parts] == [3, 2]


def test_every_variable_appears_exactly_once():
  for model in (Collection(), resnet.ResNet(26, width=0.125)):
    found = [id(variable) for variable in flat(variables.named_variables(model))]
    assert len(found) == len(set(found))
    assert set(found) == {id(variable) for variable in model.variables}


def test_paths_are_those_of_the_stages_and_the_same_in_every_build():
  first, second = (variables.named_variables(resnet.ResNet(26, width=0.125)) for _ in range(2))
  assert list(first) == list(second)
  assert {path.split("/")[0] for path in first} == set(resnet.STAGES)
  assert "conv2/unit_1/conv1/kernel" in first and "conv5/unit_2/norm3/moving_variance" in first
  assert [v.shape for v in first.values()] == [v.shape for v in second.values()]


def test_a_variable_without_a_public_path_is_an_error():
  class Hidden(layers.Layer):
    def __init__(self):
      super().__init__()
      self._kernel = self.add_weight(name="secret", shape=[2])

  with pytest.raises(ValueError, match="secret"):
    variables.named_variables(Hidden())


def test_plain_modules_and_keras_models_are_walked_too():
  module = tf.Module()
  module.weight = tf.Variable(1.0)
  module.conv = layers.Conv2D(1, 1, 1)
  assert list(variables.named_variables(module)) == ["weight", "conv/kernel"]

  class Model(tf_keras.Model):
    def __init__(self):
      super().__init__()
      self.backbone = layers.Conv2D(1, 1, 1)

  assert list(variables.named_variables(Model())) == ["backbone/kernel"]
