# A thin front for CMake's presets. scripts/run and scripts/test install what is missing first.

.PHONY: all run test dev clean format

all: | build
	@cmake --preset release >build/cmake-release.log 2>&1 || { cat build/cmake-release.log; exit 1; }
	@cmake --build --preset release

run:
	@scripts/run

test:
	@scripts/test

dev:
	@cmake --preset dev && cmake --build --preset dev

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build/release build/dev build/clang build/asan build/tsan build/fuzz build/ollama2openai

build:
	@mkdir -p build
