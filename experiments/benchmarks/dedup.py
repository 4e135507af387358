"""Near-duplicates: recall and precision on edited pictures, and the time of the search.

  python -m experiments.benchmarks.dedup [--recipe=make_neardups.py --seeds=1,2,3] \\
      [--checkpoint=RUN] [--train=1000000]

Prints one JSON line.

* quality: `--recipe` writes evaluation and training pictures with their truth (`OUT --bases
  --distractors --seed`); all seeds count together. Baseline: a plain 64-bit pHash (8x8 lowest DCT
  coefficients above their median) at distance 10, upright, on the same files.
* search: one hash of each of `--eval` pictures among one of each of `--train` pictures, and in a
  tenth of those; hashes of planted copies differ in 0 to 10 bits. A sample of queries is held
  against brute force.
* policy: the same pictures with every view and symmetry, as `dedup` searches them.
"""

from __future__ import annotations

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags
from PIL import Image

from jft_reps.collection.dedup import find, hash_search, perceptual_hash, pictures, sources
from jft_reps.collection.dedup import index as duplicate_index
from jft_reps.collection.dedup.candidates import Searched
from jft_reps.collection.dedup.embedding import Embedding

_RECIPE = flags.DEFINE_string("recipe", None, "Program that writes edited pictures.")
_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "3"], "Its seeds.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A backbone, for the second measurement.")
_EVAL = flags.DEFINE_integer("eval", 50_000, "Evaluation hashes.", lower_bound=100)
_TRAIN = flags.DEFINE_integer("train", 1_000_000, "Training hashes.", lower_bound=1000)
_POLICY = flags.DEFINE_boolean("policy", True, "Measure the search of every view, too.")
_THREADS = 2
_COSINES = np.cos(np.pi * np.outer(np.arange(8), np.arange(32) + 0.5) / 32)


class Quality:
  """Pairs found and true, over several sets."""

  def __init__(self):
    self._true, self._found, self._right = 0, 0, 0
    self._missed: collections.Counter[str] = collections.Counter()

  def add(self, found: set[tuple[str, str]], edits: dict[tuple[str, str], str]) -> None:
    self._true += len(edits)
    self._found += len(found)
    self._right += len(found & edits.keys())
    self._missed.update(edit for pair, edit in edits.items() if pair not in found)

  def numbers(self, bar: float) -> dict:
    return {"recall": round(self._right / self._true, 4), "bar": bar,
            "precision": round(self._right / max(self._found, 1), 4), "pairs": self._true,
            "missed": dict(self._missed.most_common())}


def phash(path: pathlib.Path) -> np.uint64:
  """The plain hash of imagededup and ImageHash."""
  with Image.open(path) as image:
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
  low = _COSINES @ grey @ _COSINES.T
  return np.packbits((low > np.median(low)).ravel()).view(np.uint64)[0]


def of_plain_hash(folder: pathlib.Path) -> set[tuple[str, str]]:
  names, hashes = zip(*((p.name, phash(p)) for p in sorted(folder.glob("eval/*"))))
  mine, found = np.array(hashes), set()
  for path in sorted(folder.glob("train/*")):
    near = np.unpackbits((mine ^ phash(path))[:, None].view(np.uint8), axis=1).sum(1) <= 10
    found |= {(names[i], path.name) for i in np.flatnonzero(near)}
  return found


def quality(recipe: str, seeds: list[str], checkpoint: str | None) -> dict:
  """Numbers of the baseline, of hashes and thumbnails, and with an embedding."""
  embed = None
  if checkpoint:
    from jft_reps.workflows import embedding

    embed = embedding.embedder(checkpoint)
  found = collections.defaultdict(Quality)
  for seed in seeds:
    with tempfile.TemporaryDirectory() as folder:
      root = pathlib.Path(folder)
      subprocess.run([sys.executable, recipe, folder, "--bases=100", "--distractors=600",
                      f"--seed={seed}"], check=True)
      truth = json.loads((root / "truth.json").read_text())["truth"]
      edits = {(t["of"], name): t["edit"] for name, t in truth.items() if t["of"]}
      found["phash"].add(of_plain_hash(root), edits)
      parts = [list(duplicate_index.collect(
          pictures.folder(root / side), _THREADS, source=str(root / side)))
          for side in ("eval", "train")]
      found["hash"].add(_pairs(*parts), edits)
      if embed:
        found["embedding"].add(_pairs(*parts, Embedding(
            *embed, sources.open_pictures, parts[0], _THREADS, symmetries=8)), edits)
  bars = {"phash": 0.0, "hash": 0.90, "embedding": 0.95}
  return {name: value.numbers(bars[name]) for name, value in found.items()}


def _pairs(mine, theirs, embedding=None) -> set[tuple[str, str]]:
  pairs = find.find(mine, theirs, embedding=embedding)
  return {(p.eval_id, p.train_id) for p in pairs}


def planted(rng: np.random.Generator, queries: int, items: int) -> tuple[np.ndarray, np.ndarray]:
  """Random hashes, where every tenth query has an item that differs in 0 to 10 bits."""
  mine, theirs = (rng.integers(1, 1 << 63, n, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
                  for n in (queries, items))
  for i, place in enumerate(rng.choice(items, queries // 10, replace=False)):
    bits = rng.choice(64, rng.integers(11), replace=False)
    theirs[place] = mine[10 * i] ^ np.bitwise_or.reduce(
        np.uint64(1) << bits.astype(np.uint64), initial=np.uint64(0))
  return mine, np.unique(theirs)


def search(queries: int, items: int, sample: int = 200) -> dict:
  """Seconds of building and searching, and the share of true pairs found in a sample."""
  mine, theirs = planted(np.random.default_rng(items), queries, items)
  start = time.perf_counter()
  index = hash_search.HashIndex(theirs)
  blocks = list(index.search(mine, hash_search.RADIUS, _THREADS))
  seconds = time.perf_counter() - start
  found = {(q, i) for block in blocks for q, i in zip(block.queries.tolist(), block.items.tolist())}
  picked = range(0, queries, max(10, 10 * (queries // (10 * sample))))
  true = {(q, int(i)) for q in picked for i in np.flatnonzero(np.unpackbits(
      (theirs ^ mine[q])[:, None].view(np.uint8), axis=1).sum(1) <= hash_search.RADIUS)}
  return {"seconds": round(seconds, 2), "pairs": len(found), "sampled": len(true),
          "recall": len(true & found) / max(len(true), 1),
          "false": sum(q in picked for q, _ in found - true)}


def policy(queries: int, items: int) -> dict:
  """Seconds with all views of the evaluation pictures in all upright views of the others."""
  rng, views = np.random.default_rng(0), len(perceptual_hash.VIEWS)
  draw = lambda n: rng.integers(1, 1 << 64, (n, views), dtype=np.uint64)
  mine, theirs = draw(queries), draw(items)
  start = time.perf_counter()
  Searched(mine, "quarters").among(theirs, threads=_THREADS)
  return {"seconds": round(time.perf_counter() - start, 1)}


def main(argv: list[str]) -> None:
  del argv
  found = {"benchmark": "dedup"}
  if _RECIPE.value:
    found |= quality(_RECIPE.value, _SEEDS.value, _CHECKPOINT.value)
  tenth, whole = (search(_EVAL.value, n) for n in (_TRAIN.value // 10, _TRAIN.value))
  found |= {"eval_hashes": _EVAL.value, "train_hashes": _TRAIN.value, "search": whole,
            "bar_seconds": 120, "search_of_a_tenth": tenth,
            "growth": round(whole["seconds"] / max(tenth["seconds"], 1e-9), 1), "bar_growth": 12}
  if _POLICY.value:
    found["search_of_every_view"] = policy(_EVAL.value, _TRAIN.value)
  print(json.dumps(found))


if __name__ == "__main__":
  app.run(main)
