"""Step time of ResNet-101 with 18,291 classes, over the same network written in PyTorch.

  python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0
  python -m experiments.benchmarks.resnet_vs_pytorch --torch_python=/tmp/torch/bin/python

Prints one JSON line. A step is forward, backward and RMSProp's update on batch 8 at 299 pixels,
from uint8 pictures; `ratio` is our seconds per step over PyTorch's, from the fastest step of each
(other load on the machine only adds; the medians stand beside it).
PyTorch needs an environment of its own (it is no dependency); the two run in turn, each alone
in its process, as often as `--rounds` says. PyTorch keeps channels last, its faster layout on
CPUs (`--torch_layout=contiguous` for its default), and for `--dtype=bfloat16` uses autocast.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time

_OURS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def options() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--torch_python", default=sys.executable, help="Python that has torch.")
  parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
  parser.add_argument("--torch_layout", choices=("last", "contiguous"), default="last")
  parser.add_argument("--depth", type=int, choices=sorted(UNITS), default=101)
  parser.add_argument("--size", type=int, default=299, help="Side of the pictures.")
  parser.add_argument("--batch", type=int, default=8)
  parser.add_argument("--classes", type=int, default=18291)
  parser.add_argument("--steps", type=int, default=3, help="Measured steps per round.")
  parser.add_argument("--rounds", type=int, default=2)
  parser.add_argument("--part", choices=("both", "tensorflow", "torch"), default="both")
  return parser


def seconds(step, steps: int) -> list[float]:
  """Time of each step after two that are not counted."""
  for _ in range(2):
    step()
  times = []
  for _ in range(steps):
    start = time.perf_counter()
    step()
    times.append(time.perf_counter() - start)
  return times


def tensorflow_part(args) -> dict:
  import tensorflow as tf

  from jft_reps.models import batch_norm, classifier, resnet
  from jft_reps.ops import losses

  model = classifier.Classifier(
      resnet.ResNet(args.depth, compute_dtype=_OURS[args.dtype]), args.classes, shards=50,
      prior=1e-3)
  weights = model.trainable_variables
  squares = [tf.Variable(tf.ones_like(w)) for w in weights]
  momenta = [tf.Variable(tf.zeros_like(w)) for w in weights]
  shape = [args.batch, args.size, args.size, 3]
  images = tf.cast(tf.random.uniform(shape, 0, 256, tf.int32), tf.uint8)
  targets = tf.cast(tf.random.uniform([args.batch, args.classes]) < 1e-3, tf.uint8)

  @tf.function
  def step():
    with batch_norm.StatisticsTape() as moved, tf.GradientTape() as tape:
      loss = losses.sigmoid_cross_entropy(model(images), targets)
    for w, ms, mom, gradient in zip(weights, squares, momenta, tape.gradient(loss, weights)):
      tf.raw_ops.ResourceApplyRMSProp(
          var=w.handle, ms=ms.handle, mom=mom.handle, lr=1e-3, rho=0.9, momentum=0.9, epsilon=1.0,
          grad=gradient,
      )
    for variable, delta in moved.updates:
      variable.assign_add(delta)
    return loss

  times = seconds(lambda: float(step()), args.steps)
  count = sum(int(tf.size(w)) for w in weights)
  return {"seconds": times, "version": tf.__version__, "parameters": count}


def torch_resnet(nn, depth: int, classes: int):
  """He et al.'s network, the stride on the first 1x1, as `models.resnet` has it by default."""

  def conv(in_channels, out_channels, size, stride=1):
    return (
        nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.003),
    )

  class Unit(nn.Module):
    def __init__(self, in_channels, base, stride):
      super().__init__()
      self.branch = nn.Sequential(
          *conv(in_channels, base, 1, stride), nn.ReLU(inplace=True),
          *conv(base, base, 3), nn.ReLU(inplace=True), *conv(base, 4 * base, 1),
      )
      self.shortcut = nn.Identity()
      if in_channels != 4 * base:
        self.shortcut = nn.Sequential(*conv(in_channels, 4 * base, 1, stride))
      self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
      return self.relu(self.branch(x) + self.shortcut(x))

  stages = [*conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
  channels = 64
  for i, count in enumerate(UNITS[depth]):
    for unit in range(count):
      stages.append(Unit(channels, 64 * 2**i, 2 if unit == 0 and i > 0 else 1))
      channels = 256 * 2**i
  head = nn.Linear(channels, classes)
  return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def torch_part(args) -> dict:
  try:
    torch = importlib.import_module("torch")
  except ImportError:
    sys.exit(
        f"{sys.executable} has no torch: make an environment, `pip install torch==2.13.0` in it "
        "and name its interpreter by --torch_python"
    )
  layout = torch.channels_last if args.torch_layout == "last" else torch.contiguous_format
  model = torch_resnet(torch.nn, args.depth, args.classes).to(memory_format=layout).train()
  optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, momentum=0.9, eps=1.0)
  images = torch.randint(0, 256, [args.batch, 3, args.size, args.size], dtype=torch.uint8)
  images = images.contiguous(memory_format=layout)
  targets = (torch.rand(args.batch, args.classes) < 1e-3).to(torch.uint8)
  loss_of = torch.nn.functional.binary_cross_entropy_with_logits
  half = args.dtype == "bfloat16"

  def step():
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
      logits = model(images.float() / 127.5 - 1)
    loss = loss_of(logits.float(), targets.float(), reduction="sum") / args.batch
    loss.backward()
    optimizer.step()
    return loss.item()

  times = seconds(step, args.steps)
  count = sum(p.numel() for p in model.parameters())
  return {"seconds": times, "version": torch.__version__, "parameters": count}


def run(part: str, python: str, arguments: list[str]) -> dict:
  """One part alone in a process of its own."""
  command = [python, os.path.abspath(__file__), *arguments, f"--part={part}"]
  root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
  environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": root}
  try:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
  except OSError as e:
    sys.exit(f"{part}: cannot start {python}: {e.strerror}")
  if done.returncode:
    sys.exit(f"{part}: {python} ended with code {done.returncode}")
  return json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str]) -> None:
  args = options().parse_args(arguments)
  if args.part != "both":
    part = tensorflow_part if args.part == "tensorflow" else torch_part
    print(json.dumps(part(args)))
    return
  # PyTorch first, so that a missing one is told at once.
  pythons = {"torch": args.torch_python, "tensorflow": sys.executable}
  results = {part: [] for part in pythons}
  for _ in range(args.rounds):
    for part, python in pythons.items():
      results[part].append(run(part, python, arguments))
  times = {
      part: [[round(s, 3) for s in result["seconds"]] for result in of]
      for part, of in results.items()
  }
  ours, theirs = (min(map(min, times[part])) for part in ("tensorflow", "torch"))
  median = {part: statistics.median(sum(of, [])) for part, of in times.items()}
  counts = {result["parameters"] for part in results.values() for result in part}
  if len(counts) != 1:
    sys.exit(f"the networks differ: {sorted(counts)} parameters")
  print(json.dumps({
      "benchmark": "resnet_vs_pytorch",
      "ratio": round(ours / theirs, 3),
      "tensorflow_seconds_per_step": ours,
      "torch_seconds_per_step": theirs,
      "ratio_of_medians": round(median["tensorflow"] / median["torch"], 3),
      "all_seconds": times,
      "versions": {part: of[0]["version"] for part, of in results.items()},
      "parameters": counts.pop(),
      "cores": len(os.sched_getaffinity(0)),
      **{k: getattr(args, k) for k in ("dtype", "torch_layout", "depth")},
      **{k: getattr(args, k) for k in ("size", "batch", "classes")},
  }))


if __name__ == "__main__":
  main(sys.argv[1:])
