"""`/email-templates`: letters in a tenant's own words, inherited member by member."""

from typing import Any

import pytest

from tenant_runtime.mail.liquid import LONGEST_OUTPUT, MOST_RAW, TemplateBroken, render
from tenant_runtime.mail.plain_text import plain_text
from tenant_runtime.mail.templates import NAMES
from tenant_runtime.models import Setting
from tests.management.world import Place

pytestmark = pytest.mark.anyio

PATH = "/email-templates"
KEY = "email_templates:verify_email"
OWN: dict[str, Any] = {
    "template": "verify_email",
    "body": "<p>Hello {{ user.name }},\n<a href='{{ url }}'>{{ application.name }}</a></p>",
    "from": "{{ application.name }} <post@acme.example.com>",
    "subject": "Welcome to {{ friendly_name }}",
    "syntax": "liquid",
    "resultUrl": "https://app.acme.example.com/verified",
    "urlLifetimeInSeconds": 3600,
    "enabled": True,
}
SHOWN = {**OWN, "includeEmailInRedirect": False, "translations": {}}


async def test_a_template_is_made_shown_changed_and_replaced(acme: Place) -> None:
    api = acme.api()
    missing = await api.get(f"{PATH}/verify_email")
    assert (missing.status_code, missing.json()["errorCode"]) == (404, "inexistent_email_template")
    assert (await api.patch(f"{PATH}/verify_email", {"enabled": False})).status_code == 404
    assert await api.made(PATH, OWN) == SHOWN
    assert (await api.post(PATH, OWN)).status_code == 409
    assert (await api.get(f"{PATH}/verify_email")).json() == SHOWN
    changed = await api.patch(f"{PATH}/verify_email", {"enabled": False, "subject": None})
    assert changed.json() == {**SHOWN, "enabled": False, "subject": None}
    replaced = await api("PUT", f"{PATH}/verify_email", {"body": "x", "template": "verify_email"})
    assert (replaced.json()["body"], replaced.json()["urlLifetimeInSeconds"]) == ("x", None)
    for name in ("welcome_email", "nothing"):
        assert (await api("PUT", f"{PATH}/{name}", {"body": "Hi"})).status_code == 404
    assert (await api.patch(f"{PATH}/verify_email", {"template": "welcome_email"})).status_code == 400
    answers = [await api.get(f"{PATH}/{name}") for name in sorted(NAMES)]
    assert {answer.status_code for answer in answers} == {200, 404}
    told = [event.description for event in await acme.events() if event.type == "sapi"]
    assert len(told) == 3


async def test_members_are_inherited_one_by_one_but_for_the_sender(acme: Place) -> None:
    api = acme.api()
    said = {name: value for name, value in OWN.items() if name != "template"}
    await acme.add(Setting, converge=True, key=KEY, source="control_plane", value=said)
    shown = (await api.get(f"{PATH}/verify_email")).json()
    assert shown == {**SHOWN, "from": None}
    await api.patch(f"{PATH}/verify_email", {"subject": "Ours"})
    mixed = (await api.get(f"{PATH}/verify_email", include_provenance="true")).json()
    assert (mixed["subject"], mixed["body"]) == ("Ours", OWN["body"])
    assert mixed["provenance"]["subject"] == "tenant"
    assert mixed["provenance"]["body"] == mixed["provenance"]["from"] == "control_plane"
    back = await api.patch(f"{PATH}/verify_email", {"subject": None})
    assert back.json()["subject"] == OWN["subject"]
    assert not await acme.rows(Setting, key=KEY, source="tenant")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": "one\ntwo\n{{ user.name | shout }}"}, "line 3"),
        ({"body": "one\n{% if user %}\nno end"}, "at its end"),
        ({"body": "one\n{{ user.name | }}"}, "line 2"),
        ({"body": "{% include 'secrets' %}"}, "line 1"),
        ({"body": "{% render 'secrets' %}"}, "line 1"),
        ({"subject": "{{ user"}, "`subject`"),
        ({"subject": "Hello\r\nBcc: everybody@example.com"}, "control"),
        ({"from": "nobody"}, "`from`"),
        ({"from": "post@acme.example.com\nBcc: everybody@example.com"}, "control"),
        ({"translations": {"de": {"body": "Hallo {{ x | shout }}"}}}, "translations.de.body"),
        ({"translations": {"not a tag!": {"body": "Hallo"}}}, "translations"),
        ({"syntax": "handlebars"}, "syntax"),
        ({"urlLifetimeInSeconds": 0}, "urlLifetimeInSeconds"),
        ({"template": "unheard_of"}, "template"),
        ({"body": None}, "`body`"),
        ({"created_at": "now"}, "created_at"),
        ({"body": "x" * 65_537}, "body"),
    ],
)
async def test_what_is_no_template_is_refused_with_its_place(
    acme: Place, change: dict[str, Any], says: str
) -> None:
    refused = await acme.api().post(PATH, {**OWN, **change})
    assert refused.status_code == 400, refused.text
    assert says in refused.json()["message"]
    assert not await acme.rows(Setting, source="tenant")


GROWING = "{% assign a = 'aaaaaaaaaa' %}" + "{% assign a = a | append: a %}" * 8


@pytest.mark.parametrize(
    "evil",
    [
        GROWING + "{% assign a = a | append: a %}" * 50,
        GROWING + "{{ a | replace: 'a', a | replace: 'a', a }}",
        GROWING + "{{ a | split: '' | join: a | split: '' | join: a }}",
        "{% for i in (1..1000000000) %}x{% endfor %}",
        "{% for i in (1..1000000000) offset: 999999999 %}x{% endfor %}",
        "{% tablerow i in (1..1000000000) limit: 1 offset: 999999998 %}x{% endtablerow %}",
        "{% if (1..1000000000) contains 'x' %}x{% endif %}",
        "{% for i in (1..99) %}" + "{% if (1..999) contains 'x' %}{% endif %}" * 90 + "{% endfor %}",
        "{% for i in (1..99) %}{% for j in (1..99) %}{% for k in (1..99) %}{% endfor %}{% endfor %}{% endfor %}",
        "{%for i in(1..999)%}{%endfor%}" * 2000,
        "{% for i in (1..1000) %}" + "{%if true%}{%endif%}" * 3000 + "{% endfor %}",
        "{% tablerow i in (1..1000000) %}{{ i }}{% endtablerow %}",
        "{{ (1..1000000000) | join: ',' }}",
        "{% assign a = 99999 %}" + "{% assign a = a | times: a %}" * 60 + "{{ a }}",
        "{% capture a %}" + "x" * 60_000 + "{% endcapture %}" + "{{ a }}" * 500,
        "{{ a" + "[a" * 5000 + "]" * 5000 + "}}",
        "{% if " + "(" * 20_000 + "a" + ")" * 20_000 + " %}{% endif %}",
        "{{" * 32_000,
        "{% raw %}" * (MOST_RAW + 1),
        "{{ 1 | divided_by: 0 }}",
    ],
)
def test_a_template_that_asks_for_too_much_is_ended(evil: str) -> None:
    """By counting, so that it ends the same on every machine."""
    with pytest.raises(TemplateBroken):
        render(evil, {"user": {"name": "Ada"}}, escape=True)


def test_a_template_reads_what_it_is_given_as_text_and_nothing_else() -> None:
    values = {"user": {"name": "<b>A & B</b>", "roles": ["x", "<y>"]}}
    source = "{{ user.name }}|{{ user.__class__ }}|{{ user.name.__class__ }}|{{ nobody.knows }}|"
    assert render(source, values, escape=True) == "&lt;b&gt;A &amp; B&lt;/b&gt;||||"
    assert render("{{ user.name }}", values, escape=False) == "<b>A & B</b>"
    source = "{% for r in user.roles %}{{ r | upcase }}{% unless forloop.last %},{% endunless %}{% endfor %}"
    assert render(source, values, escape=True) == "X,&lt;Y&gt;"


@pytest.mark.parametrize(
    "open_end", ["<", "<!", "<!--", "</", "<a ", "<a href='", "<?", "<![CDATA[", "<script>", "&", "\n "]
)
def test_a_letter_of_open_ends_becomes_text_in_one_walk(open_end: str) -> None:
    """Each of them would be looked for to the end of the letter again and again, for minutes."""
    html = "<p>Hello &amp; welcome</p>" + open_end * (LONGEST_OUTPUT // len(open_end))
    assert plain_text(html).startswith("Hello & welcome")


def test_the_text_of_a_letter_is_its_words_and_where_its_links_lead() -> None:
    head = "<html><head><title>No</title><style>a > b { c: d }</style></head><body>"
    words = "<h1>Hi  <b>Ada</b></h1><!-- no > --><p>1 < 2 &lt;b&gt;<br/>next</p><script>if (a<b) no</script>"
    link = "<A class='x' HREF=\"https://a.example/?a=1&amp;b=2\">Go</A>"
    text = plain_text(f"{head}{words}{link}</body></html>")
    assert text == "Hi Ada\n\n1 < 2 <b>\nnext\nGo:\nhttps://a.example/?a=1&b=2\n"
