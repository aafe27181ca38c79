"""Write .dvc/plots.html, the page of `dvc plots show`, with Vega inside. DVC's own page loads it from the network.

Run it with the package that has Vega: `uv run --no-project --with vl-convert-python .ci/plots_page.py`.
"""

from pathlib import Path

import vl_convert

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>DVC plots</title>
<!-- Vega, Vega-Lite and Vega-Embed, BSD-3-Clause, copyright the University of Washington Interactive Data Lab -->
<script>VEGA</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""

Path(__file__).parents[1].joinpath(".dvc/plots.html").write_text(PAGE.replace("VEGA", vl_convert.javascript_bundle()))
