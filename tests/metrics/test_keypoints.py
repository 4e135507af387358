"""COCO's ten numbers for keypoints: pycocotools on files, known values, and promises."""

from __future__ import annotations

import contextlib
import io
import json
import math
from importlib import util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params

from jft_reps.errors import ConfigError, DataError, NumericError
from jft_reps.metrics import keypoints
from jft_reps.metrics.poses import People, Poses, none
from tests.metrics import result_files

COCO_SIGMAS = Params("keypoints").kpt_oks_sigmas
BACKENDS = ["pycocotools", pytest.param("faster", marks=pytest.mark.skipif(
    util.find_spec("faster_coco_eval") is None, reason="optional package"))]


def official(dataset, results, sigmas=COCO_SIGMAS):
  """pycocotools by its own interface, on what the files say."""
  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = json.loads(json.dumps(dataset))
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return {name: None if value == -1 else value
          for name, value in zip(keypoints.NUMBERS, evaluation.stats)}


def people(dataset, count):
  """Who is in each picture of COCO's annotations."""
  by_picture = {}
  for image in dataset["images"]:
    mine = [a for a in dataset["annotations"] if a["image_id"] == image["id"]]
    points = np.array([a["keypoints"] for a in mine], float).reshape(len(mine), count, 3)
    x, y, width, height = np.array([a["bbox"] for a in mine], float).reshape(-1, 4).T
    by_picture[str(image["id"])] = People(
        points[..., [1, 0, 2]] + [0.5, 0.5, 0], np.stack([y, x, y + height, x + width], axis=1),
        np.array([a["iscrowd"] for a in mine], bool), np.array([a["area"] for a in mine]))
  return by_picture


def ours(dataset, results, path, sigmas=COCO_SIGMAS, backend="pycocotools"):
  """The metric on the same files."""
  path.write_text(json.dumps(results))
  found = result_files.read_coco_keypoints(path, len(sigmas))
  metric = keypoints.CocoKeypoints(sigmas, backend)
  for name, truth in people(dataset, len(sigmas)).items():
    metric.update(name, found.get(name, none(len(sigmas))), truth)
  return metric.result()


def close(one, other):
  assert tuple(one) == tuple(other) == keypoints.NUMBERS
  for name in one:
    assert (one[name] is None) == (other[name] is None), name
    assert one[name] is None or math.isclose(one[name], other[name], abs_tol=1e-12), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_reference_of_faster_coco_eval_is_met_exactly(shared_data, tmp_path, backend):
  """Values of its tests/test_keypoints.py, which are also pycocotools' own on the files."""
  folder = shared_data / "evalref/faster_coco_eval/keypoints_dataset"
  dataset, results = (json.loads((folder / f"{name}_dataset.json").read_text())
                      for name in ("gt", "dt"))
  result = ours(dataset, results, tmp_path / "r.json", backend=backend)
  reference = [0.5048844884488449, 0.7227722772277227, 0.6336633663366337, 0.46633663366336636,
               0.7504950495049505, 0.5181818181818182, 0.7272727272727273, 0.6363636363636364,
               0.4666666666666666, 0.75]
  np.testing.assert_allclose(list(result.numbers.values()), reference, rtol=0, atol=1e-15)
  close(result.numbers, official(dataset, results))
  assert result.per_class["person"]["positives"] == 11
  assert "17 points, COCO's sigmas" in result.definition
  assert "11 of 14 people counted" in result.definition
  assert "108 more of 1 pictures not counted" in result.definition


def moved(dataset, seed, deviation):
  """Results near the people of a set, with ties of scores, and some at no one's place."""
  rng, results = np.random.default_rng(seed), []
  for annotation in dataset["annotations"]:
    xyv = np.array(annotation["keypoints"], float).reshape(-1, 3)
    x, y, width, height = annotation["bbox"]
    for _ in range(rng.integers(0, 4)):
      places = np.where(xyv[:, 2:] > 0, xyv[:, :2],
                        [x, y] + rng.uniform(0, 1, (len(xyv), 2)) * [width, height])
      places = places + rng.normal(0, deviation * np.sqrt(annotation["area"]), places.shape)
      places = places + rng.choice([0, 300], p=[0.8, 0.2])
      results.append({"image_id": annotation["image_id"], "category_id": 1,
                      "score": rng.permutation(1000)[0] / 1000,
                      "keypoints": np.insert(places, 2, 1, axis=1).ravel().tolist()})
  return results


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_of_real_people_are_those_of_pycocotools(shared_data, tmp_path, backend):
  """Four photos with 14 people, one made a crowd; two have no points."""
  path = shared_data / "detection/mmpose_kp/coco/test_coco.json"
  dataset, seen = json.loads(path.read_text()), []
  dataset["annotations"][9]["iscrowd"] = 1
  for seed in range(6):
    results = moved(dataset, seed, [0.02, 0.05, 0.08][seed % 3])
    expected = official(dataset, results)
    close(ours(dataset, results, tmp_path / "r.json", backend=backend).numbers, expected)
    seen.append(expected["AP"])
  assert min(seen) < 0.3 < 0.5 < max(seen) < 1


def made_world(seed, count=14, pictures=6):
  """A set of people of `count` points, with crowds, unlabelled people and areas of all sizes."""
  rng, annotations = np.random.default_rng(seed), []
  for picture in range(1, pictures + 1):
    for _ in range(rng.integers(0, 5)):
      side = rng.choice([20, 60, 160])
      corner = rng.integers(0, 300, 2)
      visibility = rng.integers(0, 3, (count, 1)) * (rng.random() < 0.8)
      points = np.concatenate([corner + rng.uniform(0, side, (count, 2)), visibility], axis=1)
      annotations.append({
          "id": len(annotations) + 1, "image_id": picture, "category_id": 1,
          "keypoints": points.ravel().tolist(), "area": float(side**2 * rng.uniform(0.4, 1)),
          "num_keypoints": int((visibility > 0).sum()), "iscrowd": int(rng.random() < 0.15),
          "bbox": [*corner.tolist(), int(side), int(side)]})
  return {"images": [{"id": i} for i in range(1, pictures + 1)], "annotations": annotations,
          "categories": [{"id": 1, "name": "person"}]}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(8))
def test_other_numbers_of_points_and_sigmas_are_pycocotools_too(tmp_path, seed, backend):
  dataset = made_world(seed)
  sigmas = np.random.default_rng(seed).uniform(0.03, 0.1, 14)
  results = moved(dataset, seed, 0.06)
  result = ours(dataset, results, tmp_path / "r.json", sigmas, backend)
  close(result.numbers, official(dataset, results, sigmas))
  assert "14 points, sigmas with SHA-256" in result.definition


def test_the_results_of_cocoapi_against_people_made_of_them(shared_data, tmp_path):
  """Its truth is not here: every pose is a person, moved by some pixels and seen where it says."""
  results = json.loads((shared_data / "evalref/cocoapi_results" /
                        "person_keypoints_val2014_fakekeypoints100_results.json").read_text())
  rng, annotations = np.random.default_rng(1), []
  tied = [e for e in results if (e["image_id"], e["score"]) == (544, 0.231)]
  assert len(tied) == 2  # which pycocotools ranks by their place in the file
  tied[1]["score"] -= 1e-6
  for i, entry in enumerate(results, 1):
    points = np.array(entry["keypoints"], float).reshape(17, 3)
    points[:, :2] += rng.normal(0, 4, (17, 2))
    low, size = points[:, :2].min(axis=0), np.ptp(points[:, :2], axis=0)
    annotations.append({"id": i, "image_id": entry["image_id"], "category_id": 1, "iscrowd": 0,
                        "keypoints": points.ravel().tolist(), "bbox": [*low, *size],
                        "area": float(np.prod(size)),
                        "num_keypoints": int((points[:, 2] > 0).sum())})
  dataset = {"images": [{"id": i} for i in {a["image_id"] for a in annotations}],
             "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
  expected = official(dataset, results)
  close(ours(dataset, results, tmp_path / "r.json").numbers, expected)
  assert 0.2 < expected["AP"] < 0.95


def random_pictures(seed, count=3):
  rng, pictures = np.random.default_rng(seed), {}
  for name in rng.permutation(20)[:5]:
    n, m = rng.integers(0, 5, 2)
    corner = rng.uniform(0, 200, (n, 1, 2))
    points = corner + rng.uniform(0, 60, (n, count, 2))
    truth = People(np.concatenate([points, rng.integers(0, 3, (n, count, 1))], axis=2),
                   np.concatenate([corner[:, 0], corner[:, 0] + 60], axis=1), rng.random(n) < 0.2)
    chosen = rng.integers(0, n, m) if n else np.zeros(0, int)
    found = points[chosen] + rng.normal(0, 4, (len(chosen), count, 2))
    pictures[str(name)] = (Poses(found, rng.integers(0, 3, len(chosen)) / 2), truth)
  return pictures


def evaluate(pictures, sigmas=(0.05, 0.08, 0.1), exclude=None):
  metric = keypoints.CocoKeypoints(sigmas)
  for name, (found, truth) in pictures.items():
    metric.update(name, found, truth)
  return metric.result(exclude)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_of_pictures_and_poses_gives_the_same_result_to_the_bit(seed):
  pictures, rng = random_pictures(seed), np.random.default_rng(seed)
  shuffled = {name: (pictures[name][0][rng.permutation(len(pictures[name][0].scores))],
                     pictures[name][1]) for name in rng.permutation(list(pictures)).tolist()}
  assert evaluate(shuffled) == evaluate(pictures)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_leaving_pictures_out_equals_never_having_seen_them(seed):
  pictures = random_pictures(seed)
  out = list(pictures)[seed % 3:3]
  a = evaluate(pictures, exclude=[*out, "never seen"])
  b = evaluate({name: v for name, v in pictures.items() if name not in out})
  assert (a.numbers, a.per_class, a.pictures) == (b.numbers, b.per_class, b.pictures)
  assert (a.excluded, b.excluded) == (len(out), 0)


def person(area=None, visibility=2.0, at=0.0, crowd=None):
  points = np.array([[[10, 10, visibility], [50, 30, visibility], [40, 60, visibility]]]) + [
      at, at, 0]
  return People(points, np.array([[5.0, 5, 65, 65]]) + at, crowd,
                None if area is None else np.array([area]))


def poses(*offsets):
  points = person().points[0, :, :2]
  return Poses(np.array([points + offset for offset in offsets]).reshape(-1, 3, 2),
               np.arange(len(offsets), 0, -1.0))


def test_perfect_poses_reach_one_and_nothing_found_is_zero():
  perfect, nothing = evaluate({"a": (poses(0), person())}), evaluate({"a": (none(3), person())})
  for name in ("AP", "AP50", "AP75", "APM", "AR", "AR50", "AR75", "ARM"):
    assert perfect.numbers[name] == pytest.approx(1, abs=1e-12) and nothing.numbers[name] == 0
  assert perfect.numbers["APL"] is None and perfect.numbers["ARL"] is None
  assert nothing.per_class["person"] == {"AP": 0.0, "AP50": 0.0, "positives": 1, "detections": 0}


def test_what_is_undefined_is_none_and_never_minus_one():
  for truth in (person(visibility=0), person(crowd=np.array([True])),
                People(np.zeros((0, 3, 3)), np.zeros((0, 4)))):
    result = evaluate({"a": (poses(0), truth)})
    assert set(result.numbers.values()) == {None} and result.undefined == 1
    assert result.scalars("coco/") == {} and result.per_class["person"]["positives"] == 0
  assert set(evaluate({}).numbers.values()) == {None}
  assert evaluate({"a": (none(3), People([], []))}).numbers["AP"] is None


@pytest.mark.parametrize("ignored", [
    person(visibility=0, at=300), person(crowd=np.array([True]), at=300),
    person(area=0.0, at=300), person(area=math.nan, at=300), person(area=-1.0, at=300),
    person(area=math.inf, at=300)])
def test_who_is_ignored_is_neither_missed_nor_held_against_a_pose(ignored):
  both = {"a": (none(3), ignored), "b": (poses(0), person())}
  assert evaluate(both).numbers["AP"] == pytest.approx(1, abs=1e-12)
  both["a"] = (Poses(poses(300).points, np.array([9.0])), ignored)
  assert evaluate(both).numbers["AP"] == pytest.approx(1, abs=1e-12)
  both["a"] = (Poses(poses(0).points, np.array([9.0])), ignored)
  assert evaluate(both).numbers["AP"] == pytest.approx(0.5, abs=1e-12)


def test_people_whose_area_is_no_size_are_counted():
  result = evaluate({"a": (none(3), person(area=0.0)), "b": (none(3), person(area=math.nan)),
                     "c": (poses(0), person())})
  assert "1 of 3 people counted" in result.definition
  assert "2 of area 0 or not finite too" in result.definition
  assert "not finite" not in evaluate({"c": (poses(0), person())}).definition


def test_the_first_person_and_the_first_pose_count():
  """An id 0 would read as unmatched: only one person and one pose, both the first."""
  assert evaluate({"0": (poses(0), person())}).numbers["AR"] == pytest.approx(1)


def test_the_best_twenty_poses_of_a_picture_count_and_the_rest_is_told():
  many = poses(*[500] * 20, 0)
  hidden = evaluate({"a": (many, person()), "b": (none(3), person())})
  assert hidden.numbers["AP"] == 0 and "1 more of 1 pictures not counted" in hidden.definition
  shown = evaluate({"a": (many[1:], person())})
  assert shown.numbers["AR"] == pytest.approx(1) and "more of" not in shown.definition


def test_a_diverged_network_is_refused_and_leaves_nothing_behind():
  metric, good = keypoints.CocoKeypoints((0.05, 0.08, 0.1)), poses(0)
  for value in (math.nan, math.inf):
    wrong = good.points.copy()
    wrong[0, 1, 0] = value
    with pytest.raises(NumericError, match="poses in picture 'p'.*1 of 6 numbers in points"):
      metric.update("p", Poses(wrong, good.scores), person())
    with pytest.raises(NumericError, match="scores"):
      metric.update("p", Poses(good.points, np.array([value])), person())
    with pytest.raises(NumericError, match="truth of picture 'p'.*points"):
      metric.update("p", good, People(np.full((1, 3, 3), value), person().boxes))
    with pytest.raises(NumericError, match="truth of picture 'p'.*boxes"):
      metric.update("p", good, People(person().points, np.full((1, 4), value)))
  metric.update("p", good, person())
  assert metric.result().numbers["AP"] == pytest.approx(1)
  with pytest.raises(DataError, match="duplicate-picture.*'p' twice"):
    metric.update(b"p", good, person())


@pytest.mark.parametrize("found, truth, where", [
    (Poses(np.zeros((1, 17, 2)), np.ones(1)), person(), "poses"),
    (none(3), People(np.zeros((1, 17, 3)), np.zeros((1, 4))), "truth")])
def test_more_keypoints_than_sigmas_are_refused(found, truth, where):
  with pytest.raises(DataError, match=f"{where}.*17 keypoints; expected 3, one for each sigma"):
    evaluate({"p": (found, truth)})


@pytest.mark.parametrize("sigmas", [[], [0.1, 0], [0.1, math.nan], [-0.1], 0.1, [[0.1]]])
def test_sigmas_that_are_none_are_refused(sigmas):
  with pytest.raises(ConfigError, match="keypoint-sigmas"):
    keypoints.CocoKeypoints(sigmas)


def test_wrong_arguments_are_refused_and_nothing_is_printed(capsys):
  with pytest.raises(ConfigError, match="pycocotools or faster"):
    keypoints.CocoKeypoints([0.1], backend="fast")
  with pytest.raises(ConfigError, match="one string"):
    evaluate({"a": (poses(0), person())}, exclude="a")
  result = evaluate(random_pictures(3))
  assert capsys.readouterr().out == ""
  assert "pycocotools 2." in result.definition and "crowds and people without" in result.definition
  assert result.table().startswith(result.definition)
