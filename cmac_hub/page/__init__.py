"""A page to try it in the browser: `cmac demo --serve`, and the Space of `examples/space`. Needs the extra `page`.

`serving` starts and ends it, `layout` is what is seen, `clicks` what a click does, `finding` the work behind it,
`curve` one of its pictures; `limits` and `words` say what is taken and what went wrong, `visits` whose files are whose.
Only `layout` and `clicks` know Gradio.
"""

from cmac_hub.page.serving import PORT, serve

__all__ = ["PORT", "serve"]
