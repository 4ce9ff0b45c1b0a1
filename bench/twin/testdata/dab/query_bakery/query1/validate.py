import csv
from pathlib import Path


def validate(llm_output: str) -> tuple[bool, str]:
    with open(Path(__file__).parent / "ground_truth.csv") as f:
        want = list(csv.DictReader(f))[0]["kg"]
    if want in llm_output:
        return True, "OK"
    return False, f"{want} is not in the answer"
