"""Pictures that a web site gives where the one that was asked for is gone.

They decode, carry the labels of what they replace, and some sets are full of them: three of the
four pictures in the records that Tencent's ML-Images shows as an example are Flickr's. They are
known by digests of their files, which tell byte-identical pictures as well.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

from jft_reps import errors

# s.yimg.com/pw/images/en-us/photo_unavailable.png, to which Flickr redirects: a size and an MD5
# are all that cleaning scripts of URL lists (ImageNet, SBU captions) state of it.
_PNG_BYTES, _PNG_MD5 = 2051, "880a7a58e05d3e83797f27573bb6d35c"
KNOWN: Mapping[str, str] = {
    # JPEG of 500 x 374 pixels and 14,676 bytes, in Tencent/tencent-ml-images data/tfrecords.
    "b0153809cfd540b23d88a2b9e92490a8f19697f7b412683d802ac006983eac7d": "flickr_jpeg",
    _PNG_MD5: "flickr_png",
}
_LARGEST_FILE = 16 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def digest(data: bytes) -> str:
  """What a file is known by: its SHA-256, as `sha256sum` prints it; of Flickr's PNG its MD5.

  Args:
    data: its bytes as they came, before anything was cut off or resized.
  """
  if len(data) == _PNG_BYTES:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if md5 == _PNG_MD5:
      return md5
  return hashlib.sha256(data).hexdigest()


def read(path: str | os.PathLike) -> dict[str, str]:
  """The known placeholders and those that a user names.

  Args:
    path: a picture that is one; or a text file with a SHA-256 per line and after a space a name,
      as `sha256sum` writes it. Empty lines and those that start with `#` are passed over.

  Returns:
    Name by `digest`.

  Raises:
    errors.DataError: no such file, or a line that starts with no digest; names the line.
  """
  path = os.fspath(path)
  try:
    if os.path.getsize(path) > _LARGEST_FILE:
      raise errors.DataError("bad-placeholders", path, f"{os.path.getsize(path)} bytes",
                             f"a picture or a list of digests, at most {_LARGEST_FILE} bytes")
    with open(path, "rb") as file:
      data = file.read()
  except OSError as error:
    raise errors.DataError("bad-placeholders", path, errors.printable(error.strerror),
                           "a picture or a list of digests") from None
  if data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
    return {**KNOWN, digest(data): os.path.basename(path)}
  found = dict(KNOWN)
  for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
    key, _, name = line.strip().partition(" ")
    if not key or key.startswith("#"):
      continue
    if not _SHA256.fullmatch(key.lower()):
      raise errors.DataError(
          "bad-placeholders", f"{path}:{number}", f"{errors.printable(key, 80)!r}",
          "the 64 hexadecimal digits of a SHA-256, then a name")
    found[key.lower()] = name.strip(" *") or f"{os.path.basename(path)}:{number}"
  return found
