"""Records to pictures with a class per pixel, and why a record cannot become one."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.data.reading import parse_labels
from jft_reps.data.records import reasons, schema
from jft_reps.ops import masked_pictures, picture_headers

Tensors = dict[str, tf.Tensor]


def _features() -> parse_labels.Features:
  wanted = {**schema.picture_features(), **schema.object_features()}
  return {key: wanted[key] for key in (schema.ENCODED, schema.SOURCE_ID, schema.SEGMENTATION)}


@dataclasses.dataclass(frozen=True)
class MaskParser:
  """Reads chunks of serialised examples with a mask.

  Attributes:
    picture: the picture path.
    needed: leave out records without a mask, which is void everywhere otherwise.
  """

  picture: masked_pictures.TrainingPicture | masked_pictures.WholePicture
  needed: bool = True

  def parse(self, serialized: tf.Tensor) -> Tensors:
    """Parses n records, `[n]`; never fails.

    Returns:
      `problem` int64 `[n]`, a code of `reasons` or -1; `encoded` string `[n, 2]`, picture and
      mask; `id` string `[n]`.
    """
    return self._tensors(parse_labels.parse_each(serialized, _features()))

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code (int64 scalar) of why a record fails; `DECODE_ERROR` where nothing else is wrong."""
    parse = lambda record: self._tensors(tf.io.parse_example(record, _features()))

    def picture(record: tf.Tensor) -> Tensors:
      parsed = parse(record)
      return {**parsed, "encoded": parsed["encoded"][:, 0]}

    code = parse_labels.reason_of(picture, serialized)
    of_mask = lambda record: self._mask_problem(parse(record[tf.newaxis])["encoded"][0])
    undecoded = lambda _: tf.constant(reasons.BAD_MASK, tf.int64)
    return tf.cond(tf.equal(code, reasons.DECODE_ERROR),
                   lambda: parse_labels.attempt(serialized, of_mask, undecoded), lambda: code)

  def _mask_problem(self, encoded: tf.Tensor) -> tf.Tensor:
    """Code of what is wrong with the mask of `encoded`, `[2]`, the picture if nothing is."""
    picture, mask = encoded[0], encoded[1]
    size = parse_labels.attempt(
        picture, picture_headers.header_size, lambda _: picture_headers.png_size(mask))
    with tf.control_dependencies([tf.debugging.Assert(picture_headers.is_grey_png(mask), [0])]):
      pixels = tf.io.decode_png(tf.identity(mask), channels=1)
    known = tf.reduce_all(masked_pictures.in_range(pixels, self.picture.num_classes))
    fits = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], size))
    problem = tf.where(known, reasons.DECODE_ERROR, reasons.LABEL_OUT_OF_RANGE)
    return tf.cast(tf.where(fits, problem, reasons.SIZE_MISMATCH), tf.int64)

  def _tensors(self, parsed: dict[str, tf.RaggedTensor]) -> Tensors:
    """What `parse` describes."""
    encoded = parse_labels.first_of_each(parsed[schema.ENCODED])
    masks, pictures = (parsed[k].row_lengths() for k in (schema.SEGMENTATION, schema.ENCODED))
    missing = tf.equal(masks, 0) if self.needed else tf.zeros_like(masks, tf.bool)
    return {
        "problem": parse_labels.first_problem([
            *parse_labels.encoding_problems(pictures, encoded, masks > 1),
            (missing, reasons.MISSING_FEATURE)]),
        "encoded": tf.stack([encoded, parse_labels.first_of_each(parsed[schema.SEGMENTATION])],
                            1),
        "id": parse_labels.first_of_each(parsed[schema.SOURCE_ID]),
    }
