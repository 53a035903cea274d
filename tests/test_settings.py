import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from mien.cores import available_cores
from mien.errors import SetupError
from mien.settings import Settings, load_settings, signing_secret

DOCS = Path(__file__).parents[1] / "docs/settings.md"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MIEN_{name.upper()}", raising=False)


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.settings.available_cores", lambda: 8)


class TestLoad:
    def test_environment_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIEN_PORT", "9000")
        monkeypatch.setenv("MIEN_RESULT_RETENTION", "12h")
        monkeypatch.setenv("MIEN_FETCH_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8")
        settings = load_settings()
        assert settings.port == 9000
        assert settings.result_retention == timedelta(hours=12)
        assert settings.fetch_allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    def test_empty_variable_is_as_good_as_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIEN_PORT", "")
        monkeypatch.setenv("MIEN_DATABASE_URL", "")
        settings = load_settings()
        assert settings.port == 8080
        assert settings.database_url is None

    def test_command_line_wins_over_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIEN_PORT", "9000")
        monkeypatch.setenv("MIEN_HOST", "0.0.0.0")
        settings = load_settings(port=9001, host=None)
        assert (settings.host, settings.port) == ("0.0.0.0", 9001)

    def test_data_folder_is_absolute(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", "/home/ada")
        assert load_settings(data_dir="here").data_dir == tmp_path / "here"
        assert load_settings(data_dir="~/there").data_dir == Path("/home/ada/there")

    @pytest.mark.parametrize(
        ("text", "span"),
        [
            ("30s", timedelta(seconds=30)),
            ("1.5 m", timedelta(seconds=90)),
            ("2h", timedelta(hours=2)),
            ("7d", timedelta(days=7)),
            ("PT10M", timedelta(minutes=10)),
        ],
    )
    def test_time_spans_have_units(self, text: str, span: timedelta) -> None:
        assert load_settings(task_deadline=text).task_deadline == span

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("port", "many", "MIEN_PORT: .*integer"),
            ("port", "0", "MIEN_PORT: "),
            ("log_level", "loud", "MIEN_LOG_LEVEL: .*'debug', 'info'"),
            ("task_deadline", "10", "MIEN_TASK_DEADLINE: "),
            ("task_deadline", "0s", "MIEN_TASK_DEADLINE: "),
            ("fetch_allowed_networks", "home", "MIEN_FETCH_ALLOWED_NETWORKS: "),
            ("public_url", "swap.example.com", "MIEN_PUBLIC_URL: must look like https://"),
            (
                "database_url",
                "mysql://ada:hunter2@db/mien",
                "MIEN_DATABASE_URL: must look like postgresql://",
            ),
            ("storage_url", "https://example.com", "MIEN_STORAGE_URL: must be a folder, or look like s3://"),
            ("secret", "hunter2", "MIEN_SECRET: "),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line_without_its_value(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
    ) -> None:
        monkeypatch.setenv(f"MIEN_{name.upper()}", value)
        with pytest.raises(SetupError, match=words) as refusal:
            load_settings()
        assert "\n" not in refusal.value.message
        assert "hunter2" not in refusal.value.message

    def test_secrets_do_not_show(self) -> None:
        settings = load_settings(secret="hunter2" * 8, database_url="postgresql://ada:hunter2@db/mien")
        assert "hunter2" not in repr(settings)


class TestPublicUrl:
    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("127.0.0.1", "http://127.0.0.1:8080"),
            ("swap.lan", "http://swap.lan:8080"),
            ("0.0.0.0", "http://127.0.0.1:8080"),
            ("::", "http://[::1]:8080"),
        ],
    )
    def test_follows_from_where_the_api_listens(self, host: str, expected: str) -> None:
        assert load_settings(host=host).public_url == expected

    def test_given_one_stays_without_its_last_slash(self) -> None:
        assert load_settings(public_url="https://example.com/swap/").public_url == "https://example.com/swap"


@pytest.mark.usefixtures("eight_cores")
class TestCores:
    @pytest.mark.parametrize(
        ("given", "workers", "threads"),
        [
            ({}, 4, 2),
            ({"workers": 8}, 8, 1),
            ({"workers": "3"}, 3, 2),
            ({"threads": 8}, 1, 8),
            ({"threads": "3"}, 2, 3),
            ({"workers": 2, "threads": 4}, 2, 4),
        ],
    )
    def test_are_shared_out(self, given: dict[str, object], workers: int, threads: int) -> None:
        settings = load_settings(**given)
        assert (settings.workers, settings.threads) == (workers, threads)

    @pytest.mark.parametrize("given", [{"workers": 9}, {"threads": 9}, {"workers": 3, "threads": 3}])
    def test_are_not_asked_for_more_than_there_are(self, given: dict[str, int]) -> None:
        with pytest.raises(SetupError, match="only 8 cores"):
            load_settings(**given)

    def test_one_core_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mien.settings.available_cores", lambda: 1)
        settings = load_settings()
        assert (settings.workers, settings.threads) == (1, 1)


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1


class TestSigningSecret:
    def test_setting_is_taken(self, tmp_path: Path) -> None:
        assert signing_secret(load_settings(secret="s" * 32, data_dir=tmp_path)) == b"s" * 32
        assert not (tmp_path / "secret").exists()

    def test_random_one_is_kept_in_private(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        first = signing_secret(load_settings(data_dir=folder))
        assert len(first) >= 32
        assert (folder / "secret").stat().st_mode & 0o777 == 0o600
        assert signing_secret(load_settings(data_dir=folder)) == first
        assert signing_secret(load_settings(data_dir=tmp_path / "other")) != first

    def test_folder_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SetupError, match=r"data folder .*/file/data .*MIEN_DATA_DIR"):
            signing_secret(load_settings(data_dir=tmp_path / "file/data"))


class TestDocumentation:
    """docs/settings.md has one row for each setting: name, default, meaning."""

    def test_lists_every_setting_in_order_with_its_meaning(self) -> None:
        documented = {row[0]: row[2] for row in self._rows()}
        expected = {
            f"MIEN_{name.upper()}": field.description for name, field in Settings.model_fields.items()
        }
        assert list(documented.items()) == list(expected.items())

    def test_defaults_are_true(self) -> None:
        documented = {row[0]: row[1] for row in self._rows()}
        for name, field in Settings.model_fields.items():
            default = field.default
            shown = documented[f"MIEN_{name.upper()}"]
            if name in {"data_dir", "public_url", "workers", "threads"}:
                assert shown, "derived: told in words"
            elif default in (None, (), PydanticUndefined):
                assert shown == "none"
            elif isinstance(default, timedelta):
                assert load_settings(**{name: shown}) == load_settings(**{name: default})
            else:
                assert shown == (str(default).lower() if isinstance(default, bool) else str(default))

    def _rows(self) -> list[list[str]]:
        rows = re.findall(r"^\| `(MIEN_\w+)` \| (.+?) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
        return [[name, default.strip("`"), meaning] for name, default, meaning in rows]
