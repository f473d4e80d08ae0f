"""Token buckets: what is let in, when, and how little is kept of it."""

import pytest

from core.http import allowances
from core.http.allowances import DEFAULTS, Allowance, Allowances, Buckets, kind_of, seconds
from core.http.networks import is_in, network_of
from core.settings import Settings, SettingsError
from core.settings_values import RATED

TENANT = ("acme", "1")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_in_a_burst_and_then_its_rate() -> None:
    time, allowance = Time(), Allowance(per_second=2, burst=5)
    buckets = Buckets(time)
    waits = [buckets.take("x", TENANT, allowance) for _ in range(7)]
    assert waits[:5] == [0] * 5
    assert waits[5] == waits[6] == pytest.approx(0.5), "what was refused takes nothing"
    time.now += 0.5
    assert buckets.take("x", TENANT, allowance) == 0
    assert buckets.take("x", TENANT, allowance) > 0
    assert buckets.take("x", ("globex", "1"), allowance) == 0
    time.now += 3600
    assert [buckets.take("x", TENANT, allowance) > 0 for _ in range(6)] == [False] * 5 + [True], "never more"


def test_a_clock_that_stands_still_or_runs_back_opens_nothing() -> None:
    time, allowance = Time(), Allowance(per_second=1, burst=1)
    buckets = Buckets(time)
    assert buckets.take("x", TENANT, allowance) == 0
    time.now -= 100
    assert buckets.take("x", TENANT, allowance) > 0


def test_one_caller_leaves_the_tenants_part_to_others() -> None:
    time = Time()
    rates = Allowances({"token": 20}, time)
    shares = rates.shares("token", {})
    let_in = sum(rates.count("token", TENANT, "198.51.100.7", {}) == 0 for _ in range(10_000))
    assert let_in == shares.caller.burst < shares.tenant.burst
    assert rates.count("token", TENANT, "203.0.113.9", {}) == 0
    assert rates.look("token", TENANT, None, {}).remaining == shares.tenant.burst - shares.caller.burst - 1


def test_a_tenants_own_limit_goes_before_the_installations() -> None:
    rates = Allowances({"token": 20})
    assert rates.shares("token", {"token": 40}).tenant.per_second == pytest.approx(40)
    assert rates.shares("token", {"users": 1}).tenant.per_second == pytest.approx(20)
    assert rates.shares("token", {"token": 0}).tenant.burst == 1, "next to nothing, and not a division by it"


def test_made_up_callers_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "REMEMBERED", 100)
    rates = Allowances({"token": 100_000})
    for number in range(1000):
        rates.count("token", TENANT, str(number), {})
    assert len(rates) == 101


def test_every_kind_that_a_setting_names_has_a_default_and_paths() -> None:
    assert set(RATED) == DEFAULTS.keys()
    assert kind_of("/oauth/token") == "token"
    assert kind_of("/oidc/register/abc") == "registration"
    assert kind_of("/u/login/password") == "login"
    assert kind_of("/api/auth/sign-in/email") == "accounts"
    assert kind_of("/api/auth/organization/list") == kind_of("/api/auth/sign-in/other") == "organizations"
    assert kind_of("/.well-known/jwks.json") is kind_of("/api/v2/users") is None
    assert (seconds(0.01), seconds(1.0), seconds(1.2)) == (1, 1, 2)


def test_rates_are_read_from_the_environment() -> None:
    assert Settings.from_env({"KEYSTEAD_RATES": "token=1000, management=0.5"}).rates == {
        "token": 1000,
        "management": 0.5,
    }
    for wrong in ("token", "token=0", "token=x", "tokens=1"):
        with pytest.raises(SettingsError, match=r"^KEYSTEAD_RATES must"):
            Settings.from_env({"KEYSTEAD_RATES": wrong})


def test_addresses_are_counted_by_their_network() -> None:
    from tenant_runtime.attack_protection.documents import networks

    assert network_of("198.51.100.7") == "198.51.100.7" == network_of("::ffff:198.51.100.7")
    assert (
        network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    )
    assert network_of("no address") == "no address"
    listed = networks(("10.0.0.0/8", "2001:db8::/32", "nonsense"))
    assert [is_in(ip, listed) for ip in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "11.0.0.1", "x")] == [
        True,
        True,
        True,
        False,
        False,
    ]
