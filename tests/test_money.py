import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import SetupError
from mien.money import Money, Pack
from mien.settings import load_settings


class TestMoney:
    @pytest.mark.parametrize(
        ("text", "units", "shown"),
        [
            ("3 USD", 300, "3.00 USD"),
            ("3.5 EUR", 350, "3.50 EUR"),
            ("0.05 USD", 5, "0.05 USD"),
            (" 1000  JPY ", 1000, "1000 JPY"),
            ("1.5 KWD", 1500, "1.500 KWD"),
        ],
    )
    def test_is_counted_in_the_smallest_units(self, text: str, units: int, shown: str) -> None:
        money = Money.parse(text)
        assert (money.units, str(money)) == (units, shown)

    @given(st.integers(0, 10**9 - 1), st.sampled_from(["USD", "JPY", "KWD"]))
    def test_is_read_as_it_is_written(self, units: int, currency: str) -> None:
        money = Money(units, currency)
        assert Money.parse(str(money)) == money

    @pytest.mark.parametrize(
        "text", ["", "3", "USD", "3 usd", "-3 USD", "3,00 USD", "٣ USD", "1.5 JPY", "1.001 USD"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"must look like 3\.00 USD|decimals of"):
            Money.parse(text)


class TestPacks:
    def test_are_read_from_one_line(self) -> None:
        settings = load_settings(packs=" 500=1.00 USD,1000 = 200 JPY, ")
        assert settings.packs == (Pack(500, Money(100, "USD")), Pack(1000, Money(200, "JPY")))

    def test_there_may_be_none(self) -> None:
        assert load_settings(packs="").packs == ()

    def test_cost_a_fifth_of_a_cent_a_credit_unless_the_operator_says_otherwise(self) -> None:
        packs = load_settings().packs
        assert len(packs) == 3
        assert all(pack.price == Money(pack.credits // 5, "USD") for pack in packs)

    @pytest.mark.parametrize(
        ("packs", "hint"),
        [
            ("500", "must look like 1500=3.00 USD"),
            ("0=1 USD", "must look like 1500=3.00 USD"),
            ("many=1 USD", "must look like 1500=3.00 USD"),
            ("500=1", "must look like 3.00 USD"),
            ("500=0 USD", "must have a price"),
            ("500=1 USD, 500=2 USD", "same credits"),
        ],
    )
    def test_a_mistake_is_told_at_the_start(self, packs: str, hint: str) -> None:
        with pytest.raises(SetupError, match=f"MIEN_PACKS: .*{hint}"):
            load_settings(packs=packs)


@pytest.mark.parametrize("given", ["stripe_key", "stripe_webhook_secret"])
def test_stripes_two_secrets_come_together(given: str) -> None:
    with pytest.raises(SetupError, match="set both"):
        load_settings(**{given: "secret"})
