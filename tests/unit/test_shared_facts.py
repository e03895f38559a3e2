# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written in two places is the same in both."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.drydock.volumes.plugins.doc_fragments import _docker, _orphans, _repository
from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions.usage_info import ORPHANS
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import DOCKER, ENVIRONMENT, REPOSITORY
from ansible_collections.drydock.volumes.plugins.module_utils._engine.version import VERSION
from tests.unit.helpers import CHECKOUT

SPECS = [
    pytest.param(_docker, DOCKER, id="docker"),
    pytest.param(_repository, REPOSITORY, id="repository"),
    pytest.param(_orphans, ORPHANS, id="orphans"),
]


def test_the_engine_has_the_collections_version() -> None:
    assert yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["version"] == VERSION


@pytest.mark.parametrize(("fragment", "spec"), SPECS)
def test_shared_options_are_documented_as_they_are(fragment: t.Any, spec: dict[str, t.Any]) -> None:
    documented = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    assert documented.keys() == spec.keys()
    for name, option in spec.items():
        for fact in ("type", "default", "required", "aliases", "choices"):
            assert documented[name].get(fact) == option.get(fact), f"{name}: {fact}"
        variable = ENVIRONMENT.get(name, "")
        assert f"E({variable})" in str(documented[name]["description"]) or not variable, f"{name}: {variable}"
