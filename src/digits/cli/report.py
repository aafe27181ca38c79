"""`digits report`: the results on one page."""


def report() -> None:
    """Write reports/index.html: the current results, from the data to the mistakes, on one page with all inside."""
    from digits.apps.report import page  # imports pandas and Matplotlib

    print(f"The report: {page.write()}")
