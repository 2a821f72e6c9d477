"""Print the backend that llama.cpp should be compiled with for this machine, and on stderr what stands against others.

A backend needs its compiler and a device: nvcc and an NVIDIA card, hipcc and one of AMD's, glslc and a Vulkan device
that is no processor. Without any it is cpu.

python scripts/backend.py
"""

import ctypes
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

TOOLS = {"cuda": "nvcc", "rocm": "hipcc", "vulkan": "glslc"}
NODES = {"cuda": ("/dev/nvidiactl", "/dev/dxg"), "rocm": ("/dev/kfd",)}
"""Files by which programs reach a device; dxg is what Windows shows to its Linux."""
_PROCESSOR = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_PROPERTIES_BYTES = 4096  # VkPhysicalDeviceProperties has 824
_TYPE_OFFSET, _NAME_OFFSET = 16, 20


def main() -> None:
    found = {
        "cuda": [node for node in NODES["cuda"] if Path(node).exists()],
        "rocm": [node for node in NODES["rocm"] if Path(node).exists()],
        "vulkan": list(vulkan_devices()),
    }
    for backend, devices in found.items():
        if devices and shutil.which(TOOLS[backend]):
            print(backend)
            return
        if devices:
            print(f"not {backend}: {devices[0]} is there, but no {TOOLS[backend]}", file=sys.stderr)
    print("cpu")


def vulkan_devices() -> Iterator[str]:
    """The names of Vulkan's devices, but for drivers that compute on the processor."""
    try:
        vulkan = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return
    # VkInstanceCreateInfo: its type, 1, and nothing else
    create_info = (ctypes.c_uint64 * 8)(1)
    instance, count = ctypes.c_void_p(), ctypes.c_uint32()
    if vulkan.vkCreateInstance(create_info, None, ctypes.byref(instance)) != 0:
        return
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * count.value)()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    for device in devices[: count.value]:
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), properties)
        if ctypes.c_uint32.from_buffer(properties, _TYPE_OFFSET).value != _PROCESSOR:
            yield properties[_NAME_OFFSET:].partition(b"\0")[0].decode()
    vulkan.vkDestroyInstance(instance, None)


if __name__ == "__main__":
    main()
