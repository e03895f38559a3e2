# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write each role's README.md out of its meta/argument_specs.yml, which says all there is to say about its variables.

Usage: python tools/role_readmes.py [--check] [ROLE …]; with --check nothing is written, and an outdated README is an
error.
"""

from __future__ import annotations

import argparse
import collections.abc as c
import json
import pathlib
import re
import sys
import typing as t

import yaml

ROLES = pathlib.Path(__file__).resolve().parents[1] / "roles"
HEAD = """<!--
SPDX-FileCopyrightText: 2026 drydock.volumes contributors
SPDX-License-Identifier: GPL-3.0-or-later

Made by tools/role_readmes.py out of meta/argument_specs.yml: edit that.
-->
"""
# O(name), V(value), M(name), P(name#type), E(name), RV(name), C(text), I(text), B(text): ansible-doc's own marks.
_MARK = re.compile(r"\b(?:O|V|M|E|RV|C|P)\(((?:[^()\\]|\\.)+)\)")
_EMPHASIS = re.compile(r"\b(?:I|B)\(([^()]+)\)")
_LINK = re.compile(r"\bL\(([^(),]+),\s*([^()]+)\)")

Spec = dict[str, t.Any]


def readme(role: str, specs: c.Mapping[str, Spec]) -> str:
    """The text of a role's README. Raise ValueError where the spec doesn't say what an operator must know."""
    lines = [HEAD, f"# drydock.volumes.{role}", ""]
    for name, spec in sorted(specs.items(), key=lambda item: (item[0] != "main", item[0])):
        for key in ("short_description", "description", "options"):
            if key not in spec:
                raise ValueError(f"{role}: the entry point {name} has no {key}")
        if name == "main":
            lines += [f"{_text(spec['short_description'])}.", ""]
            lines += _paragraphs(spec["description"])
        else:
            lines += [f"## Entry point `{name}`", "", f"{_text(spec['short_description'])}.", ""]
            lines += _paragraphs(spec["description"])
        if "examples" in spec:
            lines += [
                "## Use it" if name == "main" else "### Use it",
                "",
                "```yaml",
                spec["examples"].strip(),
                "```",
                "",
            ]
        if spec["options"]:
            lines += ["## Variables" if name == "main" else "### Variables", ""]
            lines += _tables(role, spec["options"], "")
    return "\n".join(lines).rstrip() + "\n"


def _tables(role: str, options: c.Mapping[str, Spec], above: str) -> list[str]:
    """A table of variables, and one more for each of them that is made of others."""
    lines = ["| name | type | default | what it says |", "|---|---|---|---|"]
    deeper: list[str] = []
    for name, option in options.items():
        if "description" not in option:
            raise ValueError(f"{role}: {above}{name} has no description")
        kind = option.get("type", "str")
        if "elements" in option:
            kind += f" of {option['elements']}"
        said = " ".join(_paragraphs(option["description"])).replace("  ", " ").strip()
        if "choices" in option:
            said += " One of " + ", ".join(f"`{_value(choice)}`" for choice in option["choices"]) + "."
        if "options" in option:
            full = f"{above}{name}"
            said += f" See [below](#{re.sub('[^a-z0-9_]', '', full.lower())})."
            suffix = "[]" if kind.startswith("list") else ""
            deeper += [f"### `{full}`", "", *_tables(role, option["options"], f"{full}{suffix}.")]
        default = "**required**" if option.get("required") else _default(option.get("default"))
        lines.append(f"| `{name}` | {kind} | {default} | {_cell(said)} |")
    return [*lines, "", *deeper]


def _default(value: object) -> str:
    return "" if value is None else f"`{_cell(_value(value))}`"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _paragraphs(description: str | list[str]) -> list[str]:
    texts = [description] if isinstance(description, str) else description
    return [line for text in texts for line in (_text(text), "")]


def _text(text: str) -> str:
    """Ansible's marks as Markdown."""
    text = " ".join(text.split())
    text = _LINK.sub(r"[\1](\2)", text)
    text = _EMPHASIS.sub(r"*\1*", text)
    return _MARK.sub(lambda match: f"`{match[1].partition('#')[0]}`".replace("\\", ""), text)


def main() -> int:
    """Write or check the READMEs of the roles that are named, or of all."""
    parser = argparse.ArgumentParser(description="Write the roles' README.md out of their argument specs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where one is outdated")
    parser.add_argument("roles", nargs="*", metavar="ROLE")
    arguments = parser.parse_args()
    wrong = 0
    for role in arguments.roles or sorted(path.name for path in ROLES.iterdir() if path.is_dir()):
        file = ROLES / role / "README.md"
        try:
            specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
            text = readme(role, specs["argument_specs"])
        except (OSError, KeyError, ValueError) as error:
            print(f"roles/{role}: {error}", file=sys.stderr)
            wrong += 1
            continue
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            print(
                f"roles/{role}/README.md isn't what its spec says: .venv/bin/python tools/role_readmes.py {role}",
                file=sys.stderr,
            )
            wrong += 1
        else:
            file.write_text(text, encoding="utf-8")
            print(f"roles/{role}/README.md")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
