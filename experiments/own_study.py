"""How much would more of your own pictures help? Nested subsets, three seeds, and the forecast.

  jft-reps study --plan=own:small --records=RECORDS --workdir=STUDY [--budget=2h]
  jft-reps report --study=STUDY

The rows are those of `own_rows.py`. Each of four sizes, the largest all pictures, is trained from
random weights (or from --config.init=WEIGHTS) with every seed, for the same number of steps: what
differs is the pictures and not the work. The report leads with what ten times more would bring.
--budget sets the steps, on the cores of this machine.
"""

from __future__ import annotations

import os
import re

import ml_collections

from experiments import own_rows, rows
from experiments.study import records as study_records
from experiments.study.tasks import TASKS
from jft_reps.data.records import contents
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.report.pages import Page
from jft_reps.workflows import configuration

SIZES, DECADES = 4, 1.5  # how many, and over how much; four is the least that has a back-test
FEWEST_PICTURES = 32
# Seconds of a core for one picture in training, measured with `small` on photographs of 80 to 256
# pixels; `tiny` takes a quarter. Of the larger rows nothing is known before the GPU is.
SECONDS = {"labels": 0.009, "boxes": 0.4, "masks": 0.08, "keypoints": 0.015}
AROUND = 40.0  # seconds of a run outside of its steps


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`size`, a row of `own.py`."""
  size = arg or "small"
  if size not in own_rows.SIZES:
    raise ValueError(f"{arg!r}: expected one of {', '.join(own_rows.SIZES)}")
  return ml_collections.ConfigDict({
      "size": size,
      "records": "",
      "init": "",  # weights to start from
      "seeds": 3,
      "pictures": (),  # sizes; (): four, the largest all
      "epochs": 0.0,  # of the largest size; 0: those of `own.py`
      "steps": 0,  # of each run; 0: those of `epochs`
      "budget": "",  # as 2h or 45m, in place of both
      "cores": 0,  # which the budget is for; 0: those of this machine
  })


def plan(config: ml_collections.ConfigDict) -> Plan:
  """The runs of a configuration: a subset for each size but the largest, and its trainings."""
  held, folder = contents.read(config.records), os.path.abspath(config.records)
  found, sizes = Plan(), _sizes(config, held)
  overrides = _resolved(config, held, sizes)
  cost = _seconds(config, held, overrides["train.steps"])
  for size in sizes:
    whole = size == held.pictures
    split = held.train if whole else f"{held.train}_{size}"
    needs = () if whole else (f"subset_{size}",)
    if not whole:
      found.add(Run(needs[0], _reference(config, held), {
          "task.records": folder, "task.train_split": held.train, "study.subset": split,
          "study.pictures": size, **study_records.contents(folder, held.train)},
          kind="records", tags={"seed": 0}, cost=5))
    for seed in range(config.seeds):
      found.add(Run(
          f"own_{size}_s{seed}", _reference(config, held),
          {**overrides, "task.train_split": split, "train.seed": seed,
           "study.test": held.evaluation[0],
           **study_records.contents(folder, held.train, held.evaluation[0])},
          needs, "transfer", {"task": "own", "pictures": size, "seed": seed}, cost, 0.02))
  return found


def pages(config: ml_collections.ConfigDict) -> list[Page]:
  """The one page: values against pictures."""
  held = contents.read(config.records)
  headings = _headings(held)
  return [Page(
      "own", f"How much more data would help: {next(iter(headings.values()))} on "
      f"{held.evaluation[0]}", headings, {f"own:{config.size}": {"task": "own"}}, x="pictures",
      protocol="steps")]


def _headings(held: contents.Contents) -> dict[str, str]:
  if held.kind == "labels" and held.several:
    return {"classification/mAP": "mAP"}
  task = {"labels": "classify", "boxes": "detect", "masks": "segment", "keypoints": "pose"}
  headings = dict(TASKS[task[held.kind]].headings)
  if held.kind == "labels":
    headings["classification/class_mean_top1"] = "class-mean top-1"
  return headings


def _reference(config: ml_collections.ConfigDict, held: contents.Contents) -> str:
  return f"own:{config.size},{held.kind}"


def _sizes(config: ml_collections.ConfigDict, held: contents.Contents) -> list[int]:
  """Sizes evenly in the logarithm, the smallest with a picture for each class or more."""
  if config.pictures:
    sizes = sorted({int(size) for size in config.pictures})
    if sizes[0] < 1 or sizes[-1] > held.pictures:
      raise ValueError(f"pictures {sizes}: expected 1 to {held.pictures:,}, those of the records")
    return sizes
  least = max(FEWEST_PICTURES, len(held.classes), held.pictures / 10**DECADES)
  if least * 4 > held.pictures:
    raise ValueError(f"{held.pictures:,} pictures of {len(held.classes)} classes: expected four "
                     "times as many as classes, and 128; or give --config.pictures=SIZE,SIZE,SIZE")
  ratio = (held.pictures / least) ** (1 / (SIZES - 1))
  return [round(held.pictures / ratio**i) for i in reversed(range(SIZES))]


def _resolved(config: ml_collections.ConfigDict, held: contents.Contents,
              sizes: list[int]) -> dict[str, object]:
  """What `own.py` derives for the largest size, as overrides of a run."""
  def complete(steps: int) -> ml_collections.ConfigDict:
    trained = own_rows.get_config(f"{config.size},{held.kind}", config.records)
    trained.init.checkpoint = config.init
    for key, value in (("epochs", config.epochs), ("train.steps", steps)):
      if value:
        rows.put(trained, key, value)
    own_rows.complete(trained)
    return trained

  trained = complete(config.steps)
  if config.budget:
    trained = complete(_within(config, held, trained, len(sizes) * config.seeds))
  bare = configuration.flat(own_rows.get_config(f"{config.size},{held.kind}"))
  changed = {key: value for key, value in configuration.flat(trained).items()
             if value is not None and bare.get(key) != value}
  return {**changed, "train.checkpoint_every": trained.train.steps}


def _within(config: ml_collections.ConfigDict, held: contents.Contents,
            trained: ml_collections.ConfigDict, runs: int) -> int:
  """Steps of each run by which all of them fit the budget."""
  match = re.fullmatch(r"(\d+(?:\.\d+)?)([hm])", config.budget)
  if not match:
    raise ValueError(f"budget {config.budget!r}: expected hours or minutes, as 2h or 45m")
  cores = config.cores or len(os.sched_getaffinity(0))
  seconds = float(match[1]) * (3600 if match[2] == "h" else 60) * cores / runs
  if _step(config, held) is None:
    raise ValueError(f"budget for {config.size}: expected tiny or small, whose steps were timed; "
                     "give --config.steps")
  steps = int((seconds - AROUND) / (_step(config, held) or 1.0))
  if steps < own_rows.FEWEST_STEPS:
    least = runs * (AROUND + own_rows.FEWEST_STEPS * (_step(config, held) or 1.0)) / cores / 60
    raise ValueError(f"budget {config.budget}: expected at least {least:.0f}m for {runs} runs, or "
                     "fewer by --config.seeds and --config.pictures")
  return min(steps, trained.train.steps)


def _step(config: ml_collections.ConfigDict, held: contents.Contents) -> float | None:
  """Seconds of a core for one step; None: not known."""
  if config.size not in ("tiny", "small"):
    return None
  batch = own_rows.BATCH[held.kind]
  return SECONDS[held.kind] * batch * (0.25 if config.size == "tiny" else 1.0)


def _seconds(config: ml_collections.ConfigDict, held: contents.Contents,
             steps: object) -> float | None:
  step = _step(config, held)
  return None if step is None else AROUND + step * float(str(steps))
