"""A source is opened by a plain function, which takes the arguments that its signature names."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys

import pytest

from jft_reps.data.sources import opening
from jft_reps.data.sources.opened import Opened
from jft_reps.errors import ConfigError
from tests.data import picture_files as files

_LISTED = {"coco", "coco_keypoints", "coco_masks", "masks", "voc_masks"}


@pytest.fixture
def folder(tmp_path):
  for label in ("cat", "dog"):
    (tmp_path / label).mkdir()
    (tmp_path / label / "a.jpg").write_bytes(files.encoded(len(label)))
  return tmp_path


def test_a_folder_is_opened_from_python(folder):
  opened = opening.open_source("folder", str(folder), labels=["dog", "cat"], annotations=None)
  assert isinstance(opened, Opened) and opened.labels == ["dog", "cat"]
  assert opened.about == {"metadata": {"source": "folder", "source_counts": {}}}
  for _ in range(2):  # a build reads it once, or again after a kill
    assert [(s.picture_id, s.labels) for s in opened.read()] == [
        ("cat/a.jpg", ("cat",)), ("dog/a.jpg", ("dog",))]


def test_boxes_are_opened_from_python(folder):
  (folder / "boxes.json").write_text(json.dumps({
      "images": [{"id": 7, "file_name": "a.jpg"}], "categories": [{"id": 3, "name": "cat"}],
      "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}]}))
  opened = opening.open_source(
      "coco", str(folder / "cat"), annotations=str(folder / "boxes.json"))
  (source,) = opened.read()
  assert opened.labels == ("cat",) and source.objects.boxes.tolist() == [[2, 1, 6, 4]]
  assert opened.about == {"metadata": {"source": "coco", "category_ids": [3]}, "boxes": True}


@pytest.mark.parametrize("name, place", [
    *opening._SOURCES.items(), (opening.TFDS, opening._PREPARED)])
def test_every_line_names_a_function_of_an_input(name, place):
  module, function = place.split(":")
  opener = getattr(importlib.import_module(f"jft_reps.data.sources.{module}"), function)
  taken = list(inspect.signature(opener).parameters)
  assert taken[0] == "input" and "labels" in taken and inspect.getdoc(opener)
  assert ({"keep_ids", "leave_out_ids"} <= {*taken}) == (name in _LISTED)
  assert ("keypoints" in taken) == (name == "coco_keypoints")


@pytest.mark.parametrize("name, options, text", [
    ("gone\x1b", {}, r"--source: gone\x1b; expected folder, csv, open_images, open_images_boxes, "
     "imagenet, imagenet21k, mlimages, mlimages_records, coco, coco_keypoints, coco_masks, masks, "
     "voc_masks, voc, tfds:NAME[/config][:version]"),
    ("coco", {"keypoints": "coco"}, "--keypoints: given with --source=coco; expected "
     "--source=coco_keypoints"),
    ("folder", {"keep_ids": "x"}, "--keep_ids or --leave_out_ids: given for folder; expected a "
     "source of COCO or of masks"),
    ("voc", {"leave_out_ids": "x"}, "--keep_ids or --leave_out_ids: given for voc; "),
    ("tfds:mnist", {"keep_ids": "x"}, "--keep_ids or --leave_out_ids: given for tfds:mnist; "),
    ("coco_masks", {}, "--annotations: missing; expected JSON files in COCO's format"),
    ("masks", {"annotations": "none"}, "--labels: missing; expected the classes in order"),
    ("mlimages", {"annotations": "x"}, "--hierarchy: missing; expected the classes that the"),
    ("open_images", {}, "--annotations: missing; expected CSV files of Open Images"),
    ("voc", {"annotations": "a,b"}, "--annotations: 2 folders; expected 1, one per folder of")])
def test_what_does_not_fit_is_refused(name, options, text):
  with pytest.raises(ConfigError) as caught:
    opening.open_source(name, "nowhere", **options)
  assert text in str(caught.value)


def test_a_source_is_not_imported_with_the_others(folder):
  code = ("import sys\nfrom jft_reps.data.sources import opening\n"
          f"print(len(list(opening.open_source('folder', {str(folder)!r}).read())))\n"
          "assert not {'tensorflow', 'tensorflow_datasets', 'scipy'} & sys.modules.keys()")
  done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
  assert done.stdout == "2\n"
