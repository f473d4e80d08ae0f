"""What is kept to be rendered later is read once when it is saved: whoever wrote it learns where it is wrong."""

from core.errors import InvalidInput

_LINES = str.maketrans({"\t": " ", "\n": " ", "\r": " "})


def check_liquid(name: str, text: str | None) -> None:
    from tenant_runtime.mail.liquid import TemplateBroken, check  # loaded by the first template of a process

    if text is None:
        return
    lines = text.translate(_LINES) if name.endswith("body") else text
    if any(ord(character) < 32 or ord(character) == 127 for character in lines):
        raise InvalidInput(f"`{name}` must not contain control characters.")
    try:
        check(text)
    except TemplateBroken as broken:
        raise InvalidInput(f"`{name}` is no good template: {broken}.") from None
