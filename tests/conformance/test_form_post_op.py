"""The Form Post Basic OP profile: the Basic list, with the answer as a form that the browser posts on."""

import pytest

from tests.conformance.conftest import Module, Suite
from tests.conformance.test_basic_op import MODULES

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_form_post(suite: Suite, module: Module) -> None:
    await suite.run(module, response_mode="form_post")
