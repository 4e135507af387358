"""What is to be said of a subset that was made, and what to be warned of."""

from __future__ import annotations

from collections.abc import Sequence

from jft_reps.data.records.manifest import RecordSet


def text(subset: RecordSet) -> str:
  """Name, size and conditions of a subset, in one line."""
  note = subset.metadata["subset"]
  line = f"{subset.split}: {subset.records:,} pictures of {note['of']}"
  line += f" in {len(subset.shards)} shards, ids hashed below {note['below']:.6g}"
  if "classes" in note:
    line += f", of {note['classes']:,} classes"
  if "left_out" in note:
    line += f", {note['left_out']:,} listed pictures left out"
    line += "" if note["listed_out"] else " (the list is empty)"
  return line


def warnings(subset: RecordSet, outdated: Sequence[str] = ()) -> list[str]:
  """What is suspicious about a subset.

  Args:
    subset: one that was just made.
    outdated: subsets that were made of what it was before.
  """
  note, found = subset.metadata["subset"], []
  if note.get("listed_out") and not note["left_out"]:
    found.append(f"none of the {note['listed_out']:,} ids to leave out is among the pictures "
                 f"of {note['of']} that were looked at. Is it the list of this set?")
  if note.get("met", note.get("listed")) != note.get("listed"):
    found.append(f"only {note['met']:,} of the {note['listed']:,} ids to keep are in {note['of']}")
  if outdated:
    found.append(f"{', '.join(outdated)} was made of what it was before and need not lie in it "
                 "now. Make it again.")
  return found
