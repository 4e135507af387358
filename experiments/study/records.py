"""The records that runs of `paper.py` read: generated ones, own ones, and subsets of both."""

from __future__ import annotations

import hashlib
import os

import ml_collections

from experiments.study.tasks import TASKS
from jft_reps.data.records import manifest
from jft_reps.studies.plan import Output, Plan, Run

_PRETRAINING = TASKS["pretrain"].config


class Records:
  """Records of one seed: asking for some adds the run that makes them.

  Args:
    config: of `paper.py`.
    grown: the plan that takes the runs.
    seed: of generated pictures; own ones are the same for all.
  """

  def __init__(self, config: ml_collections.ConfigDict, grown: Plan, seed: int):
    self._c, self._plan, self._seed = config, grown, seed
    self._largest = max(config.pictures)

  def noisy(self) -> Output | str:
    """Folder of the pictures with noisy labels."""
    return self._c.data or Output(self._generated(), "records")

  def hierarchy(self) -> dict:
    """Settings of the hierarchy of their labels."""
    c = self._c
    generated = "" if c.data else Output(self._generated(), "records/hierarchy.csv")
    return {"task.hierarchy": c.hierarchy or generated,
            "task.hierarchy_format": c.hierarchy_format,
            **_content("study.hierarchy", c.hierarchy)}

  def split(self, pictures: int, fewer: bool) -> str:
    """Name of the split with some of them, and fewer labels where that is asked for."""
    c, train = self._c, self._c.train_split
    if fewer:  # of which classes: other studies may share the folder
      own = [_sha256(path)[:8] for path in (c.fewer_labels, c.hierarchy)]
      return "_".join([train, "fewer", *filter(None, own), str(pictures)])
    return train if self._whole(pictures) else f"{train}_{pictures}"

  def subset(self, pictures: int, fewer: bool) -> tuple[str, ...]:
    """The run that makes this split, if it is none that is there with all pictures."""
    c = self._c
    if self._whole(pictures) and not fewer:
      return ()
    overrides = {
        "task.records": self.noisy(), "task.train_split": c.train_split, "toy_world": {},
        "study.subset": self.split(pictures, fewer), "study.pictures": pictures,
        **self.hierarchy(), **contents(c.data, c.train_split)}
    if fewer:
      overrides |= {"study.classes": True, **_content("study.class_list", c.fewer_labels)}
      if c.fewer_labels:
        overrides["study.class_list"] = c.fewer_labels
    parts = ("subset", str(pictures), *["fewer"] * fewer, *([] if c.data else [f"s{self._seed}"]))
    return (self._add("_".join(parts), _PRETRAINING, overrides, 10, 0.0),)

  def of_task(self, name: str, config: str, splits: dict | None = None) -> Output:
    """Folder of a task's generated pictures."""
    overrides = {"toy_world.seed": self._seed} | ({"toy_world.splits": splits} if splits else {})
    return Output(self._add(f"records_{name}_s{self._seed}", config, overrides, 8, 0.02), "records")

  def _generated(self) -> str:
    c = self._c
    return self._add(f"records_s{self._seed}", _PRETRAINING, {
        "task.train_split": c.train_split, "toy_world.seed": self._seed, "toy_world.wrong": 0.0,
        "toy_world.splits": {c.train_split: (self._largest, 8), c.evaluation: (1000, 1)}},
        8 + self._largest / 1200, 1e-5 * self._largest)

  def _whole(self, pictures: int) -> bool:
    """Whether these are all pictures; only their manifest knows how many own ones are."""
    return pictures == self._largest and not (self._c.laptop and self._c.data)

  def _add(self, name: str, config: str, overrides: dict, cost: float, gigabytes: float) -> str:
    laptop = self._c.laptop
    return self._plan.add(Run(
        name, f"{config}:random{',laptop' * laptop}", overrides, kind="records",
        tags={"seed": 0 if self._c.data and name.startswith("subset") else self._seed},
        cost=cost if laptop else None, gigabytes=gigabytes)).name


def contents(folder: Output | str, *splits: str) -> dict:
  """Settings by which a run is another one once own records, if here, are built again."""
  if not isinstance(folder, str) or not folder:
    return {}
  found = {split: manifest.fingerprint(manifest.read(folder, split)) for split in splits
           if os.path.exists(manifest.path_of(folder, split))}
  return {"study.contents": found} if found else {}


def _content(key: str, path: str) -> dict:
  """The setting by which a run is another one once an own file, if here, holds something else."""
  found = _sha256(path)
  return {f"{key}_sha256": found} if found else {}


def _sha256(path: str) -> str:
  """Of a file, if it is here."""
  if not path or not os.path.isfile(path):
    return ""
  with open(path, "rb") as file:
    return hashlib.sha256(file.read()).hexdigest()
