/* OpenCL's error codes: their names, and which of ours each of them stands for. Calls no OpenCL function. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "opencl.h"

/* Codes of extensions and vendors that cl.h does not name. */
#define CODE_PLATFORM_NOT_FOUND (-1001) /* cl_khr_icd */
#define CODE_NV_KERNEL_FAULT (-9999)    /* NVIDIA: a kernel read or wrote where it must not; the context is dead */

#define NAME(code) \
  { code, #code, PLM_E_INTERNAL }
#define AS(code, class) \
  { code, #code, class }

static const struct {
  cl_int code;
  const char *name;
  int class;
} codes[] = {
    AS(CL_SUCCESS, PLM_OK),
    AS(CL_DEVICE_NOT_FOUND, PLM_E_UNSUPPORTED),
    AS(CL_DEVICE_NOT_AVAILABLE, PLM_E_DEVICE_LOST),
    AS(CL_COMPILER_NOT_AVAILABLE, PLM_E_UNSUPPORTED),
    AS(CL_MEM_OBJECT_ALLOCATION_FAILURE, PLM_E_NO_MEMORY),
    AS(CL_OUT_OF_RESOURCES, PLM_E_NO_MEMORY),
    AS(CL_OUT_OF_HOST_MEMORY, PLM_E_NO_MEMORY),
    AS(CL_PROFILING_INFO_NOT_AVAILABLE, PLM_E_UNSUPPORTED),
    NAME(CL_MEM_COPY_OVERLAP),
    NAME(CL_IMAGE_FORMAT_MISMATCH),
    AS(CL_IMAGE_FORMAT_NOT_SUPPORTED, PLM_E_UNSUPPORTED),
    AS(CL_BUILD_PROGRAM_FAILURE, PLM_E_BUILD_FAILED),
    AS(CL_MAP_FAILURE, PLM_E_NO_MEMORY),
    NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
    AS(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, PLM_E_DEVICE_LOST),
    AS(CL_COMPILE_PROGRAM_FAILURE, PLM_E_BUILD_FAILED),
    AS(CL_LINKER_NOT_AVAILABLE, PLM_E_UNSUPPORTED),
    AS(CL_LINK_PROGRAM_FAILURE, PLM_E_BUILD_FAILED),
    AS(CL_DEVICE_PARTITION_FAILED, PLM_E_UNSUPPORTED),
    AS(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, PLM_E_UNSUPPORTED),
    NAME(CL_INVALID_VALUE),
    NAME(CL_INVALID_DEVICE_TYPE),
    NAME(CL_INVALID_PLATFORM),
    NAME(CL_INVALID_DEVICE),
    NAME(CL_INVALID_CONTEXT),
    NAME(CL_INVALID_QUEUE_PROPERTIES),
    AS(CL_INVALID_COMMAND_QUEUE, PLM_E_DEVICE_LOST), /* what drivers answer once the device fell off the bus */
    NAME(CL_INVALID_HOST_PTR),
    NAME(CL_INVALID_MEM_OBJECT),
    NAME(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
    NAME(CL_INVALID_IMAGE_SIZE),
    NAME(CL_INVALID_SAMPLER),
    AS(CL_INVALID_BINARY, PLM_E_BUILD_FAILED),
    AS(CL_INVALID_BUILD_OPTIONS, PLM_E_BUILD_FAILED),
    NAME(CL_INVALID_PROGRAM),
    AS(CL_INVALID_PROGRAM_EXECUTABLE, PLM_E_BUILD_FAILED),
    NAME(CL_INVALID_KERNEL_NAME),
    NAME(CL_INVALID_KERNEL_DEFINITION),
    NAME(CL_INVALID_KERNEL),
    NAME(CL_INVALID_ARG_INDEX),
    NAME(CL_INVALID_ARG_VALUE),
    NAME(CL_INVALID_ARG_SIZE),
    NAME(CL_INVALID_KERNEL_ARGS),
    NAME(CL_INVALID_WORK_DIMENSION),
    NAME(CL_INVALID_WORK_GROUP_SIZE),
    NAME(CL_INVALID_WORK_ITEM_SIZE),
    NAME(CL_INVALID_GLOBAL_OFFSET),
    NAME(CL_INVALID_EVENT_WAIT_LIST),
    NAME(CL_INVALID_EVENT),
    NAME(CL_INVALID_OPERATION),
    NAME(CL_INVALID_GL_OBJECT),
    AS(CL_INVALID_BUFFER_SIZE, PLM_E_NO_MEMORY),
    NAME(CL_INVALID_MIP_LEVEL),
    NAME(CL_INVALID_GLOBAL_WORK_SIZE),
    NAME(CL_INVALID_PROPERTY),
    NAME(CL_INVALID_IMAGE_DESCRIPTOR),
    NAME(CL_INVALID_COMPILER_OPTIONS),
    NAME(CL_INVALID_LINKER_OPTIONS),
    NAME(CL_INVALID_DEVICE_PARTITION_COUNT),
    {CODE_PLATFORM_NOT_FOUND, "CL_PLATFORM_NOT_FOUND_KHR", PLM_E_UNSUPPORTED},
    {CODE_NV_KERNEL_FAULT, "illegal access by a kernel (NVIDIA)", PLM_E_DEVICE_LOST},
};

#define CODES (sizeof codes / sizeof *codes)

const char *ocl_code_name(cl_int code) {
  for (size_t i = 0; i < CODES; i++)
    if (codes[i].code == code)
      return codes[i].name;
  return "unknown OpenCL code";
}

int ocl_code_class(cl_int code) {
  for (size_t i = 0; i < CODES; i++)
    if (codes[i].code == code)
      return codes[i].class;
  return code == 0 ? PLM_OK : PLM_E_INTERNAL;
}

int ocl_fail(struct plm_error *err, const struct plm_device *device, const struct plm_op *op, const char *kernel,
             cl_int code, const char *what, ...) {
  const int class = ocl_code_class(code);
  int used = 0;
  va_list args;
  err->code = class ? class : PLM_E_INTERNAL;
  err->native_code = code;
  err->op_kind = op ? op->kind : 0;
  if (op)
    used = snprintf(err->text, sizeof err->text, "%s (op %" PRIu32 ")%s%s%s: ", plm_op_name(op->kind), op->index,
                    kernel ? ", kernel \"" : "", kernel ? kernel : "", kernel ? "\"" : "");
  va_start(args, what);
  used += vsnprintf(err->text + used, sizeof err->text - (size_t)used, what, args);
  va_end(args);
  if ((size_t)used < sizeof err->text)
    snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s (%d)%s%s%s", ocl_code_name(code), code,
             device ? " on device \"" : "", device ? device->name : "", device ? "\"" : "");
  return err->code;
}
