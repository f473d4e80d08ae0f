"""What is the same for every HTTP answer, whichever plane gives it.

`hosts` (which host was asked, which headers of proxies count), `security` (bearer tokens, response headers),
`errors` (one hierarchy, several wire shapes), `paging` (Auth0's two kinds) and `query` (its search language).
Pure functions of plain values but for the renderers, which answer Litestar responses, and `application`, which is
Litestar as both planes use it.
"""
