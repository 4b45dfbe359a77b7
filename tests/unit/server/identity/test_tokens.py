"""The text of tokens and what is kept of it."""

from __future__ import annotations

from coreconfig.server.identity.tokens import hash_of, is_secret_of, mint, split


def test_a_token_carries_its_public_id_and_256_random_bits() -> None:
    """`cc_<public id>_<secret>`, never the same twice."""
    public, text = mint()
    parts = split(text)
    assert parts is not None
    assert parts[0] == public
    assert len(parts[1]) * 4 == 256
    assert mint()[1] != text


def test_what_is_kept_does_not_hold_the_secret() -> None:
    """Whoever reads the database cannot use the token."""
    _, text = mint()
    secret = text.rsplit("_", 1)[1]
    assert secret not in hash_of(text)
    assert is_secret_of(text, hash_of(text))


def test_only_the_whole_token_is_accepted() -> None:
    """Another secret under the same id, or half a token, is not it."""
    public, text = mint()
    kept = hash_of(text)
    assert not is_secret_of(f"cc_{public}_{'0' * 64}", kept)
    assert not is_secret_of(text[:-1], kept)
    assert split(text[:-1]) is None
    assert split(text + "\n") is None
