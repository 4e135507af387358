"""Writes pictures of the toy world as sharded records."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from typing import IO, Any

from jft_reps import errors
from jft_reps.data.records import keypoint_schema
from jft_reps.toy_world import render_process
from jft_reps.toy_world.world import SPLITS, ToyWorld

_CHUNK = 64
_PERSON = "person"


def write_records(
    world: ToyWorld,
    directory: str | os.PathLike[str],
    split: str,
    start: int,
    count: int,
    shards: int,
    processes: int = 1,
    jpeg_quality: int = 95,
    masks: bool = False,
    keypoints: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
  """Writes pictures `start` … `start + count - 1` of a split, with labels and boxes.

  Splits for segmentation have a class per pixel instead, and `background` before their labels;
  those of figures are people with keypoints of the schema `toy_world`, one class `person`. The
  records are the same for any number of processes.

  Args:
    world: the pictures.
    directory: folder of the records, made when absent.
    split: one of `toy_world.SPLITS`; also the name of the record set.
    start: index of the first picture.
    count: number of pictures.
    shards: number of files.
    processes: how many render; this process writes. None of them loads TensorFlow but this one.
    jpeg_quality: 1 … 100.
    masks: also store a PNG mask for each object.
    keypoints: also store keypoints, zeros for objects that have none; figures always have them.
    overwrite: replace a record set of the same split.
    progress: called as `progress(done, count)` after every few dozen pictures.

  Returns:
    The `records.RecordSet` that was written.

  Raises:
    ConfigError: an argument is out of its range.
    DataError: the split is there already, one with other labels is (splits for transfer, and
      figures again, need a directory of their own), or a rendering process ended early.
    StorageError: a shard could not be written.
  """
  from jft_reps.data.records import label_map, schema
  from jft_reps.data.records.writing import Writer
  if split not in SPLITS or min(start, count - 1, processes - 1) < 0:
    raise errors.ConfigError(
        "bad-toy-records", "toy_records", f"{split!r} from {start}, {count} by {processes}",
        f"a split of {', '.join(SPLITS)}, a start from 0, at least 1 picture and 1 process")
  job = dict(
      world=world.arguments, split=split, start=start, stop=start + count, chunk=_CHUNK, step=1,
      quality=jpeg_quality, masks=masks, keypoints=keypoints)
  segmented, jointed = SPLITS[split].masks, SPLITS[split].jointed
  about = {"source": "toy_world", "world": world.arguments, "start": start,
           "annotations": "masks" if segmented else "keypoints" if jointed else "boxes"}
  if jointed:
    about["keypoints"] = keypoint_schema.read("toy_world").to_json()
  writer = Writer(directory, split, shards, metadata=about, overwrite=overwrite)
  done = 0
  with writer, contextlib.closing(_rendered(job, processes)) as chunks:
    for chunk in chunks:
      for fields in chunk:
        writer.write(fields["picture_id"], schema.encode(**fields))
      done += len(chunk)
      if progress is not None:
        progress(done, count)
    ids = (_PERSON,) if jointed else world.vocabulary_of(split).ids
    labels = label_map.write(directory, ("background", *ids) if segmented else ids)
    writer.metadata.update(label_map.metadata(labels))
  return writer.record_set


def _rendered(job: dict[str, Any], processes: int) -> Generator[list[dict[str, Any]], None, None]:
  """Chunks of encoded pictures, in order of index."""
  if processes == 1:
    yield from render_process.chunks(job)
    return
  total = -(-(job["stop"] - job["start"]) // job["chunk"])
  with contextlib.ExitStack() as stack:
    crew = [stack.enter_context(_renderer(job, i, processes)) for i in range(processes)]
    for number in range(total):
      yield _read(*crew[number % processes])


@contextlib.contextmanager
def _renderer(job: dict[str, Any], number: int, processes: int):
  """A process that renders every `processes`-th chunk; its pipe holds it back when we are slow."""
  own = dict(job, start=job["start"] + number * job["chunk"], step=processes)
  root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
  path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
  with tempfile.TemporaryFile() as complaints:
    process = subprocess.Popen(
        [sys.executable, "-m", render_process.__name__, json.dumps(own)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints,
        env={**os.environ, "PYTHONPATH": path})
    try:
      yield process, complaints
    finally:
      process.kill()
      process.wait()
      _pipe(process).close()


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
  """What a renderer writes its chunks to."""
  assert process.stdout is not None  # it was asked for
  return process.stdout


def _read(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> list[dict[str, Any]]:
  try:
    return pickle.load(_pipe(process))
  except (EOFError, pickle.UnpicklingError):
    code = process.wait()
    complaints.seek(0)
    last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    raise errors.DataError(
        "renderer-died", "toy_records", f"a rendering process ended with code {code}: "
        f"{errors.printable(' '.join(last))}", "its pictures",
        "Free memory or use fewer processes, then write again.") from None
