import json
import subprocess
import sys

KEY = "aio_" + "a" * 43


def _lines(script: str, level: str = "info", style: str = "json") -> list[str]:
    """What a process logs; a process of its own, since logging is global."""
    setup = f"""
import logging, structlog
from mien.telemetry import configure_logging
configure_logging({level!r}, {style!r})
log = structlog.get_logger("mien.test")
"""
    ended = subprocess.run([sys.executable, "-c", setup + script], capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    return ended.stderr.splitlines()


def test_each_event_is_one_json_line_with_time_level_and_process() -> None:
    (line,) = _lines("log.info('swap finished', seconds=0.5, picture='Zoë')")
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event.pop("pid") > 0
    assert event == {
        "event": "swap finished",
        "level": "info",
        "logger": "mien.test",
        "picture": "Zoë",
        "seconds": 0.5,
    }


def test_context_is_on_every_line_also_of_libraries() -> None:
    lines = _lines("""
with structlog.contextvars.bound_contextvars(request_id="r1", task_id="t1"):
    log.info("ours")
    logging.getLogger("another.package").info("theirs %s", "too")
log.info("after")
""")
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["ours", "theirs too", "after"]
    assert [event.get("request_id") for event in events] == ["r1", "r1", None]
    assert [event.get("task_id") for event in events] == ["t1", "t1", None]


def test_exception_stays_on_its_line() -> None:
    (line,) = _lines("""
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken")
""")
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_level_is_respected_and_libraries_talk_only_of_trouble() -> None:
    script = """
log.debug("detail")
log.info("news")
logging.getLogger("sqlalchemy.engine").info("SELECT 1")
logging.getLogger("procrastinate.worker").warning("trouble")
"""
    assert [json.loads(line)["event"] for line in _lines(script)] == ["news", "trouble"]
    assert [json.loads(line)["event"] for line in _lines(script, "debug")] == ["detail", "news", "trouble"]
    assert _lines(script, "error") == []


def test_keys_and_passwords_are_blanked_wherever_they_come_from() -> None:
    lines = _lines(f"""
log.info("key {KEY}", url="postgresql://mien:hunter2@db/mien")
try:
    raise ValueError("https://ada:hunter2@example.com/?key={KEY}")
except ValueError:
    logging.getLogger("another.package").exception("failed")
""")
    assert len(lines) == 2
    assert KEY not in str(lines)
    assert "hunter2" not in str(lines)


def test_what_is_about_people_is_blanked_wherever_it_comes_from() -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 20
    signed = "/files/1798156800/Zm9yIGV4YW1wbGUgb25seSwgbm90/uploads/one/picture.png"
    (line,) = _lines(f"""
log.info("550 <ada.l@mail.example.com> unknown", path={signed!r}, picture={picture!r},
         address="https://example.com/a.jpg?token=hunter2", secret="whsec_" + "Q" * 44)
""")
    for secret in ("ada.l", "mail.example.com", "hunter2", "iVBORw0K", "Zm9y", "QQQQ"):
        assert secret not in line
    event = json.loads(line)
    assert event["event"] == "550 <…@…> unknown"
    assert event["path"] == "/files/1798156800/…/uploads/one/picture.png"
    assert event["address"] == "https://example.com/a.jpg?…"


def test_console_style_is_plain_text() -> None:
    (line,) = _lines("log.info('swap finished', seconds=0.5)", style="console")
    assert "swap finished" in line
    assert "seconds=0.5" in line
    assert not line.startswith("{")
