"""From two sides of pictures to lists, clean splits and a sheet of near-duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jft_reps import progress
from jft_reps.collection.dedup import embedding, find, index, report
from jft_reps.collection.dedup import sources as duplicate_sources
from jft_reps.errors import ConfigError, JftError, StorageError

Embed = tuple[Callable[[np.ndarray], np.ndarray], int]


def dedup(
    evaluation: Sequence[str], training: Sequence[str], output: str,
    options: find.Options | None = None, open_embed: Callable[[], Embed] | None = None,
    neighbours: str = "auto", sheet: int = 200, processes: int = 1, overwrite: bool = False,
) -> dict[str, Any]:
  """Finds and lists near-duplicates; the summary.

  Args:
    evaluation: sets as the program takes them.
    training: likewise.
    output: folder to write.
    options: of the search.
    open_embed: gives `embed_fn`, uint8 `[n, side, side, 3]` to `[n, d]`, and that side; called
      once the output is known to be free. None: hashes and thumbnails alone.
    neighbours: `auto`, `exact` or `usearch`.
    sheet: pairs on the sheet.
    processes: that decode.
    overwrite: replace results.

  Raises:
    ConfigError: a set cannot be one.
    DataError: a set is damaged, or two pictures of a side have one id.
    StorageError: the output has results already or cannot be written, or no such checkpoint.
  """
  if os.path.exists(os.path.join(output, "summary.json")) and not overwrite:
    raise StorageError("results-exist", output, "results of an earlier run", "a new folder",
                       "--overwrite replaces them.")
  embed = open_embed() if open_embed else None
  options = options or find.Options()
  mine = _hashed(evaluation, _places(output, "eval", evaluation), processes)
  theirs = _hashed(training, _places(output, "train", training), processes)
  index.check_ids(mine)
  index.check_ids(theirs)
  symmetries = 2 if options.policy in ("none", "mirror") else 8
  agree = _embedding(embed, mine, theirs, neighbours, processes, symmetries) if embed else None
  refused: list | None = [] if embed else None
  pairs = find.find(mine, theirs, options, agree,
                    progress.Progress(None, "compared pictures"), refused)
  report.remove(output, (*evaluation, *training, *_places(output, "eval", evaluation),
                         *_places(output, "train", training)))
  found = report.write(output, pairs, mine, theirs, options, refused)
  if sheet and pairs:
    report.write_sheet(output, pairs, _shown(mine), _shown(theirs), sheet)
  return found


def _places(output: str, side: str, sources: Sequence[str]) -> list[str]:
  """Folders for the indexes of a side's sources; those of sources that are indexes are empty."""
  names = [f"{side}-{i}" if i else side for i in range(len(sources))]
  return ["" if index.is_index(source) else os.path.join(output, "index", name)
          for source, name in zip(sources, names)]


def _hashed(sources: Sequence[str], places: Sequence[str], processes: int) -> list[index.Part]:
  """Parts of the indexes among the sources, and of new indexes, in `places`, of the others."""
  parts = []
  for source, folder in zip(sources, places):
    if not folder:
      parts += index.read(source)
      continue
    place = source if source.startswith(duplicate_sources.RECORDS) else os.path.abspath(source)
    new = index.collect(duplicate_sources.open_pictures(place), processes,
                        progress.Progress(None, f"hashed pictures of {source}"), place)
    parts += index.write(folder, new)
  if not any(part.ids or part.unreadable for part in parts):
    raise ConfigError("no-pictures", ",".join(sources), "no picture", "a set of pictures")
  return parts


def _shown(parts: Sequence[index.Part]) -> Callable[[Sequence[str]], dict[str, np.ndarray]]:
  """Gives pictures by id; thumbnails of those whose source is gone."""
  def read(ids: Sequence[str]) -> dict[str, np.ndarray]:
    wanted = set(ids)
    found: dict[str, np.ndarray] = {}
    for part in parts:
      found |= {i: part.thumbs[n] for n, i in enumerate(part.ids) if i in wanted}
    for source in dict.fromkeys(part.source for part in parts):
      try:
        found |= report.pixels_of(duplicate_sources.open_pictures(source), ids)
      except JftError:
        pass
    return found

  return read


def _embedding(
    embed: Embed, mine: Sequence[index.Part], theirs: Sequence[index.Part], neighbours: str,
    processes: int, symmetries: int,
) -> embedding.Embedding:
  embed_fn, size = embed
  many = sum(len(part.ids) for part in theirs) > embedding.APPROXIMATE_ABOVE
  approximate = neighbours == "usearch" or (
      neighbours == "auto" and many and embedding.installed())
  return embedding.Embedding(
      embed_fn, size, duplicate_sources.open_pictures, mine, processes, approximate, symmetries)
