"""Pictures of one class from typical to strange: figure 2 of Sun et al. 2017.

Features of all pictures that carry the class are clustered by k-means; the distance to the nearest
centroid, in equal steps, is the row. What a page or a word play mislabelled ("tortoise-shell
glasses" under "tortoise") tends to lie far out, unless there is so much of it that it has a
centroid of its own. Features are brought to length one, so distances are at most 2.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from scipy.spatial import distance

from jft_reps import errors
from jft_reps.collection import contact_sheet
from jft_reps.collection.labels import kmeans
from jft_reps.data.reading import guarded, order, parse_labels
from jft_reps.data.records import manifest
from jft_reps.ops import images

_CHUNK, _BATCH = 256, 32
_plain_python = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class Members:
  """Pictures that carry a class.

  Attributes:
    ids: of the pictures.
    features: float32 `[n, d]`.
    thumbnails: uint8 `[n, side, side, 3]`.
  """

  ids: list[str]
  features: np.ndarray
  thumbnails: np.ndarray


@dataclasses.dataclass(frozen=True)
class Arranged:
  """Where each picture lies.

  Attributes:
    distances: `[n]`, to the nearest centroid.
    centroids: int64 `[n]`, which that is.
    rows: int64 `[n]`, the distance in equal steps, 0 nearest.
    edges: `[rows + 1]`, of the steps.
  """

  distances: np.ndarray
  centroids: np.ndarray
  rows: np.ndarray
  edges: np.ndarray


def collect(
    record_set: manifest.RecordSet, num_classes: int, classes: Sequence[int],
    embed_fn: Callable[[tf.Tensor], tf.Tensor], picture: images.CenterCrop, limit: int = 2000,
    side: int = 112, progress: Callable[[int, int], None] = lambda done, total: None,
) -> Members:
  """Features of the first pictures, in order of the hash of their ids, that carry a class.

  Only those are decoded; pictures that a reader would leave out are left out.

  Args:
    record_set: a checked set.
    num_classes: of the vocabulary.
    classes: indices of the class and all below it, which imply it.
    embed_fn: from uint8 `[n, height, width, 3]` to features `[n, d]`.
    picture: what the network is to see.
    limit: pictures at most; each takes a thumbnail and its features in memory.
    side: of the thumbnails, in pixels.
    progress: called as `progress(pictures found, limit)`.

  Raises:
    errors.DataError: no picture carries the class, or a shard is damaged.
  """
  ids: list[str] = []
  features: list[np.ndarray] = []
  thumbnails: list[np.ndarray] = []
  try:
    for batch in _batches(record_set, num_classes, classes, picture):
      kept = min(limit - len(ids), len(batch["id"]))
      ids += [i.decode("utf-8", "backslashreplace") for i in batch["id"].numpy()[:kept].tolist()]
      features.append(np.asarray(embed_fn(batch["image"]))[:kept])
      small = tf.image.resize(batch["image"][:kept], [side, side], antialias=True)
      thumbnails.append(tf.cast(tf.round(small), tf.uint8).numpy())
      progress(len(ids), limit)
      if len(ids) == limit:
        break
  except tf.errors.OpError as error:
    raise manifest.diagnose(record_set) or errors.DataError(
        "unreadable-records", record_set.directory, error.message, "records that can be read"
    ) from error
  if not ids:
    raise errors.DataError("no-picture-of-class", f"{record_set.directory}, split "
                           f"{record_set.split}", "no usable picture carries it", "at least one")
  values = np.concatenate(features)
  if values.ndim != 2 or not np.isfinite(values).all():
    raise errors.NumericError("features", "embed_fn", f"shape {values.shape}, not all finite",
                              "finite numbers [pictures, d]")
  return Members(ids, values, np.concatenate(thumbnails))


def _batches(record_set, num_classes: int, classes: Sequence[int], picture) -> tf.data.Dataset:
  """Decoded pictures that carry one of the classes."""
  parser = parse_labels.LabelParser(picture, num_classes, max_labels=256)
  member = np.zeros(num_classes + 1, bool)
  member[np.asarray(classes) + 1] = True  # padding is -1

  def of_class(chunk):
    parsed = parser.parse(chunk["serialized"])
    labels = tf.where(parsed["problem"][:, tf.newaxis] < 0, parsed["labels"], -1)
    kept = tf.reduce_any(tf.gather(tf.constant(member), labels + 1), axis=1)
    return {key: tf.boolean_mask(value, kept) for key, value in chunk.items()}

  def decoded(chunk):
    good = guarded.decode_chunk(parser, chunk, tf.constant(0, tf.int64))
    return {"id": good["id"], "image": good["image"]}

  chunks = order.chunks(record_set, _CHUNK, shuffle=0, repeat=False)
  found = chunks.map(_plain_python(of_class)).unbatch().batch(_BATCH)
  found = found.map(_plain_python(decoded), num_parallel_calls=2, deterministic=True)
  return found.filter(_plain_python(lambda batch: tf.size(batch["id"]) > 0)).prefetch(1)


def arrange(features: np.ndarray, clusters: int = 4, steps: int = 8, seed: int = 0) -> Arranged:
  """Distances to the nearest of a few centroids, in equal steps from the smallest to the largest.

  Args:
    features: `[n, d]`.
    clusters: centroids; the more, the more of the noise has one of its own.
    steps: rows of the sheet.
    seed: of k-means.
  """
  values = np.asarray(features, np.float64)
  values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
  centroids = kmeans.kmeans(values, clusters, seed)
  every = distance.cdist(values, centroids)
  distances, nearest = every.min(1), every.argmin(1)
  edges = np.linspace(distances.min(), distances.max(), steps + 1)
  rows = np.clip(np.searchsorted(edges, distances, "right") - 1, 0, steps - 1)
  return Arranged(distances, nearest, rows, edges)


def draw(members: Members, arranged: Arranged, title: str, columns: int = 10) -> bytes:
  """A PNG: a row per step of distance, near to far, with evenly spaced pictures of the step.

  Args:
    members: the pictures.
    arranged: of `arrange`.
    title: stands above, such as the name of the class.
    columns: pictures in a row.
  """
  blank, rows = np.full((1, 1), 255, np.uint8), []
  for row, (low, high) in enumerate(zip(arranged.edges, arranged.edges[1:])):
    inside = np.flatnonzero(arranged.rows == row)
    inside = inside[np.argsort(arranged.distances[inside], kind="stable")]
    places = np.unique(np.linspace(0, len(inside) - 1, columns).round().astype(int))
    shown = inside[places] if len(inside) else ()
    rows.append([contact_sheet.Tile(blank, f"{low:.2f} to {high:.2f}: {len(inside):,}"),
                 *(contact_sheet.Tile(members.thumbnails[i], members.ids[i]) for i in shown)])
  about = (f"{title}: {len(members.ids):,} pictures by distance to the nearest of "
           f"{arranged.centroids.max() + 1} centroids, near to far")
  out = io.BytesIO()
  contact_sheet.sheet(rows, members.thumbnails.shape[1], about).save(out, "PNG")
  return out.getvalue()


def table(members: Members, arranged: Arranged) -> str:
  """CSV of id, row, distance and centroid of every picture, near to far."""
  out = io.StringIO()
  lines = csv.writer(out, lineterminator="\n")
  lines.writerow(("id", "row", "distance", "centroid"))
  for i in np.argsort(arranged.distances, kind="stable"):
    lines.writerow((members.ids[i], arranged.rows[i], f"{arranged.distances[i]:.6f}",
                    arranged.centroids[i]))
  return out.getvalue()
