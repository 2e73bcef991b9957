"""Tasks of every grammar, and a function that parses an answer to one of them in strict mode."""

from eval.score.parse import Unparsed, parse
from mmafflm.benchmark.benchmark import benchmark

TASKS = {f"{name}/{task.key}": task for name, subset in benchmark().items() for task in subset.tasks}
UNIT = TASKS["semeval2018_english/ei_reg"]
SIGNED = TASKS["CHSIMS_SI/si"]
EI_OC, V_OC = TASKS["semeval2018_english/ei_oc"], TASKS["semeval2018_english/v_oc"]
XED, EMOTIC, SAMSEMO, FER = (TASKS[f"{name}/ec"] for name in ("XED", "EMOTIC_EC", "SAMSEMO", "FER2013"))
POLARITY, SHOPPING = TASKS["MMS/sp"], TASKS["onlineshopping/sp"]
VAD = TASKS["EMOTIC_SI/si"]
NONE = "unparsed"


def read(task, text, emotion=None):
    answer = parse(task, text, emotion)
    return NONE if isinstance(answer, Unparsed) else answer
