"""What a person sees between /authorize and the code: pages, the steps behind them, sessions and cookies.

`flow` decides the next step, as a pure function; `arrival` asks it in the unit that acts on the answer; one small file
per step holds its page and its form. `pages` are values, `steps` what all steps share. Mounted by the application
with `handlers` and `answers.error_page` as the renderer of errors. Protocol answers are `oauth/`'s.
"""
