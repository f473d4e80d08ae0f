"""`docs/branding.md` lists every text that a tenant may say in its own words."""

from tenant_runtime.login.screens import SCREENS
from tests.documents.repository import table_rows


def test_the_page_lists_every_screen_with_its_texts() -> None:
    listed = {row[0]: row[1] for row in table_rows("docs/branding.md") if ", `" in row[0]}
    listed = {place: texts for place, texts in listed.items() if place.count("`") == 4 and "." not in place}
    assert listed == {
        f"`{screen.prompt}`, `{screen.name}`": ", ".join(f"`{key}`" for key in screen.keys)
        for screen in SCREENS.values()
    }
