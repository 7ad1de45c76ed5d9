"""Writes the numbers of resnet20.json into README.md, between its two `numbers` comments."""

import json
from pathlib import Path

import cifar10

START, END = "<!-- numbers: written by card.py -->", "<!-- /numbers -->"


def table(header: list[str], rows: list[list]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def numbers(report: dict) -> str:
    recipe, time = report["recipe"], report["training"]
    accuracies = [["as published (lossless)", percent(report["accuracy"])]]
    accuracies += [[f"JPEG, {how}", percent(share)] for how, share in report["accuracy_jpeg"].items()]
    lossless, as_jpeg = report["accuracy_by_class"], report["accuracy_by_class_jpeg"]
    by_class = [[name, percent(lossless[name]), percent(as_jpeg[name])] for name in cifar10.CLASSES]
    matrix = [[f"**{name}**", *row] for name, row in zip(cifar10.CLASSES, report["confusion"])]
    return "\n\n".join(
        [
            f"sha256 of `resnet20.safetensors`: `{report['sha256']}`, {report['parameters']:,} parameters.",
            table(["10,000 test images", "right"], accuracies),
            table(["class", "right, lossless", "right, JPEG 75"], by_class),
            "Confusion matrix, lossless (rows: the true class; columns: the answer):",
            table(["", *cifar10.CLASSES], matrix),
            f"Training: {time['core_hours']} core-hours, {time['hours']} hours by the clock. Recipe:",
            table(["setting", "value"], [[f"`{name}`", value] for name, value in recipe.items()]),
        ]
    )


def main() -> None:
    folder = Path(__file__).parent
    report = json.loads((folder / "resnet20.json").read_text())
    card = folder / "README.md"
    before, rest = card.read_text().split(START)
    _, after = rest.split(END)
    card.write_text(f"{before}{START}\n{numbers(report)}\n{END}{after}")


if __name__ == "__main__":
    main()
