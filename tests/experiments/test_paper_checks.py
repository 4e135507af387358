"""What no study can have is told before it starts, and a report needs no folder of the machine."""

from __future__ import annotations

import pytest

from experiments.study import checks
from jft_reps import errors
from jft_reps.data.hierarchy import readers
from jft_reps.models import resnet
from jft_reps.workflows.study import plans, reporting
from tests.experiments.test_paper_plan import own


def refused(message, size="laptop", **values):
  with pytest.raises(errors.ConfigError, match=message):
    plans.read_plan(f"experiments/paper.py:{size}", values)


@pytest.mark.parametrize("key, value, message", [
    ("pictures", "0,100", "pictures"), ("pictures", "100", "two or more"),
    ("pictures", "abc", "abc"), ("pictures", "100,100", "different"),
    ("pictures", "1e3,1e4", "whole numbers"), ("seeds", "0", "at least 1"),
    ("protocol", "foo", "steps or epochs"), ("steps", "0", "at least 1 step"),
    ("noise.standard", "3", "0 to 1"), ("noise.more", "0.2", "noise.*different value"),
    ("depths.deep", "14", "depths.*different value"), ("depths.deep", "18", "14, 26, 50"),
    ("fewer_labels_pictures", "20000", "at most the 10000"),
    ("evaluation", "", "name of a split"), ("evaluation", "train", "another split"),
    ("hierarchy_format", "csv", "edges or mlimages"),
    ("data", "/none/such", "data=/none/such; expected a folder"),
    ("clean.records", "/none/such", "clean.records=/none/such; expected a folder"),
    ("tasks.pose.records", "/none/such", "tasks.pose.records=/none/such; expected a folder"),
    ("hierarchy", "/none/such", "hierarchy=/none/such; expected a file"),
    ("fewer_labels", "/none/such", "fewer_labels=/none/such; expected a file"),
    ("tasks.detect.steps", "0", "at least 1 step"),
    ("tasks.detect.number", "coco/AP5", "coco/AP or coco/AP50"),
    ("tasks.pose.number", "coco/AP", "keypoints/AP or"),
    ("more_rates", "-1", "0 or more"), ("tasks.detect.rates", "0.1,-1", "positive"),
    ("tasks.detect.rates", "a", "positive")])
def test_a_value_that_no_study_can_have_is_told_before_it_starts(key, value, message):
  refused(message, **{key: value})


def test_what_own_records_lack_is_told_before_it_starts(tmp_path):
  folder = own(tmp_path, train=900, val=10)
  refused("'fasteval'; it has train, val", data=folder)
  refused("'fasteval'; it has train, val", size="full", data=folder)
  refused("tasks.detect.records.*'boxes_train'", **{"tasks.detect.records": folder})
  refused("at most the 900 of 'train'", data=folder, evaluation="val", pictures="100,901")


def test_full_size_needs_no_folder_here_and_neither_does_a_report():
  plans.read_plan("experiments/paper.py:full", {"data": "/none/such"})
  values = {"data": "/none/such", "hierarchy": "/none/such", "fewer_labels": "/none/such"}
  assert reporting.load_pages("experiments/paper.py:laptop", values)
  with pytest.raises(errors.ConfigError):
    plans.read_plan("experiments/paper.py:laptop", values)


def test_depths_and_formats_are_those_that_there_are():
  assert checks.DEPTHS == tuple(resnet.UNITS)
  with pytest.raises(errors.ConfigError, match="edges or mlimages or openimages or is_a"):
    readers.parse("none", "none")
