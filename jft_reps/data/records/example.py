"""`tf.train.Example` without TensorFlow, whose import takes seconds: the same bytes on disk.

The messages are those of tensorflow/core/example/example.proto and feature.proto, in a pool of
their own, so that TensorFlow may be imported beside them.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = (("BytesList", "bytes_list", _FIELD.TYPE_BYTES), ("FloatList", "float_list",
          _FIELD.TYPE_FLOAT), ("Int64List", "int64_list", _FIELD.TYPE_INT64))


def _classes() -> dict[str, Any]:
  """Classes of the messages by name."""
  file = descriptor_pb2.FileDescriptorProto(
      name="example.proto", package="tensorflow", syntax="proto3")
  feature = file.message_type.add(name="Feature")
  feature.oneof_decl.add(name="kind")
  for number, (name, field, kind) in enumerate(_LISTS, 1):
    file.message_type.add(name=name).field.add(
        name="value", number=1, label=_FIELD.LABEL_REPEATED, type=kind)
    feature.field.add(name=field, number=number, label=_FIELD.LABEL_OPTIONAL, oneof_index=0,
                      type=_FIELD.TYPE_MESSAGE, type_name=f".tensorflow.{name}")
  features = file.message_type.add(name="Features")
  entry = features.nested_type.add(name="FeatureEntry")  # how protobuf writes a map
  entry.options.map_entry = True
  entry.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
  entry.field.add(name="value", number=2, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_MESSAGE,
                  type_name=".tensorflow.Feature")
  features.field.add(name="feature", number=1, label=_FIELD.LABEL_REPEATED,
                     type=_FIELD.TYPE_MESSAGE, type_name=".tensorflow.Features.FeatureEntry")
  file.message_type.add(name="Example").field.add(
      name="features", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_MESSAGE,
      type_name=".tensorflow.Features")
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))
          for name in ("Example", "Features", "Feature", "BytesList", "FloatList", "Int64List")}


_BY_NAME = _classes()
Example, Features, Feature = (_BY_NAME[name] for name in ("Example", "Features", "Feature"))
BytesList, FloatList, Int64List = (_BY_NAME[name] for name, _, _ in _LISTS)
