from __future__ import annotations

from demo.startup import in_order


def test_tasks_come_in_the_order_in_which_they_run() -> None:
    tasks = [
        {"task_id": "z_first", "downstream_task_ids": ["b", "c"]},
        {"task_id": "a_last", "downstream_task_ids": []},
        {"task_id": "b", "downstream_task_ids": ["a_last"]},
        {"task_id": "c", "downstream_task_ids": ["a_last"]},
    ]
    assert in_order(tasks) == ["z_first", "b", "c", "a_last"]
