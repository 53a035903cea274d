import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from mien.database.embedded import EmbeddedServer
from mien.errors import SetupError

FAST = {"fsync": "off", "full_page_writes": "off"}
is_root = os.geteuid() == 0

# Uses the server of a data folder until it is killed, and says when it's there.
USER = """
import sys, time
from pathlib import Path
from mien.database.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def used_dir() -> Iterator[Path]:
    """A data folder whose cluster was made before: starting there is quick."""
    folder = Path(tempfile.mkdtemp(prefix="mien-test-"))
    with EmbeddedServer(folder, FAST):
        pass
    yield folder
    shutil.rmtree(folder)


def _ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def _postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres/data/postmaster.pid").read_text().splitlines()[0]))


def _guard(data_dir: Path) -> psutil.Process:
    guard = _postmaster(data_dir).parent()
    assert guard and "guard.py" in " ".join(guard.cmdline())
    return guard


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _wait_until_stopped(server: EmbeddedServer) -> None:
    deadline = time.monotonic() + 20
    while server.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestStart:
    def test_answers_at_its_address(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SELECT current_database() || ' ' || current_user") == "mien mien"

    def test_is_reached_by_a_private_socket_only(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SHOW listen_addresses") == ""
            folder = Path(str(_ask(server.url, "SHOW unix_socket_directories")).strip('"'))
            assert folder.stat().st_mode & 0o777 == 0o700
            connections = _postmaster(used_dir).net_connections("inet")
        assert connections == []

    def test_writes_are_safe_unless_a_test_says_otherwise(self, data_dir: Path) -> None:
        with EmbeddedServer(data_dir) as server:
            assert _ask(server.url, "SHOW fsync") == "on"
            assert _ask(server.url, "SHOW full_page_writes") == "on"

    def test_works_in_a_folder_with_a_long_and_odd_name(self, data_dir: Path) -> None:
        folder = data_dir / "it's 100% odd, really" / ("long" * 30)
        with EmbeddedServer(folder, FAST) as server:
            assert _ask(server.url, "SELECT 1") == 1
            socket_folder = Path(str(_ask(server.url, "SHOW unix_socket_directories")).strip('"'))
            assert folder not in socket_folder.parents
        assert not socket_folder.exists()

    def test_half_made_cluster_is_made_again(self, data_dir: Path) -> None:
        (data_dir / "postgres/data.new").mkdir(parents=True)
        (data_dir / "postgres/data.new/PG_VERSION").write_text("18\n")
        with EmbeddedServer(data_dir, FAST) as server:
            assert _ask(server.url, "SELECT 1") == 1

    def test_rights_of_the_folders_around_stay_as_they_were(self, data_dir: Path) -> None:
        (data_dir / "around").mkdir()
        (data_dir / "around").chmod(0o751)
        with EmbeddedServer(data_dir / "around/data", FAST):
            assert (data_dir / "around").stat().st_mode & 0o777 == 0o751

    @pytest.mark.skipif(not is_root, reason="only root's server runs as another user")
    def test_private_folder_around_is_refused_as_root(self, data_dir: Path) -> None:
        (data_dir / "around").mkdir(mode=0o700)
        with pytest.raises(SetupError, match=r"can't enter .*choose a data folder"):
            EmbeddedServer(data_dir / "around/data", FAST).start()
        assert (data_dir / "around").stat().st_mode & 0o777 == 0o700

    def test_cluster_of_another_major_version_is_refused(self, data_dir: Path) -> None:
        (data_dir / "postgres/data").mkdir(parents=True)
        (data_dir / "postgres/data/PG_VERSION").write_text("17\n")
        with pytest.raises(SetupError, match=r"PostgreSQL 17.*Upgrading"):
            EmbeddedServer(data_dir, FAST).start()

    def test_server_that_cannot_start_says_why(self, used_dir: Path) -> None:
        with (
            pytest.raises(SetupError, match=r"FATAL.*postgres/log"),
            EmbeddedServer(used_dir, {"shared_preload_libraries": "missing"}),
        ):
            pass
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SELECT 1") == 1

    @pytest.mark.skipif(not is_root, reason="takes root to be somebody else")
    def test_works_for_an_ordinary_user(self, data_dir: Path) -> None:
        # A Python of the system's, since root's may lie in root's home.
        python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        user = pwd.getpwnam("nobody")
        os.chown(data_dir, user.pw_uid, user.pw_gid)
        try:
            with subprocess.Popen(
                [python, "-c", USER, str(data_dir / "data")],
                user=user.pw_uid,
                group=user.pw_gid,
                env={"PYTHONPATH": ":".join(sys.path)},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as process:
                assert process.stdout
                if not process.stdout.readline():
                    pytest.skip("no Python with these packages for an ordinary user")
                server = _postmaster(data_dir / "data")
                assert server.username() == "nobody"
                process.communicate(b"")
                assert not _runs(server)
        except OSError as error:
            pytest.skip(f"no Python for an ordinary user: {error}")


class TestSharing:
    def test_stops_when_the_last_user_is_gone(self, used_dir: Path) -> None:
        first, second = EmbeddedServer(used_dir, FAST), EmbeddedServer(used_dir, FAST)
        first.start()
        second.start()
        assert first.url == second.url
        postmaster = _postmaster(used_dir)
        first.release()
        assert _ask(second.url, "SELECT 1") == 1
        second.release()
        assert not second.is_alive()
        assert not _runs(postmaster)

    def test_data_outlives_the_server(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server, psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SELECT number FROM kept") == 7

    def test_users_that_start_at_once_share_one_server(self, used_dir: Path) -> None:
        servers = [EmbeddedServer(used_dir, FAST) for _ in range(4)]
        threads = [threading.Thread(target=server.start) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        starts = {_ask(server.url, "SELECT pg_postmaster_start_time()") for server in servers}
        for server in servers:
            server.release()
        assert len(starts) == 1

    @pytest.mark.skipif(not is_root, reason="takes root to be somebody else")
    def test_other_users_of_the_machine_are_not_let_in(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server:
            # Even the user who runs the server, and so can reach the socket.
            user_id = _postmaster(used_dir).uids().real
            script = f"import os, psycopg; os.setuid({user_id}); psycopg.connect({server.url!r})"
            failed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert "Peer authentication failed" in failed.stderr


class TestKill:
    def test_killed_user_leaves_no_server_behind(self, used_dir: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", USER, str(used_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as user:
            assert user.stdout
            user.stdout.readline()
            postmaster = _postmaster(used_dir)
            user.kill()
        _wait_until_stopped(EmbeddedServer(used_dir))
        assert not _runs(postmaster)

    def test_killed_postmaster_is_started_again(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("CREATE TABLE survivor AS SELECT 7 AS number")
                _postmaster(used_dir).kill()
            server.start()
            assert _ask(server.url, "SELECT number FROM survivor") == 7

    def test_start_waits_for_what_a_killed_postmaster_left_running(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server, psycopg.connect(server.url) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            backend.suspend()  # so that it doesn't notice
            _postmaster(used_dir).kill()
            threading.Timer(1.0, backend.resume).start()
            server.start()
            assert _ask(server.url, "SELECT 1") == 1
            assert not _runs(backend)

    def test_server_without_guard_stops_with_its_last_user(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST) as server:
            _guard(used_dir).kill()
            assert _ask(server.url, "SELECT 1") == 1
            postmaster = _postmaster(used_dir)
        assert not server.is_alive()
        assert not _runs(postmaster)

    def test_server_that_lost_everyone_is_joined(self, used_dir: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", USER, str(used_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as user:
            assert user.stdout
            url = user.stdout.readline().decode().strip()
            _guard(used_dir).kill()
            user.kill()
        with EmbeddedServer(used_dir) as server:
            assert server.url == url
            assert _ask(server.url, "SELECT 1") == 1
        assert not server.is_alive()

    def test_everything_killed_at_once_starts_again(self, used_dir: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", USER, str(used_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as user:
            assert user.stdout
            user.stdout.readline()
            postmaster = _postmaster(used_dir)
            for number in (postmaster.pid, *(child.pid for child in postmaster.children()), user.pid):
                os.kill(number, signal.SIGKILL)
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SELECT 1") == 1

    def test_pid_file_that_names_another_process_is_stale(self, used_dir: Path) -> None:
        with EmbeddedServer(used_dir, FAST):
            status = (used_dir / "postgres/data/postmaster.pid").read_text()
        mine = status.replace(status.splitlines()[0], str(os.getpid()), 1)
        (used_dir / "postgres/data/postmaster.pid").write_text(mine)
        (used_dir / "postgres/socket/.s.PGSQL.5432.lock").write_text(mine)
        with EmbeddedServer(used_dir, FAST) as server:
            assert _ask(server.url, "SELECT 1") == 1
