from ._figures import figures as figures
from ._html import notebook_html as notebook_html
from ._html import train_html as train_html
from ._html import tune_html as tune_html
from ._script import script_of as script_of
from ._script import training_script as training_script
from ._text import train_text as train_text
from ._text import tune_text as tune_text
