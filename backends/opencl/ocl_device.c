/* One open device: its context, what it is like, its buffers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ocl_choices.h"
#include "opencl.h"
#include "plmscale/op_rules.h"

#define WORK_GROUP_MIN 256 /* the largest work-group of the GPU policy's kernels */

void *ocl_allocate(const struct plm_host *host, uint64_t bytes, const char *what, struct plm_error *err) {
  void *memory = host->allocate(host->context, bytes);
  if (memory)
    memset(memory, 0, bytes);
  else
    plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "%s: no host memory for %" PRIu64 " bytes", what, bytes);
  return memory;
}

void ocl_release(const struct plm_host *host, void *memory) { host->release(host->context, memory); }

char *ocl_text(const struct plm_host *host, const char *text) {
  const size_t bytes = strlen(text) + 1;
  char *copy = host->allocate(host->context, bytes);
  if (copy)
    memcpy(copy, text, bytes);
  return copy;
}

/* ---------------------------------------------------------------- what it is like */

/*
 * Mesa's software renderer calls itself a CPU, but compiles for a GPU: register tiles of 16 floats take it minutes
 * (rusticl, Mesa 22.3.6).
 */
static enum ocl_policy natural_policy(const struct ocl_found *found) {
  return found->info.kind == PLM_DEVICE_CPU && !strstr(found->platform_name, "rusticl") &&
                 !strstr(found->platform_name, "Clover")
             ? OCL_CPU
             : OCL_GPU;
}

static int choose_policy(struct plm_device *device, const struct ocl_found *found, struct plm_error *err) {
  const char *asked = device->host->option(device->host->context, "policy");
  struct ocl_traits *t = &device->traits;
  if (!strcmp(asked, "auto"))
    t->policy = natural_policy(found);
  else if (!strcmp(asked, "cpu"))
    t->policy = OCL_CPU;
  else if (!strcmp(asked, "gpu"))
    t->policy = OCL_GPU;
  else
    return plm_rules_error(err, PLM_E_INVALID, NULL, "option \"policy\": \"%s\" is not auto, cpu or gpu", asked);
  if (t->policy == OCL_GPU && t->work_group_max < WORK_GROUP_MIN)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, NULL,
                           "device \"%s\": work-groups of at most %" PRIu64 ", the GPU policy needs %d", device->name,
                           t->work_group_max, WORK_GROUP_MIN);
  return PLM_OK;
}

static cl_uint ask_u32(cl_device_id id, cl_device_info what) {
  cl_uint value = 0;
  return clGetDeviceInfo(id, what, sizeof value, &value, NULL) ? 0 : value;
}

static uint64_t ask_u64(cl_device_id id, cl_device_info what) {
  cl_ulong value = 0;
  return clGetDeviceInfo(id, what, sizeof value, &value, NULL) ? 0 : value;
}

static uint64_t ask_size(cl_device_id id, cl_device_info what) {
  size_t value = 0;
  return clGetDeviceInfo(id, what, sizeof value, &value, NULL) ? 0 : value;
}

/* docs/gpu.md: FLOPs per clock and unit that even a slow kernel reaches on each kind of device; a tenth or less of what good ones do. */
static void set_floors(struct ocl_traits *t) {
  const double clock = t->clock_mhz ? t->clock_mhz * 1e6 : 1e9, units = t->compute_units ? t->compute_units : 1;
  const double per_clock = !t->is_cpu ? 4 : t->policy == OCL_CPU ? 2 : 0.05;
  t->flops_floor = units * clock * per_clock;
  t->bytes_floor = t->is_cpu ? 1e9 : 8e9;
}

static int learn_traits(struct plm_device *device, const struct ocl_found *found, struct plm_error *err) {
  struct ocl_traits *t = &device->traits;
  const cl_device_id id = device->id;
  const cl_uint width = ask_u32(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
  char extensions[8192] = "";
  if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions, NULL))
    extensions[0] = '\0';
  t->is_cpu = found->info.kind == PLM_DEVICE_CPU;
  t->compute_units = ask_u32(id, CL_DEVICE_MAX_COMPUTE_UNITS);
  t->clock_mhz = ask_u32(id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
  t->work_group_max = ask_size(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  t->local_bytes = ask_u64(id, CL_DEVICE_LOCAL_MEM_SIZE);
  t->buffer_max = ask_u64(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  t->memory_bytes = ask_u64(id, CL_DEVICE_GLOBAL_MEM_SIZE);
  t->base_align = ask_u32(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
  t->fma = (ask_u64(id, CL_DEVICE_SINGLE_FP_CONFIG) & CL_FP_FMA) != 0;
  t->subgroups = strstr(extensions, "cl_khr_subgroups") || strstr(extensions, "cl_intel_subgroups");
  const int code = choose_policy(device, found, err);
  if (code)
    return code;
  t->vector = t->policy == OCL_GPU ? 4 : width >= 16 ? 16 : width >= 8 ? 8 : 4;
  set_floors(t);
  return PLM_OK;
}

/* ---------------------------------------------------------------- open and close */

/* Asked before clCreateSubDevices is called, which rusticl (Mesa 22.3.6) does not even have: a NULL behind the loader. */
static int can_divide(cl_device_id id) {
  cl_device_partition_property kinds[8] = {0};
  cl_uint most = 0;
  if (clGetDeviceInfo(id, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof most, &most, NULL) || most < 2 ||
      clGetDeviceInfo(id, CL_DEVICE_PARTITION_PROPERTIES, sizeof kinds, kinds, NULL))
    return 0;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i] == CL_DEVICE_PARTITION_BY_COUNTS)
      return 1;
  return 0;
}

/* A CPU device as wide as the run allows: a part of it, where the driver can divide it. */
static void take_part(struct plm_device *device, const struct ocl_found *found) {
  const uint32_t threads = device->host->threads(device->host->context);
  if (found->info.kind != PLM_DEVICE_CPU || threads == 0 || threads >= found->info.compute_units)
    return;
  if (!can_divide(found->id)) {
    ocl_log(device->host, PLM_LOG_INFO, "device \"%s\" uses all of its %" PRIu32 " units: the driver cannot divide it",
            device->name, found->info.compute_units);
    return;
  }
  const cl_device_partition_property parts[] = {CL_DEVICE_PARTITION_BY_COUNTS, (cl_device_partition_property)threads,
                                                CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
  cl_device_id part;
  const cl_int code = clCreateSubDevices(found->id, parts, 1, &part, NULL);
  if (code) {
    ocl_log(device->host, PLM_LOG_INFO, "device \"%s\" cannot be limited to %" PRIu32 " of its %" PRIu32 " units: %s",
            device->name, threads, found->info.compute_units, ocl_code_name(code));
    return;
  }
  device->id = part;
  device->is_part = 1;
}

static double real_option(const struct plm_host *host, const char *name) {
  return strtod(host->option(host->context, name), NULL);
}

static int read_options(struct plm_device *device, struct plm_error *err) {
  const struct plm_host *host = device->host;
  device->timeout_seconds = real_option(host, "timeout_seconds");
  device->launch_seconds = real_option(host, "launch_seconds");
  device->profile = !strcmp(host->option(host->context, "profile"), "1");
  device->build_options = ocl_text(host, host->option(host->context, "build_options"));
  if (!device->build_options)
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "device: no host memory for its options");
  device->cache_folder = ocl_cache_folder(host);
  return PLM_OK;
}

/* Oclgrind 21.10 calls back with a pointer that is not the one it was given: the host's is kept here. */
static const struct plm_host *context_host;

static void CL_CALLBACK on_context_error(const char *text, const void *info, size_t bytes, void *user) {
  (void)info;
  (void)bytes;
  (void)user;
  ocl_log(context_host, PLM_LOG_WARN, "the driver says: %s", text);
}

static int make_context(struct plm_device *device, struct plm_error *err) {
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
  struct ocl_ambient ambient;
  cl_int code;
  context_host = device->host;
  ocl_ambient_take(&ambient);
  device->context = clCreateContext(properties, 1, &device->id, on_context_error, NULL, &code);
  ocl_ambient_restore(&ambient);
  return code ? ocl_fail(err, device, NULL, NULL, code, "clCreateContext") : PLM_OK;
}

int ocl_device_open(const struct plm_host *host, uint32_t index, struct plm_device **out, struct plm_error *err) {
  const struct ocl_found *devices;
  uint32_t count;
  int code = ocl_list(host, &devices, &count, err);
  if (code)
    return code;
  if (index >= count)
    return plm_rules_error(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there are %" PRIu32 " devices", index, count);
  struct plm_device *device = ocl_allocate(host, sizeof *device, "device", err);
  if (!device)
    return PLM_E_NO_MEMORY;
  const struct ocl_found *found = &devices[index];
  device->host = host;
  device->platform = found->platform;
  device->id = found->id;
  snprintf(device->name, sizeof device->name, "%s", found->info.name);
  snprintf(device->driver, sizeof device->driver, "%.60s %.90s", found->platform_name, found->info.driver_version);
  take_part(device, found);
  code = learn_traits(device, found, err);
  if (!code)
    code = read_options(device, err);
  if (!code)
    code = make_context(device, err);
  if (!code)
    code = ocl_choices_open(device, err);
  if (code)
    ocl_device_close(device);
  else
    *out = device;
  return code;
}

void ocl_device_close(struct plm_device *device) {
  if (!device)
    return;
  ocl_choices_close(device);
  ocl_programs_destroy(device);
  if (device->context)
    clReleaseContext(device->context);
  if (device->is_part)
    clReleaseDevice(device->id);
  ocl_release(device->host, device->cache_folder);
  ocl_release(device->host, device->build_options);
  ocl_release(device->host, device);
}

/* AMD tells what is free, in KiB; others do not, and what their other programs hold is unknown. */
#define QUERY_FREE_MEMORY_AMD 0x4038

int ocl_memory_info(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err) {
  size_t free_kib[2] = {0, 0};
  (void)err;
  const uint64_t all = device->traits.memory_bytes;
  uint64_t rest = all > device->used ? all - device->used : 0;
  if (!device->traits.is_cpu &&
      !clGetDeviceInfo(device->id, QUERY_FREE_MEMORY_AMD, sizeof free_kib, free_kib, NULL) && free_kib[0])
    rest = (uint64_t)free_kib[0] << 10;
  *used = device->used;
  *free_bytes = rest;
  return PLM_OK;
}

/* ---------------------------------------------------------------- buffers */

uint64_t ocl_buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

int ocl_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                      struct plm_error *err) {
  int code = plm_rules_new_buffer(bytes, SIZE_MAX / 2, kind, err);
  if (code)
    return code;
  if (bytes > device->traits.buffer_max)
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL,
                           "buffer of %" PRIu64 " bytes: device \"%s\" has none above %" PRIu64, bytes, device->name,
                           device->traits.buffer_max);
  struct plm_buffer *buffer = ocl_allocate(device->host, sizeof *buffer, "buffer", err);
  if (!buffer)
    return PLM_E_NO_MEMORY;
  /* PoCL 3.1 otherwise takes the memory at the first use, and ends the process by an assertion when there is none. */
  const cl_mem_flags flags = CL_MEM_READ_WRITE | (device->traits.is_cpu ? CL_MEM_ALLOC_HOST_PTR : 0);
  cl_int failed;
  buffer->device = device;
  buffer->bytes = bytes;
  buffer->memory = clCreateBuffer(device->context, flags, bytes, NULL, &failed);
  if (failed) {
    ocl_release(device->host, buffer);
    return ocl_fail(err, device, NULL, NULL, failed, "clCreateBuffer of %" PRIu64 " bytes, %" PRIu64 " in use", bytes,
                    device->used);
  }
  device->used += bytes;
  *out = buffer;
  return PLM_OK;
}

void ocl_buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    return;
  clReleaseMemObject(buffer->memory);
  buffer->device->used -= buffer->bytes;
  ocl_release(buffer->device->host, buffer);
}
