"""What a study trains on: generated pictures where there are none, and subsets.

Settings of the run that are not its configuration's:

  study.subset      name of a subset to make of the training split
  study.pictures    how many it has
  study.classes     whether they carry one of some classes, which the run leaves as `classes.txt`,
                    and with those above them in the hierarchy as `classes_above.txt`
  study.class_list  file with these, one a line; without it every third class that has none below
                    it: the stand-in for the 941 labels of table 5

Several runs may make subsets in one folder at once: each writes only files of its subset's name.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import DataError
from jft_reps.workflows import generating

_NOTE = "classes_sha256"  # in the note of a subset: which classes, not only how many


def make(config, settings: Mapping[str, Any], directory: pathlib.Path) -> dict[str, float]:
  """Generates pictures where there are none, and makes a subset; returns pictures by split."""
  from jft_reps import progress

  generating.generate(config, progress.counter("generated pictures"))
  counts = {name: count for name, (count, _) in config.toy_world.get("splits", {}).items()}
  if settings.get("subset"):
    _subset(config, settings, directory)
    counts[settings["subset"]] = settings["pictures"]
  return {name: float(count) for name, count in counts.items()}


def _subset(config, settings: Mapping[str, Any], directory: pathlib.Path) -> None:
  """Makes a subset that is not there, or is of other pictures or classes by now."""
  from jft_reps.collection.subsets import choice as picture_choice
  from jft_reps.collection.subsets import subsets
  from jft_reps.data.hierarchy import readers
  from jft_reps.data.records import manifest

  folder, split = pathlib.Path(config.task.records), config.task.train_split
  name, size, tree = settings["subset"], settings["pictures"], None
  if config.task.get("hierarchy"):
    tree = readers.read(config.task.hierarchy, config.task.hierarchy_format)
  labels = picture_choice.vocabulary(manifest.read(folder, split), tree)
  some = _classes(settings, tree, labels)
  if some is not None:
    above = {over for label in some for over in tree.ancestors(label)} if tree else set()
    for file, listed in (("classes.txt", some), ("classes_above.txt", [
        *sorted(above - set(some)), *some])):
      whole_files.write(directory / file, "".join(f"{label}\n" for label in listed))
  choice = picture_choice.Choice(labels, tree, some)
  found = manifest.read(folder, name) if os.path.exists(manifest.path_of(folder, name)) else None
  if found is not None and _fits(found, split, size, some):
    return
  (made,) = subsets.make(folder, split, {name: size}, choice, found is not None and _ours(found))
  if some is not None:
    made.metadata["subset"][_NOTE] = _digest(some)
    manifest.write(made)


def _classes(settings: Mapping[str, Any], tree, labels: Sequence[str]) -> Sequence[str] | None:
  """The classes of which a subset's pictures carry one; None: no matter which."""
  from jft_reps.data.records import label_map

  if not settings.get("classes"):
    return None
  if settings.get("class_list"):
    return label_map.read(settings["class_list"])
  return [label for label in labels if tree is None or not tree.children(label)][::3]


def _fits(found, split: str, size: int, some: Sequence[str] | None) -> bool:
  """Whether a set is the subset that is asked for, of the pictures that are there now."""
  from jft_reps.data.records import manifest

  note = found.metadata.get("subset", {})
  try:
    manifest.check_subset(found)
  except DataError:  # of shards that were built again
    return False
  return (_ours(found) and found.records == size and note.get("of") == split
          and manifest.outdated(found) is None
          and note.get(_NOTE) == (None if some is None else _digest(some))
          and (some is not None or "classes" not in note))


def _ours(found) -> bool:
  """Whether a study may have made this set: it takes no list of pictures."""
  note = found.metadata.get("subset", {})
  return bool(note) and "listed" not in note and "listed_out" not in note


def _digest(classes: Sequence[str]) -> str:
  return hashlib.sha256("\n".join(classes).encode()).hexdigest()
