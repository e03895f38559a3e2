# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that makes the roles' READMEs out of their argument specs."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
import yaml

from tests.unit.helpers import CHECKOUT

TOOL = CHECKOUT / "tools" / "role_readmes.py"
SPEC = """
main:
  short_description: Do a thing
  description:
    - Does O(role_x) with M(drydock.volumes.docker_volume_layout), see P(drydock.volumes.storage_class#filter).
    - It is V(a|b).
  examples: |
    - hosts: all
      roles: [drydock.volumes.role]
  options:
    role_x:
      description: A list.
      type: list
      elements: dict
      required: true
      options:
        name: {description: [Its name., More., "Or I(none)."], type: str, choices: [a, b]}
    role_y: {description: A number., type: int, default: 0}
"""


@pytest.fixture
def readme() -> t.Callable[..., str]:
    namespace: dict[str, t.Any] = {"__name__": "role_readmes", "__file__": str(TOOL)}
    exec(compile(TOOL.read_text(), TOOL, "exec"), namespace)
    return t.cast("t.Callable[..., str]", namespace["readme"])


def test_a_readme(readme: t.Callable[..., str]) -> None:
    text = readme("role", yaml.safe_load(SPEC))
    assert "\n# drydock.volumes.role\n\nDo a thing.\n" in text
    assert "Does `role_x` with `drydock.volumes.docker_volume_layout`, see `drydock.volumes.storage_class`." in text
    assert "```yaml\n- hosts: all\n  roles: [drydock.volumes.role]\n```" in text
    assert "| `role_x` | list of dict | **required** | A list. See [below](#role_x). |" in text
    assert "### `role_x`" in text
    assert "| `name` | str |  | Its name. More. Or *none*. One of `a`, `b`. |" in text
    assert "| `role_y` | int | `0` | A number. |" in text


@pytest.mark.parametrize("missing", ["short_description", "description", "options"])
def test_what_an_operator_must_know(readme: t.Callable[..., str], missing: str) -> None:
    specs = yaml.safe_load(SPEC)
    del specs["main"][missing]
    with pytest.raises(ValueError, match=f"role: the entry point main has no {missing}"):
        readme("role", specs)
    specs = yaml.safe_load(SPEC)
    del specs["main"]["options"]["role_x"]["options"]["name"]["description"]
    with pytest.raises(ValueError, match=r"role: role_x\[\]\.name has no description"):
        readme("role", specs)


def test_every_role_has_its_own() -> None:
    ran = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = subprocess.run([sys.executable, TOOL, "--check", "none"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "roles/none" in ran.stderr
