"""The generated world's records, where a configuration asks for them."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from jft_reps.errors import ConfigError, StorageError
from jft_reps.workflows import compose

if TYPE_CHECKING:
  import ml_collections


def generate(config: ml_collections.ConfigDict,
             progress: Callable[[int, int], None] | None = None) -> None:
  """Writes the toy world's records and hierarchy where `config.toy_world` asks for them."""
  if not config.get("toy_world"):
    return
  from jft_reps.toy_world import records
  from jft_reps.toy_world.world import ToyWorld

  wanted = config.toy_world.to_dict()
  directory = pathlib.Path(config.task.records)
  splits, processes = wanted.pop("splits"), wanted.pop("processes", os.cpu_count() or 1)
  world = compose.call(ToyWorld, wanted, "config.toy_world")
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise StorageError("records", directory, e.strerror or str(e), "a folder to write to",
                       "Choose another --config.task.records.") from e
  for manifest in sorted(directory.glob("manifest-*.json")):
    if not json.loads(manifest.read_text())["metadata"].get("world"):
      raise ConfigError("toy-world", manifest, "records that are not the toy world's",
                        "a folder of the toy world's records, or an empty one",
                        "A row with `laptop` makes its own; for these, take the row without it.")
  if config.task.get("hierarchy"):
    world.write_hierarchy(directory / "hierarchy.csv")
  for split, (count, shards) in splits.items():
    manifest = directory / f"manifest-{split}.json"
    if manifest.exists():
      stored = json.loads(manifest.read_text())["metadata"].get("world")
      if stored != world.arguments:
        raise ConfigError("toy-world", manifest, f"pictures of {stored}", str(world.arguments),
                          "Choose another directory, or remove these records.")
    else:
      records.write_records(world, directory, split, 0, count, shards, processes=processes,
                                progress=progress)
