"""The root BUILD is the declared dependency graph: every import in the tree agrees with it."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

# Import name of each stand-in whose target has another name.
_PIP = {"absl": "absl_py", "cv2": "opencv", "google": "protobuf", "PIL": "pillow",
        "pkg_resources": "setuptools", "sklearn": "scikit_learn"}
_ROOMS = ("ops", "data", "models", "metrics", "tasks", "training", "studies", "apps")
_FLOOR_2 = {"data", "models", "metrics"}
_FLOOR_3 = {"tasks", "training", "studies"}


class Target:
  def __init__(self, kind, name, srcs=(), deps=()):
    self.kind, self.name, self.srcs, self.deps = kind, name, list(srcs), list(deps)


def read_build(root: pathlib.Path) -> dict[str, Target]:
  """Runs the BUILD file as Python with stub rules."""
  targets: dict[str, Target] = {}

  def rule(kind):
    def add(name, srcs=(), deps=(), data=()):
      assert name not in targets, f"{name} is declared twice"
      targets[name] = Target(kind, name, srcs, deps)
    return add

  def glob(patterns):
    return sorted({str(p.relative_to(root)) for pattern in patterns for p in root.glob(pattern)})

  text = (root / "BUILD").read_text()
  ast.parse(text)
  exec(text, {  # noqa: S102 - our own file, with no builtins
      "__builtins__": {}, "glob": glob, "licenses": lambda kinds: None,
      "exports_files": lambda files: None, "package": lambda **kwargs: None,
      **{kind: rule(kind) for kind in ("py_library", "py_binary", "py_test")}})
  return targets


def imports_of(path: pathlib.Path) -> set[str]:
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: relative import"
      found |= {f"{node.module}.{alias.name}" for alias in node.names}
  return found


def room_of(module: str) -> str | None:
  """The target that a module belongs to; None for the standard library."""
  parts = module.split(".")
  if parts[0] == "jft_reps":
    return parts[1] if len(parts) > 1 and parts[1] in _ROOMS else "base"
  if parts[0] in ("experiments", "tests"):
    return parts[0]
  if parts[0] in sys.stdlib_module_names:
    return None
  return _PIP.get(parts[0], parts[0])


@pytest.fixture(scope="module")
def targets(root):
  return read_build(root)


def test_every_file_belongs_to_exactly_one_library(root, targets):
  libraries = [t for t in targets.values() if t.kind in ("py_library", "py_test")]
  owned = [s for t in libraries for s in t.srcs]
  tree = {str(p.relative_to(root)) for folder in ("jft_reps", "experiments", "tests")
          for p in (root / folder).rglob("*.py")}
  assert sorted(owned) == sorted(tree)


def test_every_dependency_is_declared_and_every_declared_one_exists(targets):
  for target in targets.values():
    for dependency in target.deps:
      assert dependency.removeprefix(":") in targets, f"{target.name}: {dependency}"


def test_every_import_is_declared(root, targets):
  for target in targets.values():
    declared = {d.removeprefix(":") for d in target.deps} | {target.name}
    if target.kind == "py_binary":
      continue
    for source in target.srcs:
      for module in imports_of(root / source):
        room = room_of(module)
        assert room is None or room in declared, (
            f"{source} imports {module}; add :{room} to {target.name} in BUILD or do not import")


def test_no_declared_dependency_is_unused(root, targets):
  for target in targets.values():
    if target.kind == "py_binary" or not target.srcs:
      continue
    used = {room_of(m) for s in target.srcs for m in imports_of(root / s)}
    for dependency in target.deps:
      assert dependency.removeprefix(":") in used, f"{target.name} does not use {dependency}"


def test_floors_hold(targets):
  for room in _FLOOR_2:
    assert not {d.removeprefix(":") for d in targets[room].deps} & (
        (_FLOOR_2 | _FLOOR_3 | {"apps", "experiments"}) - {room})
  for room in _FLOOR_3:
    assert not {d.removeprefix(":") for d in targets[room].deps} & (
        (_FLOOR_3 | {"apps", "experiments"}) - {room})
  for room in ("base", "ops"):
    assert not {d.removeprefix(":") for d in targets[room].deps} & (
        set(_ROOMS) - {"ops"} | {"experiments"})


def test_importing_the_package_loads_no_tensorflow(root):
  code = ("import sys, jft_reps, jft_reps.errors, jft_reps.task\n"
          "assert not {'tensorflow', 'tf_keras', 'numpy'} & set(sys.modules), 'loaded'")
  subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


def test_every_program_has_a_target(targets, root):
  from jft_reps.apps import command_line

  for program in command_line.PROGRAMS:
    assert targets[program].kind == "py_binary"
    assert (root / targets[program].srcs[0]).exists()
