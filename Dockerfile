# One image for every role of Medina; the command names the role: `broker`, `notifier`, `agent`, `pilot campus`, …

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/medina
# The dependencies first: this layer stays until pyproject.toml changes.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > dependencies.txt \
 && /opt/medina/bin/pip install --no-cache-dir --disable-pip-version-check --progress-bar off -r dependencies.txt
COPY README.md LICENSE ./
COPY ngsi ngsi
COPY broker broker
COPY agents agents
COPY pilots pilots
RUN /opt/medina/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && ln -s "$(cd / && /opt/medina/bin/python -c 'import pilots; print(pilots.__path__[0])')" /opt/medina/pilots \
 && /opt/medina/bin/pip uninstall -q -y --disable-pip-version-check pip

FROM python:3.12-slim
COPY --from=build /opt/medina /opt/medina
ENV PATH=/opt/medina/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MEDINA_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["medina"]
CMD ["--help"]
