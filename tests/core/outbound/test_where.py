"""Where a call may go, and what is sent there (bad inputs 46 and 119)."""

import pytest

from core.outbound import Outbound, OutboundFailed, OutboundRefused
from tests.core.outbound.calls import NAME, to
from tests.receivers import Receiver, receiving, saying

pytestmark = pytest.mark.anyio

INSIDE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[3fff::1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://intranet/",
    "https://printer.local/",
]
MALFORMED = [
    "",
    "https://",
    "https:///path",
    "https:example.com",
    "//example.com/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:70/",
    "javascript:alert(1)",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:x/",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://@example.com/",
    "https://example.com/#fragment",
    "https://example.com\\@evil.example/",
    "https://exa mple.com/",
    "https://example.com/\r\nX-Injected: 1",
    "https://example.com/\t",
    "https://example.com/\x00",
    "https://ex\u00e4mple.com/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://example%2ecom/",
    "https://-example.com/",
    "https://a..example.com/",
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 130}com/",
    "https://[::1/",
    "https://example.com/" + "a" * 2048,
]


@pytest.mark.parametrize("url", INSIDE + MALFORMED)
async def test_an_address_inside_or_malformed_is_refused_when_saved_and_when_used(url: str) -> None:
    outbound = Outbound()
    with pytest.raises(OutboundRefused) as refused:
        outbound.check(url)
    assert str(refused.value).isascii()
    with pytest.raises(OutboundRefused):
        await outbound.get(url)
    with pytest.raises(OutboundRefused):
        await outbound.post(url, b"", "text/plain")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://EXAMPLE.com:443/path?a=b",
        "https://example.com:8443/",
        "https://example.com./",
        "https://xn--exmple-cua.com/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://1.example.com/",
    ],
)
def test_a_public_address_may_be_saved(url: str) -> None:
    Outbound().check(url)


def test_what_is_allowed_is_one_port_of_one_host() -> None:
    outbound = Outbound({"127.0.0.1:9000", "[::1]:9000"})
    outbound.check("http://127.0.0.1:9000/a")
    outbound.check("https://127.0.0.1:9000/a")
    for url in ("http://127.0.0.1:9001/", "http://127.0.0.2:9000/", "ftp://127.0.0.1:9000/"):
        with pytest.raises(OutboundRefused):
            outbound.check(url)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["93.184.216.34", "127.0.0.1"],
        ["fe80::1%1"],
    ],
)
async def test_a_name_that_leads_inside_is_refused_at_the_look_up(
    receiver: Receiver, names: dict[str, list[str]], addresses: list[str]
) -> None:
    names["rebound.example.com"] = addresses
    outbound = Outbound()
    outbound.check(f"https://rebound.example.com:{receiver.port}/")
    with pytest.raises(OutboundRefused):
        await outbound.get(f"https://rebound.example.com:{receiver.port}/")
    assert receiver.connections == 0


async def test_each_call_looks_the_name_up_and_judges_it_anew(
    receiver: Receiver, names: dict[str, list[str]]
) -> None:
    """A name that was good a moment ago opens no way in: no connection is kept for it."""
    receiver.usual = saying(200, Connection="keep-alive")
    outbound = to(receiver)
    names[NAME] = ["127.0.0.1"]
    for _ in range(2):
        assert (await outbound.get(receiver.url(host=NAME))).status == 200
    assert receiver.connections == 2
    names[NAME] = []
    with pytest.raises(OutboundFailed):
        await outbound.get(receiver.url(host=NAME))


async def test_a_name_without_an_address_is_a_failure(names: dict[str, list[str]]) -> None:
    names["nobody.example.com"] = []
    with pytest.raises(OutboundFailed):
        await Outbound().get("https://nobody.example.com/")


async def test_the_request_is_what_was_asked_for_and_nothing_else(receiver: Receiver) -> None:
    outbound = to(receiver)
    await outbound.get(receiver.url("/a;p=1/b%0d%0aX:%201?q=%2F&r"), accept="text/plain")
    await outbound.post(receiver.url("/p"), b"a=b", "application/x-www-form-urlencoded", {"X-One": "1"})
    got, posted = receiver.sent
    assert (got.method, got.target, got.body) == ("GET", "/a;p=1/b%0d%0aX:%201?q=%2F&r", b"")
    assert dict(got.headers) == {
        "host": receiver.address,
        "accept": "text/plain",
        "user-agent": "Keystead",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert (posted.method, posted.body) == ("POST", b"a=b")
    assert posted.headers["content-length"] == "3"
    assert posted.headers["x-one"] == "1"


async def test_no_header_can_be_smuggled_in(receiver: Receiver) -> None:
    outbound = to(receiver)
    with pytest.raises(OutboundFailed):
        await outbound.post(receiver.url(), b"", "text/plain", {"X-One": "1\r\nX-Two: 2"})
    with pytest.raises(OutboundFailed):
        await outbound.post(receiver.url(), b"", "text/plain\r\nX-Two: 2")
    assert receiver.sent == []


async def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(Receiver()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        assert (await to(receiver).get(receiver.url())).status == 200
        assert proxy.connections == 0


async def test_a_redirect_is_an_answer_unless_it_may_be_followed(receiver: Receiver) -> None:
    receiver.usual = saying(302, Location="/next")
    outbound = to(receiver)
    assert (await outbound.get(receiver.url("/first"))).headers["location"] == "/next"
    assert (await outbound.post(receiver.url("/first"), b"", "text/plain")).status == 302
    assert len(receiver.sent) == 2
    receiver.answers = [saying(301, Location="next#part"), saying(200, b"there")]
    assert (await outbound.get(receiver.url("/a/first"), redirects=1)).body == b"there"
    assert receiver.sent[-1].target == "/a/next"


async def test_redirects_in_a_circle_come_to_an_end(receiver: Receiver) -> None:
    receiver.usual = saying(307, Location="/again")
    assert (await to(receiver).get(receiver.url("/again"), redirects=3)).status == 307
    assert len(receiver.sent) == 4


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "http://example.com/",
        "https://localhost/",
        "file:///etc/passwd",
        "//[",
        "https://user@example.com/",
    ],
)
async def test_a_redirect_to_the_inside_is_refused(receiver: Receiver, code: int, location: str) -> None:
    receiver.answers = [saying(code, Location=location)]
    with pytest.raises(OutboundRefused):
        await to(receiver).get(receiver.url(), redirects=2)
    assert len(receiver.sent) == 1
