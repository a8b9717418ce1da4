// CLBlast's parameters for a device before ours: only its C++ interface tells them, and without them there is no way back.
#include <cstddef>
#include <string>
#include <unordered_map>

#define CL_TARGET_OPENCL_VERSION 120
#include <clblast.h>

extern "C" int ocl_clblast_stock(cl_device_id device, const char *kernel, size_t count, const char *const *names,
                                 size_t *values);

extern "C" int ocl_clblast_stock(cl_device_id device, const char *kernel, size_t count, const char *const *names,
                                 size_t *values) {
  try {
    std::unordered_map<std::string, size_t> all;
    const auto status = clblast::RetrieveParameters(device, kernel, clblast::Precision::kSingle, all);
    if (status != clblast::StatusCode::kSuccess)
      return static_cast<int>(status);
    for (size_t i = 0; i < count; i++)
      values[i] = all.at(names[i]);
    return 0;
  } catch (...) {
    return static_cast<int>(clblast::StatusCode::kUnexpectedError);
  }
}
