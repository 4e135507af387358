"""A weight file understood: which network it is, and where each of our variables comes from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jft_reps.errors import StorageError, printable
from jft_reps.models.depths import UNITS
from jft_reps.models.pretrained.containers import Tensors
from jft_reps.ops.preprocessing import Preprocessing

# Names of a TensorFlow 1 training graph that belong to no backbone.
NOT_BACKBONE = (r"(^|/)logits/", r"(^|/)global_step$", r"/(Momentum|RMSProp|Adam)(_\d+)?$",
                r"/ExponentialMovingAverage$", r"(^|/)beta\d_power$", r"(^|/)learning_rate$",
                r"(^|/)mean_rgb$")


class ConvNorm(NamedTuple):
  """A convolution and its batch-norm: part 0 of a unit is the shortcut; conv1 is stage 1."""

  stage: int
  unit: int
  part: int

  @property
  def conv(self) -> str:
    """Our path of the convolution."""
    if self.stage == 1:
      return "conv1/conv"
    return f"conv{self.stage}/unit_{self.unit}/" + (f"conv{self.part}" if self.part else "shortcut")

  @property
  def norm(self) -> str:
    """Our path of the batch-norm."""
    if self.stage == 1:
      return "conv1/norm"
    name = f"norm{self.part}" if self.part else "shortcut_norm"
    return f"conv{self.stage}/unit_{self.unit}/{name}"


def conv_norms(depth: int) -> Iterator[ConvNorm]:
  """Every convolution of a bottleneck ResNet, the shortcut of a unit before its other parts."""
  yield ConvNorm(1, 0, 0)
  for stage, units in enumerate(UNITS[depth], 2):
    for unit in range(1, units + 1):
      for part in range(0 if unit == 1 else 1, 4):
        yield ConvNorm(stage, unit, part)


class Origin(NamedTuple):
  """Where one of our variables comes from.

  Attributes:
    name: of the tensor in the file.
    oihw: it is a kernel with output channels first.
    minus: name of a tensor to subtract: a convolution's bias is the same as a shift of the mean
      its batch-norm subtracts.
  """

  name: str
  oihw: bool = False
  minus: str = ""

  @property
  def names(self) -> tuple[str, ...]:
    """Of every tensor that it takes."""
    return (self.name, self.minus) if self.minus else (self.name,)


@dataclasses.dataclass(frozen=True)
class WeightSource:
  """The backbone in a weight file, under our names.

  Attributes:
    format: who wrote it, for people.
    tensors: the file.
    origins: our variable's path below `backbone/` to where it comes from; what the file lacks is
      in here too.
    network: arguments of `models.resnet.ResNet` that the weights prescribe.
    assumed: those among them that the file does not tell, so that a configuration may differ.
    preprocessing: what the weights expect of pixels.
    ignored: regular expressions of names that belong to no backbone: heads, slots, counters.
    crop: side in pixels of the square pictures it was trained on, where the file tells one.
  """

  format: str
  tensors: Tensors
  origins: Mapping[str, Origin]
  network: Mapping[str, Any]
  preprocessing: Preprocessing
  assumed: Sequence[str] = ()
  ignored: Sequence[str] = ()
  crop: int | None = None

  def shape(self, name: str) -> tuple[int, ...] | None:
    """The shape of one of our variables as the file has it, or None where it is absent."""
    origin = self.origins.get(name)
    if origin is None or not all(n in self.tensors.shapes for n in origin.names):
      return None
    shape = self.tensors.shapes[origin.name]
    return (*shape[2:], shape[1], shape[0]) if origin.oihw and len(shape) == 4 else shape

  def wanted(self, name: str) -> str:
    """What to look for in the file: the first absent tensor of our variable, else its own."""
    origin = self.origins.get(name, Origin(""))
    return next((n for n in origin.names if n not in self.tensors.shapes), origin.name)

  def read(self, name: str) -> np.ndarray:
    """One of our variables, float32, in our layout."""
    origin = self.origins[name]
    value = self.tensors.read(origin.name)
    if origin.oihw:
      value = value.transpose(2, 3, 1, 0)
    if origin.minus:
      value = value - self.tensors.read(origin.minus)
    return np.asarray(value, np.float32)

  def extra(self, ours: Collection[str] | None = None) -> list[str]:
    """Tensors of the file that no variable of ours takes, and that are not `ignored`.

    Args:
      ours: paths of the variables there are, where they may be fewer than those in `origins`,
        as for a network less deep than the file's. None: all in `origins`.
    """
    used = {name for path, origin in self.origins.items() if ours is None or path in ours
            for name in origin.names}
    return [name for name in self.tensors.shapes if name not in used
            and not any(re.search(pattern, name) for pattern in self.ignored)]


def depth_of(path: Any, kernels: Collection[str],
             expected: Callable[[int], Iterable[str]]) -> int:
  """The depth whose convolutions have the names that fit a file best.

  A layer may be renamed or missing, whichever it is; to name it is left to the comparison of all
  variables. A file from which more than a fifth of the names differ is another network.

  Args:
    path: of the file.
    kernels: names in the file that look like kernels of its convolutions.
    expected: the names of all of them for a depth.

  Raises:
    StorageError: it is no network of depth 50, 101 or 152; names what the nearest would have.
  """
  wanted = {depth: set(expected(depth)) for depth in (50, 101, 152)}
  there = set(kernels)
  depth = min(wanted, key=lambda d: len(wanted[d] ^ there))
  if len(wanted[depth] ^ there) <= len(wanted[depth]) / 5:
    return depth
  raise StorageError(
      "depth", path,
      f"{len(there)} convolutions; nearest is ResNet-{depth}, of whose {len(wanted[depth])} are "
      f"absent {_some(wanted[depth] - there)}, in the file only {_some(there - wanted[depth])}",
      "those of a bottleneck ResNet-50, 101 or 152",
      "Other depths, and networks of two convolutions per unit, are not supported.")


def _some(names: Collection[str], most: int = 3) -> str:
  """How many, and the first of them."""
  if not names:
    return "none"
  more = ", …" if len(names) > most else ""
  return f"{len(names)} ({', '.join(printable(n) for n in sorted(names)[:most])}{more})"


def norm_origins(path: str, names: Mapping[str, str], bias: str = "") -> dict[str, Origin]:
  """The four variables of our batch-norm at `path`, from the names of theirs by ours."""
  return {f"{path}/{ours}": Origin(theirs, minus=bias if ours == "moving_mean" else "")
          for ours, theirs in names.items()}
