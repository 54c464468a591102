"""What an answer takes of a model's context, bounded without a tokenizer."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.budget import Budget, spent, tokens

# What a published vocabulary of 65,000 byte-pair tokens counts for each text.
COUNTED = {
    "Deploys run on Tuesday at noon, after Ana has looked at the migrations.": 16,
    'def get(self, key: str) -> int | None:\n    return self._rows.get(key, {"n": 0})["n"]': 32,
    '{"id": 7, "name": "shop", "tags": ["a", "b"], "rate": 0.125, "ok": true}': 32,
    "019a7d3c-5b21-7f3e-9c4d-0a1b2c3d4e5f": 33,
    "2026-05-01T12:03:44.123456Z ERROR [pool-1] 10.42.0.17:51234 -> 192.168.1.254:443": 41,
    "数据库迁移应该在每个部署之前运行。否则新版本的服务会因为缺少列而崩溃。": 33,
    "データベースの移行はデプロイの前に実行する必要があります。": 25,
    "데이터베이스 마이그레이션은 배포 전에 실행해야 합니다.": 31,
    "Миграции базы данных следует запускать перед каждым развертыванием.": 32,
    "Die Datenbankmigration muss vor jeder Bereitstellung ausgeführt werden.": 17,
    "Tietokannan migraatio on suoritettava ennen jokaista käyttöönottoa.": 29,
    "يجب تشغيل ترحيل قاعدة البيانات قبل كل نشر.": 40,
    "हर परिनियोजन से पहले डेटाबेस माइग्रेशन चलाया जाना चाहिए।": 65,
    "ต้องรันการย้ายฐานข้อมูลก่อนการปรับใช้ทุกครั้ง": 74,
    "😀🎉🚀 Deployed ✅ with no errors ⚠️ 👨‍👩‍👧": 31,
    "│ port │ 5433 │ → ○ ● ≤ ∑": 17,
}


@pytest.mark.parametrize(("text", "counted"), COUNTED.items())
def test_the_bound_is_not_below_what_a_real_vocabulary_counts(text: str, counted: int) -> None:
    assert counted <= tokens(text) <= 2 * counted + 4


def test_nothing_takes_nothing() -> None:
    assert tokens("") == tokens(" \n") == 0


@given(st.text(), st.text())
def test_a_longer_text_never_takes_less_by_much(one: str, other: str) -> None:
    assert max(tokens(one), tokens(other)) <= tokens(f"{one} {other}") + 1


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_value_takes_what_its_json_takes(value: object) -> None:
    assert spent(value) == tokens(json.dumps(value, ensure_ascii=False))


@given(st.lists(st.text(max_size=60)), st.integers(0, 120))
def test_what_fits_stays_within_the_budget_and_the_rest_is_counted(
    values: list[str], limit: int
) -> None:
    budget = Budget(limit)

    kept = budget.fitting(values)

    assert spent(kept) <= limit or not kept
    assert len(kept) + budget.left_out == len(values)
    assert budget.left >= 0


def test_what_does_not_fit_is_passed_over_and_what_follows_is_taken() -> None:
    budget = Budget(12)

    assert budget.fitting(["tea", "a long line that cannot fit in here at all", "milk"]) == [
        "tea",
        "milk",
    ]
    assert budget.left_out == 1


def test_a_value_that_is_refused_costs_nothing() -> None:
    budget = Budget(10)

    assert not budget.take(str(UUID(int=1)))
    assert budget.take("tea")
    assert budget.left == 10 - spent("tea") - 2
