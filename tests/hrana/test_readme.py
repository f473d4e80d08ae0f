import re

import pytest

from tests.documents.repository import read
from tests.engines.sqld import Sqld

pytestmark = pytest.mark.libsql


def test_the_python_in_the_readme_runs_from_top_to_bottom(
    sqld: Sqld, capsys: pytest.CaptureFixture[str]
) -> None:
    if not sqld.has("acme"):
        sqld.create("acme")
    names = {"token": sqld.token()}
    for block in re.findall(r"```python\n(.*?)```", read("hrana/README.md"), re.DOTALL):
        here = block.replace("127.0.0.1:8080", f"127.0.0.1:{sqld.port}")
        exec(compile(here, "hrana/README.md", "exec"), names)
    assert capsys.readouterr().out == "[('Grace',)]\n"
    sqld.delete("acme")
