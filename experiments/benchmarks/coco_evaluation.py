"""Time and memory of COCO evaluation at 8,000 pictures x 100 detections, beside pycocotools alone.

`python -m experiments.benchmarks.coco_evaluation` prints one JSON line. Boxes are made up: about
seven true ones a picture in 80 classes of unequal frequency, each found once or twice nearby, and
noise up to the number of detections. Each way runs in a fresh process on the same boxes:

* ours: `CocoBoxes.update` for each picture and `result`, with each backend that is installed;
* pycocotools: the same boxes as lists of dicts, then `createIndex`, `loadRes`, `evaluate`,
  `accumulate` and `summarize`. Making the lists takes no part of the time, but their memory counts,
  as they are what it takes.

Memory is the highest resident size above that of the process with its imports and the boxes as
arrays. The numbers of all ways are compared.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib.util
import io
import json
import multiprocessing
import time

import numpy as np
from absl import app, flags
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jft_reps.metrics import coco
from jft_reps.metrics.detections import Detections, Truth

_PICTURES = flags.DEFINE_integer("pictures", 8_000, "Pictures.", lower_bound=1)
_DETECTIONS = flags.DEFINE_integer("detections", 100, "Detections a picture.", lower_bound=20,
                                   upper_bound=100)
_CLASSES = flags.DEFINE_integer("classes", 80, "Classes.", lower_bound=1)
_Size = tuple[int, int, int]


def make_boxes(pictures: int, detections: int, classes: int,
               seed: int = 0) -> list[tuple[Detections, Truth]]:
  """Boxes of each picture, alike for alike arguments."""
  rng = np.random.default_rng(seed)
  frequency = 1 / np.arange(1, classes + 1)
  frequency /= frequency.sum()

  def boxes(n: int) -> np.ndarray:
    size = np.exp(rng.uniform(np.log(10), np.log(400), (n, 2)))
    corner = rng.uniform(0, 600, (n, 2)) - size / 2
    return np.concatenate([corner, corner + size], axis=1)

  made = []
  for _ in range(pictures):
    n = min(int(rng.poisson(7)), 9)
    truth = Truth(boxes(n), rng.choice(classes, n, p=frequency), rng.random(n) < 0.01)
    near = np.repeat(np.arange(n), rng.integers(1, 3, n))
    side = np.tile(truth.boxes[near, 2:] - truth.boxes[near, :2], 2)
    moved = truth.boxes[near] + np.clip(rng.normal(0, 0.08, side.shape), -0.4, 0.4) * side
    noise = detections - len(near)
    made.append((Detections(
        np.concatenate([moved, boxes(noise)]),
        np.concatenate([truth.classes[near], rng.choice(classes, noise, p=frequency)]),
        np.concatenate([rng.beta(4, 2, len(near)), rng.beta(1, 6, noise)])), truth))
  return made


def ours(made: list[tuple[Detections, Truth]], classes: int,
         backend: str) -> tuple[dict[str, float | None], float]:
  """Numbers and seconds of `CocoBoxes`."""
  start = time.perf_counter()
  metric = coco.CocoBoxes([str(c) for c in range(classes)], backend=backend)
  for i, (found, truth) in enumerate(made):
    metric.update(str(i), found, truth)
  numbers = dict(metric.result().numbers)
  return numbers, time.perf_counter() - start


def alone(made: list[tuple[Detections, Truth]],
          classes: int) -> tuple[dict[str, float | None], float]:
  """Numbers and seconds of pycocotools by its own interface."""
  def entries(boxes: Detections | Truth, i: int) -> list[dict]:
    ymin, xmin, ymax, xmax = boxes.boxes.T
    bbox = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], 1).tolist()
    return [{"image_id": i, "category_id": c + 1, "bbox": b}
            for c, b in zip(boxes.classes.tolist(), bbox)]

  true, results = [], []
  for i, (found, truth) in enumerate(made):
    for entry, crowd in zip(entries(truth, i), truth.crowd.tolist()):
      area = entry["bbox"][2] * entry["bbox"][3]
      true.append({**entry, "id": len(true) + 1, "iscrowd": int(crowd), "area": area})
    results += [{**entry, "score": s} for entry, s in zip(entries(found, i), found.scores.tolist())]
  dataset = {"images": [{"id": i} for i in range(len(made))], "annotations": true,
             "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)]}
  start = time.perf_counter()
  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  seconds = time.perf_counter() - start
  numbers = [None if value == -1 else float(value) for value in evaluation.stats]
  return dict(zip(coco.NUMBERS, numbers)), seconds


def measure(way: str, size: _Size) -> tuple[dict[str, float | None], float, float]:
  """In a fresh process: numbers, seconds, and peak megabytes above the start."""
  made = make_boxes(*size)
  before = _memory("VmRSS")
  numbers, seconds = alone(made, size[2]) if way == "alone" else ours(made, size[2], way)
  return numbers, seconds, _memory("VmHWM") - before


def _memory(key: str) -> float:
  """Megabytes of this process, from Linux's /proc."""
  with open("/proc/self/status") as file:
    return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def _difference(one: dict[str, float | None], other: dict[str, float | None]) -> float:
  if any((one[name] is None) != (other[name] is None) for name in one):
    raise AssertionError("the ways disagree on which numbers are defined")
  return max([abs(one[name] - other[name]) for name in one if one[name] is not None], default=0.0)


def main(argv: list[str]) -> None:
  del argv
  size = (_PICTURES.value, _DETECTIONS.value, _CLASSES.value)
  ways = ["pycocotools", "alone"]
  if importlib.util.find_spec("faster_coco_eval") is not None:
    ways.insert(1, "faster")
  found = {}
  for way in ways:
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")) as pool:
      found[way] = pool.submit(measure, way, size).result()
  numbers, seconds, extra = found.pop("alone")
  report = {"benchmark": "coco_evaluation", "pictures": size[0], "detections": size[1],
            "classes": size[2], "AP": numbers["AP"], "AP50": numbers["AP50"],
            "pycocotools_alone": {"seconds": round(seconds, 1), "extra_mb": round(extra)}}
  for way, (own_numbers, own_seconds, own_extra) in found.items():
    report[f"ours_{way}"] = {
        "seconds": round(own_seconds, 1), "extra_mb": round(own_extra),
        "time_over_pycocotools": round(own_seconds / seconds, 3),
        "memory_over_pycocotools": round(own_extra / extra, 3),
        "max_difference": _difference(own_numbers, numbers)}
  print(json.dumps(report))


if __name__ == "__main__":
  app.run(main)
