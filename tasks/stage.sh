# Run one stage, as dvc.yaml says, from the root of the repository: sh tasks/stage.sh STAGE. Its environment need not be active: the first
# Python with the packages runs it. No shell stays in between: it would outlive a killed DVC, and the stage with it.
for python in python .venv/bin/python python3; do
  if "$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("dvc") and u.find_spec("pydantic")))' 2>/dev/null; then
    exec "$python" -m tasks "$@"
  fi
done
echo "error: no Python here has the packages that the stages need: neither python nor .venv/bin/python" >&2
echo "  hint: make setup; or activate the environment that has them" >&2
exit 1
