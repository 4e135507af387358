"""Why a record was left out: stable names, whose order is their code in tensors and files."""

from __future__ import annotations

NAMES = (
    "parse_error",
    "missing_feature",
    "empty_image",
    "unsupported_format",
    "too_many_pixels",
    "too_small",
    "bad_aspect",
    "decode_error",
    "label_out_of_range",
    "empty_labels",
    "too_many_labels",
    "missing_file",
    "size_mismatch",
    "bad_mask",
    "void_mask",
    "placeholder",
)
COUNT = len(NAMES)
(
    PARSE_ERROR,
    MISSING_FEATURE,
    EMPTY_IMAGE,
    UNSUPPORTED_FORMAT,
    TOO_MANY_PIXELS,
    TOO_SMALL,
    BAD_ASPECT,
    DECODE_ERROR,
    LABEL_OUT_OF_RANGE,
    EMPTY_LABELS,
    TOO_MANY_LABELS,
    MISSING_FILE,
    SIZE_MISMATCH,
    BAD_MASK,
    VOID_MASK,
    PLACEHOLDER,
) = range(COUNT)


def text(counts) -> str:
  """`decode_error 301, label_out_of_range 11` of one count per name; `none` of zeros."""
  parts = [f"{name} {int(count)}" for name, count in zip(NAMES, counts, strict=True) if count]
  return ", ".join(parts) or "none"
