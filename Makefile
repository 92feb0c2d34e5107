# A thin front for CMake's presets. scripts/run and scripts/test install what is missing first.

# The tests' own clang-format once it is there: versions differ in what they write.
CLANG_FORMAT := $(firstword $(wildcard build/venv/bin/clang-format) clang-format)

.PHONY: all run test bench bench-micro bench-pool bench-store dev clean format

all: | build
	@command -v cmake >/dev/null && command -v ninja >/dev/null || \
		{ echo "cmake or ninja is missing; to install what the build needs: scripts/setup build" >&2; exit 1; }
	@cmake --preset release >build/cmake-release.log 2>&1 || { cat build/cmake-release.log; exit 1; }
	@cmake --build --preset release

run:
	@scripts/run

test:
	@scripts/test

# make bench [BENCH="options of bench/run"] [PEER="command" PORT=n [PEER_API=ollama]]
bench:
	@scripts/setup bench
	@$(MAKE) --no-print-directory -s all >&2
	@cmake --build --preset release --target bench_tools >build/log/bench.log || { cat build/log/bench.log; exit 1; }
	@bench/run $(BENCH)
	@$(if $(BENCH),,echo; $(MAKE) --no-print-directory -s bench-pool; echo; $(MAKE) --no-print-directory -s bench-store)

bench-micro:
	@scripts/setup bench
	@scripts/check-instructions --times

bench-pool:
	@mkdir -p build/log
	@cmake --preset release >build/log/bench.log && cmake --build --preset release --target bench_pool >>build/log/bench.log || { cat build/log/bench.log; exit 1; }
	@build/release/bench_pool

bench-store: all
	@bench/store.py

dev:
	@cmake --preset dev && cmake --build --preset dev

format:
	@git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

clean:
	@rm -rf build/release build/dev build/clang build/asan build/tsan build/fuzz build/ollama2openai

build:
	@mkdir -p build
