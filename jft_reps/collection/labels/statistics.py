"""What a noisy collection holds, in the numbers that section 3 of Sun et al. 2017 gives for JFT.

One pass over the records, which parses labels and decodes nothing; memory depends on the number
of classes alone.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jft_reps import whole_files
from jft_reps.collection.labels import lists
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.records import manifest
from jft_reps.errors import printable

RARE = 100, 20  # the paper counts the classes with fewer pictures than these
_MOST_LABELS = 1000


class LabelCounts:
  """Labels of pictures, counted once per picture and class.

  Args:
    num_classes: of the set.

  Attributes:
    per_class: int64 `[classes]`, pictures that carry it.
    per_picture: int64, pictures by number of labels; the last has that many or more.
  """

  def __init__(self, num_classes: int):
    self.per_class = np.zeros(num_classes, np.int64)
    self.per_picture = np.zeros(_MOST_LABELS + 1, np.int64)
    self.most = 0

  def add(self, pairs: lists.Pairs, pictures: int) -> None:
    """Counts the labels of a batch of pictures."""
    self.per_class += np.bincount(pairs.classes, minlength=len(self.per_class))
    labels = np.bincount(pairs.rows, minlength=pictures)
    self.per_picture += np.bincount(
        np.minimum(labels, _MOST_LABELS), minlength=len(self.per_picture))
    self.most = max(self.most, int(labels.max(initial=0)))

  def summary(self, names: Sequence[str], listed: int = 10) -> dict[str, Any]:
    """All numbers as JSON has them; the `listed` most and least common classes by name."""
    pictures, labels = int(self.per_picture.sum()), int(self.per_class.sum())
    order = np.argsort(-self.per_class, kind="stable")
    present = order[self.per_class[order] > 0]
    named = lambda some: [[names[i], int(self.per_class[i])] for i in some]
    return {
        "labels": labels, "labels_per_picture": labels / max(pictures, 1),
        "median_labels": int(np.searchsorted(np.cumsum(self.per_picture), (pictures + 1) // 2)),
        "most_labels": self.most, "pictures_without_labels": int(self.per_picture[0]),
        "classes_with_pictures": len(present),
        **{f"classes_under_{n}": int((self.per_class < n).sum()) for n in RARE},
        "head": named(present[:listed]), "tail": named(present[::-1][:listed])}


@dataclasses.dataclass(frozen=True)
class Statistics:
  """Numbers of one set.

  Attributes:
    split: name of the set.
    pictures: usable ones.
    left_out: records that a reader would leave out.
    ids: of the classes, in class order.
    names: to display.
    listed: labels as the records have them.
    with_ancestors: with all that the hierarchy adds; None without one.
    hierarchy: its numbers; empty without one.
  """

  split: str
  pictures: int
  left_out: int
  ids: tuple[str, ...]
  names: tuple[str, ...]
  listed: LabelCounts
  with_ancestors: LabelCounts | None
  hierarchy: dict[str, Any]

  def to_json(self) -> dict[str, Any]:
    """All numbers but those of every class, which `class_counts` has."""
    expanded = self.with_ancestors
    return {
        "split": self.split, "pictures": self.pictures, "left_out": self.left_out,
        "classes": len(self.names), "hierarchy": self.hierarchy,
        "listed": self.listed.summary(self.names),
        "with_ancestors": None if expanded is None else expanded.summary(self.names)}

  def text(self) -> str:
    """A page of what the paper's section 3 says of JFT."""
    found = self.to_json()
    lines = [f"{self.split}: {self.pictures:,} pictures, {len(self.names):,} classes"
             + (f"; {self.left_out:,} records that a reader leaves out" if self.left_out else "")]
    if self.hierarchy:
      h = self.hierarchy
      lines.append(
          f"hierarchy: {h['nodes']:,} nodes, {h['edges']:,} edges, {h['roots']} roots, depth "
          f"{h['max_depth']}, at most {h['max_fan_out']:,} children "
          f"({printable(h['most_children'], 60)})")
    for title, part in (("labels as listed", found["listed"]),
                        ("with their ancestors", found["with_ancestors"])):
      if part is not None:
        lines += ["", *_part(title, part)]
    return "\n".join(lines) + "\n"

  def class_counts(self) -> str:
    """CSV of id, name, pictures that list a class, and pictures with the ancestors added."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("id", "name", "listed", "with_ancestors"))
    after = (self.with_ancestors or self.listed).per_class
    table.writerows(zip(self.ids, self.names, self.listed.per_class.tolist(), after.tolist()))
    return out.getvalue()


def _part(title: str, part: dict[str, Any]) -> list[str]:
  rare = "; ".join(f"fewer than {n}: {part[f'classes_under_{n}']:,}" for n in RARE)
  shown = lambda pairs: "; ".join(f"{printable(name, 40)} {count:,}" for name, count in pairs)
  return [
      f"{title}: {part['labels']:,}, {part['labels_per_picture']:.2f} a picture (median "
      f"{part['median_labels']}, most {part['most_labels']}, "
      f"{part['pictures_without_labels']:,} pictures without)",
      f"  classes with pictures: {part['classes_with_pictures']:,}; {rare}",
      f"  head: {shown(part['head'])}", f"  tail: {shown(part['tail'])}"]


def measure(
    record_set: manifest.RecordSet,
    labels: Sequence[str],
    hierarchy: Hierarchy | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Statistics:
  """Counts a set.

  Args:
    record_set: a checked set.
    labels: class ids in class order.
    hierarchy: whose ids are `labels`; adds ancestors.
    progress: called as `progress(records done, records)`.

  Raises:
    errors.DataError: a shard vanished or is damaged.
  """
  closure = None if hierarchy is None else hierarchy.closure()
  listed, expanded = LabelCounts(len(labels)), LabelCounts(len(labels))
  pictures = left_out = 0
  for batch in lists.batches(record_set, len(labels)):
    listed.add(batch.labels, len(batch.ids))
    if closure is not None:
      expanded.add(lists.expand(batch.labels, closure), len(batch.ids))
    pictures += len(batch.ids)
    left_out += batch.left_out
    progress(pictures + left_out, record_set.records)
  about, names = {}, tuple(labels)
  if hierarchy is not None:
    widest = max(hierarchy.ids, key=hierarchy.fan_out)
    about, names = {**hierarchy.stats(), "most_children": hierarchy.name(widest)}, hierarchy.names
  return Statistics(record_set.split, pictures, left_out, tuple(labels), names, listed,
                    None if closure is None else expanded, about)


def write(statistics: Statistics, folder: str | os.PathLike) -> list[str]:
  """Writes statistics.txt, statistics.json, class_counts.csv and statistics.png; their paths.

  Raises:
    errors.StorageError: the folder cannot be written.
  """
  contents = {
      "statistics.txt": statistics.text().encode("utf-8", "backslashreplace"),
      "statistics.json": (json.dumps(statistics.to_json(), indent=1) + "\n").encode(),
      "class_counts.csv": statistics.class_counts().encode("utf-8", "backslashreplace"),
      "statistics.png": rank_frequency(statistics)}
  return whole_files.write_all(folder, contents)


def rank_frequency(statistics: Statistics) -> bytes:
  """A PNG with pictures per class over the class's rank, both axes logarithmic."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  figure, axes = plt.subplots(figsize=(7, 4.5), dpi=120, layout="constrained")
  most = 2.0 * RARE[0]
  axes.set(xscale="log", yscale="log", ylim=(0.8, most), xlabel="rank of the class",
           ylabel="pictures", title=f"{printable(statistics.split, 60)}: {statistics.pictures:,} "
           f"pictures, {len(statistics.names):,} classes")
  lines = [("labels as listed", statistics.listed, "#1f5fa8")]
  if statistics.with_ancestors is not None:
    lines.append(("with their ancestors", statistics.with_ancestors, "#c2571a"))
  for title, counts, colour in lines:
    sizes = np.sort(counts.per_class[counts.per_class > 0])[::-1]
    most = max(most, 2 * sizes.max(initial=0))
    axes.plot(np.arange(1, len(sizes) + 1), sizes, color=colour, lw=1.8,
              label=f"{title} ({sizes.sum():,}; {len(sizes):,} classes)")
  for limit in RARE:
    rare = (statistics.listed.per_class < limit).sum()
    axes.axhline(limit, color="#888888", lw=0.8, ls=":")
    axes.annotate(
        f"{rare:,} classes are listed fewer than {limit} times", (0.02, limit), xytext=(0, 2),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="#555555")
  axes.set_ylim(0.8, most)
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc="upper right", fontsize=9)
  axes.spines[["top", "right"]].set_visible(False)
  out = io.BytesIO()
  figure.savefig(out, format="png")
  plt.close(figure)
  return out.getvalue()
