"""Schemas of keypoints agree with COCO's code and the generated figures, or say what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from pycocotools import cocoeval

from jft_reps import errors
from jft_reps.data.records import keypoint_schema
from jft_reps.toy_world import figures

COCO = keypoint_schema.read("coco")


def test_coco_has_the_sigmas_of_cocos_evaluation_and_the_names_and_joins_of_its_files(shared_data):
  theirs = cocoeval.Params("keypoints").kpt_oks_sigmas
  np.testing.assert_allclose(COCO.sigmas, theirs, rtol=1e-15)
  path = shared_data / "detection" / "mmpose_kp" / "coco" / "test_coco.json"
  [person] = json.loads(path.read_text())["categories"]
  assert COCO.names == tuple(person["keypoints"]) and COCO.count == 17
  assert COCO.skeleton == tuple((a - 1, b - 1) for a, b in person["skeleton"])


def test_toy_world_is_that_of_the_generated_figures():
  schema = keypoint_schema.read("toy_world")
  assert schema.names == figures.KEYPOINTS and schema.skeleton == figures.SKELETON
  assert schema.mirror == figures.MIRROR_PAIRS and schema.mirrored == figures.MIRRORED
  for name, sigma in zip(schema.names, schema.sigmas):
    shoulder = COCO.sigmas[COCO.names.index("left_shoulder")]
    assert sigma == (COCO.sigmas[COCO.names.index(name)] if name in COCO.names else shoulder)


@pytest.mark.parametrize("name", ["coco", "toy_world"])
def test_mirroring_exchanges_left_and_right_and_nothing_else(name):
  schema = keypoint_schema.read(name)
  swap = {"left": "right", "right": "left"}
  theirs = [re.sub("left|right", lambda side: swap[side[0]], own) for own in schema.names]
  assert [schema.names[i] for i in schema.mirrored] == theirs
  assert [schema.mirrored[i] for i in schema.mirrored] == list(range(schema.count))


def test_json_gives_the_same_schema_from_memory_and_from_a_file(tmp_path):
  one = keypoint_schema.KeypointSchema("one", ("tip",), (), (), (1,))
  for schema in (COCO, one):
    (tmp_path / "own.json").write_text(json.dumps(schema.to_json()))
    assert keypoint_schema.read(tmp_path / "own.json") == schema
    assert keypoint_schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
  assert one.mirrored == [0]


@pytest.mark.parametrize("change, message", [
    ({"names": []}, r"names \[\]|names \(\)"), ({"names": ["a", "a", "c"]}, r"name \['a'\] twice"),
    ({"names": ["a", 7, "c"]}, "names"), ({"names": ["a", ["b"], "c"]}, "names"),
    ({"names": "abc"}, "names abc; expected a list"), ({"name": 3}, "name 3; expected a text"),
    ({"mirror": [[0, 3]]}, r"mirror \(0, 3\); expected two different indices from 0 to 2"),
    ({"mirror": [[1, 1]]}, "mirror"), ({"mirror": [[0, 1], [1, 2]]}, "in two mirror pairs"),
    ({"mirror": [[0, True]]}, "mirror"), ({"mirror": [0, 1]}, "a list of pairs"),
    ({"skeleton": [[-1, 0]]}, "skeleton"), ({"skeleton": [[0, 1, 2]]}, "skeleton"),
    ({"skeleton": [[0, 1.0]]}, "skeleton"), ({"sigmas": [0.1, 0.1]}, "2 sigmas; expected 3"),
    ({"sigmas": [0.1, 0, 0.1]}, "positive"), ({"sigmas": [0.1, float("nan"), 1]}, "positive"),
    ({"sigmas": [0.1, float("inf"), 1]}, "positive"), ({"sigmas": [0.1, "1", 1]}, "positive"),
    ({"colour": "red"}, "keys .*colour"), ({"sigmas": None}, "sigmas None; expected a list")])
def test_what_is_wrong_is_named_with_the_file(tmp_path, change, message):
  good = {"name": "own", "names": ["a", "b", "c"], "mirror": [[1, 2]], "skeleton": [[0, 1]],
          "sigmas": [0.1, 0.2, 0.2]}
  path = tmp_path / "own.json"
  path.write_text(json.dumps({**good, **change}))
  with pytest.raises(errors.DataError, match=rf"keypoint-schema\]: .*own.json: .*{message}"):
    keypoint_schema.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 200_000, '{"name": "x"}', b"\xff\xfe{"])
def test_files_that_are_no_schema(tmp_path, text):
  (tmp_path / "own").write_bytes(text if isinstance(text, bytes) else text.encode())
  with pytest.raises(errors.DataError, match=r"keypoint-schema\]: .*own: "):
    keypoint_schema.read(tmp_path / "own")


@pytest.mark.parametrize("name", ["cocoo", "", "..", "no\0name", "missing.json", "/no/such/file"])
def test_unknown_names(name):
  with pytest.raises(errors.DataError, match="keypoint-schema"):
    keypoint_schema.read(name)
  if name == "cocoo":
    with pytest.raises(errors.DataError, match="Known by name: coco, toy_world; anything else is"):
      keypoint_schema.read(name)


def test_a_schema_that_is_made_wrong_is_refused_too():
  with pytest.raises(errors.DataError, match="keypoint schema coco: 16 sigmas; expected 17"):
    dataclasses.replace(COCO, sigmas=COCO.sigmas[1:])
