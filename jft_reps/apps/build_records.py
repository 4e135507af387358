"""Builds sharded TFRecord files with a manifest from pictures and labels.

  python -m jft_reps.apps.build_records --source=folder --input=PICTURES --output=DIR
  … --source=tfds:cifar100 --input=DATA_DIR --tfds_split=train[:90%]
  … --source=csv --input=LIST.csv --hierarchy=FILE --hierarchy_format=mlimages --store_size=340
  … --source=coco --input=train2017 --annotations=instances_train2017.json
  … --source=voc_masks --input=VOC2012 --annotations=SegmentationClass,sbd/cls --keep_ids=LIST

folder    label/picture.jpg: the first sub-folder names the label
csv       lines of path,label[:confidence],…; a name that ends in .tsv has tabs for commas;
          confidence 0 is verified absence, no label
coco      JSON files --annotations of the pictures in as many folders, or in one
coco_keypoints  people of such files with points of --keypoints; other categories are left out
voc       devkits: Annotations, JPEGImages and ImageSets/Main; without that, every annotation
masks     folders --annotations of masks named as the pictures: palette or 8-bit greyscale PNGs
          with an index per pixel, 255 void, or SBD's .mat; of several folders the first that has
          the name; none for pictures to be predicted only. --labels is required
voc_masks devkit: JPEGImages, SegmentationClass or --annotations, ImageSets/Segmentation
coco_masks  outlines of coco, drawn; class 0 is background
imagenet  ILSVRC-2012 with its lists or devkit; --split is train or validation
tfds:NAME[/config][:version]  a set that TFDS has prepared in --input; nothing is downloaded

Boxes and masks refer to stored pixels: their EXIF is ignored. Classes are those of --labels (one id
per line) or --hierarchy, else of the set in its order (coco: by id), else the labels that occur.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line, record_sources
from jft_reps.errors import ConfigError

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", "folder", "Form of the input, as above.", flag_values=FLAGS)
flags.DEFINE_string("input", None, "Folder, or several with commas; list, for csv.",
                    flag_values=FLAGS)
flags.DEFINE_string("annotations", None, "coco: JSON files. masks: folders or none. voc: XML "
                    "folders.", flag_values=FLAGS)
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
flags.DEFINE_string("tfds_label", None, "Feature with the classes, without boxes then.",
                    flag_values=FLAGS)
flags.DEFINE_string("tfds_id", None, "Feature that names pictures (default: the set's ids).",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "Directory of the records.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "Name of the set.", flag_values=FLAGS)
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


def _people(counts, about) -> str:
  """What became of people and their points."""
  passed = (f"{about[name]:,} {name.replace('_', ' ')}" for name in (
      "repeated_images", "categories_without_keypoints", "annotations_without_keypoints")
            if name in about)
  return "; ".join((
      f"{counts['people']:,} people, {counts['people_with_points']:,} of them with points, "
      f"{counts['points']:,} points", f"{counts['points_outside']:,} points outside of their "
      "pictures left out", *passed))


def main(argv: Sequence[str]) -> int:
  """Parses flags, builds, prints a summary."""
  command_line.parse(FLAGS, argv, __doc__, required=("input", "output"))
  hierarchy = _hierarchy()
  labels = _labels(hierarchy)
  from jft_reps.data import build
  from jft_reps.training import progress

  read, labels, about = record_sources.open_source(FLAGS, labels)
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
    if summary.boxes.people:
      print(_people(summary.boxes.people, about["metadata"]))
  if summary.pixels is not None:
    unused = about["metadata"].get("unused_pictures", 0)
    print(f"{summary.pixels.text}" + (f"; {unused:,} pictures have no mask" if unused else ""))
  print(f"left out: {dropped or 'none'}")
  if summary.quarantine:
    print(f"they are listed in {os.path.normpath(summary.quarantine)}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
