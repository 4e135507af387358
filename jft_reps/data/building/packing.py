"""A picture before it is a record, as bytes that a build keeps for a while: JSON, no code."""

from __future__ import annotations

import dataclasses
import json
import struct
from typing import Any

import numpy as np

from jft_reps.data.sources import raw

_LENGTH = struct.Struct("<I")
_FIELDS = tuple(f.name for f in dataclasses.fields(raw.Source) if f.name != "data")


def pack(source: raw.Source) -> bytes:
  """Everything of a source; its encoded picture, where it carries one, after the rest."""
  fields = {name: getattr(source, name) for name in _FIELDS}
  fields["embedded"] = source.data is not None
  text = json.dumps(fields, default=_plain).encode()
  return _LENGTH.pack(len(text)) + text + (source.data or b"")


def unpack(packed: bytes) -> raw.Source:
  """The source of which `pack` made the bytes."""
  end = _LENGTH.size + _LENGTH.unpack_from(packed)[0]
  fields = json.loads(packed[_LENGTH.size:end])
  data = packed[end:] if fields.pop("embedded") else None
  for name in ("labels", "confidences", "absent"):
    fields[name] = tuple(fields[name])
  objects, mask = fields.pop("objects"), fields.pop("mask")
  return raw.Source(**fields, data=data, objects=objects and _objects(objects),
                    mask=mask and _mask(mask))


def _plain(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
  return value.tolist()  # NumPy's arrays and numbers


def _objects(fields: dict[str, Any]) -> raw.Objects:
  points = fields.pop("keypoints")
  boxes = np.asarray(fields.pop("boxes"), np.float64).reshape(-1, 4)
  if points is not None:
    points = np.asarray(points, np.float64)
    points = points if points.size else np.zeros((len(boxes), 0, 3))
  return raw.Objects(boxes=boxes, keypoints=points, **_tuples(fields))


def _mask(fields: dict[str, Any]) -> raw.Mask:
  outlines = tuple(map(_outline, fields.pop("outlines")))
  return raw.Mask(outlines=outlines, **_tuples(fields))


def _outline(fields: dict[str, Any]) -> raw.Outline:
  polygons = tuple(np.asarray(p, np.float64) for p in fields.pop("polygons"))
  counts = fields.pop("counts")
  if isinstance(counts, list):
    counts = np.asarray(counts, np.int64)
  return raw.Outline(polygons=polygons, counts=counts, **_tuples(fields))


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
  return {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
