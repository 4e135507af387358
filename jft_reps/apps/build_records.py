"""Builds sharded TFRecord files with a manifest from pictures and labels.

  python -m jft_reps.apps.build_records --source=folder --input=PICTURES --output=DIR
  python -m jft_reps.apps.build_records --source=tfds:cifar100 --input=DATA_DIR \\
      --tfds_split=train[:90%] --output=DIR
  python -m jft_reps.apps.build_records --source=csv --input=LIST.csv --output=DIR \\
      --hierarchy=FILE --hierarchy_format=mlimages --store_size=340
  python -m jft_reps.apps.build_records --source=coco --input=train2017 \\
      --annotations=instances_train2017.json --output=DIR
  python -m jft_reps.apps.build_records --source=voc --input=VOC2007,VOC2012 --output=DIR

folder    label/picture.jpg: the first sub-folder names the label
csv       lines of path,label[:confidence],…; a name that ends in .tsv has tabs for commas;
          confidence 0 is verified absence, no label
coco      JSON files --annotations of the pictures in as many folders, or in one
voc       devkits: Annotations, JPEGImages and ImageSets/Main; without that, every annotation
imagenet  ILSVRC-2012 with its lists or devkit; --split is train or validation
tfds:NAME[/config][:version]  a set that TFDS has prepared in --input; nothing is downloaded

coco, voc and tfds sets with objects/bbox become records with boxes, EXIF ignored. Classes are
those of --labels (one id per line) or --hierarchy, else those of the set in its own order
(imagenet: sorted wnids; coco: by category id), else the labels that occur.
"""

from __future__ import annotations

import functools
import logging as stdlib_logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags, logging

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, printable

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", "folder", "folder, csv, coco, voc, imagenet or "
                    "tfds:NAME[/config][:version].", flag_values=FLAGS)
flags.DEFINE_string("input", None, "Folder tree, list, data directory of TFDS, or folders with "
                    "commas (coco, voc).", flag_values=FLAGS)
flags.DEFINE_string("annotations", None, "coco: JSON files. voc: XML folders, if --input are no "
                    "devkits.", flag_values=FLAGS)
flags.DEFINE_string("keep_ids", None, "coco: list of image ids; others are left out.",
                    flag_values=FLAGS)
flags.DEFINE_string("leave_out_ids", None, "coco: list of image ids to leave out.",
                    flag_values=FLAGS)
flags.DEFINE_string("voc_set", None, "voc: its list, as trainval (default: --split).",
                    flag_values=FLAGS)
flags.DEFINE_string("root", None, "csv: folder of the pictures (default: that of the list).",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_split", None, "Split or slice, as train[:90%] (default: --split).",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_label", None, "Feature with the classes, without boxes then.",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_id", None, "Feature that names pictures (default: the set's ids).",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "Directory of the records.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "Name of the set.", flag_values=FLAGS)
flags.DEFINE_integer("shards", 16, "Number of files.", lower_bound=1, upper_bound=99_999,
                     flag_values=FLAGS)
flags.DEFINE_integer("store_size", 0, "Resize pictures to this side, 340 for the paper's "
                     "training; 0 keeps them.", lower_bound=0, upper_bound=8192,
                     flag_values=FLAGS)
flags.DEFINE_integer("store_quality", 75, "JPEG quality of resized pictures; 95: twice the bytes.",
                     lower_bound=1, upper_bound=100, flag_values=FLAGS)
flags.DEFINE_string("labels", None, "Label map, one id per line in class order.",
                    flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy, whose nodes are the classes.",
                    flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, ["edges", "mlimages", "openimages", "is_a"],
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_integer("processes", 2, "Processes that decode.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace a set of the same split.", flag_values=FLAGS)


def _hierarchy():
  """The hierarchy of the flags, or None."""
  if not FLAGS.hierarchy:
    return None
  if not FLAGS.hierarchy_format:
    raise ConfigError("flags", "--hierarchy_format", "missing", "the form of the hierarchy")
  from jft_reps.data import hierarchy_readers

  return hierarchy_readers.read(FLAGS.hierarchy, FLAGS.hierarchy_format)


def _labels(hierarchy) -> Sequence[str] | None:
  if FLAGS.labels and FLAGS.hierarchy:
    raise ConfigError("flags", "--labels", "given beside --hierarchy", "one of them")
  if FLAGS.labels:
    from jft_reps.data import label_map

    return label_map.read(FLAGS.labels)
  return None if hierarchy is None else hierarchy.ids


def _expanded(summary, hierarchy) -> str:
  """What the hierarchy makes of the labels."""
  if hierarchy is None:
    return ""
  from jft_reps.data import class_counts, label_expansion

  expand = label_expansion.LabelExpansion(summary.classes, hierarchy.closure())
  counts, pictures = class_counts.class_counts(summary.record_set, expand, summary.pictures)
  return f", {counts.sum() / max(pictures, 1):.2f} with their ancestors"


def _input(labels: Sequence[str] | None) -> tuple[Callable, Sequence[str] | None, dict[str, Any]]:
  """(pictures, labels, what else `build.build` is told) of --source."""
  from jft_reps.data import imagenet
  from jft_reps.data.sources import folder, lists

  about = {"metadata": {"source": FLAGS.source}}
  if FLAGS.source == "folder":
    return functools.partial(folder.read, FLAGS.input), labels, about
  if FLAGS.source == "csv":
    return functools.partial(lists.read, FLAGS.input, FLAGS.root), labels, about
  if FLAGS.source == "imagenet":
    part = imagenet.open_part(FLAGS.input, FLAGS.split)
    return part.read, labels or part.labels, about
  if FLAGS.source == "coco":
    return _coco(labels)
  if FLAGS.source == "voc":
    return _voc(labels)
  if FLAGS.source.startswith("tfds:"):
    return _tfds(FLAGS.source.removeprefix("tfds:"), labels)
  raise ConfigError("flags", "--source", printable(FLAGS.source),
                    "folder, csv, coco, voc, imagenet or tfds:NAME[/config][:version]")


def _coco(labels: Sequence[str] | None) -> tuple[Callable, Sequence[str], dict[str, Any]]:
  """As `_input`, of annotations in COCO's format."""
  from jft_reps.data.sources import coco

  if not FLAGS.annotations:
    raise ConfigError("flags", "--annotations", "missing", "JSON files in COCO's format")
  opened = coco.open_set(
      FLAGS.annotations.split(","), FLAGS.input.split(","), FLAGS.keep_ids, FLAGS.leave_out_ids)
  labels = labels or opened.labels
  about = {"source": "coco", **_category_ids(labels, opened.labels, opened.category_ids)}
  known = {"total": opened.count} if set(opened.labels) <= set(labels) else {}
  return opened.read, labels, {"metadata": about, "boxes": True, **known}


def _category_ids(
    labels: Sequence[str], names: Sequence[str], ids: Sequence[int] | None
) -> dict[str, Any]:
  """The ids by which COCO knows the classes, for the manifest; nothing where it knows not all."""
  known = dict(zip(names, ids)) if ids else {}
  return {"category_ids": [known[label] for label in labels]} if set(labels) <= set(known) else {}


def _voc(labels: Sequence[str] | None) -> tuple[Callable, Sequence[str], dict[str, Any]]:
  """As `_input`, of VOC devkits."""
  from jft_reps.data.sources import voc

  roots = FLAGS.input.split(",")
  if FLAGS.annotations:
    folders = FLAGS.annotations.split(",")
    if len(roots) != len(folders):
      raise ConfigError("flags", "--annotations", f"{len(folders)} folders",
                        f"{len(roots)}, one per folder of pictures")
    devkits = [voc.Devkit(*pair) for pair in zip(folders, roots)]
  else:
    devkits = [voc.Devkit.at(root) for root in roots]
  listed = any(devkit.image_sets for devkit in devkits)
  found = voc.read(devkits, FLAGS.voc_set or (FLAGS.split if listed else None))
  about = {"source": "voc", **({"voc_set": FLAGS.voc_set or FLAGS.split} if listed else {})}
  return lambda: iter(found), labels or voc.LABELS, {"metadata": about, "boxes": True}


def _tfds(
    name: str, labels: Sequence[str] | None
) -> tuple[Callable, Sequence[str], dict[str, Any]]:
  """As `_input`, of a set that TFDS has prepared."""
  from jft_reps.data.sources import tfds_boxes, tfds_sets

  logging.set_verbosity(logging.ERROR)  # TFDS and TensorFlow warn of their own deprecations
  stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)
  if FLAGS.tfds_label is None:
    boxes = tfds_boxes.open_split(name, FLAGS.input, FLAGS.tfds_split or FLAGS.split)
    if boxes is not None:
      if FLAGS.tfds_id:
        raise ConfigError("flags", "--tfds_id", "given for a set with boxes", "its own ids",
                          "Name --tfds_label to leave boxes out.")
      labels = labels or boxes.labels
      about = {"source": f"tfds:{boxes.name}", "tfds_split": boxes.split,
               **_category_ids(labels, boxes.labels, boxes.category_ids)}
      known = {"total": boxes.count} if set(boxes.labels) <= set(labels) else {}
      return boxes.read, labels, {"metadata": about, "boxes": True, **known}
  opened = tfds_sets.open_split(
      name, FLAGS.input, FLAGS.tfds_split or FLAGS.split, FLAGS.tfds_label, FLAGS.tfds_id)
  labels = labels or opened.labels
  about = {"source": f"tfds:{opened.name}", "tfds_split": opened.split}
  return opened.read, labels, {"metadata": about, **opened.first_pass(labels)}


def main(argv: Sequence[str]) -> int:
  """Parses flags, builds, prints a summary."""
  command_line.parse(FLAGS, argv, __doc__, required=("input", "output"))
  hierarchy = _hierarchy()
  labels = _labels(hierarchy)
  from jft_reps.data import build
  from jft_reps.training import progress

  read, labels, about = _input(labels)
  summary = build.build(
      read, FLAGS.output, FLAGS.split, FLAGS.shards, labels, FLAGS.store_size,
      FLAGS.store_quality, FLAGS.processes, FLAGS.overwrite,
      progress=progress.counter("pictures"), **about,
  )
  print(f"{summary.pictures:,} pictures in {FLAGS.shards} shards of {FLAGS.output}")
  print(f"{summary.labels / summary.pictures:.2f} labels a picture"
        f"{_expanded(summary, hierarchy)}, {summary.classes:,} classes")
  dropped = ", ".join(f"{name} {count}" for name, count in sorted(summary.dropped.items()))
  if summary.boxes is not None:
    print(f"{summary.boxes.kept:,} boxes, {summary.boxes.clipped:,} of them clipped to their "
          f"pictures; boxes left out: {summary.boxes.text}; "
          f"{summary.boxes.bare:,} pictures without a box")
  print(f"left out: {dropped or 'none'}")
  if summary.quarantine:
    print(f"they are listed in {os.path.normpath(summary.quarantine)}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
