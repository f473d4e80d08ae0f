async def test_a_person_signs_in_and_the_code_is_redeemed(world):
    client = await world.acme.make_client()
    await world.acme.make_user()
    visitor = world.visitor(client)
    answer = await visitor.log_in()
    assert answer["state"] == "s t&te"
    assert answer["iss"] == "http://acme.localhost:8000/"
    tokens = await visitor.redeem(answer["code"])
    assert tokens.status_code == 200, tokens.text
