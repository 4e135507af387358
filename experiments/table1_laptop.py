"""Table 1 in miniature: does pre-training help a new classification task?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.table1_laptop --workdir=/tmp/table1 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/table1_laptop.csv

Every start gets pictures of classes it never saw (2,000 to train on, 124 classes), three learning
rates of which a validation split chooses, trained batch-norm, and as many steps; the random start
is also run three times longer. A frozen start is a linear probe on features whose batch-norm
statistics were taken from the new pictures. Seeds cover pre-training, pictures and weights; claims
are paired differences over seeds. Goes on where it was; about half an hour on two cores.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, DataError

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
  if not numbers.exists():
    program("train", *overrides)
    numbers.write_text(program("evaluate", *overrides))
  return row_of(seed, arm, rate, steps, json.loads(numbers.read_text()))


def probed(seed: int, arm: str) -> dict:
  """A linear probe on frozen features, of the pre-training or of random weights."""
  workdir = pathlib.Path(FLAGS.workdir) / f"seed{seed}" / arm
  start = FLAGS.pretrained.format(seed=seed) if arm == "frozen" else ""
  if not (workdir / "probe.json").exists():
    program("probe", f"--config={CONFIG}:frozen,laptop", f"--workdir={workdir}", *common(seed),
            f"--config.init.checkpoint={start}", "--config.task.batch_norm=recalibrate")
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
  row, steps = ("300M" if arm == "fine-tuned" else "random"), FLAGS.steps
  rows = [trained(seed, arm, row, rate, steps) for rate in RATES]
  best = max(rows, key=lambda r: r["dev_top1"])
  best["chosen"] = 1
  yield from rows
  if arm == "scratch":
    longer = trained(seed, "scratch_3x", row, best["rate"], 3 * steps)
    yield longer | {"chosen": 1}


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
    running = {pool.submit(lambda job=job: list(arm_rows(*job))): job  # noqa: B023
               for seed in range(FLAGS.seeds)
               for job in [(seed, arm) for arm in ("fine-tuned", "scratch", "frozen_random")]}
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
