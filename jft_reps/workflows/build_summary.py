"""What a build of records did, in lines of text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from jft_reps.data.building.build import Summary
  from jft_reps.data.hierarchy.graph import Hierarchy


def lines(summary: Summary, hierarchy: Hierarchy | None) -> Iterator[str]:
  """The lines that build_records prints in the end.

  Args:
    summary: of the build.
    hierarchy: whose nodes are the classes, or None.
  """
  about = summary.record_set.metadata
  yield (f"{summary.pictures:,} pictures in {len(summary.record_set.shards)} shards of "
         f"{summary.record_set.directory}")
  yield (f"{summary.labels / summary.pictures:.2f} labels a picture"
         f"{_expanded(summary, hierarchy)}, {summary.classes:,} classes")
  counted = _named(about.get("source_counts") or {})
  if counted:
    yield f"source: {counted}"
  if summary.boxes is not None:
    yield (f"{summary.boxes.kept:,} boxes, {summary.boxes.clipped:,} of them clipped to their "
           f"pictures; boxes left out: {summary.boxes.text}; "
           f"{summary.boxes.bare:,} pictures without a box")
    if summary.boxes.people:
      yield _people(summary.boxes.people, about)
  if summary.pixels is not None:
    unused = about.get("unused_pictures", 0)
    yield summary.pixels.text + (f"; {unused:,} pictures have no mask" if unused else "")
  yield from _left_out(summary)


def _left_out(summary: Summary) -> Iterator[str]:
  dropped = ", ".join(f"{name} {count}" for name, count in sorted(summary.dropped.items()))
  yield f"left out: {dropped or 'none'}"
  if summary.placeholders:
    known = ", ".join(f"{name} {count}" for name, count in sorted(summary.placeholders.items()))
    yield f"placeholders of pictures that are gone: {known}"
  if summary.quarantine:
    yield f"they are listed in {os.path.normpath(summary.quarantine)}"
  if summary.copies:
    path = os.path.join(
        summary.record_set.directory, f"identical-{summary.record_set.split}.tsv")
    yield (f"{summary.copies:,} pictures are copies of others, byte for byte: see "
           f"{os.path.normpath(path)}")


def _named(counts: Mapping[str, int]) -> str:
  return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def _expanded(summary: Summary, hierarchy: Hierarchy | None) -> str:
  """What the hierarchy makes of the labels."""
  if hierarchy is None:
    return ""
  from jft_reps.data.reading import label_expansion, target_counts

  expand = label_expansion.LabelExpansion(summary.classes, hierarchy.closure())
  counts, pictures = target_counts.class_counts(summary.record_set, expand, summary.pictures)
  return f", {counts.sum() / max(pictures, 1):.2f} with their ancestors"


def _people(counts: Mapping[str, int], about: Mapping[str, Any]) -> str:
  """What became of people and their points."""
  passed = (f"{about[name]:,} {name.replace('_', ' ')}" for name in (
      "repeated_images", "categories_without_keypoints", "annotations_without_keypoints")
            if name in about)
  return "; ".join((
      f"{counts['people']:,} people, {counts['people_with_points']:,} of them with points, "
      f"{counts['points']:,} points", f"{counts['points_outside']:,} points outside of their "
      "pictures left out", *passed))
