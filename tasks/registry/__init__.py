"""The stages, and what each depends on: data, code, parameters and prompt sources.

paths.py          every other file and folder of a repository, by name
stages.py         the definition of every stage and artifact
parameters.py     `params.yaml`: resolved, compared, and where its values come from
sources.py        the prompt sources that the parameters name
code.py           the files of code that a stage runs
dependencies.py   the SHA-256 of all of that, before a run and after it
dvcfile.py        `dvc.yaml`, rendered from the registry
dvc_tools.py      what DVC's own commands show of a run
"""
