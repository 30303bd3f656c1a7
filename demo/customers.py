"""A table as somebody in China keeps it in Excel: Chinese columns and classes, spelt as Excel does."""

from __future__ import annotations

import random
from pathlib import Path

HEADER = "客户编号,注册日期,年龄,城市,套餐,月消费,投诉次数,是否流失"
TARGET = "是否流失"
CITIES = ("北京", "上海", "广州", "成都", "西安")
PLANS = ("基础", "标准", "尊享")
ENCODING = "gb18030"


def write_customers(path: Path, *, rows: int = 2_000, seed: int = 7) -> None:
    """Write a CSV file of customers who stay or leave; the same seed gives the same bytes.

    Who complains, is young or spends little leaves more often, so that there is something to learn.
    """
    draw = random.Random(seed)
    lines = [HEADER]
    for number in range(rows):
        age, complaints = draw.randint(18, 80), min(6, int(draw.expovariate(1.1)))
        spend = round(draw.lognormvariate(4.8, 0.6), 2)
        plan = draw.choice(PLANS)
        risk = 0.08 + 0.11 * complaints + 0.18 * (age < 32) + 0.15 * (spend < 90) - 0.05 * (plan == "尊享")
        cells = [
            f"KH{number:05}",
            f"2026-{draw.randint(1, 10):02}-{draw.randint(1, 28):02}",
            str(age) if draw.random() > 0.04 else "",
            draw.choice(CITIES),
            plan,
            f"{spend}",
            str(complaints),
            "是" if draw.random() < risk else "否",
        ]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n", encoding=ENCODING)
