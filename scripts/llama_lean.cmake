# Read by CMake when llama.cpp's project begins: leave out its utilities for programs of its own, which take as long to
# compile as the library. llama-cpp-python asks for them by force, so that no option on the command line does it.
set(LLAMA_BUILD_COMMON OFF)
