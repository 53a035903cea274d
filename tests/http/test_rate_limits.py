from uuid import UUID, uuid4

from mien.http.principal import Limits, Principal
from mien.http.rate_limits import RequestCounter, headers


def caller(
    account_id: UUID, requests: int, *, key_id: UUID | None = None, key_requests: int | None = None
) -> Principal:
    return Principal(
        account_id=account_id,
        key_id=key_id,
        is_administrator=False,
        limits=Limits(requests, 1, 1),
        key_limits=Limits(key_requests, 1, 1) if key_requests else None,
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minute_begins_with_its_first_request() -> None:
    clock, account = Clock(), uuid4()
    counter = RequestCounter(clock)
    seen = []
    for pause in (0, 30, 29, 0.5, 0.5):
        clock.now += pause
        (standing,) = counter.count(caller(account, 2))
        seen.append((standing.remaining, standing.seconds, standing.is_used_up))
    assert seen == [(1, 60, False), (0, 30, False), (0, 1, True), (0, 1, True), (1, 60, False)]


def test_accounts_are_counted_apart() -> None:
    counter = RequestCounter(Clock())
    for account in (uuid4(), uuid4()):
        (standing,) = counter.count(caller(account, 1))
        assert not standing.is_used_up


def test_keys_of_an_account_share_its_limit_and_have_their_own() -> None:
    counter, account = RequestCounter(Clock()), uuid4()
    first = caller(account, 3, key_id=uuid4(), key_requests=1)
    second = caller(account, 3, key_id=uuid4())
    assert [one.is_used_up for one in counter.count(first)] == [False, False]
    assert [one.is_used_up for one in counter.count(first)] == [False, True]
    # What the key was refused for wasn't taken from the account.
    (standing,) = counter.count(second)
    assert (standing.remaining, standing.is_used_up) == (1, False)


def test_a_raised_limit_counts_at_once() -> None:
    counter, account = RequestCounter(Clock()), uuid4()
    counter.count(caller(account, 1))
    assert counter.count(caller(account, 1))[0].is_used_up
    assert not counter.count(caller(account, 5))[0].is_used_up
    (lowered,) = counter.count(caller(account, 1))
    assert lowered.is_used_up
    assert "r=0" in headers([lowered])["RateLimit"]


def test_headers_are_those_of_the_draft() -> None:
    counter = RequestCounter(Clock())
    standings = counter.count(caller(uuid4(), 100, key_id=uuid4(), key_requests=10))
    assert headers(standings) == {
        "RateLimit-Policy": '"account";q=100;w=60, "key";q=10;w=60',
        "RateLimit": '"account";r=99;t=60, "key";r=9;t=60',
    }


def test_forgets_those_whose_minute_is_over() -> None:
    clock = Clock()
    counter = RequestCounter(clock)
    for _ in range(100):
        counter.count(caller(uuid4(), 1))
    clock.now += 61
    counter.count(caller(uuid4(), 1))
    assert len(counter) == 1
