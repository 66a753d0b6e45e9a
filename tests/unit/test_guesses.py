"""Answers that guess, deny or list earn nothing; the same answers given as answers, and worked solutions, do."""

from __future__ import annotations

import pytest

from ascl_core.rewards.answers import verify

EARN_NOTHING = {
    ("text", "北京"): ["北京不是首都。", "首都不是北京。"],
    ("text", "Rome"): ["Paris and Rome are candidates"],
    ("number", "17"): ["Ni 16 ni 17"],
    ('choice', 'C'): [
        'The answer is A. The answer is B. The answer is C.', 'A|C', '不选C', 'I would not choose C', 'It is A. It is C.',
        '\\boxed{A} \\boxed{C}', '<answer>A</answer><answer>C</answer>', 'A、C', 'A~C', '答案不是C', 'No es C', 'nicht C', 'C is not it.',
        'C 不对', "I'd not pick C.", 'Answer: A\nAnswer: C', '选A或C', '我不会选C', 'C is one option.', "It isn't C.", "Ce n'est pas C",
        'The answer is A. Or the answer is C.', '- A\n- B\n- C', 'A и C', 'A oder C', 'Choose A, B, or C.', 'Any of A, B, C', 'Not C',
        "I think it's A. I think it's C.", 'A or else C', 'A / C', 'A & C', '不是C', '答案不是C。', 'C is wrong.', 'C is ruled out.',
        'We can rule out C.', "I'd eliminate C.", 'La respuesta no es C.', 'Die Antwort ist nicht C.', "La réponse n'est pas C.",
        'Ответ не C', 'A또는C', 'AかC', 'B、C', 'Answer: A. Answer: B. Answer: C.', 'Possible answers: A, C',
        'The answer could be A. The answer could be C.', 'Maybe A. Maybe C.', '(A) (C)', 'A; C', 'The answer may be B or C',
        'Neither A nor C', '\\boxed{A}, \\boxed{B}, \\boxed{C}', '{"answer":"A"} {"answer":"C"}', '我不选C', '绝不选C', 'C是错的',
    ],
    ('math', '3'): [
        'It could be $1$. It could be $2$. It could be $3$.', 'The answer is not $3$.', '18 or 3', '$2$ or $3$', 'It is not 3.',
        '\\boxed{2} \\boxed{3}', 'It is $1$. It is $3$.', '- $1$\n- $2$\n- $3$', '1, 2, 3', 'between $2$ and $3$', '答案不是$3$',
        'more than $3$', 'maybe $2$, maybe $3$', "It isn't $3$.", '2 to 3', '$3$ is wrong.', 'It is $5$, not $3$.',
    ],
    ('math', 'x^2+1'): [
        'It is not $x^2+1$.', '$x^2+2$ or $x^2+1$', 'It could be $x^2$. It could be $x^2+1$.', 'x^2+2', 'It is x^2 or x^2+1.',
        '$x^2+1$ is wrong.', 'It is $x^2+1$ or $x^2-1$.', '$x^2+1$, maybe $x^2-1$', 'Some say $x^2-1$, some say $x^2+1$',
        'The options are $x^2$ and $x^2+1$', "It can't be $x^2+1$.", '\\boxed{x^2} \\boxed{x^2+1}',
        '<answer>x^2</answer><answer>x^2+1</answer>', 'It is $x^2-1$. It is $x^2+1$.', 'more than $x^2+1$', '不是$x^2+1$',
        'Either $x^2$ or $x^2+1$', "$x^2+1$ isn't right",
    ],
    ('math', '2√3'): [
        '2',
    ],
    ('math', '3, 4'): [
        '3',
    ],
    ('number', '18'): [
        'It is 16. It is 17. It is 18.', '18 or 19', '16~18', '16～18', 'more than 18', 'less than 18', 'It is more than 18.',
        '答案不是18',
        'No es 18', '可能是16、17或18', '- 16\n- 17\n- 18', 'Candidates:\n* 16\n* 17\n* 18', '1. 16\n2. 17\n3. 18',
        '\\boxed{17} \\boxed{18}',
        '<answer>17</answer><answer>18</answer>', 'It is 17. It is 18.', 'Es ist nicht 18.', "Ce n'est pas 18.", '答えは18ではない。',
        '17 oder 18', '17还是18', '16到18', '18 is not it.', '18 is one possibility.', 'It might be 17. It might be 18.', 'over 18',
        'greater than 18', '17 | 18', '{"answer": 17} {"answer": 18}', 'The answer is 17. Or the answer is 18.',
        'The result is 17. The result is 18.', 'не 18', '17 или 18', 'maybe 18, maybe 17', '16..18', 'I would not say 18.',
        "It can't be 18.", 'Não é 18.', '不是18。', '18じゃない', 'The number is 16. The number is 17. The number is 18.',
        'That would be 16. That would be 18.', 'Candidates: 16, 17, 18', 'Possible answers: 17 and 18', '• 16\n• 17\n• 18',
        'a) 17\nb) 18', 'about 17 or 18', 'fewer than 18', 'bigger than 18', 'no más de 18, más de 18', '可能是17。可能是18。',
        '也许18，也许17',
        '16から18', '17 a 18', 'Vielleicht 17. Vielleicht 18.', 'Peut-être 17, peut-être 18.', 'I doubt it is 18.', 'Never 18.',
        'It is anything but 18.', 'The answer is 17; the answer is 18.', '$\\boxed{16}$, $\\boxed{18}$',
        '<answer>16</answer>\n<answer>17</answer>\n<answer>18</answer>', '{"answer": "17"}\n{"answer": "18"}', "18 isn't right",
        '18? No.', 'не 18.', '18ではありません', '18 değil', '18이 아닙니다', 'Either 17 or 18.', 'Guess: 17. Guess: 18.',
        "It's 17. It's 18.",
        'Answer 1: 17. Answer 2: 18.', 'One of 16, 17, 18.', 'somewhere between 17 and 18', '17 to 18', '17 and 18 are possible',
    ],
    ('number', '10%'): [
        '10', '0.1', '1/10',
    ],
    ('text', 'Paris'): [
        'It is London. It is Rome. It is Paris.', 'Some say London, some say Paris', 'It is London. It is Paris.',
        'The options are London and Paris', 'Either London or Paris', 'The answer is not Paris', 'No es París, no es Paris',
        'Nicht Paris.', 'London | Paris', '<answer>London</answer> <answer>Paris</answer>', '\\boxed{London} \\boxed{Paris}',
        '- London\n- Paris', 'Many think it is Paris.', 'Paris is one possibility.', 'Not Paris.', 'London oder Paris',
        'Among them are Rome and Paris.', '答案不是Paris', 'Paris不对', 'It is hardly Paris.', 'Paris is not it',
        'He is London. He is Paris.',
        'Maybe London. Maybe Paris.', 'Possibly Paris, possibly Rome', 'Possible answers: London, Paris',
        'Candidates include London and Paris.', 'Others say Paris.', 'People say Paris.', 'One of London, Rome, Paris',
        'London? Rome? Paris?', 'London; Rome; Paris', '* London\n* Rome\n* Paris', '1) London\n2) Paris', 'Both London and Paris',
        'London and Paris', 'London et Paris', 'Not in Paris', 'Paris was ruled out.', "It can't be Paris.", "I wouldn't say Paris.",
        'Paris is incorrect.', "Paris isn't it.", 'It is false that it is Paris.', 'Nicht in Paris.', "Ce n'est pas Paris.",
        'Non è Paris.', '不是Paris', 'It depends: London or Paris', 'It might be London. It might be Paris.', 'Anywhere except Paris.',
        'Any city but Paris', 'The answer is London. The answer is Rome. The answer is Paris.', '{"answer":"London"} {"answer":"Paris"}',
    ],
    ('text', 'cold'): [
        'The options are hot and cold', 'the opposite of cold', 'The opposite of cold.', 'It is wrong to say cold.', 'lack of cold',
        'hot/cold', 'It is nothing like cold.', 'the reverse of cold', 'antonym of cold', 'It is warm. It is hot. It is cold.',
        'Choices: hot, cold', 'neither cold nor hot', 'instead of cold, hot', 'hot rather than cold', 'hot or cold', 'cold or hot',
        'less hot, not cold', 'The contrary of cold',
    ],
    ('text', '巴黎'): [
        '答案不是巴黎。', '巴黎或伦敦', '可能是伦敦、罗马或巴黎', '不是巴黎', '巴黎不对', '巴黎ではない', '伦敦、巴黎、罗马',
    ],
    ('text', '12 pm'): [
        '12 am',
    ],
    ('text', '5 km'): [
        '5 m',
    ],
    ('text', 'US'): [
        'up to us',
    ],
    ('text', 'no'): [
        'There is no way.',
    ],
    ('text', '東京'): [
        '東京ではありません。', '東京か大阪', '大阪または東京', '東京じゃない', '大阪、東京、京都', '東京と大阪',
    ],
    ('text', '파리'): [
        '파리가 아닙니다.',
    ],
    ('text', 'Москва'): [
        'Это не Москва.', 'Москва или Киев',
    ],
}  # fmt: skip
"""Answers by kind and gold answer: guesses, denials, lists, bounds and other values."""
RIGHT = {
    ("text", "北京"): ["北京是首都。"],
    ("choice", "B"): ["B. ~(F ⊃ E) ∨ (S ⊃ C)"],
    ('choice', 'C'): [
        'C, saw', '正确的选项是C', '正确选项：C', '{"correct_answer": "C"}', '{"final answer": "C"}', '{"solution": "C"}', 'C',
        'The correct option is C, because A is too small.', 'C (saw)', '不选A，选C', '选C', '我选C。',
        'The answer is not A. The answer is C.',
        '选项C', '選択肢はC', 'A is wrong. So C.', 'The answer is C, not A.', 'Not A, not B, so C.', 'A is ruled out. The answer is C.',
        'C: saw', 'C - saw', 'C, the saw', 'C, because it cuts', '正确的选项为C', '正确答案：C', '正確的選項是C', '选项C正确',
        '本题选C', '故选C。', '所以选C',
        '{"Answer": "C"}', '{"answer_choice": "c"}', '{"final_answer": "(C)"}', 'Respuesta: C', 'The best choice is C.',
        'Some say A, but the answer is C.', 'I would choose C.', "I'd pick C", 'C\n', '**C, saw**',
        'Eliminating A and B, the answer is C.', 'First I thought A. The answer is C.',
    ],
    ('math', 'x^2+1'): [
        '1+x^2', 'It is 1+x^2.', 'The answer is $x^2+1$.', '$1 + x^2$', 'x² + 1', '\\boxed{x^2+1}',
        'Expanding $(x+1)^2 - 2x$ gives x^2 + 1.', 'It is $x^2+1$, not $x^2+2$.', 'The answer is not $x^2$. It is $x^2+1$.',
        'We compute \\(x^2 + 2x + 1 - 2x = x^2 + 1\\).', 'So we get \\[ x^2+1 \\]', 'Answer: x^2+1', '**x^2+1**', '$x^2+1$',
        'The polynomial is x^2 + 1.', 'x^2+1.', 'Some say $x^2$, but it is $x^2+1$.', '$$x^2+1$$', 'So the answer is $x\\cdot x + 1$.',
        '$x^2+2-1$', '{"answer": "x^2+1"}', 'x*x+1',
    ],
    ('math', '\\sqrt{2}'): [
        '√2',
    ],
    ('math', '√2'): [
        '√2', 'sqrt(2)', 'It is √2.',
    ],
    ('math', '2√3'): [
        '2√3',
    ],
    ('math', 'π'): [
        'π',
    ],
    ('math', '\\frac{3\\pi}{2}'): [
        '3π/2',
    ],
    ('math', '2\\pi'): [
        '2π',
    ],
    ('math', '∞'): [
        '∞',
    ],
    ('math', '(2, 3)'): [
        '(2, 3)', 'The point is (2, 3).',
    ],
    ('math', '[1, 2]'): [
        '[1, 2]',
    ],
    ('math', '3, 4'): [
        '3, 4', '3 and 4', 'x = 3 or x = 4', '$x=3$ and $x=4$',
    ],
    ('math', '\\frac{1}{2}'): [
        '½',
    ],
    ('math', '½'): [
        '1/2',
    ],
    ('math', '3 + 4i'): [
        '3 + 4i',
    ],
    ('math', '(-\\infty, 3]'): [
        '(-∞, 3]',
    ],
    ('math', '300000'): [
        'It is 3 × 10^5.',
    ],
    ('math', 'x \\leq 3'): [
        'x ≤ 3',
    ],
    ('math', '3'): [
        'x = 3', 'We have $x+2=5$. Subtract $2$ to get $x=3$.', '12 ÷ 4',
    ],
    ('math', 'x = 3'): [
        '3',
    ],
    ('math', '45'): [
        '45°',
    ],
    ('math', '10'): [
        'First $a=2$ and $b=3$, so $a+b=5$, hence the result is $10$.',
    ],
    ('math', '16'): [
        'Let $n=4$. Then \\boxed{16}',
    ],
    ('math', '12.5'): [
        'The total is 12.5 dollars.',
    ],
    ('math', 'x^2+2x+1'): [
        'The answer is (x+1)^2',
    ],
    ('math', '0.5'): [
        '\\frac{1}{2}',
    ],
    ('math', '\\frac{\\sqrt{3}}{2}'): [
        '√3/2',
    ],
    ('math', '5\\sqrt{2}'): [
        '5√2',
    ],
    ('math', '\\sqrt{x+1}'): [
        '√(x+1)',
    ],
    ('math', '2\\pi r'): [
        '2π r',
    ],
    ('math', 'x \\in [0,1]'): [
        'x ∈ [0, 1]',
    ],
    ('math', '(0,\\infty)'): [
        '(0, ∞)',
    ],
    ('math', '12'): [
        '3·4',
    ],
    ('math', '-\\sqrt{2}'): [
        '-√2',
    ],
    ('math', 'x^3'): [
        'x³',
    ],
    ('math', '\\frac{2}{3}'): [
        '2/3',
    ],
    ('math', '\\pm 1'): [
        'The solutions are $x=1$ and $x=-1$.',
    ],
    ('math', '1, -1'): [
        'x = ±1', 'x=-1 or x=1', '{1, -1}',
    ],
    ('number', '18'): [
        'คำตอบคือ ๑๘', '١٨', '{"correct_answer": 18}', '{"final answer": "18"}', '{"solution": 18}', '{"finalAnswer": 18}',
        'She has 16. She buys 2 more. It is 18.', '16 eggs per day. 3 + 4 = 7 are used. 9 are left. 9 * 2 = 18 dollars.\n#### 18',
        'First \\boxed{9} eggs are left over each day. Then she earns 9*2 = \\boxed{18}.', 'The price is 9. The total is 18.',
        'It is 17. Wait, no. It is 18.', '答案是18个。', 'It costs 2 dollars more than 16, so 18.',
        'Since 12 is less than 18, we add 6 and get 18.', '- Eggs: 9\n- Price: 2\n- Total: 18', 'The answer is not 17. It is 18.',
        'No es 17, es 18.', '၁၈', '१८', 'Thus 18 is the answer, not 17.', '9 eggs.\n18 dollars.',
        'The answer is 18, which is more than 17.', 'Let x be the number of apples. Then x = 9 * 2 = 18.',
        'She starts with 20. She gives 2 away. She has 18 left.', 'It is 18.',
        'The first bag has 10. The second bag has 8. The total is 18.', '10 + 8 = 18',
        'Step 1: 10 apples\nStep 2: 8 apples\nStep 3: 18 apples', '1. She buys 10.\n2. She buys 8.\n3. In total 18.',
        'My first guess was 17, but it is 18.', 'I first thought it could be 17. But the answer is 18.', 'Not 17 but 18.', '18',
        '18 (not 17)', 'No, 18.', 'The answer is 18 (eighteen).', 'Total = 18.', 'Answer: $18.',
        'We check: 18 > 17, so it works. The answer is 18.', 'We get \\boxed{18}. To check: \\boxed{18}.',
        'The answer is 18.\n\nThe answer is 18.', 'So 18 people, which is no more than 20.', '٢٠ - ٢ = ١٨', '合計は18です。', '一共18个',
        'Ответ: 18', 'La respuesta es 18.', '18 ist die Antwort.', 'She needs at least 18 boxes.',
    ],
    ('number', '10%'): [
        '10%', 'It is 10 percent.',
    ],
    ('number', '10'): [
        '10%',
    ],
    ('text', 'Paris'): [
        'The capital of France is Paris.', 'It is Paris, not London.', 'I think it is Paris.', '答案是Paris。', 'Paris',
        'It is a city. It is Paris.', 'Not London. Paris.', 'The answer is London. Wait, no, the answer is Paris.', 'PARIS', '**Paris**',
        '\\boxed{\\text{Paris}}', 'Sure. It is Paris.', 'Paris!', '{"correct_answer": "Paris"}', 'Old, large. It is Paris.',
        'Lyon is big. Nice is warm. Paris is the capital.', "France's capital is Paris.", 'I would say Paris.', 'The answer: Paris',
        "It's Paris!", 'Paris, of course.', 'Paris is the capital and the largest city of France.',
        'Many people think of Lyon. It is Paris.', 'La capital es París. (Paris)', 'It was London. Wait, no. It is Paris.', '- Paris',
        '1. Paris', '"Paris"', '„Paris“', '答案：Paris', 'Answer - Paris', 'My answer is Paris because it is the seat of government.',
    ],
    ('text', '巴黎'): [
        '答案是巴黎。', '巴黎', '是巴黎', '首都是巴黎。', '巴黎です。', '不是伦敦，是巴黎。',
    ],
    ('text', 'J.K. Rowling'): [
        'J. K. Rowling', 'It was J.K. Rowling.',
    ],
    ('text', '5 km'): [
        'It is 5 km away.', '5km',
    ],
    ('text', '12 pm'): [
        'It starts at 12 PM.',
    ],
    ('text', 'US'): [
        'The US.',
    ],
    ('text', 'no'): [
        'No, it is not.', 'No.', 'The answer is no.',
    ],
    ('text', '3:30'): [
        '3:30 pm',
    ],
    ('text', 'forty-two'): [
        'It is forty-two.',
    ],
    ('text', 'cold'): [
        'It is cold outside.', 'cold.', 'It gets cold.', 'It is very cold and windy today.', 'Winter is cold.', 'The water felt cold.',
    ],
    ('text', '東京'): [
        '東京です。', '答えは東京です。', '首都は東京である。', '東京',
    ],
    ('text', '파리'): [
        '파리입니다.', '정답은 파리입니다.',
    ],
    ('text', 'Москва'): [
        'Это Москва.',
    ],
}  # fmt: skip
"""Answers by kind and gold answer in many forms and scripts, and solutions that mention other values on the way."""


def answers(table: dict[tuple[str, str], list[str]]) -> list[tuple[str, str, str]]:
    return [(kind, gold, answer) for (kind, gold), listed in table.items() for answer in listed]


@pytest.mark.parametrize(("kind", "gold", "answer"), answers(EARN_NOTHING))
def test_a_guess_a_denial_and_a_list_earn_nothing(kind: str, gold: str, answer: str) -> None:
    assert not verify(answer, gold, kind, "ABCD")[0]


@pytest.mark.parametrize(("kind", "gold", "answer"), answers(RIGHT))
def test_an_answer_is_right_in_any_form_and_after_other_values(kind: str, gold: str, answer: str) -> None:
    assert verify(answer, gold, kind, "ABCD")[0]


@pytest.mark.parametrize("kind", ["text", "math"])
@pytest.mark.parametrize(
    "piece", ["a ", "1 ", "x^2 ", "$x$ ", "x+", "it is 1. ", "- a\n", "maybe ", "\\boxed{", "not ", "the a ", "(", "是", "a, "]
)
@pytest.mark.timeout(60)
def test_a_long_text_comes_to_a_verdict(kind: str, piece: str) -> None:
    verify(piece * (20_000 // len(piece)), "x^2+1" if kind == "math" else "cold", kind)
