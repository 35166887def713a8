"""The levels of a study: activations, normalizations and initializations.

One visible table a kind. An entry carries what people and programs need to know of a level without computing
with it: parameters with defaults and bounds, equation, derivative, citation. The tensors are in `workers`, under
the same names.
"""

from actinium.definitions import LevelDefinition as LevelDefinition
from actinium.definitions import Parameter as Parameter
from actinium.definitions import ParameterFault as ParameterFault
from actinium.definitions import ParameterValue as ParameterValue
from actinium.definitions import did_you_mean as did_you_mean
from actinium.definitions import table as table
from actinium.levels.activations import ACTIVATIONS as ACTIVATIONS
from actinium.levels.combinations import BATCH_NORMALIZATIONS as BATCH_NORMALIZATIONS
from actinium.levels.combinations import cancels_bias as cancels_bias
from actinium.levels.combinations import default_groups as default_groups
from actinium.levels.combinations import groups_for as groups_for
from actinium.levels.combinations import invalid_combination as invalid_combination
from actinium.levels.combinations import invalid_start as invalid_start
from actinium.levels.combinations import learns_scale as learns_scale
from actinium.levels.combinations import learns_shift as learns_shift
from actinium.levels.combinations import stands_after as stands_after
from actinium.levels.combinations import stands_before as stands_before
from actinium.levels.initializations import INITIALIZATIONS as INITIALIZATIONS
from actinium.levels.level import LEVEL_KINDS as LEVEL_KINDS
from actinium.levels.level import Activation as Activation
from actinium.levels.level import Initialization as Initialization
from actinium.levels.level import Level as Level
from actinium.levels.level import Normalization as Normalization
from actinium.levels.level import compact_label as compact_label
from actinium.levels.normalizations import NORMALIZATIONS as NORMALIZATIONS
