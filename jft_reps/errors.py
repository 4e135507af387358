"""Errors that say what is wrong, where, and what to do about it.

Every error raised for something a user brought (data, configuration, weights, a
cluster) carries a short slug and reads `error[slug]: where: found; expected …. fix`.
The programs turn it into one line on stderr and the exit code of its class.
"""

from __future__ import annotations

_LONGEST = 200


def printable(text: object, longest: int = _LONGEST) -> str:
  """Text of unknown origin with control characters escaped, cut to `longest`."""
  if isinstance(text, bytes):
    text = text.decode("utf-8", "backslashreplace")
  start = str(text)[: longest + 1]
  escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in start)
  return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"


class JftError(Exception):
  """A problem with what the user brought.

  Args:
    slug: short kebab-case name of the problem, stable between releases.
    where: file, `file:line`, `file record N`, configuration key or host.
    found: what is there.
    expected: what should be there.
    fix: one sentence on what to do.
  """

  exit_code = 1

  def __init__(self, slug: str, where: object, found: str, expected: str = "", fix: str = ""):
    self.slug, self.where, self.found = slug, str(where), found
    self.expected, self.fix = expected, fix
    message = f"error[{slug}]: {self.where}: {found}"
    if expected:
      message += f"; expected {expected}"
    super().__init__(f"{message}. {fix}".strip() if fix else message)

  def __reduce__(self):
    # Exceptions cross processes by their message alone, which would lose the parts.
    return type(self), (self.slug, self.where, self.found, self.expected, self.fix)


class ConfigError(JftError):
  """A flag, a configuration value or `TF_CONFIG` is wrong."""

  exit_code = 1


class DataError(JftError):
  """Records, pictures, label maps or hierarchies are wrong, or too many were skipped."""

  exit_code = 2


class NumericError(JftError):
  """Losses or gradients were not finite too often."""

  exit_code = 3


class StorageError(JftError):
  """A checkpoint or run directory cannot be written or read."""

  exit_code = 4


class ClusterError(JftError):
  """A task of the cluster is gone or silent; starting again may help."""

  exit_code = 75
