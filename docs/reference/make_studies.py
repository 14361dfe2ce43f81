"""Writes docs/reference/studies.md from the docstrings of the studies; a test holds the two together.

python docs/reference/make_studies.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from thalweg.studies import STUDIES, theory_of

HEAD = """# Studies

Each is one command, one call and one question about how we optimise:

    thalweg study NAME DATA [--model MODEL] [--seeds N] [--budget 60s]

```python
import thalweg as tw

print(tw.study.schedule("fashion-mnist", "mlp:64"))  # the name of the study, with _ for -
```

A study trains its levels on the same seeds as populations, compares them in pairs by their validation scores, and says
which are told apart, and how many seeds would tell the others. The test rows stay closed. By default it takes about 45
seconds on two cores: where the recipe's epochs do not fit, all levels train for the same share of them, and a note says
so; `--budget` buys more. The run folder holds the report, `result.json` ([its fields](study-json.md)) and the history.
What follows is what each study's docstring says.
"""


def studies_reference() -> str:
    """Returns the page."""
    parts = [HEAD]
    for name, question in STUDIES.items():
        parts += [f"## {name}\n", f"*{question}*\n", textwrap.fill(theory_of(name), 120) + "\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("studies.md").write_text(studies_reference(), encoding="utf-8")
