"""Fair comparisons of initialisations: every start with its best rate, paired over seeds.

What the miniatures of the paper's tables share. A start is a row of a configuration, trained with
each of some rates of which a validation split chooses; runs are programs of their own, and one
that has its numbers is not made again.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures

from absl import flags

from jft_reps.errors import ConfigError, DataError, StorageError

Row = dict
# The four starts of a miniature whose frozen start is trained too, and what is claimed of them.
ARMS = ("scratch_3x", "fine-tuned", "scratch")
PAIRS = (("fine-tuned", "scratch"), ("fine-tuned", "scratch_3x"), ("frozen", "scratch"),
         ("frozen", "scratch_3x"))


def define_flags(values: flags.FlagValues, steps: int) -> None:
  """The flags of every comparison."""
  flags.DEFINE_string("workdir", None, "Where the runs go.", flag_values=values)
  flags.DEFINE_string("pretrained", None, "Run directories of the pre-training; {seed} is "
                      "replaced.", flag_values=values)
  flags.DEFINE_string("output", None, "CSV of all runs (default: in the workdir).",
                      flag_values=values)
  flags.DEFINE_integer("seeds", 5, "Seeds, from 0 on.", lower_bound=2, flag_values=values)
  flags.DEFINE_integer("steps", steps, "Of every run; three times as many of the long one.",
                       lower_bound=10, flag_values=values)
  flags.DEFINE_integer("processes", 2, "Runs at once, one thread each.", lower_bound=1,
                       flag_values=values)


def program(name: str, *arguments: str) -> str:
  """Runs one of the programs on one thread; its standard output."""
  environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
  done = subprocess.run([sys.executable, "-m", f"jft_reps.apps.{name}", *arguments],
                        capture_output=True, text=True, env=environment)
  if done.returncode:
    raise DataError("run-failed", " ".join([name, *arguments]), done.stderr.strip()[-1000:],
                    "exit code 0")
  return done.stdout


def _numbers(overrides: Sequence[str]) -> str:
  """JSON of the numbers of a run that is trained now; of none if its loss or weights diverge."""
  try:
    program("train", *overrides)
    return program("evaluate", *overrides)
  except DataError as error:
    if "not-finite]" in error.found:
      return "{}"
    raise


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Runs of one configuration from several starts.

  Attributes:
    config: file of the configuration; its option `laptop` is taken.
    numbers: column of the results by number of `evaluate`; the first column's chooses the rate.
    rates: learning rates to choose from.
    workdir: where the runs go.
    pretrained: run directories of the pre-training, with {seed}.
    columns: of the results.
  """

  config: str
  numbers: Mapping[str, str]
  rates: Sequence[float]
  workdir: str
  pretrained: str

  def __post_init__(self):
    if "{seed}" not in self.pretrained:
      raise ConfigError("flags", "--pretrained", self.pretrained, "a path with {seed}")

  @property
  def columns(self) -> tuple[str, ...]:
    return ("seed", "arm", "rate", "steps", "chosen", *self.numbers.values())

  def folder(self, seed: int, name: str) -> pathlib.Path:
    """Of one run."""
    return pathlib.Path(self.workdir) / f"seed{seed}" / name

  def overrides(self, seed: int, from_pretrained: bool) -> list[str]:
    """Of every run of a seed: its pictures, its random numbers and its start."""
    start = self.pretrained.format(seed=seed) if from_pretrained else ""
    return [f"--config.task.records={self.folder(seed, 'records')}",
            f"--config.toy_world.seed={seed}", f"--config.train.seed={seed}",
            f"--config.init.checkpoint={start}"]

  def trained(self, seed: int, arm: str, row: str, steps: int, from_pretrained: bool) -> list[Row]:
    """One run for each rate; `chosen` is the one that is best on the validation split.

    A run that diverges has no numbers and cannot be chosen.

    Raises:
      DataError: all of them diverge.
    """
    rows = [self._trained(seed, arm, row, rate, steps, from_pretrained) for rate in self.rates]
    first = next(iter(self.numbers.values()))
    finite = [r for r in rows if r[first] is not None]
    if not finite:
      raise DataError("run-failed", self.folder(seed, arm), f"diverged at rates {self.rates}",
                      "one that trains", "Lower the rates.")
    max(finite, key=lambda r: r[first])["chosen"] = 1
    return rows

  def _trained(self, seed, arm, row, rate, steps, from_pretrained) -> Row:
    workdir = self.folder(seed, f"{arm}_{rate:g}")
    overrides = [
        f"--config={self.config}:{row},laptop", f"--workdir={workdir}",
        *self.overrides(seed, from_pretrained),
        f"--config.schedule.initial={rate}", f"--config.schedule.steps={steps}",
        f"--config.schedule.start={steps // 2}", f"--config.train.steps={steps}",
        f"--config.train.checkpoint_every={steps}"]
    numbers = workdir / "numbers.json"
    if not is_done(numbers, overrides):
      numbers.write_text(_numbers(overrides))
    return self.row(seed, arm, rate, steps, json.loads(numbers.read_text()))

  def row(self, seed: int, arm: str, rate: float, steps: int, values: Mapping) -> Row:
    """A row of the results from the numbers of a run."""
    return {"seed": seed, "arm": arm, "rate": rate, "steps": steps, "chosen": 0,
            **{column: values.get(name) for name, column in self.numbers.items()}}

  def write(self, rows: Iterable[Row], path: str | None, name: str) -> pathlib.Path:
    """Writes all runs as CSV, to `path` or into the workdir under `name`."""
    output = pathlib.Path(path or pathlib.Path(self.workdir) / name)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "w", newline="") as file:
      writer = csv.DictWriter(file, self.columns, lineterminator="\n")
      writer.writeheader()
      writer.writerows(sorted(rows, key=lambda r: (r["seed"], r["arm"], r["steps"], r["rate"])))
    return output

  def report(self, rows: Iterable[Row], shown: Mapping[str, str],
             pairs: Iterable[tuple[str, str]]) -> str:
    """Means of the chosen runs, and paired differences in the first shown column.

    Args:
      rows: all runs.
      shown: heading by column.
      pairs: arms to compare.
    """
    from jft_reps.studies import paired

    arms: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda r: r["seed"]):
      if row["chosen"]:
        arms.setdefault(row["arm"], []).append(row)
    lines = [f"{'arm':16}" + "".join(f" {heading:>8}" for heading in shown.values())]
    for arm, found in arms.items():
      means = [sum(r[column] for r in found) / len(found) for column in shown]
      lines.append(f"{arm:16}" + "".join(f" {mean:8.4f}" for mean in means))
    of = lambda arm: [r[next(iter(shown))] for r in arms[arm]]
    for first, second in pairs:
      lines.append(f"{first} − {second}: {paired.difference(of(first), of(second))}")
    return "\n".join(lines)


def runs(steps: int, comparison: Comparison, seed: int, arm: str) -> list[Row]:
  """All runs of one arm, of rows `300M`, `300M,frozen` and `random`; the long one three times."""
  row = {"fine-tuned": "300M", "frozen": "300M,frozen"}.get(arm, "random")
  steps *= 3 if arm == "scratch_3x" else 1
  return comparison.trained(seed, arm, row, steps, row != "random")


def is_done(numbers: pathlib.Path, overrides: Sequence[str]) -> bool:
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


def compare(comparison: Comparison, runs: Callable[..., list[Row]], arms: Sequence[str],
            shown: Mapping[str, str], pairs: Iterable[tuple[str, str]], name: str,
            values: flags.FlagValues) -> None:
  """Makes every run of a comparison, writes them as CSV and prints the report.

  Args:
    comparison: of the flags.
    runs: called with (comparison, seed, arm), gives the rows of that arm; the arm `frozen` comes
      first and alone, because the first run of a seed writes its pictures.
    arms: the other arms.
    shown: heading by column, and
    pairs: arms to compare, as those of `Comparison.report`.
    name: of the CSV in the workdir.
    values: with the flags of `define_flags`.
  """
  work, rows = functools.partial(runs, comparison), []
  for seed in range(values.seeds):
    rows += work(seed, "frozen")
  rows += side_by_side(list(itertools.product(range(values.seeds), arms)), work, values.processes)
  output = comparison.write(rows, values.output, name)
  print(comparison.report(rows, shown, pairs))
  print(f"\nall runs: {output}")


def trained(argv: Sequence[str], values: flags.FlagValues, doc: str, config: str,
            numbers: Mapping[str, str], rates: Sequence[float], shown: Mapping[str, str]) -> int:
  """A whole program that compares the four starts of `runs`.

  Args:
    argv: its arguments, its own name first.
    values: with the flags of `define_flags`.
    doc: its docstring.
    config, numbers, rates: of the `Comparison`.
    shown: heading by column.
  """
  from jft_reps.apps import command_line

  command_line.parse(values, argv, doc, required=("workdir", "pretrained"))
  comparison = Comparison(config, numbers, rates, values.workdir, values.pretrained)
  compare(comparison, functools.partial(runs, values.steps), ARMS, shown, PAIRS,
          "numbers.csv", values)
  return 0


def side_by_side(jobs: Sequence, work: Callable[..., list[Row]], processes: int) -> list[Row]:
  """All rows of `work(*job)` over some jobs, several at once; says which are done."""
  rows: list[Row] = []
  with futures.ThreadPoolExecutor(processes) as pool:
    running = {pool.submit(work, *job): job for job in jobs}
    for i, done in enumerate(futures.as_completed(running), 1):
      rows += done.result()
      seed, arm = running[done]
      print(f"{i}/{len(running)} arms: seed {seed}, {arm}", file=sys.stderr, flush=True)
  return rows
