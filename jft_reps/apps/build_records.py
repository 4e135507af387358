"""Builds sharded TFRecord files with a manifest from pictures and labels.

  python -m jft_reps.apps.build_records --source=folder --input=PICTURES --output=DIR
  … --source=open_images --input=train --annotations=human.csv,machine.csv --store_size=340

folder    label/picture.jpg: the first sub-folder names the label
csv       lines of path,label[:confidence],… (.tsv: tabs); confidence 0 is no label
open_images  ImageID.jpg, in sub-folders too; --annotations: CSV files of image-level labels, of
          boxes or of both; open_images_boxes: boxes where there are both
imagenet  ILSVRC-2012 with lists or devkit; --split is train or validation. imagenet21k: folder of
          nXXXXXXXX.tar or one archive of them, read in place
mlimages  lists --annotations of the pictures in a folder; mlimages_records: Tencent's tfrecords
coco, coco_keypoints, coco_masks  JSON files --annotations of the pictures in as many folders, or
          in one: boxes; people with points of --keypoints; outlines, drawn, class 0 is background
voc, voc_masks  devkits; without ImageSets, every annotation; SegmentationClass or --annotations
masks     folders --annotations (none: to predict only) of masks named as the pictures: PNGs of an
          index per pixel, 255 void, or SBD's .mat. --labels is required
tfds:NAME[/config][:version]  a set that TFDS has prepared in --input; nothing is downloaded

Boxes and masks refer to stored pixels: EXIF is ignored. Classes are those of --labels, --hierarchy
or --names, else of the set in its order (coco: by id), else the labels that occur.

--hold_out=10% divides what was built by the hash of the ids, with copies on one side: --split, to
learn from, and `val`, to measure with, are subsets of the set `all`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import ConfigError
from jft_reps.workflows import build_summary

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", "folder", "Form of the input, as above.", flag_values=FLAGS)
flags.DEFINE_string("input", None, "Folder, or several with commas; list, for csv.",
                    flag_values=FLAGS)
flags.DEFINE_string("annotations", None, "Files or folders as above; voc: XML folders.",
                    flag_values=FLAGS)
flags.DEFINE_string("keypoints", None, "coco_keypoints: schema, by name or a JSON file (default: "
                    "coco).", flag_values=FLAGS)
flags.DEFINE_string("keep_ids", None, "coco, masks: list of image ids or names to keep.",
                    flag_values=FLAGS)
flags.DEFINE_string("leave_out_ids", None, "Likewise, to leave out.",
                    flag_values=FLAGS)
flags.DEFINE_string("voc_set", None, "voc, voc_masks: its list, as trainval (default: --split).",
                    flag_values=FLAGS)
flags.DEFINE_string("root", None, "csv: folder of the pictures (default: that of the list).",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_split", None, "Split or slice, as train[:90%] (default: --split).",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_label", None, "Feature of the classes, or of the boxes (bobjects).",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_id", None, "Feature that names pictures (default: the set's ids).",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "Directory of the records.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "Name of the set.", flag_values=FLAGS)
flags.DEFINE_string("hold_out", None, "Share, as 10%, or number of the pictures to measure with.",
                    flag_values=FLAGS)
flags.DEFINE_integer("shards", 16, "Number of files.", lower_bound=1, upper_bound=99_999,
                     flag_values=FLAGS)
flags.DEFINE_integer("store_size", 0, "Side of stored pictures, 340 for the paper; 0: as "
                     "they are.", lower_bound=0, upper_bound=8192,
                     flag_values=FLAGS)
flags.DEFINE_integer("store_quality", 75, "JPEG quality of resized pictures; 95: twice the bytes.",
                     lower_bound=1, upper_bound=100, flag_values=FLAGS)
flags.DEFINE_string("labels", None, "Label map, one id per line in class order.",
                    flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy, whose nodes are the classes.",
                    flag_values=FLAGS)
flags.DEFINE_string("names", None, "Lines of id,name: of the hierarchy, or the classes.",
                    flag_values=FLAGS)
flags.DEFINE_string("placeholders", None, "Picture for lost ones, or list of SHA-256.",
                    flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, readers.FORMATS,
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_integer("processes", 2, "Processes that decode.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("runner", None, "Of Apache Beam, with its options: 'FlinkRunner --…'.",
                    flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace a set of the same split.", flag_values=FLAGS)


# What names the input, and so tells one build from another.
_OF_SOURCE = ("input", "annotations", "root", "keep_ids", "leave_out_ids", "voc_set", "tfds_split",
              "tfds_label", "tfds_id")


def _labels(hierarchy: Hierarchy | None) -> Sequence[str] | None:
  if FLAGS.labels and FLAGS.hierarchy:
    raise ConfigError("flags", "--labels", "given beside --hierarchy", "one of them")
  if FLAGS.labels:
    from jft_reps.data.records import label_map

    return label_map.read(FLAGS.labels)
  if FLAGS.names and hierarchy is None:
    from jft_reps.data.hierarchy import text

    header = "LabelName"  # of Open Images V7
    return tuple(name for name in text.read_names(FLAGS.names) if name != header)
  return None if hierarchy is None else hierarchy.ids


def _placeholders():
  """Names of known placeholder pictures, by the digests of their files."""
  from jft_reps.data.sources import placeholders

  return placeholders.read(FLAGS.placeholders) if FLAGS.placeholders else placeholders.KNOWN


def _runner():
  """How shards are made, where it is not in a pool of processes."""
  if not FLAGS.runner:
    return None
  from jft_reps.data.building import runners

  try:
    options = shlex.split(f"--runner={FLAGS.runner}")
  except ValueError as error:
    raise ConfigError("beam-runner", "--runner", str(error), "a runner and its options") from None
  return runners.beam(options)


def _identity() -> str:
  """What tells this input from another, or from itself before files came or went."""
  given = [(name, getattr(FLAGS, name)) for name in ("source", *_OF_SOURCE)]
  paths = [os.path.abspath(path) for _, value in given if value for path in value.split(",")]
  found = [path for path in paths if os.path.exists(path)]
  folders = [path for path in found if os.path.isdir(path)]
  found += sorted(entry.path for path in folders for entry in os.scandir(path) if entry.is_dir())
  return repr((given, [(path, os.stat(path).st_mtime_ns) for path in found]))


def main(argv: Sequence[str]) -> int:
  """Parses flags, builds, prints a summary."""
  command_line.parse(FLAGS, argv, __doc__, required=("input", "output"))
  from jft_reps.workflows import holding_out

  amount, split = holding_out.check(FLAGS.hold_out, FLAGS.split)
  hierarchy = command_line.hierarchy(
      FLAGS, **({"names": FLAGS.names} if FLAGS.names else {}))
  labels = _labels(hierarchy)
  from jft_reps import progress
  from jft_reps.data.building import build
  from jft_reps.data.sources import opening

  read, labels, about = opening.open_source(
      FLAGS.source, labels=labels, split=FLAGS.split, keypoints=FLAGS.keypoints,
      **{name: getattr(FLAGS, name) for name in _OF_SOURCE})
  listing, runner = progress.Progress(None, "pictures listed"), _runner()
  summary = build.build(
      read, FLAGS.output, split, FLAGS.shards, labels, FLAGS.store_size,
      FLAGS.store_quality, FLAGS.processes, FLAGS.overwrite,
      progress=progress.counter("pictures"), placeholders=_placeholders(), identity=_identity(),
      listed=listing, runner=runner, **about,
  )
  for line in build_summary.lines(summary, hierarchy):
    print(line)
  if amount is not None:
    for line in holding_out.divide(FLAGS.output, amount, FLAGS.split, FLAGS.overwrite,
                                   FLAGS.processes):
      print(line)
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
