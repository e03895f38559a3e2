# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements beside what people use today, with bars that must hold.

    make bench                              every benchmark
    .venv/bin/python -m tests.bench NAME    one of them

A benchmark is a module beside this one that decorates a function with registry.benchmark; __main__ imports it and has
its name in ORDER. It gets Options, lets harness.interleave take the samples, prints a table, and returns the bars it
checked.
"""
