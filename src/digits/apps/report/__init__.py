"""The report: one self-contained page about the current results. `page` makes it from `page.html`."""
