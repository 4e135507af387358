"""Table 1 in miniature: does pre-training help a new classification task?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.table1_laptop --workdir=/tmp/table1 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/table1_laptop.csv

Every start gets pictures of classes it never saw (2,000 to train on, 124 classes), three learning
rates of which a validation split chooses, trained batch-norm, and as many steps; the random start
is also run three times longer, with three rates too. A frozen start is a linear probe on features
whose batch-norm statistics were taken from the new pictures. Seeds cover pre-training, pictures and
weights; claims are paired differences over seeds. Goes on where it was; about three quarters of an
hour on two cores.
"""

from __future__ import annotations

import csv
import functools
import itertools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, DataError, StorageError

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "Where the runs go.", flag_values=FLAGS)
flags.DEFINE_string("pretrained", None, "Run directories of the pre-training; {seed} is replaced.",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "CSV of all runs (default: in the workdir).",
                    flag_values=FLAGS)
flags.DEFINE_integer("seeds", 5, "Seeds, from 0 on.", lower_bound=2, flag_values=FLAGS)
flags.DEFINE_integer("steps", 600, "Of every run; three times as many of the long one.",
                     lower_bound=10, flag_values=FLAGS)
flags.DEFINE_integer("processes", 2, "Runs at once, one thread each.", lower_bound=1,
                     flag_values=FLAGS)

TRAINED_ARMS = ("scratch_3x", "fine-tuned", "scratch", "frozen_random")
RATES = (0.06, 0.2, 0.6)
CONFIG = "experiments/table1_imagenet.py"
DEV, TEST = "classification/top1", "single_test: classification/top1"
TOP5 = "single_test: classification/top5"
COLUMNS = ("seed", "arm", "rate", "steps", "chosen", "dev_top1", "test_top1", "test_top5")


def program(name: str, *arguments: str) -> str:
  """Runs one of the programs on one thread; its standard output."""
  environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
  done = subprocess.run([sys.executable, "-m", f"jft_reps.apps.{name}", *arguments],
                        capture_output=True, text=True, env=environment)
  if done.returncode:
    raise DataError("run-failed", " ".join([name, *arguments]), done.stderr.strip()[-500:],
                    "exit code 0")
  return done.stdout


def common(seed: int) -> list[str]:
  """Overrides of every run of a seed: its pictures and its random numbers."""
  records = pathlib.Path(FLAGS.workdir) / f"seed{seed}" / "records"
  return [f"--config.task.records={records}", f"--config.toy_world.seed={seed}",
          f"--config.train.seed={seed}"]


def done(numbers: pathlib.Path, overrides: Sequence[str]) -> bool:
  """Whether a run has its numbers.

  Raises:
    StorageError: they are of other settings.
  """
  if not numbers.exists():
    return False
  ran = json.loads((numbers.parent / "config.json").read_text())
  for key, value in (o.removeprefix("--config.").split("=", 1) for o in overrides
                     if o.startswith("--config.")):
    found = functools.reduce(lambda node, part: node[part], key.split("."), ran)
    found = "" if found is None else found
    if str(found) != value and not (isinstance(found, float) and found == float(value)):
      raise StorageError("other-settings", numbers.parent, f"config.{key} {found}", value,
                         "Choose another --workdir.")
  return True


def trained(seed: int, arm: str, row: str, rate: float, steps: int) -> dict:
  """One training run and its evaluation."""
  workdir = pathlib.Path(FLAGS.workdir) / f"seed{seed}" / f"{arm}_{rate:g}"
  overrides = [
      f"--config={CONFIG}:{row},laptop", f"--workdir={workdir}", *common(seed),
      f"--config.schedule.initial={rate}", f"--config.schedule.steps={steps}",
      f"--config.schedule.start={steps // 2}", f"--config.train.steps={steps}",
      f"--config.train.checkpoint_every={steps}"]
  if row != "random":
    overrides.append(f"--config.init.checkpoint={FLAGS.pretrained.format(seed=seed)}")
  numbers = workdir / "numbers.json"
  if not done(numbers, overrides):
    program("train", *overrides)
    numbers.write_text(program("evaluate", *overrides))
  return row_of(seed, arm, rate, steps, json.loads(numbers.read_text()))


def probed(seed: int, arm: str) -> dict:
  """A linear probe on frozen features, of the pre-training or of random weights."""
  workdir = pathlib.Path(FLAGS.workdir) / f"seed{seed}" / arm
  start = FLAGS.pretrained.format(seed=seed) if arm == "frozen" else ""
  overrides = [*common(seed), f"--config.init.checkpoint={start}",
               "--config.task.batch_norm=recalibrate"]
  if not done(workdir / "probe.json", overrides):
    program("probe", f"--config={CONFIG}:frozen,laptop", f"--workdir={workdir}", *overrides)
  values = json.loads((workdir / "probe.json").read_text())["values"]
  return row_of(seed, arm, 0.0, 0, values) | {"chosen": 1}


def row_of(seed: int, arm: str, rate: float, steps: int, values: dict) -> dict:
  return {"seed": seed, "arm": arm, "rate": rate, "steps": steps, "chosen": 0,
          "dev_top1": values[DEV], "test_top1": values[TEST], "test_top5": values[TOP5]}


def arm_rows(seed: int, arm: str) -> Iterator[dict]:
  """All runs of one arm; `chosen` is the one whose rate is best on the validation split."""
  if arm.startswith("frozen"):
    yield probed(seed, arm)
    return
  row = "300M" if arm == "fine-tuned" else "random"
  steps = FLAGS.steps * (3 if arm == "scratch_3x" else 1)
  rows = [trained(seed, arm, row, rate, steps) for rate in RATES]
  max(rows, key=lambda r: r["dev_top1"])["chosen"] = 1
  yield from rows


def report(rows: Sequence[dict]) -> str:
  """Means of the chosen runs, and paired differences of what the table asks."""
  from jft_reps.studies import paired

  arms = {}
  for row in rows:
    if row["chosen"]:
      arms.setdefault(row["arm"], []).append((row["seed"], row["test_top1"], row["test_top5"]))
  lines = [f"{'arm':16} {'top-1':>8} {'top-5':>8}"]
  for arm, found in arms.items():
    top1, top5 = (sum(f[i] for f in found) / len(found) for i in (1, 2))
    lines.append(f"{arm:16} {top1:8.4f} {top5:8.4f}")
  of = lambda arm: [top1 for _, top1, _ in sorted(arms[arm])]
  for first, second in (("fine-tuned", "scratch"), ("fine-tuned", "scratch_3x"),
                        ("frozen", "scratch"), ("frozen", "scratch_3x"),
                        ("frozen", "frozen_random")):
    lines.append(f"{first} − {second}: {paired.difference(of(first), of(second))}")
  return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("workdir", "pretrained"))
  if "{seed}" not in FLAGS.pretrained:
    raise ConfigError("flags", "--pretrained", FLAGS.pretrained, "a path with {seed}")
  rows: list[dict] = []
  for seed in range(FLAGS.seeds):  # first and alone: it writes the pictures of its seed
    rows += arm_rows(seed, "frozen")
  with futures.ThreadPoolExecutor(FLAGS.processes) as pool:
    jobs = itertools.product(range(FLAGS.seeds), TRAINED_ARMS)
    running = {pool.submit(lambda job=job: list(arm_rows(*job))): job for job in jobs}
    for i, done in enumerate(futures.as_completed(running), 1):
      rows += done.result()
      seed, arm = running[done]
      print(f"{i}/{len(running)} arms: seed {seed}, {arm}", file=sys.stderr, flush=True)
  output = pathlib.Path(FLAGS.output or pathlib.Path(FLAGS.workdir) / "table1_laptop.csv")
  output.parent.mkdir(parents=True, exist_ok=True)
  with open(output, "w", newline="") as file:
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda r: (r["seed"], r["arm"], r["steps"], r["rate"])))
  print(report(rows))
  print(f"\nall runs: {output}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
