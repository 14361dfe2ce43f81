from . import study as study
from .doctor import watch as watch
from .population import Control as Control
from .population import Plan as Plan
from .population import Population as Population
from .recipes import Axis as Axis
from .recipes import Member as Member
from .recipes import Recipe as Recipe
from .tasks import Task as Task
from .tasks import load_task as load_task
from .workflows import answer_quiz as answer_quiz
from .workflows import faults as faults
from .workflows import gallery as gallery
from .workflows import path as path
from .workflows import plan as plan
from .workflows import predict as predict
from .workflows import quiz as quiz
from .workflows import resume as resume
from .workflows import train as train
from .workflows import tune as tune

__version__: str
