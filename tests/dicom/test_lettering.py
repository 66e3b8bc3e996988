"""Text in pictures, whatever its letters."""

import pytest

from dicomweb_server.dicom import lettering
from dicomweb_server.dicom.lettering import letters


def test_ascii_is_in_the_font_that_is_always_there() -> None:
    text, font = letters("Lesion 12 mm", 20)

    assert text == "Lesion 12 mm"
    assert font.getname()[0] == "Aileron"
    assert font.getlength("MM") > 20


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Läsion", "Lasion"), ("Ærø ½", "?r? 1?2"), ("山田^太郎", "??^??"), ("Ünlü", "Unlu")],
)
def test_without_a_font_letters_lose_their_accents(
    monkeypatch: pytest.MonkeyPatch, text: str, plain: str
) -> None:
    monkeypatch.setattr(lettering, "_FONTS", ("no such font.ttf",))

    assert letters(text, 12)[0] == plain


def test_a_font_of_the_system_is_used_if_it_has_the_letters() -> None:
    for text in ("Läsion", "Опухоль", "\U0010fffd"):
        drawn, font = letters(text, 12)
        assert (drawn == text) == (font.getname()[0] != "Aileron")
