"""Bodies of the protocol's endpoints under any input: parameters, or an error of ours, and never one value of two."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from tenant_runtime.oauth.body import PARAMETER_LIMIT, parse_form, parse_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
PARAMETERS = st.dictionaries(TEXTS, TEXTS, max_size=PARAMETER_LIMIT)


@given(st.binary(max_size=300))
def test_any_bytes_are_parameters_or_an_invalid_request(body: bytes) -> None:
    for parse in (parse_form, parse_json):
        try:
            found = parse(body)
        except InvalidRequest:
            continue
        assert all(isinstance(name, str) and value for name, value in found.items())


@given(PARAMETERS)
def test_what_was_encoded_is_read_back_without_what_is_empty(parameters: dict[str, str]) -> None:
    expected = {name: value for name, value in parameters.items() if value}
    assert parse_form(urlencode(parameters).encode()) == expected
    assert parse_json(json.dumps(parameters).encode()) == expected


@given(PARAMETERS.filter(bool), st.data())
def test_a_repeated_name_is_always_refused(parameters: dict[str, str], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(sorted(parameters)))
    pairs = [*parameters.items(), (again, data.draw(TEXTS))]
    with pytest.raises(InvalidRequest):
        parse_form(urlencode(pairs).encode())
    members = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    with pytest.raises(InvalidRequest):
        parse_json(f"{{{members}}}".encode())
