# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes a selector means: by tables, and the promises by properties (F53)."""

from __future__ import annotations

import collections.abc as c
import fnmatch
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.selection import Selector, select

LIGHT = hypothesis.settings(max_examples=200, deadline=None, database=None)
ALL = Selector(everything=True)
HEX = "0123456789abcdef" * 4
YES = ("true", "True", "TRUE", "yes", "Yes", "on", "ON", "1")
NO = ("false", "False", "FALSE", "no", "No", "off", "OFF", "0")
MALFORMED = ("ture", "", " true", "true ", "y", "2", "none", "\u0661")
ALLOWED = "write true or false (or yes/no, on/off, 1/0)"

Labels = dict[str, str]
Container = dict[str, t.Any]


def _known(*names: str, **labels: Labels) -> dict[str, dict[str, t.Any]]:
    """Volumes as Client.volumes() gives them; those by keyword have labels."""
    marked = {**dict.fromkeys(names), **labels}
    return {name: {"Name": name, "Driver": "local", "Labels": marks} for name, marks in marked.items()}


def _container(name: str, *volumes: str, labels: Labels | None = None) -> Container:
    """A container as the list endpoint shows it."""
    mounts = [
        {"Type": "volume", "Name": volume, "Source": "", "Destination": f"/{number}", "RW": True}
        for number, volume in enumerate(volumes)
    ]
    return {"Id": name.encode().hex().ljust(64, "0"), "Names": [f"/{name}"], "Labels": labels, "Mounts": mounts}


# What is asked for

PARSED: dict[str, tuple[dict[str, t.Any], Selector]] = {
    "names": ({"names": ["pg*", "up?"]}, Selector(names=("pg*", "up?"))),
    "a tuple": ({"names": ("pg*",)}, Selector(names=("pg*",))),
    "labels": ({"labels": ["a", "b=", "c=d=e"]}, Selector(labels=("a", "b=", "c=d=e"))),
    "names and labels": ({"names": ["*"], "labels": ["a=b"]}, Selector(names=("*",), labels=("a=b",))),
    "all": ({"all": True}, Selector(everything=True)),
    "all but": ({"all": True, "exclude": ["tmp*"]}, Selector(everything=True, exclude=("tmp*",))),
    "null": ({"names": ["a"], "labels": None, "all": None, "exclude": None}, Selector(names=("a",))),
    "empty": ({"names": [], "labels": [], "all": True, "exclude": []}, Selector(everything=True)),
    "not all": ({"names": ["a"], "all": False}, Selector(names=("a",))),
    "an unknown option without a value": ({"names": ["a"], "sizes": None}, Selector(names=("a",))),
    "any way to write the mark": ({"labels": ["drydock.backup=Yes"]}, Selector(labels=("drydock.backup=Yes",))),
    "only the mark": ({"labels": ["drydock.backup"]}, Selector(labels=("drydock.backup",))),
}


@pytest.mark.parametrize(("options", "selector"), PARSED.values(), ids=PARSED)
def test_options(options: dict[str, t.Any], selector: Selector) -> None:
    assert Selector.parse(options) == selector


def test_no_selector() -> None:
    assert Selector.parse(None) is None


NOTHING = "it doesn't say which volumes to take; give names (shell globs), labels (key or key=value), or all: true"
TWICE = "all takes every volume, so it can't stand beside names or labels; leave all out, or"
REFUSED: dict[str, tuple[dict[str, t.Any], str]] = {
    "nothing": ({}, NOTHING),
    "nothing but nulls": (dict.fromkeys(("names", "labels", "all", "exclude")), NOTHING),
    "empty lists": ({"names": [], "labels": []}, NOTHING),
    "not all": ({"all": False}, NOTHING),
    "only exclude": ({"exclude": ["tmp*"]}, NOTHING),
    "all and names": ({"all": True, "names": ["*"]}, TWICE),
    "all and labels": ({"all": True, "labels": ["a"]}, TWICE),
    "an empty name": ({"names": ["a", ""]}, "names has an empty pattern, which no volume matches; give a shell glob"),
    "an empty exclude": ({"all": True, "exclude": [""]}, "exclude has an empty pattern"),
    "an empty label": ({"labels": ["a", ""]}, "the label '' has no key; give key or key=value"),
    "a label without a key": ({"labels": ["=b"]}, "the label '=b' has no key; give key or key=value"),
    "only an equals sign": ({"labels": ["="]}, "the label '=' has no key"),
    "names as a text": ({"names": "pg*"}, "names is 'pg*'; give a list of texts"),
    "labels as a mapping": ({"labels": {"a": "b"}}, "labels is {'a': 'b'}; give a list of texts"),
    "exclude of a number": ({"all": True, "exclude": [1]}, "exclude is [1]; give a list of texts"),
    "all as a text": ({"all": "false"}, "all is 'false'; give true or false"),
    "an unknown option": ({"names": ["a"], "name": "b"}, "unknown option name; use names, labels, all, exclude"),
    "a misspelt mark": ({"labels": ["drydock.backup=ture"]}, f"the label drydock.backup is 'ture'; {ALLOWED}"),
    "a mark of nothing": ({"labels": ["drydock.backup="]}, f"the label drydock.backup is ''; {ALLOWED}"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Selector.parse(options)
    assert str(caught.value).startswith(f"selector: {message}")


def test_no_selector_is_made_past_the_checks() -> None:
    with pytest.raises(UsageError, match="doesn't say which volumes"):
        Selector()


# By name

THERE = _known("pgdata", "pgdata2", "pg", "Pgdata", "uploads", "my.pgdata", HEX, "a" + HEX[1:])
BY_NAME: dict[str, tuple[Selector, set[str]]] = {
    "all": (ALL, set(THERE)),
    "F53: a name is no prefix": (Selector(names=("pgdata",)), {"pgdata"}),
    "F53: nor is what is excluded": (
        Selector(names=("pg*",), exclude=("pg",)),
        {"pgdata", "pgdata2"},
    ),
    "F53: nor the beginning of an identifier": (Selector(names=(HEX[:12],)), set()),
    "star": (Selector(names=("pg*",)), {"pg", "pgdata", "pgdata2"}),
    "question mark": (Selector(names=("pgdata?",)), {"pgdata2"}),
    "a dot is a dot": (Selector(names=("my.*",)), {"my.pgdata"}),
    "brackets": (Selector(names=("[Pp]gdata",)), {"pgdata", "Pgdata"}),
    "a range in brackets": (Selector(names=("pgdata[1-3]",)), {"pgdata2"}),
    "not in brackets": (Selector(names=("[!p]*",)), {"Pgdata", "uploads", "my.pgdata", HEX, "a" + HEX[1:]}),
    "an open bracket": (Selector(names=("[pgdata",)), set()),
    "case counts": (Selector(names=("PGDATA",)), set()),
    "any of several": (Selector(names=("uploads", "pg", "u*")), {"uploads", "pg"}),
    "64 hex digits": (Selector(names=(HEX,)), {HEX}),
    "anonymous volumes": (Selector(names=("[0-9a-f]" * 64,)), {HEX, "a" + HEX[1:]}),
    "all but anonymous ones": (
        Selector(everything=True, exclude=("[0-9a-f]" * 64,)),
        {"pgdata", "pgdata2", "pg", "Pgdata", "uploads", "my.pgdata"},
    ),
    "exclude wins over the very name": (Selector(names=("pgdata",), exclude=("*data",)), set()),
    "exclude with brackets": (Selector(names=("*pgdata*",), exclude=("[Pp]*",)), {"my.pgdata"}),
    "exclude what isn't there": (Selector(names=("pg",), exclude=("zzz",)), {"pg"}),
    "nothing like it": (Selector(names=("zzz",)), set()),
}


@pytest.mark.parametrize(("selector", "expected"), BY_NAME.values(), ids=BY_NAME)
def test_by_name(selector: Selector, expected: set[str]) -> None:
    assert select(THERE, [], selector) == sorted(expected)


@pytest.mark.parametrize("selector", [ALL, Selector(names=("*",)), Selector(labels=("a",))])
def test_nothing_there(selector: Selector) -> None:
    assert select({}, [], selector) == []
    assert select({}, [_container("web", "gone", labels={"drydock.backup": "true"})], selector) == []


# By label

LABELLED = _known(
    "bare", own={"app": "shop", "tier": "db"}, other={"app": "blog", "empty": ""}, odd={"app": "a=b", "app2": "shop"}
)
BY_LABEL: dict[str, tuple[Selector, set[str]]] = {
    "key": (Selector(labels=("app",)), {"own", "other", "odd"}),
    "key and value": (Selector(labels=("app=shop",)), {"own"}),
    "both of two": (Selector(labels=("app", "tier=db")), {"own"}),
    "one of two isn't enough": (Selector(labels=("app=blog", "tier")), set()),
    "two values of one key": (Selector(labels=("app=shop", "app=blog")), set()),
    "an equals sign in the value": (Selector(labels=("app=a=b",)), {"odd"}),
    "no value": (Selector(labels=("empty=",)), {"other"}),
    "no value isn't any value": (Selector(labels=("app=",)), set()),
    "a key of no value": (Selector(labels=("empty",)), {"other"}),
    "no part of a value": (Selector(labels=("app=sho",)), set()),
    "no part of a key": (Selector(labels=("ap",)), set()),
    "no globs": (Selector(labels=("app=*",)), set()),
    "case counts": (Selector(labels=("app=Shop",)), set()),
    "and by name": (Selector(names=("o*",), labels=("app",)), {"own", "other", "odd"}),
    "but another name": (Selector(names=("other",), labels=("app=shop",)), set()),
    "and excluded": (Selector(labels=("app",), exclude=("od*", "own")), {"other"}),
    "no mark": (Selector(labels=("drydock.backup",)), set()),
}


@pytest.mark.parametrize(("selector", "expected"), BY_LABEL.values(), ids=BY_LABEL)
def test_by_label(selector: Selector, expected: set[str]) -> None:
    assert select(LABELLED, [], selector) == sorted(expected)


# By the labels of containers

GROUP = {"drydock.group": "nightly"}
BY_CONTAINER: dict[str, tuple[dict[str, dict[str, t.Any]], list[Container], str, set[str]]] = {
    # volumes; containers; label; what it selects
    "its containers' labels": (_known("a", "b"), [_container("web", "a", labels=GROUP)], "drydock.group", {"a"}),
    "their values": (_known("a"), [_container("web", "a", labels=GROUP)], "drydock.group=nightly", {"a"}),
    "other values": (_known("a"), [_container("web", "a", labels=GROUP)], "drydock.group=weekly", set()),
    "F53: a prefix of what is mounted": (
        _known("pg", "pgdata", "pgdata2"),
        [_container("web", "pgdata", labels=GROUP)],
        "drydock.group",
        {"pgdata"},
    ),
    "F53: 64 hex digits": (
        _known(HEX, HEX[:12], HEX[:63]),
        [_container("web", HEX, labels=GROUP)],
        "drydock.group",
        {HEX},
    ),
    "only those for us": (
        _known("a"),
        [_container("web", "a", labels={"app": "shop", "drydock": "1", "drydockapp": "1"})],
        "app=shop",
        set(),
    ),
    "a prefix without its dot": (
        _known("a"),
        [_container("web", "a", labels={"drydockapp": "1"})],
        "drydockapp",
        set(),
    ),
    "only the word": (_known("a"), [_container("web", "a", labels={"drydock": "1"})], "drydock", set()),
    "several mounts": (
        _known("a", "b", "c"),
        [_container("web", "a", "c", labels=GROUP)],
        "drydock.group",
        {"a", "c"},
    ),
    "one volume mounted twice": (_known("a"), [_container("web", "a", "a", labels=GROUP)], "drydock.group", {"a"}),
    "one of several containers": (
        _known("a"),
        [_container("web", "a"), _container("job", "a", labels=GROUP), _container("log", "a", labels={})],
        "drydock.group=nightly",
        {"a"},
    ),
    "containers disagree: one": (
        _known("a"),
        [_container("web", "a", labels=GROUP), _container("job", "a", labels={"drydock.group": "weekly"})],
        "drydock.group=nightly",
        {"a"},
    ),
    "containers disagree: the other": (
        _known("a"),
        [_container("web", "a", labels=GROUP), _container("job", "a", labels={"drydock.group": "weekly"})],
        "drydock.group=weekly",
        {"a"},
    ),
    "the volume's own wins": (
        _known(a={"drydock.group": "weekly"}),
        [_container("web", "a", labels=GROUP)],
        "drydock.group=nightly",
        set(),
    ),
    "the volume's own wins though it is empty": (
        _known(a={"drydock.group": ""}),
        [_container("web", "a", labels=GROUP)],
        "drydock.group=nightly",
        set(),
    ),
    "another key of the volume doesn't": (
        _known(a={"drydock.quiesce": "stop"}),
        [_container("web", "a", labels=GROUP)],
        "drydock.group=nightly",
        {"a"},
    ),
}


@pytest.mark.parametrize(("known", "containers", "label", "expected"), BY_CONTAINER.values(), ids=BY_CONTAINER)
def test_by_containers(
    known: dict[str, dict[str, t.Any]], containers: list[Container], label: str, expected: set[str]
) -> None:
    assert select(known, containers, Selector(labels=(label,))) == sorted(expected)


@pytest.mark.parametrize(
    "mount",
    [
        {"Type": "tmpfs", "Source": "", "Destination": "/run", "RW": True},
        {"Type": "bind", "Source": "/srv/a", "Destination": "/a", "RW": True},
        {"Type": "bind", "Source": "a", "Name": "a", "Destination": "/a", "RW": True},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/a/_data", "Destination": "a", "RW": True},
        {"Type": "volume", "Name": "", "Source": "a", "Destination": "a", "RW": True},
        {"Type": "volume", "Name": None},
        {},
    ],
)
def test_what_mounts_no_volume_of_that_name(mount: dict[str, t.Any]) -> None:
    container = {**_container("web", labels={"drydock.backup": "true"}), "Mounts": [mount]}
    assert select(_known("a"), [container], Selector(labels=("drydock.backup",))) == []
    container["Mounts"] = [mount, *_container("web", "a")["Mounts"], mount]
    assert select(_known("a"), [container], Selector(labels=("drydock.backup",))) == ["a"]


@pytest.mark.parametrize("volume", [{"Name": "a"}, {"Name": "a", "Labels": None}, {"Name": "a", "Labels": {}}])
@pytest.mark.parametrize("key", ["Labels", "Mounts", "Names"])
@pytest.mark.parametrize("absent", [False, True])
def test_what_the_api_leaves_empty(volume: dict[str, t.Any], key: str, absent: bool) -> None:
    container = _container("web", "a", labels={"drydock.backup": "true"})
    container[key] = None
    if absent:
        del container[key]
    assert select({"a": volume}, [container], ALL) == ["a"]
    assert select({"a": volume}, [container], Selector(labels=("drydock.backup",))) == (["a"] if key == "Names" else [])


# The mark

MARKS: dict[str, tuple[str | None, list[str | None], bool, bool]] = {
    # the volume's own mark; its containers'; whether `all` takes it; whether labels: [drydock.backup=true] does
    "none": (None, [], True, False),
    "containers without one": (None, [None, None], True, False),
    "the volume says true": ("true", [], True, True),
    "the service says true": (None, ["true"], True, True),
    "one of the services": (None, [None, "true"], True, True),
    "the volume says false": ("false", [], False, False),
    "the service says false": (None, ["false"], False, False),
    "one service says false": (None, [None, "false", None], False, False),
    "two say false": (None, ["false", "no"], False, False),
    "they disagree": (None, ["false", "true"], True, True),
    "the volume is right about false": ("false", ["true", "true"], False, False),
    "the volume is right about true": ("true", ["false"], True, True),
    "what the volume overrules isn't read": ("yes", ["ture"], True, True),
    "nor beside false": ("off", ["ture"], False, False),
}


def _marked(own: str | None, others: c.Iterable[str | None]) -> tuple[dict[str, dict[str, t.Any]], list[Container]]:
    labels = [None if mark is None else {"drydock.backup": mark} for mark in (own, *others)]
    containers = [_container(f"web{number}", "a", labels=each) for number, each in enumerate(labels[1:])]
    return {"a": {"Name": "a", "Labels": labels[0]}}, containers


@pytest.mark.parametrize(("own", "others", "everything", "marked"), MARKS.values(), ids=MARKS)
def test_the_mark(own: str | None, others: list[str | None], everything: bool, marked: bool) -> None:
    known, containers = _marked(own, others)
    for selector in (ALL, Selector(names=("a",))):
        assert select(known, containers, selector) == ["a"] * everything
    for label in ("drydock.backup", *(f"drydock.backup={yes}" for yes in YES)):
        assert select(known, containers, Selector(labels=(label,))) == ["a"] * marked


@pytest.mark.parametrize("yes", YES)
def test_ways_to_write_true(yes: str) -> None:
    for known, containers in (_marked(yes, []), _marked(None, [yes]), _marked(None, ["false", yes])):
        assert select(known, containers, ALL) == ["a"]
        assert select(known, containers, Selector(labels=("drydock.backup=true",))) == ["a"]
        assert select(known, containers, Selector(labels=("drydock.backup=oN",))) == ["a"]


@pytest.mark.parametrize("no", NO)
def test_ways_to_write_false(no: str) -> None:
    for known, containers in (_marked(no, []), _marked(no, ["true"]), _marked(None, [no])):
        for labels in ("drydock.backup=false",), (f"drydock.backup={no}",), ("drydock.backup",):
            assert select(known, containers, Selector(labels=labels)) == []
        assert select(known, containers, ALL) == []


def test_only_the_mark_is_a_truth_value() -> None:
    known = _known(a={"drydock.backup.x": "yes", "app": "yes"}, b={"app": "false"})
    assert select(known, [], Selector(labels=("drydock.backup.x=true",))) == []
    assert select(known, [], Selector(labels=("app=true",))) == []
    assert select(known, [], Selector(labels=("app=false",))) == ["b"]


@pytest.mark.parametrize("mark", MALFORMED)
@pytest.mark.parametrize(
    "selector",
    [
        ALL,
        Selector(names=("a",)),
        Selector(labels=("drydock.backup",)),
        Selector(labels=("drydock.backup=true",)),
        Selector(labels=("drydock.backup=false",)),
        Selector(names=("*",), labels=("drydock.backup=true",), exclude=("b",)),
    ],
)
def test_a_malformed_mark_is_refused(mark: str, selector: Selector) -> None:
    for own, others, where in (
        (mark, [], "the volume"),
        (mark, ["true"], "the volume"),
        (None, [mark], "container web0"),
        (None, ["true", mark], "container web1"),
        (None, ["false", mark], "container web1"),
    ):
        with pytest.raises(UsageError) as caught:
            select(*_marked(own, others), selector)
        assert str(caught.value).startswith(f"volume a: the label drydock.backup of {where} is {mark!r}; {ALLOWED}")
        assert "keep the volume out with exclude" in str(caught.value)


@pytest.mark.parametrize("marks", [("ture", "flase"), ("flase", "ture")])
def test_of_several_malformed_marks_always_the_same_is_named(marks: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="is 'flase'"):
        select(*_marked(None, marks), ALL)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(names=("good",)),
        Selector(names=("g*",), labels=("drydock.backup=true",)),
        Selector(everything=True, exclude=("bad*",)),
        Selector(labels=("drydock.backup=true",), exclude=("bad*",)),
        Selector(labels=("app=shop",)),
        Selector(labels=("app=shop", "drydock.backup=true")),
    ],
)
def test_a_malformed_mark_elsewhere_breaks_nothing(selector: Selector) -> None:
    known = _known("bad2", good={"app": "shop", "drydock.backup": "true"}, bad={"drydock.backup": "ture"})
    containers = [
        _container("web", "bad2", labels={"drydock.backup": "ture"}),
        _container("job", labels={"drydock.backup": "ture"}),
        _container("old", "gone", labels={"drydock.backup": "ture"}),
    ]
    assert select(known, containers, selector) == ["good"]


@pytest.mark.parametrize("names", [None, []])
def test_a_container_without_a_name_is_called_by_its_identifier(names: list[str] | None) -> None:
    container = {**_container("web", "a", labels={"drydock.backup": "ture"}), "Id": HEX, "Names": names}
    with pytest.raises(UsageError, match="of container 0123456789ab is 'ture'"):
        select(_known("a"), [container], ALL)


# Properties

_NAMES = st.sampled_from(["pg", "pgdata", "pgdata2", "Pg", "up.loads", "a-b_c", HEX, HEX[:12]])
_GLOBS = st.one_of(
    _NAMES,
    st.sampled_from(["*", "pg*", "?g", "[pP]g*", "[!p]*", "*.*", "*[0-9]", "[", "zzz"]),
    st.text("pgdt[]!*?-2", min_size=1, max_size=5),
)
_VALUES = st.sampled_from(["true", "Yes", "0", "false", "OFF"])
_MARKS = st.fixed_dictionaries(
    {},
    optional={
        "drydock.backup": _VALUES,
        "drydock.group": st.sampled_from(["nightly", "weekly", ""]),
        "app": st.sampled_from(["shop", "blog"]),
    },
)
_MAYBE_WRONG = st.one_of(_MARKS, st.just({"drydock.backup": "ture"}), st.just({"drydock.backup": ""}))


def _volumes(labels: st.SearchStrategy[Labels]) -> st.SearchStrategy[dict[str, dict[str, t.Any]]]:
    return st.dictionaries(_NAMES, st.none() | labels, max_size=6).map(
        lambda marked: {name: {"Name": name, "Labels": each} for name, each in marked.items()}
    )


def _containers(labels: st.SearchStrategy[Labels]) -> st.SearchStrategy[list[Container]]:
    one = st.builds(
        lambda name, volumes, each: _container(name, *volumes, labels=each),
        st.sampled_from(["web", "db", "job"]),
        st.lists(_NAMES, max_size=3),
        st.none() | labels,
    )
    return st.lists(one, max_size=5)


_LABELS = st.sampled_from(
    ["drydock.backup", "drydock.backup=true", "drydock.group", "drydock.group=nightly", "app=shop"]
)
_EXCLUDE = st.lists(_GLOBS, max_size=2).map(tuple)
SELECTORS = st.one_of(
    st.builds(Selector, everything=st.just(True), exclude=_EXCLUDE),
    st.builds(Selector, names=st.lists(_GLOBS, min_size=1, max_size=3).map(tuple), exclude=_EXCLUDE),
    st.builds(
        Selector,
        names=st.lists(_GLOBS, max_size=2).map(tuple),
        labels=st.lists(_LABELS, min_size=1, max_size=2).map(tuple),
        exclude=_EXCLUDE,
    ),
)
VOLUMES, CONTAINERS = _volumes(_MARKS), _containers(_MARKS)
ANY_VOLUMES, ANY_CONTAINERS = _volumes(_MAYBE_WRONG), _containers(_MAYBE_WRONG)

Known = dict[str, dict[str, t.Any]]


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, SELECTORS)
def test_what_is_never_selected(known: Known, containers: list[Container], selector: Selector) -> None:
    selected = select(known, containers, selector)

    assert selected == sorted(set(selected) & set(known))
    for name in selected:
        assert not any(fnmatch.fnmatchcase(name, pattern) for pattern in selector.exclude)
        assert (known[name]["Labels"] or {}).get("drydock.backup", "true") in YES


@LIGHT
@hypothesis.given(ANY_VOLUMES, ANY_CONTAINERS, SELECTORS, st.data())
def test_order_does_not_matter(
    known: Known, containers: list[Container], selector: Selector, data: st.DataObject
) -> None:
    def outcome(known: Known, containers: list[Container]) -> list[str] | str:
        try:
            return select(known, containers, selector)
        except UsageError as error:
            return str(error)

    mixed = {name: known[name] for name in data.draw(st.permutations(list(known)))}
    assert outcome(mixed, data.draw(st.permutations(containers))) == outcome(known, containers)


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, SELECTORS, _GLOBS)
def test_exclude_takes_away_just_what_it_matches(
    known: Known, containers: list[Container], selector: Selector, pattern: str
) -> None:
    narrower = Selector(selector.names, selector.labels, selector.everything, (*selector.exclude, pattern))

    expected = [name for name in select(known, containers, selector) if not fnmatch.fnmatchcase(name, pattern)]
    assert select(known, containers, narrower) == expected


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, SELECTORS)
def test_each_volume_is_judged_by_itself(known: Known, containers: list[Container], selector: Selector) -> None:
    alone = [name for name in known if select({name: known[name]}, containers, selector)]

    assert select(known, containers, selector) == sorted(alone)
