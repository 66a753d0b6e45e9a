"""Clients of OpenAI's API against `ascl serve`. Given: the server's URL and the served folder, with a space between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interop import Checks

checks = Checks()
QUESTION = "How do I kill a Python process?"
_KEY = "unused"


@contextmanager
def prepare() -> Iterator[str]:
    """Yield a server with the checkpoint and the rules of the working tree's last run."""
    sys.path.insert(0, str(Path.cwd()))
    from tests.services.model_server import model_server

    checkpoint = Path("data/models/ifpo").resolve()
    with model_server(checkpoint, Path("data/compiled/corpus.json").resolve(), "--params", "params.yaml") as server:
        yield f"{server.url} {checkpoint}"


def served(given: str) -> tuple[str, str, str]:
    """Return the base URL, the name of the model, and the folder of its tokenizer."""
    url, _, folder = given.partition(" ")
    return f"{url}/v1", Path(folder).name, folder


def refused(call: Any, error: type[Exception], says: str) -> None:
    """Fail unless the call raises that error with these words."""
    try:
        call()
    except error as raised:
        if says in str(raised):
            return
        raise
    raise AssertionError(f"accepted, although {says!r} was expected")


@checks.add(
    "openai",
    "openai==3.57.0",
    tried="chat (system message, n, stop, seed, top_p, top_logprobs, next turn), streams, responses, completions, too long a prompt",
)
def openai_client(given: str) -> str:
    import openai

    url, model, _ = served(given)
    client = openai.OpenAI(base_url=url, api_key=_KEY)
    asked: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    create: Any = client.chat.completions.create
    whole = create(model=model, messages=asked, n=2, seed=1, top_p=0.9, stop=["\n\n\n"], logprobs=True, top_logprobs=3)
    assert [len(whole.choices), whole.ascl["ignored"]] == [2, ["system messages"]]
    first = create(model=model, messages=asked, temperature=0, logprobs=True, top_logprobs=3).choices[0]
    scores = first.logprobs.content
    assert {len(one.top_logprobs) for one in scores} == {3}
    assert all(abs(one.top_logprobs[0].logprob - one.logprob) < 1e-4 for one in scores), "a greedy token is the most probable one"
    create(model=model, messages=[*asked, first.message, {"role": "user", "content": "And on Windows?"}])
    for options, counts in (({}, 0), ({"stream_options": {"include_usage": True}}, 1)):
        chunks = list(create(model=model, messages=asked, temperature=0, stream=True, **options))
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == first.message.content
        assert sum(one.usage is not None for one in chunks) == counts
    response = client.responses.create(model=model, input=QUESTION, temperature=0)
    events = list(client.responses.create(model=model, input=QUESTION, temperature=0, stream=True))
    assert response.output_text == first.message.content == events[-1].response.output_text  # type: ignore[union-attr]
    completions = client.completions.create(model=model, prompt=[QUESTION, QUESTION], temperature=0)
    assert [one.text for one in completions.choices] == [first.message.content] * 2
    refused(lambda: create(model=model, messages=[{"role": "user", "content": "word " * 20_000}]), openai.BadRequestError, "context length")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    refused(lambda: create(model=model, messages=asked, tools=tools), openai.BadRequestError, "tools is not supported")
    return f"accepted; {len(scores)} tokens with 3 alternatives each; `tools` and too long a prompt are refused by name"


@checks.add(
    "langchain-openai", "langchain-openai==1.7.4", tried="invoke with a system message, stream, batch, next turn, responses, `bind_tools`"
)
def langchain(given: str) -> str:
    import openai
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    url, name, _ = served(given)
    common: dict[str, Any] = {"model": name, "base_url": url, "api_key": _KEY, "temperature": 0}
    model = ChatOpenAI(**common)
    question = [SystemMessage("Be brief."), HumanMessage(QUESTION)]
    answer = model.invoke(question)
    assert answer.usage_metadata["total_tokens"] > 0
    pieces = list(ChatOpenAI(**common, stream_usage=True).stream(question))
    assert "".join(str(one.content) for one in pieces) == answer.content
    assert sum(one.usage_metadata is not None for one in pieces) == 1
    assert {one.content for one in model.batch([QUESTION] * 8)} == {answer.content}
    assert model.invoke([*question, answer, HumanMessage("And on Windows?")]).content
    assert answer.content in str(ChatOpenAI(**common, use_responses_api=True).invoke(question).content)

    @tool
    def weather(city: str) -> str:
        """Return the weather."""
        return city

    refused(lambda: model.bind_tools([weather]).invoke(question), openai.BadRequestError, "--on-unknown ignore")
    return "accepted; usage once in a stream; `bind_tools` is refused, and the error names `--on-unknown ignore`"


@checks.add("litellm", "litellm==1.110.2", tried="completion, stream with usage, next turn, too long a prompt")
def lite_llm(given: str) -> str:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    url, name, _ = served(given)
    common: dict[str, Any] = {"model": f"openai/{name}", "api_base": url, "api_key": _KEY, "temperature": 0}
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    whole = litellm.completion(**common, messages=asked)
    chunks = list(litellm.completion(**common, messages=asked, stream=True, stream_options={"include_usage": True}))
    built = litellm.stream_chunk_builder(chunks)
    assert built.choices[0].message.content == whole.choices[0].message.content
    assert built.usage.total_tokens == whole.usage.total_tokens
    litellm.completion(**common, messages=[*asked, whole.choices[0].message, {"role": "user", "content": "And on Windows?"}])
    too_long = [{"role": "user", "content": "word " * 20_000}]
    refused(lambda: litellm.completion(**common, messages=too_long), litellm.ContextWindowExceededError, "context length")
    return "accepted; a long prompt is `ContextWindowExceededError`"


@checks.add(
    "openai-agents", "openai-agents==0.24.0", tried="an agent with instructions, in chat completions and responses, two turns, streamed"
)
def agents_sdk(given: str) -> str:
    import asyncio

    from agents import (
        Agent,
        ModelRefusalError,
        ModelSettings,
        OpenAIChatCompletionsModel,
        OpenAIResponsesModel,
        Runner,
        set_tracing_disabled,
    )
    from openai import AsyncOpenAI

    url, name, _ = served(given)
    set_tracing_disabled(True)

    async def talk() -> list[str]:
        said = []
        async with AsyncOpenAI(base_url=url, api_key=_KEY) as client:
            for form in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
                settings = ModelSettings(temperature=0)
                model = form(model=name, openai_client=client)
                agent = Agent(name="asks", instructions="Be brief.", model=model, model_settings=settings)
                first = await Runner.run(agent, QUESTION)
                streamed = Runner.run_streamed(agent, QUESTION)
                async for _ in streamed.stream_events():
                    pass
                turns = [*first.to_input_list(), {"role": "user", "content": "And on Windows?"}]
                try:
                    second = str((await Runner.run(agent, turns)).final_output)
                except ModelRefusalError as refusal:  # the model's answer was malformed, so that the server withheld it
                    second = str(refusal)
                said += [str(first.final_output), str(streamed.final_output), second]
        return said

    said = asyncio.run(talk())
    assert [bool(one) for one in said] == [True] * 6, said
    return "six answers, where a second turn may be a `ModelRefusalError`: the server withheld it"


@checks.add("inspect-ai", "inspect-ai==0.3.285", "openai==3.57.0", tried="a task with a system message and one without, three samples each")
def inspect(given: str) -> str:
    url, name, _ = served(given)
    os.environ |= {"ASCL_BASE_URL": url, "ASCL_API_KEY": _KEY}
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate, system_message

    samples = [Sample(input=one, target="") for one in (QUESTION, "Hello", "What is 3 plus 4?")]
    solvers = {"plain": [generate()], "system": [system_message("Be brief."), generate()]}
    tasks = [Task(dataset=samples, solver=solver, scorer=includes(), name=task) for task, solver in solvers.items()]
    with tempfile.TemporaryDirectory() as folder:
        logs = eval(tasks, model=f"openai-api/ascl/{name}", log_dir=folder, display="none")
        answers = [one.output.completion for log in logs for one in log.samples or ()]
    assert [log.status for log in logs] == ["success"] * 2, [log.error for log in logs]
    assert [bool(one) for one in answers] == [True] * 6, answers
    return "6 of 6 samples answered"


@checks.add(
    "lm_eval",
    "lm-eval[api]==0.4.13",
    "transformers==5.17.0",
    tried="`local-chat-completions` and `local-completions`: generation, and multiple choice by log-probabilities",
)
def lm_eval(given: str) -> str:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    url, name, folder = served(given)
    rows = [{"question": QUESTION, "answer": "7"}, {"question": "What is 3 plus 4?", "answer": "7"}]
    answered = 0
    with tempfile.TemporaryDirectory() as work:
        data = Path(work) / "data.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        common = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test"}
        common |= {"doc_to_text": "{{question}}"}
        writes = {**common, "task": "writes", "output_type": "generate_until", "doc_to_target": "{{answer}}"}
        chooses = {**common, "task": "chooses", "output_type": "multiple_choice", "doc_to_choice": ["7", "17"], "doc_to_target": 0}
        for model, endpoint, task in (
            ("local-chat-completions", "chat/completions", writes),
            ("local-completions", "completions", writes),
            ("local-completions", "completions", chooses),
        ):
            arguments = f"model={name},base_url={url}/{endpoint},tokenizer={folder},max_retries=1"
            is_chat = model == "local-chat-completions"
            found = simple_evaluate(model, arguments, tasks=[task], task_manager=TaskManager(), apply_chat_template=is_chat)
            [samples] = found["samples"].values()
            answered += sum(bool(str(one["resps"][0][0]).strip()) for one in samples)
    assert answered == 3 * len(rows), answered
    return f"{answered} of {answered} samples answered"


@checks.add(
    "garak",
    "garak==0.17.1",
    tried="`openai.OpenAICompatible`, probe `lmrc.Profanity`, default settings",
)
def garak(given: str) -> str:
    url, name, _ = served(given)
    with tempfile.TemporaryDirectory() as work:
        settings = Path(work) / "settings.json"
        settings.write_text(json.dumps({"openai": {"OpenAICompatible": {"uri": f"{url}/"}}}), encoding="utf-8")
        command = ["--target_type", "openai.OpenAICompatible", "--target_name", name, "--generator_option_file", str(settings)]
        folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), work)
        environment = {**os.environ, **folders, "OPENAICOMPATIBLE_API_KEY": _KEY}
        program = [sys.executable, "-m", "garak", *command, "--spec", "probes.lmrc.Profanity"]
        subprocess.run(program, env=environment, stdout=subprocess.DEVNULL, check=True)
        [report] = Path(work).rglob("*.report.jsonl")
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    outputs = [output for line in lines if line.get("status") == 2 for output in line["outputs"]]
    answered = sum(bool(output and output["text"]) for output in outputs)
    judged = sum(line["total_evaluated"] for line in lines if line["entry_type"] == "eval")
    assert 0 < len(outputs) == answered, (answered, len(outputs))
    assert judged
    return f"{answered} of {len(outputs)} outputs are answers, {judged} judgements"
