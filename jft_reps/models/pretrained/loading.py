"""A network of ours with the weights of a `WeightSource`, every one of them."""

from __future__ import annotations

from typing import Any

from jft_reps.models import resnet
from jft_reps.models.pretrained import matching
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import named_variables


def network(source: WeightSource, **arguments: Any) -> resnet.ResNet:
  """The network that the weights prescribe, with random weights.

  Args:
    source: of `recognise.open_source`.
    **arguments: of `ResNet`, such as `output_stride`; the source's own prevail.
  """
  return resnet.ResNet(
      **{**arguments, **source.network, "preprocessing": source.preprocessing})


def load(source: WeightSource, **arguments: Any) -> resnet.ResNet:
  """The network with the file's weights, all of them and nothing left over.

  Args:
    source: of `recognise.open_source`.
    **arguments: as in `network`.

  Raises:
    StorageError: lists both unmatched sides.
  """
  model = network(source, **arguments)
  variables = named_variables(model)
  matching.check(source, matching.coverage(source, variables))
  for name, variable in variables.items():
    variable.assign(source.read(name))
  return model
