"""What a study trains on: generated pictures where there are none, and subsets.

Settings of the run that are not its configuration's:

  study.subsets     pictures by name of the subsets to make of the training split
  study.classes     likewise of pictures that carry one of a list of classes
  study.class_list  file with that list, one a line; without it every third class that has none
                    below it: the stand-in for the 941 labels of table 5, left as `classes.txt`
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jft_reps import whole_files
from jft_reps.apps import compose


def make(config, settings: Mapping[str, Any], directory: pathlib.Path) -> dict[str, float]:
  """Generates pictures where there are none, and makes subsets; returns pictures by split."""
  from jft_reps.data import hierarchy_readers, label_map, manifest, picture_choice
  from jft_reps.training import progress

  compose.generate(config, progress.counter("generated pictures"))
  folder, split = pathlib.Path(config.task.records), config.task.train_split
  counts = {name: count for name, (count, _) in config.toy_world.get("splits", {}).items()}
  tree = None
  if config.task.get("hierarchy"):
    tree = hierarchy_readers.read(config.task.hierarchy, config.task.hierarchy_format)
  for key in ("subsets", "classes"):
    if settings.get(key):
      labels = picture_choice.vocabulary(manifest.read(folder, split), tree)
      listed = settings.get("class_list") if key == "classes" else None
      some = label_map.read(listed) if listed else (
          _every_third(tree, labels) if key == "classes" else None)
      if some and not listed:
        whole_files.write(directory / "classes.txt", "".join(f"{label}\n" for label in some))
      _subsets(folder, split, settings[key], picture_choice.Choice(labels, tree, some))
      counts |= settings[key]
  return {name: float(count) for name, count in counts.items()}


def _subsets(folder: pathlib.Path, split: str, sizes: Mapping[str, int], choice) -> None:
  """Makes those subsets that are not there."""
  from jft_reps.data import manifest, subsets

  def there(name: str, size: int) -> bool:
    if not os.path.exists(manifest.path_of(folder, name)):
      return False
    found = manifest.read(folder, name)
    note = found.metadata.get("subset", {})
    return found.records == size and note.get("of") == split and (
        note.get("classes") == choice.classes)

  missing = {name: size for name, size in sizes.items() if not there(name, size)}
  if missing:
    subsets.make(folder, split, missing, choice)


def _every_third(tree, labels: Sequence[str]) -> list[str]:
  """Every third class that has none below it."""
  return [label for label in labels if tree is None or not tree.children(label)][::3]
