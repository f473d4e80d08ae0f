"""Which host a request is for: the list of `specs/bad-inputs.md`, group T, at the level of headers."""

import time
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.http.hosts import InvalidHost, canonical_host, forwarded, origin_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))
PEER = "203.0.113.9"


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        ("acme.localhost", "acme.localhost"),
        (b"ACME.Localhost", "acme.localhost"),
        ("acme.localhost.", "acme.localhost"),
        ("acme.localhost:8000", "acme.localhost"),
        ("acme.localhost.:8000", "acme.localhost"),
        ("acme.localhost:", "acme.localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("\uff41\uff43\uff4d\uff45.example", "acme.example"),
        ("acme\u3002example", "acme.example"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("a_b.example", "a_b.example"),
        ("l" * 63 + ".example", "l" * 63 + ".example"),
    ],
)
def test_what_dns_holds_equal_is_one_host(raw: str | bytes, host: str) -> None:
    assert canonical_host(raw) == host


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        ":",
        ":80",
        "..",
        "a..b",
        ".a",
        "a..",
        "acme\x00.localhost",
        "acme.localhost\x00",
        "ac me.localhost",
        " acme.localhost",
        "acme.localhost\n",
        "user@acme.localhost",
        "user:pw@acme.localhost",
        "acme.localhost:0",
        "acme.localhost:65536",
        "acme.localhost:8a",
        "acme.localhost:-1",
        "acme.localhost:80:80",
        "acme.localhost:\u0663",
        "acme/localhost",
        "acme\\localhost",
        "acme?localhost",
        "acme#x",
        "acme%2elocalhost",
        "a,b",
        "-acme.localhost",
        "acme-.localhost",
        "l" * 64 + ".example",
        ".".join(["l" * 60] * 5),
        "l" * 10_000,
        "[::1",
        "[::1]x",
        "[::1]:99999",
        "[acme]",
        "[]",
        b"\xff\xfe.example",
        "\u00e9" * 200 + ".example",
        "\U0001f600\u200d.example",
        "\ud800.example",
    ],
)
def test_what_is_malformed_is_nobodys_host(raw: str | bytes) -> None:
    started = time.process_time()
    assert canonical_host(raw) is None
    assert time.process_time() - started < 0.05


def pairs(**headers: str | list[str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


@pytest.mark.parametrize("headers", [pairs(), pairs(host=""), pairs(host=["a.example", "a.example"])])
def test_a_request_without_exactly_one_host_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidHost) as caught:
        forwarded(headers, PEER, ())
    assert caught.value.status == 400


def test_a_host_in_another_script_arrives_as_bytes_and_is_its_a_label() -> None:
    assert forwarded(pairs(host="bücher.example"), PEER, ()).host == "xn--bcher-kva.example"


def test_a_malformed_host_is_no_error_but_nobodys() -> None:
    assert forwarded(pairs(host="a b"), PEER, ()).host == ""


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-host",
        "forwarded",
        "x-original-host",
        "x-host",
        "x-http-host-override",
        "X_Forwarded_Host",
    ],
)
def test_a_strangers_forwarded_host_is_not_looked_at(name: str) -> None:
    headers = [
        (b"host", b"a.example"),
        (name.encode(), b"host=b.example" if name == "forwarded" else b"b.example"),
    ]
    seen = forwarded(headers, PEER, PROXIES)
    assert (seen.host, seen.scheme, seen.client_ip) == ("a.example", None, PEER)


def test_a_trusted_proxy_says_host_scheme_and_client() -> None:
    headers = pairs(
        host="inner:8000",
        x_forwarded_host="Acme.Example.com:443",
        x_forwarded_proto="HTTPS",
        x_forwarded_for="1.1.1.1, 198.51.100.7, 10.0.0.2",
    )
    seen = forwarded(headers, "10.0.0.1", PROXIES)
    assert (seen.host, seen.scheme, seen.client_ip) == ("acme.example.com", "https", "198.51.100.7")


@pytest.mark.parametrize("name", ["X_Forwarded_Host", "forwarded", "x-host", "x-original-host"])
def test_of_a_trusted_proxy_only_the_known_headers_count(name: str) -> None:
    headers = [(b"host", b"a.example"), (name.encode(), b"b.example")]
    assert forwarded(headers, "10.0.0.1", PROXIES).host == "a.example"


@pytest.mark.parametrize(
    "headers",
    [
        pairs(host="a", x_forwarded_host=["b.example", "c.example"]),
        pairs(host="a", x_forwarded_host=["b.example", "b.example"]),
        pairs(host="a", x_forwarded_host="b.example, c.example"),
        pairs(host="a", x_forwarded_proto="https,http"),
        pairs(host="a", x_forwarded_proto="gopher"),
    ],
)
def test_two_answers_of_a_trusted_proxy_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidHost):
        forwarded(headers, "10.0.0.1", PROXIES)


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        (["6.6.6.6", "198.51.100.7"], "198.51.100.7"),
        (["unknown, 10.0.0.5"], "10.0.0.5"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["2001:db8::1"], "2001:db8::1"),
        (["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        (["1.1.1.1, <script>"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_no_proxy_of_ours_has(chain: list[str], client: str) -> None:
    assert forwarded(pairs(host="a", x_forwarded_for=chain), "10.0.0.1", PROXIES).client_ip == client


def test_a_mapped_address_of_a_proxy_is_that_proxy() -> None:
    headers = pairs(host="a", x_forwarded_host="b.example")
    assert forwarded(headers, "::ffff:10.0.0.1", PROXIES).host == "b.example"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://App.example.com:443/callback?x=1", "https://app.example.com"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
        ("com.example.app:/callback", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://a:x/", None),
        ("", None),
    ],
)
def test_the_origin_of_an_address(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300), st.binary(max_size=300), st.text("ab.-_:[]@%/ 1\u00e9\u3002", max_size=80)
    )
)
def test_any_host_at_all_is_canonical_once_and_for_all_or_nobodys(raw: str | bytes) -> None:
    host = canonical_host(raw)
    if host is None:
        return
    assert host.isascii()
    assert host == host.lower()
    assert len(host) <= 253
    assert ":" in host or canonical_host(host) == host
