"""Builds sharded TFRecord files with a manifest from pictures and labels.

  python -m jft_reps.apps.build_records --source=folder --input=PICTURES --output=DIR
  python -m jft_reps.apps.build_records --source=csv --input=LIST.csv --output=DIR \\
      --hierarchy=FILE --hierarchy_format=mlimages --store_size=340

folder  label/picture.jpg: the first sub-folder names the label
csv     lines of path,label[:confidence],…; a name that ends in .tsv has tabs for commas

Classes are those of --labels (one id per line) or --hierarchy, else the labels that occur.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError

FLAGS = flags.FlagValues()
flags.DEFINE_enum("source", "folder", ["folder", "csv"], "Form of the input.", flag_values=FLAGS)
flags.DEFINE_string("input", None, "Folder tree, or CSV or TSV file.", flag_values=FLAGS)
flags.DEFINE_string("root", None, "csv: folder of the pictures (default: that of the list).",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "Directory of the records.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "Name of the set.", flag_values=FLAGS)
flags.DEFINE_integer("shards", 16, "Number of files.", lower_bound=1, upper_bound=99_999,
                     flag_values=FLAGS)
flags.DEFINE_integer("store_size", 0, "Resize pictures to this side, 340 for the paper's "
                     "training; 0 keeps them.", lower_bound=0, upper_bound=8192,
                     flag_values=FLAGS)
flags.DEFINE_string("labels", None, "Label map, one id per line in class order.",
                    flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy, whose nodes are the classes.",
                    flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, ["edges", "mlimages", "openimages", "is_a"],
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_integer("processes", 2, "Processes that decode.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace a set of the same split.", flag_values=FLAGS)


class Progress:
  """Pictures a second and time left on stderr: one changing line on a terminal, else a line
  every ten seconds."""

  def __init__(self, clock: Callable[[], float] = time.monotonic, stream=None):
    self._clock, self._stream = clock, stream or sys.stderr
    self._terminal = self._stream.isatty()
    self._start, self._shown = None, clock()

  def __call__(self, done: int, total: int) -> None:
    now = self._clock()
    if self._start is None:  # the processes have started now
      self._start = self._shown = now
      return
    if now - self._shown < (0.2 if self._terminal else 10.0) and done < total:
      return
    self._shown = now
    rate = max(done - 1, 1) / max(now - self._start, 1e-9)
    left = (total - done) / rate
    line = f"{done:,}/{total:,} pictures, {rate:,.0f}/s, {left:,.0f} s left"
    end = "\n" if done >= total or not self._terminal else ""
    self._stream.write((f"\r\x1b[K{line}" if self._terminal else line) + end)
    self._stream.flush()


def _labels() -> Sequence[str] | None:
  if FLAGS.labels and FLAGS.hierarchy:
    raise ConfigError("flags", "--labels", "given beside --hierarchy", "one of them")
  if FLAGS.labels:
    from jft_reps.data import label_map

    return label_map.read(FLAGS.labels)
  if not FLAGS.hierarchy:
    return None
  if not FLAGS.hierarchy_format:
    raise ConfigError("flags", "--hierarchy_format", "missing", "the form of the hierarchy")
  from jft_reps.data import hierarchy_readers

  return hierarchy_readers.read(FLAGS.hierarchy, FLAGS.hierarchy_format).ids


def main(argv: Sequence[str]) -> int:
  """Parses flags, builds, prints a summary."""
  rest = command_line.parse(FLAGS, argv, __doc__)
  if rest:
    raise ConfigError("flags", rest[0], "an argument that is no flag", fix="See --help.")
  for name in ("input", "output"):
    if not FLAGS[name].value:
      raise ConfigError("flags", f"--{name}", "missing", "a value", "See --help.")
  labels = _labels()
  from jft_reps.data import build
  from jft_reps.data.sources import folder, lists

  read = functools.partial(folder.read, FLAGS.input)
  if FLAGS.source == "csv":
    read = functools.partial(lists.read, FLAGS.input, FLAGS.root)
  summary = build.build(
      read, FLAGS.output, FLAGS.split, FLAGS.shards, labels, FLAGS.store_size, FLAGS.processes,
      FLAGS.overwrite, {"source": FLAGS.source}, Progress(),
  )
  print(f"{summary.pictures:,} pictures in {FLAGS.shards} shards of {FLAGS.output}")
  print(f"{summary.labels / summary.pictures:.2f} labels a picture, {summary.classes:,} classes")
  dropped = ", ".join(f"{name} {count}" for name, count in sorted(summary.dropped.items()))
  print(f"left out: {dropped or 'none'}")
  if summary.quarantine:
    print(f"they are listed in {os.path.normpath(summary.quarantine)}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
