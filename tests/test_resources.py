"""What settings lead to: keys of one's own, and whose signatures are believed."""

from pathlib import Path

import pytest

from mien.errors import SetupError
from mien.marks.certificates import make_development_identity, read_development_identity
from mien.resources import Resources, open_resources
from mien.settings import load_settings

SECRET = "s" * 32


def opened(folder: Path, **settings: object) -> Resources:
    return open_resources(load_settings(data_dir=folder, database_url="postgresql://unused/", **settings))


class TestTheWatermarksKey:
    def test_follows_from_the_secret(self, tmp_path: Path) -> None:
        own = opened(tmp_path).watermark_key
        assert len(own) == 32
        assert opened(tmp_path).watermark_key == own
        machines = [opened(tmp_path / name, secret=SECRET).watermark_key for name in ("one", "two")]
        assert machines[0] == machines[1] != own
        assert SECRET.encode() not in machines[0]

    def test_is_the_setting_where_there_is_one(self, tmp_path: Path) -> None:
        resources = opened(tmp_path, watermark_key="k" * 32)
        assert resources.watermark_key == b"k" * 32
        assert "kkk" not in repr(resources)

    def test_is_refused_if_it_is_short(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="MIEN_WATERMARK_KEY"):
            opened(tmp_path, watermark_key="short")


class TestTrust:
    def test_is_in_oneself_and_in_the_authorities_that_are_named(self, tmp_path: Path) -> None:
        authorities = read_development_identity(make_development_identity()).certificates
        (tmp_path / "anchors.pem").write_text(authorities)
        resources = opened(tmp_path, trust_anchors=tmp_path / "anchors.pem")
        assert resources.identity
        assert (resources.trust.own, resources.trust.development) == (resources.identity.certificates, True)
        assert resources.trust.anchors == authorities
        assert opened(tmp_path, provenance=False).trust.own == ""

    @pytest.mark.parametrize("content", [None, "no certificates"])
    def test_needs_a_file_of_certificates(self, tmp_path: Path, content: str | None) -> None:
        if content:
            (tmp_path / "anchors.pem").write_text(content)
        with pytest.raises(SetupError, match="MIEN_TRUST_ANCHORS"):
            opened(tmp_path, trust_anchors=tmp_path / "anchors.pem")
