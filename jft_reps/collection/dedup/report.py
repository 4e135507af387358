"""What `dedup` leaves behind: lists of ids, pairs, a summary and a sheet of pairs to look at."""

from __future__ import annotations

import collections
import dataclasses
import io
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jft_reps import whole_files
from jft_reps.collection import contact_sheet
from jft_reps.collection.dedup import find
from jft_reps.collection.dedup import pictures as duplicate_pictures
from jft_reps.collection.dedup.index import Part
from jft_reps.errors import StorageError, printable

_INDEX = re.compile(r"(eval|train)(-[0-9]+)?")
Thumbs = Callable[[Sequence[str]], dict[str, np.ndarray]]


def remove(output: str | os.PathLike, kept: Sequence[str]) -> None:
  """Removes what an earlier run left behind and a new one does not replace.

  Args:
    output: folder of both.
    kept: folders of the new run's sources and indexes.

  Raises:
    StorageError: a file cannot be removed.
  """
  kept_folders = {os.path.realpath(source) for source in kept}
  stale = [path for name in ("summary.json", "pairs.jpg", "refused.tsv")
           if (path := pathlib.Path(output, name)).is_file()]
  for folder in pathlib.Path(output, "index").glob("*"):
    if _INDEX.fullmatch(folder.name) and os.path.realpath(folder) not in kept_folders:
      stale += [folder / "index.json", *folder.glob("part-*")]
  try:
    for path in stale:
      path.unlink(missing_ok=True)
    for folder in {path.parent for path in stale} - {pathlib.Path(output)}:
      folder.rmdir()
  except OSError as e:
    raise StorageError("results-remove", printable(e.filename), e.strerror or printable(e),
                       "a folder to write to") from e


def summary(pairs: Sequence[find.Pair], evaluation: Sequence[Part],
            training: Sequence[Part], options: find.Options,
            refused: int = 0) -> dict[str, Any]:
  """Counts, as `summary.json` has them."""
  groups = find.groups(pairs)
  of = lambda parts: {
      "pictures": sum(len(p.ids) + len(p.unreadable) for p in parts),
      "degenerate": sum(len(p.degenerate) for p in parts),
      "unreadable": sum(len(p.unreadable) for p in parts),
      "reasons": dict(sorted(collections.Counter(
          reason for p in parts for _, reason in p.unreadable).items()))}
  return {
      "evaluation": of(evaluation), "training": of(training), "pairs": len(pairs),
      "eval_duplicates": len({p.eval_id for p in pairs}),
      "train_copies": len({p.train_id for p in pairs}), "groups": len(groups),
      "largest_group": max((len(e) + len(t) for e, t in groups), default=0),
      "how": dict(sorted(collections.Counter(p.how for p in pairs).items())),
      "refused": refused, "options": dataclasses.asdict(options)}


def write(output: str | os.PathLike, pairs: Sequence[find.Pair],
          evaluation: Sequence[Part], training: Sequence[Part],
          options: find.Options,
          refused: Sequence[find.Pair] | None = None) -> dict[str, Any]:
  """Writes the lists and `summary.json`, which comes last; gives the summary.

  `eval_duplicates.txt` is what `evaluate --exclude_ids` takes, `train_copies.txt` what is to leave
  the training set. Pictures that cannot be compared are in neither. `refused` are pairs that an
  embedding refused, where there is one.

  Raises:
    StorageError: the folder cannot be written.
  """
  group: dict[tuple[int, str], int] = {}
  for number, (mine, theirs) in enumerate(find.groups(pairs), 1):
    group |= {(0, i): number for i in mine} | {(1, i): number for i in theirs}
  rows = [(_field(p.eval_id), _field(p.train_id), p.distance, f"{p.similarity:.4f}", p.how,
           group[0, p.eval_id]) for p in pairs]
  both = (("eval", evaluation), ("train", training))
  lists: dict[str, list[tuple]] = {
      "pairs.tsv": [("eval_id", "train_id", "distance", "similarity", "how", "group"), *rows],
      "eval_duplicates.txt": [(i,) for i in sorted({p.eval_id for p in pairs})],
      "train_copies.txt": [(i,) for i in sorted({p.train_id for p in pairs})],
      "degenerate.txt": [(side, _field(i)) for side, parts in both
                         for i in sorted(i for p in parts for i in p.degenerate)],
      "unreadable.txt": [(side, _field(i), reason) for side, parts in both
                         for i, reason in sorted(u for p in parts for u in p.unreadable)],
  }
  if refused is not None:
    lists["refused.tsv"] = [("eval_id", "train_id", "distance", "similarity"), *(
        (_field(p.eval_id), _field(p.train_id), p.distance, f"{p.similarity:.4f}")
        for p in refused)]
  about = summary(pairs, evaluation, training, options, len(refused or ()))
  whole_files.write_all(output, {
      **{name: "".join("\t".join(map(str, line)) + "\n" for line in lines)
         for name, lines in lists.items()},
      "summary.json": json.dumps(about, indent=1) + "\n"})
  return about


def write_sheet(output: str | os.PathLike, pairs: Sequence[find.Pair],
                eval_pictures: Thumbs, train_pictures: Thumbs, most: int = 200) -> None:
  """`pairs.jpg`: pairs side by side, the least alike first, four in a row; the rest is counted.

  Args:
    output: folder.
    pairs: to show.
    eval_pictures: gives pixels by id of those ids that it can.
    train_pictures: likewise.
    most: pairs drawn.
  """
  shown = sorted(pairs, key=lambda p: (p.similarity, p))[:most]
  mine = eval_pictures(sorted({p.eval_id for p in shown}))
  theirs = train_pictures(sorted({p.train_id for p in shown}))
  tiles = []
  for p in shown:
    tiles += [contact_sheet.Tile(mine.get(p.eval_id), p.eval_id), contact_sheet.Tile(
        theirs.get(p.train_id), f"{p.similarity:.3f} {p.train_id}")]
  title = f"{len(shown)} of {len(pairs)} pairs, least alike first: evaluation left, training right"
  image, data = contact_sheet.grid(tiles, 8, 128, title), io.BytesIO()
  image.save(data, "JPEG", quality=88)
  whole_files.write_all(output, {"pairs.jpg": data.getvalue()})


def pixels_of(pictures: Iterable[duplicate_pictures.Picture], ids: Sequence[str], side: int = 256
              ) -> dict[str, np.ndarray]:
  """Pictures of some ids, their longer side at most `side`; reads until it has all."""
  wanted = set(ids)
  found: dict[str, np.ndarray] = {}
  if not wanted:
    return found
  for picture in pictures:
    if picture.picture_id in wanted:
      wanted.remove(picture.picture_id)
      pixels = duplicate_pictures.shrunk(picture, side)
      if pixels is not None:
        found[picture.picture_id] = pixels
      if not wanted:
        break
  return found


def _field(text: str) -> str:
  """A column of a table: an id with a tab or a line end in it is written escaped."""
  return text if text.isprintable() else printable(text, 1000)
