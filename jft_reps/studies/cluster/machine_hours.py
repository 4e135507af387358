"""Machine-hours of runs at full size, by one stated model of a training step.

Multiply-adds of the network's convolutions and dense layers at its input's size, three times where
a gradient passes (forward, to the inputs, to the kernels) and once where none does, over one rate
that a worker keeps up. The rate is that of the paper's own pre-training (section 4.1): 36M pushes
of 32 pictures in about two months of 50 workers, so 7.2 seconds a push of ResNet-101 at 299.

What a run trains is told by its arguments: `experiments/study/tasks.py` knows the paper's tasks.

Not counted: evaluation, building records, batch-norm and activations, what a machine waits for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jft_reps.errors import ConfigError, printable
from jft_reps.models.depths import STAGES, UNITS

_PAPER = {"steps": 36_000_000, "days": 60.0, "workers": 50, "batch": 32}
_CROP = 7  # side of what conv5 sees of a box
_RPN = 512  # channels
_BOARD = 8.74e12  # FLOP/s of a K80's two processors, float32 at their highest clock
_BENCHMARK = 49.5  # pictures a second: ResNet-50 at 224, batches of 32, one K80, TensorFlow's page


@dataclasses.dataclass(frozen=True)
class Work:
  """One picture in training.

  Attributes:
    forward: multiply-adds of the forward pass.
    trained: those of them through which a gradient passes.
    variables: numbers that a step reads.
    trained_variables: those that it sends a gradient of.
  """

  forward: float
  trained: float
  variables: int
  trained_variables: int

  @property
  def multiply_adds(self) -> float:
    """Of a step, forward and backward."""
    return self.forward + 2 * self.trained

  def __add__(self, other: Work) -> Work:
    return Work(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))


@dataclasses.dataclass(frozen=True)
class Hours:
  """What a run takes.

  Attributes:
    step: seconds of a worker for one push.
    days: on this cluster.
    gpu_hours: of all workers.
    server_hours: of all parameter servers.
    sent, read: bytes of gradients and of variables over the network.
  """

  step: float
  days: float
  gpu_hours: float
  server_hours: float
  sent: float
  read: float


def convolution(positions: float, kernel: int, channels: int, out: int, norm: bool = True) -> Work:
  """A convolution at some positions, with batch-norm's two variables a channel or a bias."""
  weights = kernel * kernel * channels * out
  count = weights + (2 if norm else 1) * out
  return Work(positions * weights, positions * weights, count, count)


def stages(depth: int, height: int, width: int, output_stride: int = 32) -> dict[str, Work]:
  """A residual network by stage: He et al. 2015, strides in the first 1x1 of a stage.

  Args:
    depth: 50, 101 or 152; 14 and 26 as in `models.resnet`.
    height, width: of the picture.
    output_stride: 8, 16 or 32: stages beyond it keep their input's size.
  """
  if depth not in UNITS:
    raise ConfigError("machine-hours", "depth", printable(depth), f"one of {list(UNITS)}")
  size, stride = (-(-height // 2), -(-width // 2)), 4
  found = {"conv1": convolution(size[0] * size[1], 7, 3, 64)}
  size, channels = (-(-size[0] // 2), -(-size[1] // 2)), 64
  for i, (stage, units) in enumerate(zip(STAGES[1:], UNITS[depth])):
    if i and stride < output_stride:
      size, stride = (-(-size[0] // 2), -(-size[1] // 2)), 2 * stride
    found[stage] = _stage(size[0] * size[1], units, channels, 64 * 2**i)
    channels = 256 * 2**i
  return found


def _stage(positions: float, units: int, channels: int, base: int) -> Work:
  """Bottleneck units, the first with a projection; all of them at the stage's positions."""
  total = convolution(positions, 1, channels, 4 * base)
  for _ in range(units):
    total += convolution(positions, 1, channels, base) + convolution(positions, 3, base, base)
    total += convolution(positions, 1, base, 4 * base)
    channels = 4 * base
  return total


def classification(depth: int, height: int, width: int, classes: int,
                   frozen_through: str | None = None) -> Work:
  """A network with one dense layer, as in pre-training and Table 1."""
  head = convolution(1, 1, 2048, classes, False)
  return _sum(stages(depth, height, width), frozen_through) + head


def detection(depth: int, height: int, width: int, classes: int, boxes: int = 256,
              anchors: int = 12, output_stride: int = 16,
              frozen_through: str | None = None) -> Work:
  """Faster R-CNN: conv1 to conv4 on the picture, conv5 at stride 1 on crops of the boxes."""
  parts = stages(depth, height, width, output_stride)
  positions = _positions(height, width, output_stride)
  crops = _stage(boxes * _CROP**2, UNITS[depth][3], 1024, 512)
  heads = (convolution(positions, 3, 1024, _RPN, False)
           + convolution(positions, 1, _RPN, 6 * anchors, False)
           + convolution(boxes, 1, 2048, 5 * classes + 1, False))
  return _sum({**parts, "conv5": crops}, frozen_through) + heads


def segmentation(depth: int, height: int, width: int, classes: int, rates: int = 4,
                 output_stride: int = 8, frozen_through: str | None = None) -> Work:
  """DeepLab-ASPP: one 3x3 convolution from conv5 to the classes for each atrous rate."""
  branch = convolution(_positions(height, width, output_stride), 3, 2048, classes, False)
  total = _sum(stages(depth, height, width, output_stride), frozen_through)
  for _ in range(rates):
    total += branch
  return total


def pose(depth: int, height: int, width: int, points: int, output_stride: int = 8,
         frozen_through: str | None = None) -> Work:
  """G-RMI: heatmap and offsets of each keypoint from conv5, a heatmap from conv4."""
  positions = _positions(height, width, output_stride)
  heads = convolution(positions, 1, 2048, 3 * points, False)
  heads += convolution(positions, 1, 1024, points, False)
  return _sum(stages(depth, height, width, output_stride), frozen_through) + heads


def paper_rate() -> float:
  """Multiply-adds a second of one of the paper's workers, waiting for servers included."""
  seconds = _PAPER["days"] * 86_400 * _PAPER["workers"] / _PAPER["steps"]
  return _PAPER["batch"] * classification(101, 299, 299, 18_291).multiply_adds / seconds


def model(work: Work, batch: int, steps: int, workers: int, servers: int,
          rate: float | None = None) -> Hours:
  """What a run takes by the model of this file.

  Args:
    work: of one picture.
    batch: pictures of a push.
    steps: pushes of all workers together.
    workers, servers: of the cluster.
    rate: multiply-adds a second of a worker; None: `paper_rate`.
  """
  step = batch * work.multiply_adds / (rate or paper_rate())
  hours = step * steps / 3600
  return Hours(step=step, days=hours / workers / 24, gpu_hours=hours,
               server_hours=hours / workers * servers, sent=4.0 * work.trained_variables * steps,
               read=4.0 * work.variables * steps)


def text(rate: float | None = None) -> str:
  """The model and how far to trust it, in a few lines."""
  used, bench = rate or paper_rate(), _BENCHMARK * classification(50, 224, 224, 1000).multiply_adds
  source = "as given" if rate else "the paper's 36M pushes of 32 in about 60 days of 50 K80"
  return "\n".join([
      "A step of a worker: pictures × (multiply-adds of the forward pass + 2 × those that are "
      "trained) ÷ rate.",
      f"Rate: {used / 1e12:.2f}T multiply-adds/s ({source}), which is "
      f"{2 * used / _BOARD:.0%} of a K80 board's {_BOARD / 1e12:.1f} TFLOP/s, "
      f"{4 * used / _BOARD:.0%} of one of its two processors.",
      f"TensorFlow's own benchmark of a K80 (ResNet-50, batches of 32: {_BENCHMARK} pictures/s) "
      f"comes to {bench / used:.1f} times this rate; the paper's includes waiting for servers.",
      "One throughput sets one number: other tasks, batches and machines may be off by a factor of "
      "three, mostly towards fewer hours.",
      "Detection is counted at its largest picture; evaluation and records are not counted."])


def _positions(height: int, width: int, stride: int) -> int:
  return -(-height // stride) * -(-width // stride)


def _sum(parts: Mapping[str, Work], frozen_through: str | None) -> Work:
  """All stages; those up to and with `frozen_through` have no gradient."""
  total, last = Work(0.0, 0.0, 0, 0), STAGES.index(frozen_through) if frozen_through else -1
  for stage in STAGES:
    part = parts[stage]
    if STAGES.index(stage) <= last:
      part = dataclasses.replace(part, trained=0.0, trained_variables=0)
    total += part
  return total
