"""The model card of a report, as the hub reads it."""

import pytest

from tests.eval.report.reported import Made


def test_the_hub_reads_the_model_card(made: Made) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub belongs to the train tier")
    card = hub.ModelCard((made.root / "report.good_run.MODEL_CARD.md").read_text(), ignore_metadata_errors=False)
    found = {(one.dataset_config, one.metric_name): one.metric_value for one in card.data.eval_results}
    scores = made.scores(0)["subsets"]
    assert found["XED_ec", "Weighted Jaccard (strict mode)"] == scores["XED"]["metrics"]["accuracy"]
    assert found["XED_ec", "Subset accuracy (strict mode)"] == scores["XED"]["metrics"]["subset_accuracy"]
    assert card.data.model_name == "good_run" and "no" in card.data.language and "br" not in card.data.language
    assert found["FER2013_ec", "Macro F1 (strict mode)"] == scores["FER2013"]["metrics"]["macro_f1"]
    tasks = scores["semeval2018_arabic"]["tasks"]
    assert found["semeval2018_arabic_v_reg", "Pearson (strict mode)"] == tasks["v_reg"]["metrics"]["pearson"]
    assert found["CHSIMS_SI_si", "Pearson (paper mode)"] is not None
    strict = tasks["ei_oc"]["metrics"]
    assert found["semeval2018_arabic_ei_oc", "Quadratic weighted kappa (strict mode)"] == strict["qwk"]
    assert found["semeval2018_arabic_ei_oc", "Pearson of anger (strict mode)"] == strict["pearson_anger"]
    names = {name for config, name in found if config == "semeval2018_arabic_ei_oc" and "strict" in name}
    assert len(names) == len(strict), "a metric is missing"
    assert {one.dataset_revision for one in card.data.eval_results} == {made.data.hash}
    again = hub.ModelCard(str(card))  # the hub's class writes what it has read
    assert len(again.data.eval_results) == len(card.data.eval_results) > 100
