# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What volume_monitoring gives other programs: rules to Prometheus, a dashboard to Grafana, messages to Apprise."""

from __future__ import annotations

import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading

import yaml

from tests.support.modules import CHECKOUT

FILES = CHECKOUT / "roles" / "volume_monitoring" / "files"
RULES, DASHBOARD = FILES / "drydock.rules.yml", FILES / "drydock.dashboard.json"
TEST = pathlib.Path(__file__).parent / "rules" / "drydock.test.yml"

# Where the engine is without Ansible.
_ENGINE = str(CHECKOUT / "plugins" / "module_utils")


def _promtool(*arguments: str | pathlib.Path) -> None:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_rules() -> None:
    _promtool("check", "rules", "--lint-fatal", RULES)


def test_each_alert_rings_for_what_it_is_for_and_for_nothing_else() -> None:
    _promtool("test", "rules", TEST)
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    assert alerts == set(re.findall(r'alertname="(\w+)"', TEST.read_text()))


def _expressions() -> list[str]:
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return rules + [target["expr"] for panel in panels for target in panel["targets"]]


def test_prometheus_understands_each_of_the_dashboards_expressions(tmp_path: pathlib.Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$instance", ".*")}
        for number, expression in enumerate(_expressions())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    _promtool("check", "rules", file)


def test_the_dashboards_panels_are_beside_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_what_the_agent_writes_is_what_prometheus_reads() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WRITE],
        env={"PYTHONPATH": _ENGINE},
        capture_output=True,
        check=True,
    )
    checked = subprocess.run(["promtool", "check", "metrics"], input=ran.stdout, capture_output=True, check=False)
    assert checked.returncode in (0, 3), checked.stderr  # 3: it would have them named otherwise
    assert b"error" not in checked.stderr


_WRITE = """
from datetime import datetime, timezone
from _engine.agent import exposition, views
job = views.JobView("nightly", "backup", record={"runs": 3, "finished_at": "2026-11-23T10:15:00Z", "success": True})
volume = views.VolumeView('a "b"', "nightly", "db1", "/r", 1.0, newest="20261123T101502Z", age=2.0, bytes=3)
print(exposition.text(views.Overview(datetime.now(timezone.utc), [job], [volume])), end="")
"""


def test_apprise_sends_the_message_and_no_secret_is_in_its_arguments(tmp_path: pathlib.Path) -> None:
    got: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    settings, urls, log = (tmp_path / name for name in ("notify.json", "apprise.conf", "log"))
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            urls.write_text(f"json://ops:hunter2@127.0.0.1:{server.server_port}/\n")
            settings.write_text(json.dumps({"apprise": str(urls)}))
            log.write_text("error: volume pgdata: tar exited 2\nsftp://ops:hunter2@nas: refused\n")
            ran = subprocess.run(
                [sys.executable, "-c", _NOTIFY, "notify", "--unit=nightly", f"--settings={settings}", f"--log={log}"],
                env={"PYTHONPATH": _ENGINE, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            server.shutdown()
            thread.join()
    assert ran.returncode == 0, ran.stderr
    (message,) = got
    assert message["title"].startswith("nightly failed on ")
    assert "volume pgdata: tar exited 2" in message["message"]
    assert "hunter2" not in json.dumps(message) + ran.stdout + ran.stderr


_NOTIFY = """
import sys
from _engine.agent.app import main
sys.exit(main())
"""
