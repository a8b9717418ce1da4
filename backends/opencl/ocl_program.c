/* Programs: one for each kernel family and set of options, built on first use, from the disk cache where possible. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "opencl.h"
#include "plmscale/op_rules.h"

#define KERNELS_MAX 16 /* of one family that a device ever uses with the same options */

struct ocl_program {
  struct ocl_program *next;
  char *family, *options;
  cl_program handle;
  uint32_t count;
  struct ocl_kernel kernels[KERNELS_MAX];
};

static const struct ocl_source *find_source(const char *name) {
  for (uint32_t i = 0; i < ocl_source_count; i++)
    if (!strcmp(ocl_sources[i].name, name))
      return &ocl_sources[i];
  return NULL;
}

/* What a binary depends on, and all of it: "device | driver | sources | compiler's options | family". */
static void make_key(char *out, size_t room, const struct plm_device *device, const char *family, const char *options) {
  snprintf(out, room, "%s | %s | %s | %s | %s", device->name, device->driver, ocl_sources_hash, options, family);
}

static int make_options(char *out, size_t room, const struct plm_device *device, const char *options,
                        struct plm_error *err) {
  const struct ocl_traits *t = &device->traits;
  const int used = snprintf(out, room, "-cl-std=CL1.2 -D%s=1 -DVW=%" PRIu32 "%s%s%s%s",
                            t->policy == OCL_CPU ? "PLM_CPU" : "PLM_GPU", t->vector, t->fma ? " -DPLM_FMA=1" : "",
                            options, device->build_options[0] ? " " : "", device->build_options);
  if (used >= 0 && (size_t)used < room)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, NULL, "option \"build_options\": longer than %zu bytes", room);
}

/* ---------------------------------------------------------------- building */

/* The first lines of a compiler's log in one line, and where the whole of it is. */
static int build_failed(struct plm_device *device, cl_program program, const char *key, const char *family, cl_int code,
                        struct plm_error *err) {
  char first[240], path[PATH_MAX];
  struct plm_error ignored = {.struct_size = sizeof ignored};
  size_t bytes = 0, used = 0;
  clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
  char *log = ocl_allocate(device->host, bytes + 1, "compiler log", &ignored);
  if (log)
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
  const int kept = log && ocl_cache_log(device, key, log, path, sizeof path);
  for (const char *c = log; c && *c && used + 4 < sizeof first; c++) {
    if (*c != '\n')
      first[used++] = *c;
    else if (used && first[used - 1] != ' ')
      memcpy(first + used, "; ", 2), used += 2;
  }
  first[used] = '\0';
  if (!kept && log)
    ocl_log(device->host, PLM_LOG_ERROR, "%s", log);
  ocl_fail(err, device, NULL, NULL, code, "kernels/%s.cl does not compile: %s (the whole log: %s)", family,
           used ? first : "the driver gives no log", kept ? path : "in this program's log");
  ocl_release(device->host, log);
  return err->code = PLM_E_BUILD_FAILED;
}

static int build_source(cl_program *out, struct plm_device *device, const char *family, const char *options,
                        const char *key, struct plm_error *err) {
  const struct ocl_source *prelude = find_source("prelude"), *source = find_source(family);
  char line[64];
  cl_int code;
  if (!source || !prelude)
    return plm_rules_error(err, PLM_E_INTERNAL, NULL, "kernels/%s.cl is not part of this plugin", family);
  snprintf(line, sizeof line, "\n#line 1 \"%s.cl\"\n", family);
  const char *texts[] = {"#line 1 \"prelude.cl\"\n", prelude->text, line, source->text};
  cl_program program = clCreateProgramWithSource(device->context, 4, texts, NULL, &code);
  if (code)
    return ocl_fail(err, device, NULL, NULL, code, "clCreateProgramWithSource of kernels/%s.cl", family);
  const double begin = device->host->clock(device->host->context);
  code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (code) {
    const int failed = build_failed(device, program, key, family, code, err);
    clReleaseProgram(program);
    return failed;
  }
  ocl_log(device->host, PLM_LOG_DEBUG, "kernels/%s.cl built in %.2f s (%s)", family,
          device->host->clock(device->host->context) - begin, options);
  *out = program;
  return PLM_OK;
}

/* A binary that the driver does not take, for whatever reason, is no error: the source is there. */
static int build_binary(cl_program *out, struct plm_device *device, const char *options, const char *key) {
  size_t bytes;
  cl_int code, status;
  void *binary = ocl_cache_load(device, key, &bytes);
  if (!binary)
    return 0;
  const unsigned char *data = binary;
  cl_program program = clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &data, &status, &code);
  ocl_release(device->host, binary);
  if (code)
    return 0;
  if (status || clBuildProgram(program, 1, &device->id, options, NULL, NULL)) {
    clReleaseProgram(program);
    return 0;
  }
  *out = program;
  return 1;
}

static void keep_binary(const struct plm_device *device, cl_program program, const char *key) {
  struct plm_error ignored = {.struct_size = sizeof ignored};
  size_t bytes = 0;
  if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) || bytes == 0)
    return;
  unsigned char *binary = ocl_allocate(device->host, bytes, "program binary", &ignored);
  if (binary && !clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL))
    ocl_cache_store(device, key, binary, bytes);
  ocl_release(device->host, binary);
}

static int build(cl_program *out, struct plm_device *device, const char *family, const char *options,
                 struct plm_error *err) {
  char all[2048], key[2600];
  struct ocl_ambient ambient;
  int code = make_options(all, sizeof all, device, options, err);
  if (code)
    return code;
  make_key(key, sizeof key, device, family, all);
  ocl_ambient_take(&ambient);
  if (!build_binary(out, device, all, key)) {
    code = build_source(out, device, family, all, key, err);
    if (!code)
      keep_binary(device, *out, key);
  }
  ocl_ambient_restore(&ambient);
  return code;
}

/* ---------------------------------------------------------------- keeping */

static void program_destroy(struct plm_device *device, struct ocl_program *program) {
  for (uint32_t i = 0; i < program->count; i++)
    clReleaseKernel(program->kernels[i].handle);
  if (program->handle)
    clReleaseProgram(program->handle);
  ocl_release(device->host, program->family);
  ocl_release(device->host, program->options);
  ocl_release(device->host, program);
}

void ocl_programs_destroy(struct plm_device *device) {
  while (device->programs) {
    struct ocl_program *program = device->programs;
    device->programs = program->next;
    program_destroy(device, program);
  }
}

/* Moves the program to the front: a step asks for few of them, again and again. */
static struct ocl_program *find_program(struct plm_device *device, const char *family, const char *options) {
  for (struct ocl_program **at = &device->programs; *at; at = &(*at)->next)
    if (!strcmp((*at)->family, family) && !strcmp((*at)->options, options)) {
      struct ocl_program *found = *at;
      *at = found->next;
      found->next = device->programs;
      return device->programs = found;
    }
  return NULL;
}

static int add_program(struct ocl_program **out, struct plm_device *device, const char *family, const char *options,
                       struct plm_error *err) {
  struct ocl_program *program = ocl_allocate(device->host, sizeof *program, "program", err);
  if (!program)
    return PLM_E_NO_MEMORY;
  program->family = ocl_text(device->host, family);
  program->options = ocl_text(device->host, options);
  int code = program->family && program->options
                 ? build(&program->handle, device, family, options, err)
                 : plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "program: no host memory for its name");
  if (code) {
    program_destroy(device, program);
    return code;
  }
  program->next = device->programs;
  *out = device->programs = program;
  return PLM_OK;
}

int ocl_kernel(const struct ocl_kernel **out, struct plm_device *device, const char *family, const char *options,
               const char *name, struct plm_error *err) {
  struct ocl_program *program = find_program(device, family, options);
  cl_int code;
  if (!program) {
    const int failed = add_program(&program, device, family, options, err);
    if (failed)
      return failed;
  }
  for (uint32_t i = 0; i < program->count; i++)
    if (!strcmp(program->kernels[i].name, name)) {
      *out = &program->kernels[i];
      return PLM_OK;
    }
  if (program->count == KERNELS_MAX)
    return plm_rules_error(err, PLM_E_INTERNAL, NULL, "kernels/%s.cl: more than %d kernels", family, KERNELS_MAX);
  struct ocl_kernel *kernel = &program->kernels[program->count];
  snprintf(kernel->name, sizeof kernel->name, "%s", name);
  kernel->handle = clCreateKernel(program->handle, name, &code);
  if (code)
    return ocl_fail(err, device, NULL, NULL, code, "clCreateKernel \"%s\" of kernels/%s.cl", name, family);
  program->count++;
  *out = kernel;
  return PLM_OK;
}
